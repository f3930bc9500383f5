"""Bundled nets in ONNX Runtime, whole and with their modules as functions; other sizes."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.runtime.verify import random_inputs
from tests.backends.nets import BUNDLED, net_of, smaller
from tests.backends.random_nets import RandomNet
from tests.backends.test_other_sizes import NUMPY_ONLY, SIZES, UP, at_size, generated
from tests.helpers import checked

from .helpers import check_shapes, compare, dims, file_of, numpy_results, parsed, run

ONE_SIZE = {"alexnet", "alexnet_torchvision", "vgg16"}
NEAR_TIES = {"segnet", "enet"}
"""Nets in which indices of nearly equal maxima put values elsewhere."""


@pytest.mark.slow
@pytest.mark.parametrize("functions", [False, True])
@pytest.mark.parametrize("spec", BUNDLED)
def test_bundled_nets(spec: str, functions: bool) -> None:
    model = compare(smaller(spec), 1e-4, 0.99 if spec in NEAR_TIES else 1.0, functions=functions)
    free = [d for d in dims(model.graph.input[0])[2:] if isinstance(d, str)]
    assert len(free) == (0 if spec in ONE_SIZE else 2)


def test_equal_uses_of_a_module_are_one_function() -> None:
    net = netspec.load("squeezenet1_0").ir
    model = parsed(file_of(net, functions=True))
    assert [f.name for f in model.functions] == ["fire"]
    calls = [n for n in model.graph.node if n.op_type == "fire"]
    assert [n.name for n in calls] == [f"fire{i}" for i in range(2, 10)]
    assert [i for i in calls[0].input if "/" not in i] == [
        "pool1",
        *(
            f"fire2.{p}.{t}"
            for p in ("squeeze", "expand1x1", "expand3x3")
            for t in ("weight", "bias")
        ),
    ]
    assert {n.name for n in model.functions[0].node} > {"squeeze", "expand1x1", "expand3x3_relu"}


def test_names_are_those_of_the_spec() -> None:
    net = netspec.load("squeezenet_digits").ir
    model = parsed(file_of(net))
    graph = model.graph
    assert [i.name for i in graph.input] == ["data"]
    assert [o.name for o in graph.output] == ["prob"]
    assert {t.name for t in graph.initializer if "/" not in t.name} == set(net.tensors)
    named = {n.name for n in graph.node}
    paths = {layer.path for layer in net.layers if not layer.op.training_only}
    assert paths <= named
    made = {name for n in graph.node for name in n.output}
    assert paths - {"prob"} <= made
    assert dims(graph.input[0])[0] == "batch"


SHARED = """
module embed(n) { input x  conv { filters: n  kernel: 3 } -> batchnorm -> relu -> global_avgpool }
net siamese {
  input a: 1x9x9
  input b: 1x9x9
  tower: embed(a) { n: 3 }
  other: tower(b)
  r[0]: conv(a) { filters: 1  kernel: 3  pad: 1 } -> relu
  for i in 1..2 { r[i]: r[0](r[i - 1]) }
  output tower, other, r2
}
"""


@pytest.mark.parametrize("functions", [False, True])
def test_shared_weights_are_in_the_file_once(functions: bool) -> None:
    net = net_of(SHARED)
    model = compare(net, functions=functions)
    names = [t.name for t in model.graph.initializer if "/" not in t.name]
    assert sorted(names) == sorted(net.tensors)


SEVERAL = """
module both(n) { input x  a: conv { filters: n  kernel: 1 } -> relu  output a, x }
net uses {
  input data: 3x4x4
  one: both { n: 2 }
  two: both(one.x) { n: 3 }
  output one.a, two.x, two, data
}
"""


@pytest.mark.parametrize("functions", [False, True])
def test_results_that_are_inputs(functions: bool) -> None:
    model = compare(net_of(SEVERAL), functions=functions)
    names = [o.name for o in model.graph.output]
    assert len(set(names)) == 4
    assert not set(names) & {i.name for i in model.graph.input}


# --- sizes ---------------------------------------------------------------------------------------


def at_other_sizes(text: str, sizes: list[tuple[int, int]], **options: Any) -> list[int | str]:
    """Compare the file of a net, at other sizes, with NumPy models of these.

    Returns height and width of its input.
    """
    net = net_of(text)
    content = file_of(net, **options)
    model = parsed(content)
    check_shapes(model)
    free = dims(model.graph.input[0])[2:]
    for size in sizes:
        height, width = (n if isinstance(n, int) else m for n, m in zip(free, size, strict=True))
        other = net_of(at_size(text, height, width))
        inputs = random_inputs(other, 3)
        for ours, theirs in zip(numpy_results(other, inputs), run(content, inputs), strict=True):
            assert ours.shape == theirs.shape
            scale = max(1.0, float(np.abs(ours).max()))
            np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5 * scale)
    return free


@pytest.mark.slow
@pytest.mark.parametrize("functions", [False, True])
@pytest.mark.parametrize("name", [*SIZES, *NUMPY_ONLY])
def test_sizes_of_other_values(name: str, functions: bool) -> None:
    body = SIZES.get(name) or NUMPY_ONLY[name]
    text = f"{UP} net unet {{ input data: 3x32x32 {body} }}"
    at_other_sizes(text, [(33, 37), (32, 64)], functions=functions)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(20))
def test_generated_chains(seed: int) -> None:
    draw = random.Random(-seed - 1)
    at_other_sizes(generated(seed), [(draw.randint(20, 40), draw.randint(20, 40))])


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(16))
def test_random_nets(seed: int) -> None:
    """Random nets with modules, for random arguments, with and without functions."""
    drawn = RandomNet(seed)
    net, _ = checked(drawn.text, drawn.arguments())
    if net is None:
        net, _ = checked(drawn.text)
    if net is not None:
        compare(net, 1e-4, functions=bool(seed % 2))


FREE = {
    "shuffle": "conv { filters: 4 kernel: 1 } -> channel_shuffle { groups: 2 } -> flip { axis: width }",
    "same": "conv { filters: 4 kernel: 3 stride: 2 pad: same } -> maxpool { kernel: 3 stride: 2 pad: same }",
    "up": "a: maxpool { kernel: 2 round: ceil }\n upsample { size: data.shape mode: nearest }\n add(data)",
    "unpool": "p: maxpool { kernel: 2 round: ceil } \n maxunpool(p, p.indices)",
    "group": "conv { filters: 4 kernel: 1 } -> groupnorm { groups: 2 }",
    "rest": "conv { filters: 4 kernel: 1 } -> reshape { shape: [2, 2, -1] }",
    "centre": "a: conv { filters: 3 kernel: 4 }\n let n = floor((data.height - a.height) / 2)\n"
    "crop(data) { size: a.shape  offset: n }\n add(a)",
}


@pytest.mark.slow
@pytest.mark.parametrize("case", FREE)
def test_free_sizes(case: str) -> None:
    text = f"net n {{ input data: 3x11x13\n {FREE[case]} }}".replace("add(data)", "relu").replace(
        "\n add(a)", "\n relu"
    )
    assert at_other_sizes(text, [(12, 9)]) == ["height", "width"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("body", "free"),
    [
        ("flatten -> linear { units: 2 }", [12, 10]),
        ("reshape { shape: [3, 5, 24] }", [12, 10]),
        ("adaptive_avgpool { size: [1, 3] } -> relu", ["height", 10]),
        ("adaptive_maxpool { size: [5, 1] } -> relu", [12, "width"]),
        ("a: upsample { size: 12x10  mode: nearest }\n add(a, data)", [12, 10]),
        ("conv { filters: data.width  kernel: 1 }", [12, 10]),
        ("if data.height > 3 { relu }", [12, 10]),
        ("power { scale: 1 / data.height }", [12, "width"]),
    ],
)
def test_what_fixes_sizes(body: str, free: list[int | str]) -> None:
    text = f"net n {{ input data: 3x12x10\n {body} }}"
    assert at_other_sizes(text, [(15, 17)]) == free
