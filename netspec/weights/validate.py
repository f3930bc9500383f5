"""A check that arrays are the weights of a net, by name and shape."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from netspec.diagnostics import spec_error
from netspec.ops import Tensor
from netspec.weights.array import COUNTERS, Array

MOST = 20
"""Most names of a kind that are listed."""
MOST_HINTS = 5
"""Most missing names for which a left-over one is offered."""
MOST_COMPARED = 1000
"""Most left-over names that a missing one is compared with, which is slow."""


def check(
    found: Mapping[str, Array], wanted: Mapping[str, Tensor], source: str, net: str
) -> dict[str, Array]:
    """The wanted tensors as C-contiguous float32 of the wanted shapes, in the order of the net.

    They may share memory with `found`. Dimensions of 1 at the ends of a shape do not count, nor
    does a height of 1 of a filter. Raises one SpecError (weights-mismatch), which lists all that is
    missing, left over, misshapen or no finite number, where `found` is not just what is wanted.
    Counters of PyTorch's batch norms may be left over.
    """
    fitting: dict[str, Array] = {}
    missing, misshapen, unusable = [], [], []
    for name, tensor in wanted.items():
        if name not in found:
            missing.append(name)
            continue
        array = found[name]
        if plain_shape(array.shape) == plain_shape(tuple(tensor.shape)):
            array = array.reshape(tuple(tensor.shape))
        if array.shape != tuple(tensor.shape):
            shapes = _text(array.shape), _text(tensor.shape)
            misshapen.append(f"{name} is {shapes[0]}, the net needs {shapes[1]}")
        elif array.dtype.kind not in "fiu":
            unusable.append(f"{name} holds no real numbers, but {array.dtype}")
        else:
            with np.errstate(over="ignore"):
                fitting[name] = np.asarray(array, dtype=np.float32, order="C")
            if not np.isfinite(fitting[name]).all():
                unusable.append(f"{name} has elements that are not finite in float32")
    left_over = [name for name in found if name not in wanted and not name.endswith(COUNTERS)]
    if not (missing or left_over or misshapen or unusable):
        return fitting
    kinds = (
        ("missing", [f"{name} is missing" for name in missing]),
        ("left over", [f"{name} is left over" for name in left_over]),
        ("misshapen", misshapen),
        ("unusable", unusable),
    )
    summary = ", ".join(f"{len(lines)} {kind}" for kind, lines in kinds if lines)
    notes = tuple(line for kind, lines in kinds for line in _listed(lines, kind))
    message = f"{source} does not fit {net}: {summary}"
    help_ = _renamed(missing, left_over, found, wanted)
    if misshapen and not (missing or left_over or unusable):
        help_ += _other_classes(found, wanted)
    raise spec_error("weights-mismatch", message, notes=notes, help=help_)


def _other_classes(found: Mapping[str, Array], wanted: Mapping[str, Tensor]) -> tuple[str, ...]:
    """How to go on with weights of another number of classes."""
    owners: dict[str, None] = {}
    for name, tensor in wanted.items():
        shape, wants = found[name].shape, tuple(tensor.shape)
        if shape != wants:
            if shape[1:] != wants[1:]:
                return ()
            owners[name.rpartition(".")[0]] = None
    last = list(dict.fromkeys(name.rpartition(".")[0] for name in wanted))[-2:]
    if not owners.keys() <= set(last):
        return ()
    options = " ".join(f"--partial {owner}" for owner in owners)
    them = "this layer" if len(owners) == 1 else "these layers"
    return (
        f"for another number of classes, `{options}` of `netspec train` and `netspec weights "
        f"convert` leaves {them} fresh",
    )


def plain_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape without the dimensions of 1 in which tools differ: those at its ends, and heights.

    So 384x96x1x1 of a convolution is 384x96 of a linear layer, a scale of 96x1x1 is one of 96, and
    filters of 32x8x1x5 are those of a one-dimensional convolution, 32x8x5.
    """
    dims = [int(d) for d in shape]
    if len(dims) == 4 and dims[2] == 1:
        del dims[2]
    while dims and dims[-1] == 1 and len(dims) < 4:  # filters of 3x1 are not those of 1x3
        dims.pop()
    while dims and dims[0] == 1:
        dims.pop(0)
    return tuple(dims)


def _renamed(
    missing: Sequence[str],
    left_over: Sequence[str],
    found: Mapping[str, Array],
    wanted: Mapping[str, Tensor],
) -> tuple[str, ...]:
    """Which left-over array may be a missing one: of its shape, and with a name like its."""
    from difflib import get_close_matches

    by_shape: dict[tuple[int, ...], list[str]] = {}
    for name in left_over:
        if len(name) <= 200:
            by_shape.setdefault(found[name].shape, []).append(name)
    hints: list[str] = []
    for name in missing[:MOST]:
        choices = by_shape.get(tuple(wanted[name].shape), [])
        near = (
            get_close_matches(name, choices[:MOST_COMPARED], 1) if len(hints) < MOST_HINTS else []
        )
        if near:
            choices.remove(near[0])
            hints.append(f"is `{near[0]}` what the net calls `{name}`?")
    return tuple(hints)


def _text(shape: Sequence[int]) -> str:
    return "x".join(str(int(d)) for d in shape) or "a single number"


def _listed(lines: Sequence[str], kind: str) -> list[str]:
    more = len(lines) - MOST
    return [*lines[:MOST], *([f"{more} more {_are(more)} {kind}"] if more > 0 else [])]


def _are(count: int) -> str:
    return "is" if count == 1 else "are"
