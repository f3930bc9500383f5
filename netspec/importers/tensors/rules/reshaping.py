"""What moves elements: parts, orders, shapes, pads and sizes."""

from __future__ import annotations

from fractions import Fraction
from math import prod
from typing import Any

from netspec.importers.tensors.numbers import fraction, fractions, pads_field
from netspec.importers.tensors.program import Operation, ProgramTensor
from netspec.importers.tensors.rules.registry import rule
from netspec.importers.tensors.translation import (
    ProgramTranslation,
    Unsayable,
    shape_text,
)
from netspec.importers.tensors.views import Atom, TensorView


@rule("split")
def split(to: ProgramTranslation, o: Operation) -> None:
    axis, sizes = int(o.attributes["axis"]), [int(s) for s in o.attributes["sizes"]]
    view, dimension = to.dimension(o.inputs[0], axis, "a split")
    if dimension:
        start = 0
        for tensor, size in zip(o.outputs, sizes, strict=True):
            _slice(to, o, tensor, axis, start, start + size, 1)
            start += size
        return
    view = to.along(o.inputs[0], axis, "a split")
    parts = Fraction(len(sizes)) if len(set(sizes)) == 1 else fractions(sizes)
    node = to.emit("split", view.value, parts=parts)
    for tensor, value in zip(o.outputs, node.outputs, strict=True):
        to.set(tensor, view.resized(axis - 1, 0, value))


@rule("slice")
def slice(to: ProgramTranslation, o: Operation) -> None:
    axis = int(o.attributes["axis"])
    size = to.view(o.inputs[0]).shape[axis - 1] if axis else 0
    start, end = int(o.attributes.get("start", 0)), int(o.attributes.get("end", size))
    _slice(to, o, o.outputs[0], axis, start, min(end, size), int(o.attributes.get("step", 1)))


def _slice(
    to: ProgramTranslation,
    o: Operation,
    result: ProgramTensor,
    axis: int,
    start: int,
    end: int,
    step: int,
) -> None:
    """Some places of an axis. One that is a factor of the channels gives a run of them."""
    view, dimension = to.dimension(o.inputs[0], axis, "a slice")
    size = view.shape[axis - 1]
    if (start, end, step) == (0, size, 1):
        to.set(result, view)
        return
    atoms = view.axes[axis - 1]
    if dimension is None and atoms == (0,) and view.atoms[0].dimension == 0 and step == 1:
        # It is the outer factor of the channels, of which it takes a run.
        each = int(view.value.shape[0]) // view.atoms[0].size
        places = fractions((start * each, end * each))
        value = to.emit("slice", view.value, channels=places).value
        kept = (Atom(0, end - start), *view.atoms[1:])
        one = end - start == 1
        to.set(result, view.without([0], value) if one else TensorView(value, kept, view.axes))
        return
    if dimension is None:
        view, dimension = to.along(o.inputs[0], axis, "a slice"), 0
    field = ("channels", "rows", "columns")[dimension]
    given: dict[str, Any] = {field: fractions((start, end) if step == 1 else (start, end, step))}
    node = to.emit("slice", view.value, **given)
    to.set(result, view.resized(axis - 1, dimension, node.value))


@rule("flip")
def flip(to: ProgramTranslation, o: Operation) -> None:
    axis = int(o.attributes["axis"])
    view, dimension = to.dimension(o.inputs[0], axis, "a flip")
    if dimension is None:
        view, dimension = to.along(o.inputs[0], axis, "a flip"), 0
    name = ("channels", "height", "width")[dimension]
    to.set(o.outputs[0], view.on(to.emit("flip", view.value, axis=name).value))


@rule("reshape")
def reshape(to: ProgramTranslation, o: Operation) -> None:
    result = o.outputs[0]
    view = to.view(o.inputs[0])
    if not to.is_batched(result) or prod(result.shape[1:]) != prod(view.shape):
        raise Unsayable(f"a reshape of {shape_text(view.shape)} that moves the batch can't be said")
    shape = result.shape[1:]
    made = view.reshaped(shape)
    if made is None:
        made = TensorView.of(to.vector_of(o.inputs[0])).reshaped(shape)
    assert made is not None, "a vector has all factors"
    to.set(result, made)


@rule("transpose")
def transpose(to: ProgramTranslation, o: Operation) -> None:
    order = [int(a) for a in o.attributes["order"]]
    if order[0] != 0:
        raise Unsayable("a transpose that moves the batch can't be said")
    made = to.view(o.inputs[0]).transposed([a - 1 for a in order[1:]])
    to.set(o.outputs[0], made)


@rule("identity")
def identity(to: ProgramTranslation, o: Operation) -> None:
    to.set(o.outputs[0], to.view(o.inputs[0]))


@rule("expand")
def expand(to: ProgramTranslation, o: Operation) -> None:
    if o.inputs[0] is not None and o.inputs[0].constant is not None:
        raise Unsayable("a constant for each picture, such as a class token, can't be said")
    view = to.settled(o.inputs[0])
    shape = o.outputs[0].shape[1:]
    if shape == view.shape:
        to.set(o.outputs[0], view)
        return
    value = to.map_of(o.inputs[0])
    pairs = list(zip((int(d) for d in value.shape), shape, strict=False))
    copies = shape[0] // pairs[0][0]
    if len(shape) != 3 or any(size not in (1, wanted) for size, wanted in pairs) or copies > 64:
        raise Unsayable(f"an expansion of {shape_text(view.shape)} to {shape_text(shape)}")
    if tuple(value.shape[1:]) != shape[1:]:
        value = to.emit("upsample", value, size=fractions(shape[1:]), mode="nearest").value
    if copies > 1:
        value = to.emit("concat", *[value] * copies).value
    to.set(o.outputs[0], TensorView.of(value))


@rule("pad")
def pad(to: ProgramTranslation, o: Operation) -> None:
    view = to.settled(o.inputs[0])
    before, after = ([int(p) for p in o.attributes[n]] for n in ("before", "after"))
    if not any((*before, *after)):
        to.set(o.outputs[0], view)
        return
    if o.attributes.get("mode", "constant") != "constant":
        raise Unsayable(f"padding by the mode {o.attributes['mode']} can't be said")
    if before[0] or after[0]:
        raise Unsayable("padding of the batch can't be said")
    layout = view.layout
    if layout is None or None in layout or len(view.value.shape) != 3:
        view = TensorView.of(to.map_of(o.inputs[0]))
        layout = (0, 1, 2)
    sides = [(0, 0)] * 3
    for axis, dimension in enumerate(layout):
        assert dimension is not None, "no axis of 1 is left"
        sides[dimension] = (before[axis + 1], after[axis + 1])
    channels, rows, columns = sides
    value = view.value
    if any(p < 0 for pair in sides for p in pair):
        names = ("channels", "rows", "columns")
        parts: dict[str, Any] = {
            name: fractions((max(0, -a), int(size) + min(0, b)))
            for name, (a, b), size in zip(names, sides, value.shape, strict=True)
            if a < 0 or b < 0
        }
        value = to.emit("slice", value, **parts).value
        channels, rows, columns = ((max(0, a), max(0, b)) for a, b in sides)
    number = fraction(o.attributes.get("value", 0))
    if any((*channels, *rows, *columns)):
        value = to.emit(
            "pad",
            value,
            pads=pads_field((rows[0], columns[0], rows[1], columns[1])),
            channels=fractions(channels) if any(channels) else None,
            value=number or None,
        ).value
    made = TensorView.of(value).transposed([d for d in layout if d is not None])
    to.set(o.outputs[0], made)


@rule("resize")
def resize(to: ProgramTranslation, o: Operation) -> None:
    x = to.map_of(o.inputs[0])
    size = tuple(int(s) for s in o.attributes["size"])
    mode = o.attributes["mode"]
    height, width = (int(d) for d in x.shape[1:])
    corners = bool(o.attributes.get("align_corners", False))
    factors = zip((height, width), size, o.attributes.get("scale") or (), strict=False)
    if mode != "nearest" and not corners and any(abs(m * f - n) > 1e-4 for m, n, f in factors):
        raise Unsayable("a factor that leaves a part of a pixel can't be said: give it `size`")
    if size == (height, width):
        to.set(o.outputs[0], TensorView.of(x))
        return
    whole = not (size[0] % height or size[1] % width)
    if mode == "nearest" and o.attributes.get("exact") and not whole:
        raise Unsayable("nearest pixels that are rounded otherwise can't be said")
    scaled = whole and "scale" in o.attributes
    scale = (Fraction(size[0] // height), Fraction(size[1] // width))
    node = to.emit(
        "upsample",
        x,
        scale=scale if scaled else None,
        size=None if scaled else fractions(size),
        mode=mode,
        align_corners=None if mode == "nearest" else corners,
    )
    if not scaled:
        same = (g.value for g in to.graph.inputs if tuple(g.value.shape[1:]) == size)
        node.size_of = next(same, None)
    to.set(o.outputs[0], TensorView.of(node.value))


@rule("pixel_shuffle", "pixel_unshuffle")
def pixel_shuffle(to: ProgramTranslation, o: Operation) -> None:
    factor = Fraction(int(o.attributes["factor"]))
    node = to.emit(o.kind, to.map_of(o.inputs[0]), factor=factor)
    to.set(o.outputs[0], TensorView.of(node.value))


@rule("channel_shuffle")
def channel_shuffle(to: ProgramTranslation, o: Operation) -> None:
    groups = Fraction(int(o.attributes["groups"]))
    node = to.emit("channel_shuffle", to.map_of(o.inputs[0]), groups=groups)
    to.set(o.outputs[0], TensorView.of(node.value))
