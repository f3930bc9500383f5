"""Every op in ONNX Runtime, for each of the opsets in which it is written otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from netspec.codegen.backend import get, load_model
from netspec.diagnostics import SpecError
from netspec.runtime.verify import random_inputs
from tests.backends.nets import BODIES, POOLINGS, net_of, of_layers

from .helpers import compare, file_of, numpy_results, run

CASES = {**BODIES, **POOLINGS}
OTHERWISE = (
    *("gelu", "mish", "normalize", "adaptive_max", "mean", "sum", "parameter"),
    *("upsample_bicubic", "pad", "split_uneven", "groupnorm"),
)
"""What reads axes or has a node of its own in later opsets."""


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_every_op(case: str) -> None:
    compare(of_layers(*CASES[case]))


@pytest.mark.slow
@pytest.mark.parametrize("case", OTHERWISE)
def test_other_opsets(case: str) -> None:
    compare(of_layers(*CASES[case]), opsets=(18, 20, 22))


@pytest.mark.slow
@pytest.mark.parametrize("case", [c for c in CASES if not c.startswith("roi_pool")])
def test_the_last_opset(case: str) -> None:
    compare(of_layers(*CASES[case]), opsets=(22,))


@pytest.mark.slow
@pytest.mark.exhaustive
def test_every_op_in_openvino() -> None:
    """Another engine, which was written without ours in mind, reads the graphs as they are meant."""
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    how = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    shuffled = (
        "channel_shuffle { groups: 2 } -> conv { filters: 8  kernel: 3  groups: depthwise }"
        " -> conv { filters: 4  kernel: 1 }"
    )
    for case, body in (BODIES | {"shuffled": (shuffled, "8x6x7")}).items():
        net = of_layers(*body)
        inputs = random_inputs(net, 3)
        model = core.compile_model(core.read_model(file_of(net)), "CPU", how)
        for ours, theirs in zip(numpy_results(net, inputs), model(inputs).values(), strict=True):
            scale = np.abs(ours).max(initial=1e-30)
            np.testing.assert_allclose(theirs, ours, rtol=0, atol=1e-5 * scale, err_msg=case)


def test_what_an_engine_lacks_is_said() -> None:
    net = of_layers(*CASES["roi_pool"])
    with pytest.raises(SpecError, match="MaxRoiPool of opset 22: take 21"):
        file_of(net, opset=22)
    # Pads as large as the kernel, which a dilated window spans all the same.
    pooling = "maxpool { kernel: 2  dilation: 3  pad: 3  stride: 2  round: floor }"
    compare(of_layers(pooling, "2x9x9"))
    with pytest.raises(SpecError, match=r"can't express p: .* beyond its kernel"):
        file_of(of_layers(f"p: {pooling}\n output p.indices", "2x9x9"))


@pytest.mark.parametrize("statement", ["lrn { size: 3  alpha: 1 }", "layernorm", "normalize"])
def test_normalizations_of_vectors(statement: str) -> None:
    compare(net_of(f"net n {{ input x: 7\n {statement} }}"))


def test_indices_count_the_places_of_a_plane() -> None:
    net = of_layers("p: maxpool { kernel: 2 round: floor }\n output p.indices", "1x2x4")
    x = np.array([[[[1, 2, 3, 4], [9, 0, 7, 8]]]] * 2, dtype=np.float32)
    (result,) = run(file_of(net), [x])
    assert result.tolist() == [[[[4, 7]]]] * 2


def test_a_pooling_over_any_size() -> None:
    """A window as large as its input stays that for all sizes."""
    net = net_of("net n { input x: 2x5x7\n a: relu\n avgpool { kernel: [a.height, a.width] } }")
    content = file_of(net)
    for size in ((5, 7), (8, 3)):
        x = np.random.default_rng(0).standard_normal((2, 2, *size), dtype=np.float32)
        wanted = np.maximum(x, 0).mean(axis=(2, 3), keepdims=True)
        np.testing.assert_allclose(run(content, [x])[0], wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("op", "small"), [("normalize", "normalize"), ("clamp", "clamp { min: 1e-9 }")]
)
def test_float16_has_no_number_for_less_than_its_least(op: str, small: str) -> None:
    (result,) = run(file_of(of_layers(small), float16=True), [np.zeros((1, 3, 13, 11), "f")])
    assert np.isfinite(result).all()
    assert result.dtype == np.float32


def test_the_model_is_called_as_others_are() -> None:
    net = of_layers("a: relu\n b: sigmoid\n output a, b")
    model = load_model(net, get("onnx"))
    model.weights = {}
    first, second = model(np.ones((1, 3, 13, 11), np.float32))
    assert (first == 1).all()
    np.testing.assert_allclose(second, 1 / (1 + np.exp(-1.0)), rtol=1e-6)
    with pytest.raises(RuntimeError, match="differ in their weights"):
        model.weights = {"a.weight": np.zeros(3, np.float32)}
