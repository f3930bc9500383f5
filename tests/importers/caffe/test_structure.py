"""Published networks: their parameters and MACs, and the converted specs."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import netspec
from netspec.ir import Net
from netspec.weights import fresh

from ...helpers import loaded
from ...helpers import net_of as net_of_spec
from . import nets
from .helpers import after, body_of, net_of, spec_of

SHARED = Path(__file__).parents[4] / "shared" / "data"
GOLDEN = Path(__file__).parent / "specs"

# Parameters and MACs: those that Caffe's files have, and for the last three the papers' figures as
# torchvision and others count them.
FIGURES: dict[str, tuple[Callable[[], str], int, int]] = {
    "lenet": (nets.lenet, 431_080, 2_293_000),
    "cifar10_quick": (nets.cifar10_quick, 145_578, 12_354_176),
    "alexnet": (nets.alexnet, 60_965_224, 724_406_816),
    "googlenet": (nets.googlenet, 6_998_552, 1_582_671_872),
    "resnet50": (nets.resnet, 25_557_096, 3_857_973_248),
    "mobilenet": (nets.mobilenet, 4_231_976, 568_740_352),
    "mobilenet_v2": (nets.mobilenet_v2, 3_505_960, 313_619_328),
    "densenet121": (nets.densenet, 7_978_856, 3_063_058_432),
}


@pytest.mark.parametrize("name", FIGURES)
def test_published_figures(name: str) -> None:
    make, params, macs = FIGURES[name]
    net = net_of(make())
    assert (net.params, net.macs) == (params, macs)


@pytest.mark.parametrize("name", FIGURES)
def test_spec(name: str, update: bool) -> None:
    """The whole text; `pytest --update` rewrites it. That it is the same net, converting checks."""
    found = spec_of(FIGURES[name][0](), f"{name}.prototxt")
    path = GOLDEN / f"{name}.net"
    if update:
        path.write_text(found, encoding="utf-8")
    assert found == path.read_text(encoding="utf-8")


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("file", ["deploy", "train_val"])
def test_squeezenets_files(version: str, file: str) -> None:
    net = loaded(SHARED / f"squeezenet_v{version}" / f"{file}.prototxt")
    figures = {"1.0": (1_248_424, 861_339_936), "1.1": (1_235_496, 387_747_520)}
    assert (net.params, net.macs) == figures[version]


@pytest.mark.skipif(not SHARED.exists(), reason="the shared data is not here")
def test_squeezenets_spec_is_as_short_as_ours() -> None:
    """The same network as the bundled spec, in no more lines than that and its module."""
    text = spec_of((SHARED / "squeezenet_v1.0" / "deploy.prototxt").read_text())
    ours = loaded("squeezenet1_0_caffe")
    theirs = net_of((SHARED / "squeezenet_v1.0" / "deploy.prototxt").read_text())
    assert _layers(theirs) == _layers(ours)
    paths = [layer.path for layer in theirs.layers]
    assert "fire2.squeeze1x1" in paths
    assert "fire9.expand3x3" in paths
    folder = Path(netspec.__file__).parent.parent / "specs"
    lines = [
        line
        for file in (folder / "squeezenet1_0_caffe.net", folder / "modules" / "fire.net")
        for line in file.read_text().splitlines()
        if line.strip() and not line.strip().startswith("#")
    ]
    assert len([line for line in text.splitlines() if line.strip()]) <= len(lines)


def _layers(net: Net) -> list[object]:
    """Each layer, apart from its name and from how it begins, which a file for use does not say."""
    return [
        (
            type(layer.op),
            {name: value for name, value in vars(layer.op).items() if name != "init"},
            [tuple(v.shape) for v in layer.inputs],
            [tuple(v.shape) for v in layer.outputs],
        )
        for layer in net.layers
    ]


def _plain(text: str) -> str:
    """Without slashes and words: names that say nothing of structure."""
    import re

    numbers = {"data": "data"}
    return re.sub(
        r'(name|top|bottom): "([^"]*)"',
        lambda m: f'{m[1]}: "{numbers.setdefault(m[2], f"n{len(numbers)}")}"',
        text,
    )


@pytest.mark.parametrize(
    ("make", "modules"),
    [(nets.resnet, 16), (nets.googlenet, 9), (nets.densenet, 58)],
    ids=["resnet", "googlenet", "densenet"],
)
def test_structure_is_found_without_names(make: Callable[[], str], modules: int) -> None:
    """Where names say nothing, how layers are wired does."""
    net = net_of(_plain(make()))
    instances = [node for node in net.body.nodes if hasattr(node, "block")]
    assert len(instances) == modules
    assert net.params == net_of(make()).params


def test_dense_layers_become_a_loop() -> None:
    assert "for i in 1..24 { conv4_[i]: dense_layer }" in " ".join(spec_of(nets.densenet()).split())


def test_names_are_those_of_the_language() -> None:
    text = after("3x8x8", "ReLU", "Sigmoid", "TanH", "AbsVal")
    for i, name in enumerate(("if", "1x1", "größe/x y", "层"), 1):
        text = text.replace(f'name: "l{i}"', f'name: "{name}"')
    assert body_of(text) == ["if_: relu -> sigmoid -> tanh", "abs"]


def test_names_that_occur_twice_are_numbered() -> None:
    conv = 'Convolution bottom: "data" convolution_param { num_output: 2 kernel_size: 1 }'
    text = after("3x8x8", conv, conv, 'Eltwise bottom: "l1" bottom: "l2"').replace(
        'name: "l2"', 'name: "l1"'
    )
    assert body_of(text)[:2] == [
        "l1: conv { filters: 2 kernel: 1x1 }",
        "l1_2: conv(data) { filters: 2 kernel: 1x1 }",
    ]


def test_classes_can_be_set() -> None:
    assert net_of(nets.lenet(), classes=7).params == 431_080 - 3 * 501


def stages() -> str:
    """Two stages of two branches each, called as those of a widespread pose estimator are."""
    p = nets.Prototxt("", 3, 8, 8)
    p.conv("conv1", 6, 3, pad=1)
    tops = ["conv1"]
    for stage in (2, 3):
        p.layer(f"concat_stage{stage}", "Concat", bottoms=[*tops, "conv1"])
        tops = []
        for branch, filters in (("L1", 4), ("L2", 5)):
            for i in range(1, 5):
                p.conv(f"Mconv{i}_stage{stage}_{branch}", 6, 3, pad=1)
                p.relu(f"Mrelu{i}_stage{stage}_{branch}")
            tops.append(p.conv(f"Mconv5_stage{stage}_{branch}", filters, 1))
            p.top = f"concat_stage{stage}"
    return p.text()


def test_scores_of_boxes_are_no_classes() -> None:
    """Of a region proposal net: 9 boxes with 2 scores each, which a Reshape lays side by side."""
    text = after(
        "3x8x8",
        "Convolution convolution_param { num_output: 18 kernel_size: 1 }",
        "Reshape reshape_param { shape { dim: 0 dim: 2 dim: -1 dim: 8 } }",
        "Softmax",
        "Reshape reshape_param { shape { dim: 0 dim: 18 dim: -1 dim: 8 } }",
    )
    assert [p.name for p in net_of(text).parameters] == []


def test_branches_with_a_common_end_of_their_names_become_a_module() -> None:
    """Runs of layers are found by the words that their names end with; equal layers are a loop."""
    text = " ".join(spec_of(stages()).split())
    assert "module stage(filters) { input x for i in 1..4 { Mconv[i]: conv {" in text
    for line in ("stage2_L1: stage { filters: 4 }", "stage3_L2: stage(concat_stage3) {"):
        assert line in text


def test_a_dense_block_of_a_fork_becomes_a_loop() -> None:
    fields = "numTransition: 4 growthRate: 2 use_BC: true"
    text = " ".join(spec_of(after("4x5x6", f"DenseBlock denseblock_param {{ {fields} }}")).split())
    assert "module dense_layer {" in text
    assert "for i in 1..4 { l1_[i]: dense_layer }" in text


def dual_paths(filters: list[int]) -> str:
    """Blocks that take two values and give two, as those of a dual path network (DPN)."""
    p = nets.Prototxt("", 3, 8, 8)

    def halves(name: str, bottom: str) -> tuple[str, str]:
        p.lines.append(
            f'layer {{ name: "{name}" type: "Slice" bottom: "{bottom}" top: "{name}_1" '
            f'top: "{name}_2" slice_param {{ slice_point: 8 }} }}'
        )
        return f"{name}_1", f"{name}_2"

    a, d = halves("s0", p.conv("conv1", 12, 3, pad=1))
    for i, count in enumerate(filters, 1):
        p.layer(f"dpn{i}_in", "Concat", bottoms=[a, d])
        p.conv(f"dpn{i}_c1", count, 1)
        p.relu(f"dpn{i}_c1/relu")
        first, second = halves(f"dpn{i}_slice", p.conv(f"dpn{i}_c2", 12, 3, pad=1))
        a = p.layer(f"dpn{i}_sum", "Eltwise", bottoms=[a, first])
        d = p.layer(f"dpn{i}_cat", "Concat", bottoms=[d, second])
    p.layer("out", "Concat", bottoms=[a, d])
    return p.text()


def test_blocks_of_two_results_become_a_module_called_in_a_loop() -> None:
    text = " ".join(spec_of(dual_paths([4, 8, 8, 8, 8, 8])).split())
    assert text.count("module ") == 1
    assert "input x input y" in text
    assert "sum: add(x, slice) cat: concat(y, slice.part2) output sum, cat }" in text
    assert "dpn1: dpn(s0, s0.part2) { filters: 4 }" in text
    assert "for i in 2..6 { dpn[i]: dpn(dpn[i - 1].sum, dpn[i - 1].cat) { filters: 8 } }" in text
    assert "out: concat(dpn6.sum, dpn6.cat)" in text


def test_blocks_of_two_results_compute_the_same() -> None:
    """The converted spec and its emitted class, against the net layer by layer."""
    prototxt = dual_paths([4, 8, 8, 8, 8])
    flat, net = net_of(prototxt), net_of_spec(spec_of(prototxt))
    weights = fresh(net.tensors, 3, varied=True)
    assert [t.shape for t in flat.tensors.values()] == [t.shape for t in net.tensors.values()]
    x = np.random.default_rng(1).standard_normal((1, 3, 8, 8)).astype(np.float32)
    wanted = netspec.build(flat, "numpy", dict(zip(flat.tensors, weights.values(), strict=True)))(x)
    for backend in ("numpy", "torch"):
        model = netspec.build(net, backend, weights)
        found = model(torch.from_numpy(x)).detach() if backend == "torch" else model(x)
        np.testing.assert_allclose(np.asarray(found), wanted, rtol=1e-4, atol=1e-5)


def test_equal_layers_become_a_loop() -> None:
    p = nets.Prototxt("vgg", 3, 8, 8)
    for i in range(1, 5):
        p.conv(f"conv3_{i}", 3, 3, pad=1)
        p.relu(f"relu3_{i}")
    assert body_of(p.text()) == [
        "for i in 1..4 { conv3_[i]: conv { filters: 3 kernel: 3x3 pad: 1 } -> relu }"
    ]


def inceptions() -> str:
    """Blocks of two designs, which their letters tell apart."""
    p = nets.Prototxt("", 3, 8, 8)
    for block in ("a1", "a2", "a3", "b1", "b2", "b3"):
        kernels = (1, 3, 3) if block.startswith("a") else (1, 5, 5)
        x, tops = p.top, []
        for i, kernel in enumerate(kernels):
            name = f"inception_{block}_{kernel}x{kernel}_{i}"
            tops.append(p.conv(name, 4, kernel, pad=kernel // 2, bottom=x))
        p.layer(f"inception_{block}_concat", "Concat", bottoms=tops)
    return p.text()


def test_designs_of_one_name_are_told_apart_by_its_letter() -> None:
    text = spec_of(inceptions())
    assert "module inception_a {" in text
    assert "module inception_b {" in text


def test_a_step_on_the_way_needs_no_name() -> None:
    """The flatten in front of a linear, in a module too."""
    p = nets.Prototxt("", 3, 8, 8)
    tops = []
    for i in (1, 2):
        p.conv(f"loss{i}/conv", 4, 1, bottom="data")
        p.fc(f"loss{i}/fc", 10 * i)
        tops.append(p.fc(f"loss{i}/classifier", 7))
    p.layer("sum", "Eltwise", bottoms=tops)
    text = " ".join(spec_of(p.text()).split())
    assert "conv { filters: 4 kernel: 1x1 } flatten fc: linear { units: units }" in text


def test_residuals_behind_a_prelu_become_a_module_without_parameters() -> None:
    """Filters that are as many as the channels of the input are written so (SphereFace)."""
    conv = "Convolution convolution_param { num_output: %d kernel_size: 3 pad: 1 }"
    layers: list[str] = []
    for filters in (8, 16):
        layers += [conv % filters, 'PReLU bottom: "l{0}" top: "l{0}"'.format(len(layers) + 1)]
        for _ in range(2):
            x = len(layers) - 1 if layers[-1].startswith("PReLU") else len(layers)
            for _ in range(2):
                at = len(layers) + 1
                bottom = "" if layers[-1].startswith("Elt") else f' bottom: "l{at - 2}"'
                layers += [f"Convolution{bottom} " + (conv % filters).split(" ", 1)[1]]
                layers += [f'PReLU bottom: "l{at}" top: "l{at}"']
            layers += [f'Eltwise bottom: "l{x}" bottom: "l{len(layers) - 1}"']
    text = spec_of(after("3x8x8", *layers))
    (module,) = re.findall(r"^module .*?^}", text, re.MULTILINE | re.DOTALL)
    assert "(" not in module.split("{")[0]
    assert module.count("filters: x.channels") == 2
    assert module.count("-> prelu") == 2
    assert "add(x, " in module


def test_gates_with_a_sum_are_one_module() -> None:
    """SENet's Axpy: a module that ends in the sum, called in a loop."""
    conv = (
        'layer {{ name: "{0}" type: "Convolution" bottom: "{1}" top: "{0}"'
        " convolution_param {{ num_output: 8 kernel_size: 1 }} }}\n"
    )
    text = after("3x8x8") + conv.format("conv1", "data")
    x = "conv1"
    for i in range(1, 5):
        b = f"conv2_{i}"
        text += conv.format(f"{b}/x1", x)
        text += f'layer {{ name: "{b}/pool" type: "Pooling" bottom: "{b}/x1" top: "{b}/pool" pooling_param {{ pool: AVE global_pooling: true }} }}\n'
        text += conv.format(f"{b}/up", f"{b}/pool")
        text += f'layer {{ name: "{b}/prob" type: "Sigmoid" bottom: "{b}/up" top: "{b}/up" }}\n'
        text += f'layer {{ name: "{b}" type: "Axpy" bottom: "{b}/up" bottom: "{b}/x1" bottom: "{x}" top: "{b}" }}\n'
        text += f'layer {{ name: "{b}/relu" type: "ReLU" bottom: "{b}" top: "{b}" }}\n'
        x = b
    spec = " ".join(spec_of(text).split())
    assert spec.count("module ") == 1
    assert "add(mul, x) -> relu }" in spec
    assert "for i in 1..4 { conv2_[i]: " in spec
