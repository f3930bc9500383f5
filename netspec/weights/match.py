"""Whether weights are those of a net."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from netspec.diagnostics import Diagnostic, SpecError
from netspec.ops import Tensor
from netspec.suggest import did_you_mean
from netspec.weights.files import Array

MOST = 20
"""Most names of a kind that are listed."""


def check(
    found: Mapping[str, Array], wanted: Mapping[str, Tensor], source: str, net: str
) -> dict[str, Array]:
    """The wanted tensors as float32, in the order of the net.

    Raises SpecError, with a list of all that is missing, left over or misshapen, where `found` is
    not just that. Counters of PyTorch's batch norms may be left over.
    """
    missing = [name for name in wanted if name not in found]
    left_over = [
        name for name in found if name not in wanted and not name.endswith(".num_batches_tracked")
    ]
    misshapen = []
    for name, tensor in wanted.items():
        if name not in found:
            continue
        array = found[name]
        if array.shape != tuple(tensor.shape):
            shapes = _shape(array.shape), _shape(tensor.shape)
            misshapen.append(f"{name} is {shapes[0]}, the net needs {shapes[1]}")
        elif array.dtype.kind not in "fiu":
            misshapen.append(f"{name} holds no numbers, but {array.dtype}")
        elif not np.isfinite(array).all():
            misshapen.append(f"{name} has elements that are not finite")
    if not (missing or left_over or misshapen):
        return {n: np.ascontiguousarray(found[n], dtype=np.float32) for n in wanted}
    counts = ((missing, "missing"), (left_over, "left over"), (misshapen, "misshapen"))
    summary = ", ".join(f"{len(names)} {what}" for names, what in counts if names)
    notes = [
        *_listed([f"{name} is missing" for name in missing]),
        *_listed([f"{name} is left over" for name in left_over]),
        *_listed(misshapen),
    ]
    help_ = did_you_mean(missing[0], left_over) if missing and left_over else ()
    message = f"{source} does not hold the weights of {net}: {summary}"
    raise SpecError([Diagnostic("weights-mismatch", message, notes=tuple(notes), help=help_)])


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(str(int(d)) for d in shape) or "a single number"


def _listed(names: list[str]) -> list[str]:
    more = len(names) - MOST
    return [*names[:MOST], *([f"and {more} more"] if more > 0 else [])]
