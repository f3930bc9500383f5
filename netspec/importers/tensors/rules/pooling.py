"""Poolings, and reductions over axes."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from typing import Any

from netspec.importers.structure.graph import FieldValue, Graph, GraphValue, Node
from netspec.importers.tensors.numbers import fractions, pads_field, pair_field
from netspec.importers.tensors.program import Operation
from netspec.importers.tensors.rules.registry import rule
from netspec.importers.tensors.translation import (
    ProgramTranslation,
    Unsayable,
)
from netspec.importers.tensors.views import TensorView
from netspec.ops import IndexShape


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


def settle_rounding(graph: Graph) -> None:
    """Have poolings say how they round where others that are like them do, at other sizes.

    They may be one line of a module, which is used at all of these sizes.
    """
    alike: dict[object, list[Node]] = {}
    for node in graph.nodes:
        if node.op in ("maxpool", "avgpool"):
            fields = {(n, f.value) for n, f in node.settings.items() if n != "round"}
            alike.setdefault((node.op, frozenset(fields)), []).append(node)
    for nodes in alike.values():
        said = {n.settings["round"].value for n in nodes if "round" in n.settings}
        for node in nodes if len(said) == 1 else ():
            node.settings.setdefault("round", FieldValue(next(iter(said)), node.span))


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


@rule("maxunpool")
def maxunpool(to: ProgramTranslation, o: Operation) -> None:
    """A max pooling undone: its places have the shape of what is put there."""
    places = to.view(o.inputs[1])
    if not isinstance(places.value.shape, IndexShape) or not places.is_plain:
        raise Unsayable("the places that it puts things to are those of no pooling")
    node = to.emit("maxunpool", to.map_of(o.inputs[0]), places.value)
    to.set(o.outputs[0], TensorView.of(node.value))


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
    """A reduction over all places, over the channels, or over one axis after the other."""
    view = to.view(o.inputs[0])
    axes = [int(a) - 1 for a in o.attributes["axes"]]
    if any(not 0 <= a < len(view.axes) for a in axes):
        raise Unsayable(f"a {o.kind} over the batch can't be said")
    atoms, places = _atoms(view, axes)
    if atoms != places:
        view = to.settled(o.inputs[0])
        atoms, places = _atoms(view, axes)
    if atoms and atoms == places:
        if o.kind == "sum":
            node = to.emit("sum", view.value, across="spatial")
        else:
            op = "adaptive_avgpool" if o.kind == "mean" else "adaptive_maxpool"
            node = to.emit(op, view.value, size=fractions((1, 1)))
            node.pools_all = True
        view = view.without(atoms, node.value)
    elif len(axes) == 1 and view.axes[axes[0]] == (0,) and _is_small_factor(view):
        node = _joined_parts(to, o.kind, view)
        view = view.without([0], node.value)
    elif atoms:
        for axis in axes:
            view = view if view.is_along(axis) else to.turned(view, axis)
            over = _largest if o.kind == "max" else _across
            view = view.resized(axis, 0, over(to, o.kind, view.value))
    to.set(o.outputs[0], _without(view, axes, bool(o.attributes.get("keepdims", False))))


def _atoms(view: TensorView, axes: Sequence[int]) -> tuple[set[int], set[int]]:
    """The atoms of axes, and those of all places."""
    places = {i for i, atom in enumerate(view.atoms) if atom.dimension}
    return {i for a in axes for i in view.axes[a]}, places


def _is_small_factor(view: TensorView) -> bool:
    """Whether the first atom is a small factor of the channels, which are several parts then."""
    first, *others = view.atoms
    return first.dimension == 0 and first.size <= 8 and any(a.dimension == 0 for a in others)


def _joined_parts(to: ProgramTranslation, kind: str, view: TensorView) -> Node:
    """The sum, mean or maximum of the parts that the first atom of a view has."""
    count = view.atoms[0].size
    parts = to.emit("split", view.value, parts=Fraction(count)).outputs
    node = to.emit("maximum" if kind == "max" else "add", *parts)
    return to.emit("power", node.value, scale=Fraction(1, count)) if kind == "mean" else node


def _across(to: ProgramTranslation, op: str, value: GraphValue) -> GraphValue:
    return to.emit(op, value, across="channels").value


def _largest(to: ProgramTranslation, op: str, value: GraphValue) -> GraphValue:
    """The largest of all channels at each place, by a pooling over rows that are channels."""
    channels, *places = (int(d) for d in value.shape)
    rows = to.emit("reshape", value, step=True, shape=fractions((1, channels, prod(places)))).value
    pooled = to.emit("maxpool", rows, kernel=fractions((channels, 1)), stride=fractions((1, 1)))
    shape = fractions((1, *places))
    return to.emit("reshape", pooled.value, step=True, shape=shape).value


@rule("argmax")
def argmax(to: ProgramTranslation, o: Operation) -> None:
    axis = int(o.attributes["axis"])
    view = to.along(o.inputs[0], axis, "an argmax")
    made = view.resized(axis - 1, 0, to.emit("argmax", view.value).value)
    to.set(o.outputs[0], _without(made, [axis - 1], bool(o.attributes.get("keepdims", False))))


def _without(view: TensorView, axes: Sequence[int], keepdims: bool) -> TensorView:
    """A view of which some axes are 1, without these unless they are kept."""
    left = tuple(axis for a, axis in enumerate(view.axes) if keepdims or a not in axes)
    return TensorView(view.value, view.atoms, left)
