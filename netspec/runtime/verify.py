"""Backends side by side: the same weights, the same input, every layer's value compared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from netspec.codegen.backend import Backend, Unsupported, load_model
from netspec.diagnostics import SpecError, spec_error
from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass
from netspec.passes.expose_activations import expose_activations

TOLERANCE = 1e-4
"""Largest relative difference that passes for rounding."""
PRECISE = 1e-9
"""The same in float64."""
NEARLY_ALL = 0.99
"""The share of values that must agree where indices of maxima meet rounding, without float64."""


@dataclass(frozen=True)
class LayerDifference:
    """How far two backends are apart in one layer's value.

    `relative` is the largest absolute difference over the largest magnitude of the value.
    """

    path: str
    absolute: float
    relative: float


@dataclass(frozen=True)
class BackendComparison:
    """All layers in order of execution, and the models' outputs as they are compiled for use."""

    first: str
    second: str
    layers: tuple[LayerDifference, ...]
    outputs: tuple[LayerDifference, ...]

    @property
    def worst(self) -> LayerDifference:
        """The largest relative difference."""
        return max((*self.layers, *self.outputs), key=lambda d: d.relative)

    def diverges(self, tolerance: float = TOLERANCE) -> LayerDifference | None:
        """The first layer whose difference exceeds the tolerance."""
        for difference in (*self.layers, *self.outputs):
            if not difference.relative <= tolerance:
                return difference
        return None


def compare(
    net: Net,
    first: Backend,
    second: Backend,
    weights: Mapping[str, Any],
    inputs: Sequence[Any] | None = None,
    seed: int = 0,
    precise: bool = False,
    share: float = 1.0,
) -> BackendComparison:
    """The differences of a net's values on two backends.

    `weights` are float32 arrays by name; `inputs` have a batch dimension, float32, and are random
    where not given. `precise` computes in float64; `share` is the part of all values that counts,
    the nearest ones. Raises SpecError where a backend can't run the net, and Unsupported where one
    lacks float64.
    """
    if inputs is None:
        inputs = random_inputs(net, seed)
    if precise:
        inputs = [x.astype(np.float64) for x in inputs]
    exposed = expose_activations(net)
    every = [_run(exposed.net, b, weights, inputs) for b in (first, second)]
    own = [_run(net, b, weights, inputs) for b in (first, second)]
    layers = [
        _difference(path, a, b, share)
        for path, a, b in zip(exposed.paths, *every, strict=True)
        if path is not None
    ]
    outputs = [
        _difference(f"output {value.name}", a, b, share)
        for value, a, b in zip(net.body.outputs, *own, strict=True)
    ]
    return BackendComparison(first.name, second.name, tuple(layers), tuple(outputs))


@dataclass(frozen=True)
class OutputDifference:
    """How far an output is apart for two sets of weights, on random samples.

    `relative` is the largest absolute difference over the largest magnitude of the value, `same`
    the share of samples whose largest value stands at one place.
    """

    path: str
    absolute: float
    relative: float
    samples: int
    same: float


def with_other_weights(
    net: Net,
    backend: Backend,
    weights: Mapping[str, Any],
    others: Mapping[str, Any],
    seed: int = 0,
    samples: int = 16,
) -> tuple[OutputDifference, ...]:
    """The differences of a net's outputs for two sets of weights. Raises SpecError."""
    inputs = random_inputs(net, seed, samples)
    first, second = (_run(net, backend, w, inputs) for w in (weights, others))
    found = []
    for value, a, b in zip(net.body.outputs, first, second, strict=True):
        d = _difference(value.name, a, b)
        places = (x.reshape(len(x), -1).argmax(1) for x in (a, b))
        same = float(np.mean(np.equal(*places)))
        found.append(OutputDifference(d.path, d.absolute, d.relative, samples, same))
    return tuple(found)


class Verified(NamedTuple):
    """The comparison of two backends that agree.

    `rounding` is the layer at which they differ in float32 by rounding alone; the comparison is
    then in float64, or where a backend lacks that, of nearly all values.
    """

    comparison: BackendComparison
    rounding: str | None = None
    precise: bool = True


def verified(
    net: Net, first: Backend, second: Backend, weights: Mapping[str, Any], seed: int = 0
) -> Verified:
    """The comparison of two backends that agree. Raises SpecError (backends-differ) otherwise."""
    result = compare(net, first, second, weights, seed=seed)
    different = result.diverges()
    if different is None:
        return Verified(result)
    try:
        precise = rounding_alone(net, first, second, weights, seed)
    except Unsupported:
        if any(layer.op.index_inputs for layer in net.layers):
            nearly = compare(net, first, second, weights, seed=seed, share=NEARLY_ALL)
            if nearly.diverges() is None:
                return Verified(nearly, different.path, precise=False)
        precise = None
    if precise is None:
        raise divergence_error(net, result, different)
    return Verified(precise, different.path)


def rounding_alone(
    net: Net, first: Backend, second: Backend, weights: Mapping[str, Any], seed: int
) -> BackendComparison | None:
    """The comparison in float64, if two backends that differ in float32 agree there.

    A max-pooling's indices jump where two elements are equal but for rounding, and max-unpooling
    then puts a value elsewhere: a difference that no tolerance covers, and no error.
    """
    result = compare(net, first, second, weights, seed=seed, precise=True)
    return None if result.diverges(PRECISE) else result


def random_inputs(net: Net, seed: int = 0, batch: int = 2) -> list[Any]:
    """Normally distributed float32 inputs of shapes (batch, ...)."""
    rng = np.random.default_rng(seed)
    return [
        rng.standard_normal((batch, *(int(d) for d in v.shape)), dtype=np.float32)
        for v in net.body.inputs
    ]


def _run(
    net: Net, backend: Backend, weights: Mapping[str, Any], inputs: Sequence[Any]
) -> tuple[Any, ...]:
    model = load_model(net, backend)
    backend.set_weights(model, weights)
    return backend.run(model, *inputs)


def _difference(path: str, a: Any, b: Any, share: float = 1.0) -> LayerDifference:
    if a.shape != b.shape:
        return LayerDifference(path, float("inf"), float("inf"))
    if not a.size:
        return LayerDifference(path, 0.0, 0.0)
    apart = np.abs(a.astype(np.float64) - b)
    absolute = float(np.max(apart) if share == 1 else np.quantile(apart, share, method="higher"))
    scale = max(float(np.max(np.abs(a))), float(np.max(np.abs(b))), 1e-30)
    return LayerDifference(path, absolute, absolute / scale)


def divergence_error(
    net: Net, comparison: BackendComparison, difference: LayerDifference
) -> SpecError:
    """The error of two backends that differ, at the first layer that does."""
    layer = next((f for f in net.layers if f.path == difference.path), None)
    what = f"{difference.path} ({layer.op.keyword})" if layer else difference.path
    return spec_error(
        "backends-differ",
        f"{comparison.first} and {comparison.second} differ first at {what}: by "
        f"{difference.absolute:.3g}, {difference.relative:.3g} of the largest value",
        layer.layer.span if layer else None,
    )
