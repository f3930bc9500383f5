"""A converted spec and its original on the same random inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, prod
from typing import Any

from netspec.conversion.originals import Original, original
from netspec.diagnostics import SpecError, spec_error
from netspec.diagnostics.source import Source
from netspec.importers.convert import OriginalComparison
from netspec.ir import Net

BACKEND = "numpy"
"""What runs the spec: it is always there."""
BATCH = 2
"""How many samples are computed where the original takes any number."""


def compared_with(
    source: Source, net: Net, weights: Mapping[str, Any], seed: int = 0
) -> OriginalComparison:
    """The comparison of a spec's net with what it was made of. Raises SpecError."""
    return compared(net, weights, original(source), seed)


def compared(
    net: Net, weights: Mapping[str, Any], original: Original, seed: int = 0
) -> OriginalComparison:
    """The differences of the outputs of a net and its original on random inputs.

    Raises SpecError.
    """
    from netspec.codegen.backend import get, load_model
    from netspec.runtime.verify import TOLERANCE, random_inputs

    counts = len(original.inputs), len(net.body.inputs)
    if counts[0] != counts[1]:
        message = f"the file has {counts[0]} inputs, and the spec {counts[1]}"
        raise spec_error("backends-differ", message)
    batch = next((s[0] for s in original.inputs if s and s[0] is not None), BATCH)
    inputs = random_inputs(net, seed, batch)
    theirs = [_as(x, shape) for x, shape in zip(inputs, original.inputs, strict=True)]
    expected = original.run(theirs)
    backend = get(BACKEND)
    model = load_model(net, backend)
    backend.set_weights(model, weights)
    found = backend.run(model, *inputs)
    largest = relative = inf
    if len(found) == len(expected):
        apart = [_apart(a, b) for a, b in zip(found, expected, strict=True)]
        largest, relative = (max(column, default=0.0) for column in zip(*apart, strict=True))
    return OriginalComparison(
        BACKEND, original.tool, largest, relative, agrees=relative <= TOLERANCE
    )


def _as(x: Any, shape: Sequence[int | None]) -> Any:
    """An array of the spec's order as one of the shape that an original takes."""
    import numpy as np

    if not _fits(x.shape, shape):
        last = np.moveaxis(x, 1, -1)
        if _fits(last.shape, shape):
            return np.ascontiguousarray(last)
        if None not in shape and prod(int(d or 0) for d in shape) == x.size:
            return x.reshape(shape)
    return x


def _fits(shape: Sequence[int], wanted: Sequence[int | None]) -> bool:
    return len(shape) == len(wanted) and all(
        w is None or d == w for d, w in zip(shape, wanted, strict=True)
    )


def _apart(ours: Any, theirs: Any) -> tuple[float, float]:
    """The absolute and the relative difference of two outputs, whose channels may be last."""
    import numpy as np

    theirs = np.asarray(theirs)
    if ours.shape != theirs.shape:
        first = np.moveaxis(theirs, -1, 1) if theirs.ndim > 2 else theirs
        if first.shape == ours.shape:
            theirs = first
        elif ours.size == theirs.size:
            theirs = theirs.reshape(ours.shape)
        else:
            return inf, inf
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    finite = np.isfinite(ours) & np.isfinite(theirs)
    if not np.array_equal(ours[~finite], theirs[~finite], equal_nan=True):
        return inf, inf
    largest = float(np.abs(ours - theirs)[finite].max(initial=0.0))
    scale = max(float(np.abs(theirs)[finite].max(initial=0.0)), 1e-30)
    return largest, largest / scale


def difference_error(found: OriginalComparison, file: str) -> SpecError:
    """The error of a spec that is not as its original, to be raised."""
    how = "gives other shapes, or infinity, for outputs of"
    if found.largest < inf:
        how = f"differs by {found.largest:.3g}, {found.relative:.3g} of the largest value, from"
    message = f"the spec, run by {found.backend}, {how} {file}, run by {found.original}"
    return spec_error("backends-differ", message)
