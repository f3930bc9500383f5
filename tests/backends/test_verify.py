"""verify finds the layer at which a backend goes wrong, and backends are found and refused."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from netspec_numpy.backend import NumpyBackend

from netspec.codegen.backend import Unsupported, emit, get
from netspec.diagnostics import SpecError
from netspec.ir import Layer, Net
from netspec.ops.pooling import MaxPool
from netspec.runtime import verify
from netspec.weights import fresh

from ..helpers import loaded
from .nets import of_layers

pytestmark = pytest.mark.slow


class Broken:
    """The NumPy backend with an error put into its emitted code, by a regular expression."""

    def __init__(self, right: str, wrong: str) -> None:
        self.inner: Any = get("numpy")
        self.name = "broken"
        self.right, self.wrong = right, wrong
        self.emitters = self.inner.emitters

    def check(self, layer: Layer, used: Sequence[bool]) -> None:
        self.inner.check(layer, used)

    def emit(self, net: Net) -> str:
        source: str = self.inner.emit(net)
        assert re.search(self.right, source)
        return re.sub(self.right, self.wrong, source)

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        result: tuple[Any, ...] = self.inner.run(model, *inputs)
        return result

    def set_weights(self, model: Any, weights: Any) -> None:
        self.inner.set_weights(model, weights)


@pytest.mark.parametrize(
    ("right", "wrong", "first"),
    [
        ("ceil=True", "ceil=False", "pool4"),
        (
            r'expand3x3", e3x3, Window\(\(3, 3\), pads=\(1, 1, 1, 1\)',
            'expand3x3", e3x3, Window((3, 3), pads=(0, 2, 1, 1)',
            "fire2.expand3x3",
        ),
        (
            r"concat\(p, (expand1x1\w*), (expand3x3\w*)",
            r"concat(p, \2, \1",
            "fire2.concat_1",
        ),
        ("bound - deferred", "bound + 0.5 - deferred", "conv1_relu"),
        (r"1 / len\(data\)", "2 / len(data)", "pool10"),
    ],
)
def test_the_first_layer_that_diverges_is_named(right: str, wrong: str, first: str) -> None:
    net = loaded("squeezenet1_0")
    weights = fresh(net.tensors, varied=True)
    result = verify.compare(net, get("torch"), Broken(right, wrong), weights)
    found = result.diverges()
    assert found is not None
    assert found.path == first
    (diagnostic,) = verify.divergence_error(net, result, found).diagnostics
    assert diagnostic.span is not None
    assert f"differ first at {first} (" in diagnostic.message


def test_unknown_backend() -> None:
    with pytest.raises(SpecError, match="there is no backend tensorflow"):
        get("tensorflow")


def test_a_backend_without_an_op_refuses_before_it_emits() -> None:
    net = of_layers("a: maxpool { kernel: 2 round: floor }\nb: maxpool { kernel: 2 round: floor }")
    lacking = Broken("x", "y")
    lacking.emitters = {k: v for k, v in lacking.emitters.items() if k is not MaxPool}
    with pytest.raises(SpecError) as error:
        emit(net, lacking)
    assert [d.code for d in error.value.diagnostics] == ["unsupported-op"] * 2
    assert all(d.span for d in error.value.diagnostics)


def test_what_torch_cannot_express_is_refused_with_its_place() -> None:
    layers = "p: maxpool { kernel: 3 pad: [1, 0, 0, 1] round: floor }\noutput p.indices"
    with pytest.raises(SpecError) as error:
        emit(of_layers(layers), get("torch"))
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "unsupported-op"
    assert "indices" in diagnostic.message
    assert emit(of_layers(layers), get("numpy"))
    assert issubclass(Unsupported, Exception)


class _Coarse(NumpyBackend):
    """Rounds harder than float32 does, as an index that jumps would look; exact in float64."""

    name = "coarse"

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        results = super().run(model, *inputs)
        return tuple(r if r.dtype == np.float64 else r + np.float32(0.01) for r in results)


class _Wrong(NumpyBackend):
    """Wrong in every type."""

    name = "wrong"

    def run(self, model: Any, *inputs: Any) -> tuple[Any, ...]:
        return tuple(r + r.dtype.type(0.01) for r in super().run(model, *inputs))


def test_what_differs_by_rounding_alone_is_settled_in_float64() -> None:
    net = of_layers("conv { filters: 4 kernel: 3 } -> relu", "3x8x8")
    weights = fresh(net.tensors, 1, varied=True)
    first = get("torch")
    for other, settled in ((_Coarse(), True), (_Wrong(), False)):
        assert verify.compare(net, first, other, weights, seed=2).diverges()
        result = verify.rounding_alone(net, first, other, weights, 2)
        assert (result is not None) is settled
        if result is not None:
            assert result.worst.relative < 1e-12
