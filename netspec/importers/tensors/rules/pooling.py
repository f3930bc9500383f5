"""Poolings, and reductions over axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netspec.importers.tensors.numbers import fractions, pads_field, pair_field
from netspec.importers.tensors.program import Operation
from netspec.importers.tensors.rules.registry import rule
from netspec.importers.tensors.translation import (
    ProgramTranslation,
    Unsayable,
    shape_text,
)
from netspec.importers.tensors.views import TensorView


@rule("maxpool", "avgpool")
def pool(to: ProgramTranslation, o: Operation) -> None:
    """A pooling, with `round` where it changes the result."""
    x = to.map_of(o.inputs[0])
    kernel = tuple(int(k) for k in o.attributes["kernel"])
    stride = tuple(int(s) for s in o.attributes.get("stride", kernel))
    pad = tuple(int(p) for p in o.attributes.get("pad", (0, 0, 0, 0)))
    step = o.attributes.get("dilation", (1, 1))
    reach = tuple(step[i] * (kernel[i] - 1) + 1 for i in range(2))
    ceil = bool(o.attributes.get("ceil", False))
    if o.kind == "maxpool" and not ceil:
        pad, ceil = _without_excess([int(n) for n in x.shape[1:]], reach, stride, pad)
    uneven = any(
        (int(x.shape[1 + i]) + pad[i] + pad[i + 2] - reach[i]) % stride[i] for i in range(2)
    )
    more: dict[str, Any] = {}
    if o.kind == "maxpool":
        more["dilation"] = pair_field(step, 1)
    elif any(pad):
        more["count_include_pad"] = bool(o.attributes.get("count_include_pad", False))
    node = to.emit(
        o.kind,
        x,
        kernel=fractions(kernel),
        stride=None if stride == kernel else fractions(stride),
        pad=pads_field(pad),
        round=("ceil" if ceil else "floor") if uneven else None,
        **more,
    )
    for tensor, value in zip(o.outputs, node.outputs, strict=False):
        to.set(tensor, TensorView.of(value))


def _without_excess(
    sizes: Sequence[int], reach: Sequence[int], stride: Sequence[int], pad: tuple[int, ...]
) -> tuple[tuple[int, ...], bool]:
    """Equal padding on both sides, and whether counts are rounded up, if that gives the same.

    Padding never wins a maximum, so that only the number of windows counts.
    """
    equal = pad[:2] * 2

    def counts(pad: Sequence[int], up: bool) -> list[int]:
        found = []
        for i, size in enumerate(sizes):
            room = size + pad[i] + pad[i + 2] - reach[i]
            last = -(-room // stride[i]) if up else room // stride[i]
            # A last window that starts behind the input is dropped.
            found.append(last + 1 - (up and last * stride[i] >= size + pad[i]))
        return found

    if min(sizes[i] + 2 * pad[i] - reach[i] for i in range(2)) >= 0:
        for up in (False, True):
            if counts(equal, up) == counts(pad, False):
                return equal, up
    return pad, False


@rule("adaptive_avgpool", "adaptive_maxpool")
def adaptive(to: ProgramTranslation, o: Operation) -> None:
    """A pooling to a size."""
    x = to.map_of(o.inputs[0])
    size = tuple(int(s) for s in o.attributes["size"])
    if size == tuple(x.shape[1:]) and size != (1, 1):
        to.set(o.outputs[0], TensorView.of(x))
        return
    node = to.emit(o.kind, x, size=fractions(size))
    node.pools_all = size == (1, 1)
    to.set(o.outputs[0], TensorView.of(node.value))


@rule("mean", "sum", "max")
def reduce(to: ProgramTranslation, o: Operation) -> None:
    """A reduction over the channels, or over all places."""
    view = to.settled(o.inputs[0])
    axes = [int(a) for a in o.attributes["axes"]]
    if any(not 0 < a <= len(view.axes) for a in axes):
        raise Unsayable(f"a {o.kind} over the batch can't be said")
    atoms = {i for a in axes for i in view.axes[a - 1]}
    places = {i for i, atom in enumerate(view.atoms) if atom.dimension}
    channels = {i for i, atom in enumerate(view.atoms) if not atom.dimension}
    value = view.value
    if not atoms:
        made = value
    elif atoms == places and o.kind in ("mean", "max"):
        op = "adaptive_avgpool" if o.kind == "mean" else "adaptive_maxpool"
        node = to.emit(op, value, size=fractions((1, 1)))
        node.pools_all = True
        made = node.value
    elif atoms == places and o.kind == "sum":
        made = to.emit("sum", value, across="spatial").value
    elif atoms == channels and o.kind in ("mean", "sum"):
        made = to.emit(o.kind, value, across="channels").value
    else:
        over = ", ".join(map(str, axes))
        raise Unsayable(f"a {o.kind} over the axes {over} of {shape_text(view.shape)}")
    rest = [tuple(i for i in axis if i not in atoms) for axis in view.axes]
    if not o.attributes.get("keepdims", False):
        rest = [axis for a, axis in enumerate(rest) if a + 1 not in axes]
    kept = [i for i in range(len(view.atoms)) if i not in atoms]
    at = {i: k for k, i in enumerate(kept)}
    left = tuple(view.atoms[i] for i in kept)
    to.set(o.outputs[0], TensorView(made, left, tuple(tuple(at[i] for i in axis) for axis in rest)))


@rule("argmax")
def argmax(to: ProgramTranslation, o: Operation) -> None:
    axis = int(o.attributes["axis"])
    view, dimension = to.dimension(o.inputs[0], axis, "an argmax")
    if dimension != 0:
        raise Unsayable("an argmax over height or width can't be said")
    node = to.emit("argmax", view.value)
    channel = view.axes[axis - 1][0]
    made = TensorView(
        node.value,
        tuple(a for i, a in enumerate(view.atoms) if i != channel),
        tuple(
            tuple(i - (i > channel) for i in atoms)
            for a, atoms in enumerate(view.axes)
            if a != axis - 1
        ),
    )
    if o.attributes.get("keepdims", False):
        shape = [1 if a == axis - 1 else s for a, s in enumerate(view.shape)]
        made = made.reshaped(shape) or made
    to.set(o.outputs[0], made)
