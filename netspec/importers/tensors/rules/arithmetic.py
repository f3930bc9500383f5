"""Arithmetic of tensors, and of tensors and constants; concatenation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import prod
from typing import Any

from netspec.importers.structure.graph import FieldValue, GraphValue, Node
from netspec.importers.tensors.numbers import fractions, scalar_of
from netspec.importers.tensors.program import Operation, ProgramConstant, ProgramTensor
from netspec.importers.tensors.rules.registry import rule
from netspec.importers.tensors.translation import (
    ProgramTranslation,
    Unsayable,
    shape_text,
)
from netspec.importers.tensors.views import TensorView


@rule("add", "sub", "mul", "div", "maximum", "minimum", "pow")
def arithmetic(to: ProgramTranslation, o: Operation) -> None:
    """An operation of two tensors, one of which may be a constant."""
    x, y = o.inputs
    if x is None or y is None:
        raise Unsayable("an input is missing")
    if o.kind == "pow" and y.constant is None:
        raise Unsayable("a power with a computed exponent can't be said")
    if y.constant is not None and x.constant is None:
        _with_constant(to, o, x, y.constant, first=True)
    elif x.constant is not None and y.constant is None:
        _with_constant(to, o, y, x.constant, first=False)
    else:
        _merge(to, o, [x, y])


def _merge(to: ProgramTranslation, o: Operation, tensors: list[ProgramTensor]) -> None:
    if any(to.view(t).layout is None for t in tensors):
        base = max((to.view(t) for t in tensors), key=lambda v: prod(v.shape))
        spread = [_spreading(to, t, base) for t in tensors]
        if all(v is not None for v in spread):
            node = to.emit(o.kind, *[v for v in spread if v is not None])
            to.set(o.outputs[0], base.on(node.value))
            return
    rank = max(len(to.view(t).axes) for t in tensors)
    for tensor in tensors:
        view = to.settled(tensor)
        more = view.reshaped((1,) * (rank - len(view.axes)) + view.shape)
        if len(view.axes) < rank and more is not None:
            # numpy's rule puts the axes in front; the batch, however, stays where it is
            raise Unsayable("tensors of different ranks can't be said")
    layouts = [to.view(t).layout for t in tensors]
    if all(to.view(t).is_plain for t in tensors):
        values = [to.view(t).value for t in tensors]
        to.set(o.outputs[0], TensorView.of(to.emit(o.kind, *values).value))
        return
    joined = _joined_layout(layouts)
    largest = max(tensors, key=lambda t: prod(to.view(t).shape))
    base = to.view(largest)
    alike = [_like(to, to.view(t), base, joined) for t in tensors]
    if joined is not None and all(v is not None for v in alike):
        node = to.emit(o.kind, *[v for v in alike if v is not None])
        shape = tuple(int(d) for d in node.value.shape)
        if shape == tuple(base.value.shape):
            to.set(o.outputs[0], base.on(node.value))
            return
        to.graph.remove([node])
    views = [to.view(t) for t in tensors]
    same = all(v.axes == views[0].axes and v.atoms == views[0].atoms for v in views)
    if not same or len({len(v.value.shape) for v in views}) > 1:
        views = [to.spread(t) for t in tensors]
        same = False
    node = to.emit(o.kind, *[v.value for v in views])
    shape = o.outputs[0].shape[1:]
    made = views[0].on(node.value) if same else TensorView.of(node.value).reshaped(shape)
    if made is None:
        raise Unsayable(f"it should give {shape_text(shape)}")
    to.set(o.outputs[0], made)


def _like(
    to: ProgramTranslation,
    view: TensorView,
    base: TensorView,
    joined: tuple[int | None, ...] | None,
) -> GraphValue | None:
    """The value of a view with dimensions as those of `base`, by a reshape of 1s at most."""
    if joined is None or base.layout is None or view.layout is None:
        return None
    if view.layout == base.layout and len(view.value.shape) == len(base.value.shape):
        return view.value
    if len(base.value.shape) != 3:
        return None
    shape = [1, 1, 1]
    for dimension, size in zip(joined, view.shape, strict=True):
        if size > 1 and dimension is None:
            return None
        if dimension is not None:
            shape[dimension] = size
    if tuple(shape) == tuple(int(d) for d in view.value.shape):
        return view.value
    sizes = [d for d in view.value.shape if d > 1]
    if sizes != [d for d in shape if d > 1]:
        return None
    return to.emit("reshape", view.value, step=True, shape=fractions(shape)).value


def _spreading(
    to: ProgramTranslation, tensor: ProgramTensor, base: TensorView
) -> GraphValue | None:
    """The value of a tensor that spreads over that of `base`, some of whose axes are factors.

    It has all of a dimension, or 1 of it. Itself where it is `base`.
    """
    view = to.view(tensor)
    if view.value is base.value and view == base:
        return base.value
    if not base.in_order or len(base.value.shape) != 3 or len(view.axes) != len(base.axes):
        return None
    spread: list[set[bool]] = [set(), set(), set()]
    for size, wanted, axis in zip(view.shape, base.shape, base.axes, strict=True):
        if size not in (1, wanted):
            return None
        for i in axis:
            spread[base.atoms[i].dimension].add(size == 1)
    if any(len(found) > 1 for found in spread):
        return None
    sizes = [1 if True in f else int(d) for f, d in zip(spread, base.value.shape, strict=True)]
    value = view.value if view.in_order else to.vector_of(tensor)
    if tuple(int(d) for d in value.shape) == tuple(sizes):
        return value
    return to.emit("reshape", value, step=True, shape=fractions(sizes)).value


def _with_constant(
    to: ProgramTranslation, o: Operation, x: ProgramTensor, constant: ProgramConstant, first: bool
) -> None:
    """x and a constant: a fixed number, one for each channel, or one for each place."""
    number = scalar_of(constant)
    if number is not None:
        _with_number(to, o, x, number, first)
        return
    if o.kind in ("sub", "div") and not first:
        raise Unsayable(f"{o.kind} with a constant in front that is no number")
    view = to.settled(x)
    rank = len(view.axes)
    shape = (1,) * (rank + 1 - len(constant.shape)) + constant.shape
    if len(shape) != rank + 1 or shape[0] != 1:
        raise Unsayable(f"{o.kind} with a constant of {shape_text(constant.shape)}")
    if o.kind in ("sub", "div"):
        how: Callable[[Any], Any] = (lambda c: -c) if o.kind == "sub" else (lambda c: 1 / c)
        constant = constant.changed(constant.shape, how, o.kind)
    kind = {"sub": "add", "div": "mul"}.get(o.kind, o.kind)
    if kind == "pow":
        raise Unsayable("powers with exponents that differ can't be said")
    layout = view.layout
    wide = [a for a, size in enumerate(shape[1:]) if size > 1]
    spreads = any(shape[1 + a] != view.shape[a] for a in wide)
    if layout is None and len(wide) == 1:
        view = to.along(x, wide[0] + 1, f"{o.kind} with a constant")
    if len(wide) == 1 and view.is_along(wide[0]) and not spreads:
        vector = constant.changed((constant.size,), lambda c: c.reshape(-1), "vector")
        _per_channel(to, o, kind, x, view, vector)
        return
    _parameter(to, o, kind, x, view, constant, shape[1:])


def _with_number(
    to: ProgramTranslation, o: Operation, x: ProgramTensor, number: Fraction, first: bool
) -> None:
    view = to.settled(x)
    settings: dict[str, Any]
    op = "power"
    if o.kind == "add":
        settings = {"shift": number}
    elif o.kind == "sub":
        settings = {"shift": -number} if first else {"scale": Fraction(-1), "shift": number}
    elif o.kind == "mul":
        settings = {"scale": number}
    elif o.kind == "div" and first and number:
        settings = {"scale": 1 / number}
    elif o.kind == "div" and number == 1:
        settings = {"exponent": Fraction(-1)}
    elif o.kind == "div" and not first:
        made = to.emit("power", view.value, exponent=Fraction(-1))
        view = view.on(made.value)
        settings = {"scale": number}
    elif o.kind == "pow" and first:
        settings = {"exponent": number}
    elif o.kind in ("maximum", "minimum"):
        op, settings = "clamp", {"min" if o.kind == "maximum" else "max": number}
    else:
        raise Unsayable(f"{o.kind} with a number can't be said")
    unchanged = {"shift": 0, "scale": 1, "exponent": 1}
    if op == "power" and all(v == unchanged[n] for n, v in settings.items()):
        to.set(o.outputs[0], view)
        return
    before = view.value.node
    if op == "power" and before is not None and before.op == "power" and to.uses[x] == 1:
        joined = _joined_power(before, settings)
        if joined is not None and before is to.graph.nodes[-1]:
            before.settings = {n: FieldValue(v, o.span) for n, v in joined.items()}
            to.set(o.outputs[0], view)
            return
    to.set(o.outputs[0], view.on(to.emit(op, view.value, **settings).value))


def _per_channel(
    to: ProgramTranslation,
    o: Operation,
    kind: str,
    x: ProgramTensor,
    view: TensorView,
    vector: ProgramConstant,
) -> None:
    """A factor or a number for each channel: a bias of the layer before, a scale or shift."""
    before = view.value.node
    if kind == "add":
        alone = before is not None and to.uses[x] == 1 and view.value is before.value
        if alone and before is not None and _lacks_bias(before):
            before.origins["bias"] = vector
            before.settings.pop("bias", None)
            to.set(o.outputs[0], view)
            return
        node = to.emit("shift", view.value, weights={"bias": vector})
    elif kind == "mul":
        node = to.emit("scale", view.value, weights={"weight": vector}, bias=False)
    else:
        raise Unsayable(f"{kind} with a constant of each channel can't be said")
    to.set(o.outputs[0], view.on(node.value))


def _lacks_bias(node: Node) -> bool:
    """Whether a layer could have a bias of its own, and has none."""
    if node.op in ("conv", "linear", "conv_transpose"):
        return "bias" not in node.origins and node.shares is None
    return node.op == "scale" and "bias" not in node.origins


def _parameter(
    to: ProgramTranslation,
    o: Operation,
    kind: str,
    x: ProgramTensor,
    view: TensorView,
    constant: ProgramConstant,
    shape: tuple[int, ...],
) -> None:
    """A constant with numbers for places: a learned one beside the tensor."""
    layout = view.layout
    if layout is None or len(view.value.shape) != 3:
        view = to.spread(x)
        layout = tuple(range(len(view.axes)))
    dims = [1] * len(view.value.shape)
    order: list[int] = []
    for dimension in range(len(dims)):
        axis = next((a for a, d in enumerate(layout) if d == dimension), None)
        if axis is not None:
            dims[dimension] = shape[axis]
            order.append(axis)
    rest = [a for a in range(len(shape)) if a not in order]
    if any(shape[a] > 1 for a in rest):
        raise Unsayable(f"{kind} with a constant of {shape_text(shape)} can't be said")
    moved = constant.changed(
        tuple(dims),
        lambda c: c.reshape(shape).transpose(*order, *rest).reshape(dims),
        ("parameter", tuple(dims), tuple(order)),
    )
    parameter = to.emit("parameter", view.value, weights={"weight": moved}, shape=fractions(dims))
    node = to.emit(kind, view.value, parameter.value)
    to.set(o.outputs[0], view.on(node.value))


@rule("concat")
def concat(to: ProgramTranslation, o: Operation) -> None:
    tensors = [t for t in o.inputs if t is not None]
    axis = int(o.attributes["axis"])
    if not 0 < axis < len(o.outputs[0].shape):
        raise Unsayable("a concat of pictures of the batch can't be said")
    views = [to.settled(t) for t in tensors]
    if len(tensors) == 1:
        to.set(o.outputs[0], views[0])
        return
    first, at = views[0], axis - 1
    if all(_is_outermost(v, at) for v in views):
        node = to.emit("concat", *[v.value for v in views])
        made = TensorView.of(node.value).reshaped(o.outputs[0].shape[1:])
        assert made is not None, "the first axis is a factor of the channels"
        to.set(o.outputs[0], made)
        return
    if not all(v.is_along(at) and v.beside(at) == first.beside(at) for v in views):
        views = [to.turned(v, at) for v in views]
    node = to.emit("concat", *[v.value for v in views])
    to.set(o.outputs[0], views[0].resized(at, 0, node.value))


def _is_outermost(view: TensorView, axis: int) -> bool:
    """Whether an axis of 1 is in front of all channels of a map, as that of a stack."""
    front = view.axes[: axis + 1]
    return view.in_order and not any(front) and len(view.axes) > 3 and len(view.value.shape) == 3


def _joined_layout(
    layouts: Sequence[tuple[int | None, ...] | None],
) -> tuple[int | None, ...] | None:
    """The dimension that each axis is in any of several layouts; None where they differ."""
    joined: list[int | None] = []
    for axis in zip(*(x for x in layouts if x is not None), strict=True):
        found = {d for d in axis if d is not None}
        if len(found) > 1:
            return None
        joined.append(found.pop() if found else None)
    return None if None in layouts else tuple(joined)


def _joined_power(node: Node, settings: dict[str, Any]) -> dict[str, Fraction] | None:
    """Two powers, one after the other, as one; None where they are none."""
    before = {n: s.value for n, s in node.settings.items()}
    if "exponent" in before:
        return None
    scale, shift = before.get("scale", Fraction(1)), before.get("shift", Fraction(0))
    assert isinstance(scale, Fraction), "a power's numbers are numbers"
    assert isinstance(shift, Fraction), "a power's numbers are numbers"
    factor = settings.get("scale", Fraction(1))
    joined = {
        "scale": scale * factor,
        "shift": shift * factor + settings.get("shift", Fraction(0)),
        "exponent": settings.get("exponent", Fraction(1)),
    }
    usual = {"scale": 1, "shift": 0, "exponent": 1}
    return {n: v for n, v in joined.items() if v != usual[n]} or None
