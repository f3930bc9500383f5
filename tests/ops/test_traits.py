"""Traits of ops hold for what PyTorch computes, whatever the weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from netspec import SpecError
from netspec.codegen.backend import Backend, get, load_model
from netspec.ir import Net
from netspec.ops import OPS, Op, Weighted
from netspec.reference.ops import example_source
from netspec.weights import fresh
from tests.backends.nets import net_of, of_layers

C, H, W = 6, 5, 4
# The attributes of ops that need some.
ATTRIBUTES = {
    "threshold": "threshold: 0.25",
    "lrn": "size: 3",
    "dropout": "ratio: 0.5",
    "split": "parts: 2",
    "channel_shuffle": "groups: 2",
    "flip": "axis: width",
    "clamp": "min: -0.5  max: 0.25",
    "groupnorm": "groups: 2",
    "drop_path": "ratio: 0.5",
    "mean": "across: channels",
    "sum": "across: channels",
    "slice": "channels: [1, 3]",
    "pixel_shuffle": "factor: 1",
    "pixel_unshuffle": "factor: 1",
}
UNARY = [op for op in OPS.values() if op.arity == (1, 1)]
CLIPS = [
    *("relu", "relu6", "hardtanh", "hardtanh { min: -0.5  max: 0.25 }"),
    *("clamp { min: -0.5 }", "clamp { max: 0.25 }", "clamp { min: 0  max: 2 }"),
]


def layer_of(op: type[Op]) -> str:
    """A layer with the op."""
    inputs = "" if op.arity[0] == 1 else "(data, data)"
    return f"{op.keyword}{inputs} {{ {ATTRIBUTES.get(op.keyword, '')} }}"


class Computed:
    """A net of one layer with random weights; what PyTorch makes of arrays."""

    def __init__(self, text: str, shape: str = f"{C}x{H}x{W}") -> None:
        self.net: Net = of_layers(text, shape)
        self.backend: Backend = get("torch")
        self.model = load_model(self.net, self.backend)
        self.backend.set_weights(self.model, fresh(self.net.tensors, 3, varied=True))

    def __call__(self, *inputs: Any) -> Any:
        return self.backend.run(self.model, *inputs)[0]


def numbers(*shape: int) -> Any:
    return np.random.default_rng(5).normal(scale=3, size=shape)


def of_trait(name: str) -> list[Any]:
    found = [pytest.param(op, id=op.keyword) for op in OPS.values() if getattr(op, name)]
    assert found, "a trait that no op has"
    return found


@pytest.mark.parametrize("op", of_trait("elementwise"))
def test_elementwise(op: type[Op]) -> None:
    count = max(op.arity[0], 1)
    one = Computed(layer_of(op) if count == 1 else f"input b: {C}x{H}x{W}\n{op.keyword}(data, b)")
    x = [numbers(2, C, H, W) + i for i in range(count)]
    before = one(*x)
    assert before.shape == x[0].shape
    changed = [a.copy() for a in x]
    for a in changed:
        a[1, 2, 3, 1] += 1
    after = one(*changed)
    after[1, 2, 3, 1] = before[1, 2, 3, 1]
    np.testing.assert_array_equal(after, before)


@pytest.mark.parametrize("op", of_trait("monotone"))
def test_monotone(op: type[Op]) -> None:
    assert op.elementwise
    assert op.arity == (1, 1)
    texts = [layer_of(op), *(t for t in CLIPS if t.split()[0] == op.keyword)]
    for text in texts:
        x = np.sort(np.concatenate([numbers(4000), [0, 3, -3, 6]])).reshape(-1, 1, 1, 1)
        x = np.broadcast_to(x, (len(x), 1, 1, 1)).copy()
        y = Computed(text, "1x1x1")(x).reshape(-1)
        assert (np.diff(y) >= -1e-12).all()


@pytest.mark.parametrize("text", CLIPS)
def test_bounds(text: str) -> None:
    computed = Computed(text)
    bounds = computed.net.layers[0].op.clip
    assert bounds is not None
    x = numbers(2, C, H, W)
    np.testing.assert_array_equal(computed(x), np.minimum(np.maximum(x, bounds[0]), bounds[1]))


def test_ops_without_bounds_are_not_those_with() -> None:
    bounded = {op.keyword for op in UNARY if op.clip is not Op.clip}
    assert bounded == {text.split()[0] for text in CLIPS}


@pytest.mark.parametrize("op", [*of_trait("passes_input_on"), *of_trait("training_only")])
def test_passes_its_input_on_at_inference(op: type[Op]) -> None:
    x = numbers(2, C, H, W)
    np.testing.assert_array_equal(Computed(layer_of(op))(x), x)


@pytest.mark.parametrize("op", of_trait("same_on_vectors"))
def test_same_on_vectors(op: type[Op]) -> None:
    x = numbers(2, C)
    map_, vector = (Computed(layer_of(op), shape) for shape in (f"{C}x1x1", str(C)))
    for on_map, on_vector in zip(
        map_.net.layers[0].outputs, vector.net.layers[0].outputs, strict=True
    ):
        assert on_map.shape == (*on_vector.shape, 1, 1)
    found = map_(x[:, :, None, None])[:, :, 0, 0]
    np.testing.assert_allclose(found, vector(x), rtol=1e-6)


@pytest.mark.parametrize("op", of_trait("channel_affine"))
def test_channel_affine(op: type[Op]) -> None:
    computed = Computed(layer_of(op))
    zero, one, x = np.zeros((1, C, H, W)), np.ones((1, C, H, W)), numbers(2, C, H, W)
    shift = computed(zero)
    factor = computed(one) - shift
    assert (shift == shift[:, :, :1, :1]).all()
    np.testing.assert_allclose(computed(x), factor * x + shift, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("op", of_trait("yields_probabilities"))
def test_yields_probabilities(op: type[Op]) -> None:
    y = Computed(layer_of(op))(numbers(2, C, H, W))
    assert (y >= 0).all()
    np.testing.assert_allclose(y.sum(1), 1, rtol=1e-6)


@pytest.mark.parametrize("op", of_trait("takes_logits"))
def test_takes_logits(op: type[Op]) -> None:
    x = numbers(2, C, H, W)
    y = Computed(layer_of(op))(x)
    probabilities = y if (y > 0).all() else np.exp(y)
    assert ((probabilities > 0) & (probabilities < 1)).all()
    np.testing.assert_array_equal(np.argsort(y, 1), np.argsort(x, 1))


def test_weighted_ops_are_those_that_multiply() -> None:
    counting = {op for op in OPS.values() if op.macs is not Op.macs}
    assert counting == {op for op in OPS.values() if issubclass(op, Weighted)}
    for op in counting:
        net = net_of(example_source(op).text)
        layer = next(f for f in net.layers if type(f.op) is op)
        assert layer.macs > 0
        assert "weight" in layer.layer.tensors


@pytest.mark.parametrize("op", of_trait("activation"))
def test_activations_are_functions_of_one_input(op: type[Op]) -> None:
    assert op.elementwise
    assert op.arity == (1, 1)


def test_inputs_that_must_agree() -> None:
    """Of several inputs, what `equal_inputs` names is all that must be equal."""
    for op in OPS.values():
        if op.arity[1] == 1 or op.index_inputs or op.equal_inputs is None:
            continue
        layer = f"a: conv(data) {{ filters: 2  kernel: 1 }}\n{op.keyword}(data, a)"
        if op.equal_inputs == "shape":
            with pytest.raises(SpecError, match="equal shapes"):
                of_layers(layer)
        else:
            of_layers(layer)
        shorter = "a: conv(data) { filters: 3  kernel: 2 }\n" + f"{op.keyword}(data, a)"
        with pytest.raises(SpecError, match=f"equal {op.equal_inputs}"):
            of_layers(shorter)


def test_a_fused_activation_keeps_its_bounds() -> None:
    """The NumPy backend asks for bounds, not for relu: others with the same are fused as well."""
    text = "c: conv {{ filters: 4  kernel: 1 }} -> {}"
    relu6, hardtanh = (Computed(text.format(t)) for t in ("relu6", "hardtanh { min: 0  max: 6 }"))
    sources = [get("numpy").emit(c.net) for c in (relu6, hardtanh)]
    assert [s.count("then=RELU6") for s in sources] == [1, 1]
