"""Shapes, parts and orders of elements."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from netspec.importers.onnx.call import NodeCall, Refused, rule
from netspec.importers.onnx.folding import (
    axis_of,
    reshaped,
    sections,
    split_sizes,
    squeezed,
    tiled,
    unsqueezed,
)
from netspec.importers.onnx.rules.windows import PLACES, unpooled
from netspec.importers.onnx.values import NodeValue
from netspec.importers.tensors.program import ProgramTensor


@rule("Reshape")
def reshape(c: NodeCall) -> NodeValue:
    x = c.input()
    wanted = c.integers("shape", 1, "shape") or []
    shape = reshaped(x.shape, wanted, bool(c.get("allowzero", 0)))
    return unpooled(c, *x.put, shape) if x.put is not None else c.reshape(x, shape)


@rule("Mod")
def modulo(c: NodeCall) -> NodeValue:
    """Places in a plane, of those in the whole tensor."""
    if c.input().kind != PLACES:
        raise Refused("can't be expressed")
    return c.input()


@rule("ScatterElements")
def scatter(c: NodeCall) -> NodeValue:
    """Elements put into planes of zeros; the reshape behind it makes a map of them."""
    zeros, places, x = c.input(0), c.input(1).before, c.input(2).before
    key = zeros.constant.key if zeros.constant is not None else None
    planes = isinstance(key, tuple) and key[:2] == ("filled", 0.0)
    if not planes or places is None or x is None or c.axis("axis", 0, len(zeros.shape)) != 2:
        raise Refused("can't be expressed")
    found = NodeValue(ProgramTensor("", zeros.shape), "float32")
    found.put = (x, places)
    return found


@rule("Flatten")
def flatten(c: NodeCall) -> NodeValue:
    x, axis = c.input(), c.get("axis", 1)
    axis = axis + len(x.shape) if axis < 0 else axis
    return c.reshape(x, (prod(x.shape[:axis]), prod(x.shape[axis:])))


@rule("Squeeze")
def squeeze(c: NodeCall) -> NodeValue:
    x = c.input()
    return c.reshape(x, squeezed(x.shape, c.integers("axes", 1)))


@rule("Unsqueeze")
def unsqueeze(c: NodeCall) -> NodeValue:
    x = c.input()
    return c.reshape(x, unsqueezed(x.shape, c.integers("axes", 1) or []))


@rule("Transpose")
def transpose(c: NodeCall) -> NodeValue:
    x = c.input()
    rank = len(x.shape)
    order = tuple(c.get("perm", [*range(rank)][::-1]))
    if sorted(order) != [*range(rank)]:
        raise Refused("has an order that is not one of its axes", "wrong-type")
    return c.transpose(x, order)


@rule("Concat")
def concat(c: NodeCall) -> NodeValue:
    inputs = [c.input(i) for i in range(len(c.inputs))]
    rank = len(c.input().shape)
    axis = c.axis("axis", 1, rank)
    shapes = [v.shape for v in inputs]
    rests = {s[:axis] + s[axis + 1 :] for s in shapes if len(s) == rank}
    if len(rests) != 1 or any(len(s) != rank for s in shapes):
        raise Refused("joins what does not go together", "shape-mismatch")
    if len(inputs) == 1:
        return inputs[0]
    total = sum(s[axis] for s in shapes)
    shape = (*shapes[0][:axis], total, *shapes[0][axis + 1 :])
    return c.emit("concat", *inputs, shape=shape, axis=axis)


@rule("Split")
def split(c: NodeCall) -> list[NodeValue]:
    x = c.input()
    axis = c.axis("axis", 0, len(x.shape))
    c.integers("split", 1)
    arrays = [v.array if v is not None and v.known else None for v in c.inputs]
    sizes = split_sizes(c.attributes, arrays, x.shape[axis], len(c.results))
    if len(sizes) == 1:
        return [x]
    shapes = [(*x.shape[:axis], n, *x.shape[axis + 1 :]) for n in sizes]
    return c.emit_all("split", x, shapes=shapes, axis=axis, sizes=tuple(sizes))


def _cut(c: NodeCall, x: NodeValue, axis: int, start: int, end: int, step: int = 1) -> NodeValue:
    """Some of an axis, all numbers at least 0."""
    count = len(range(start, end, step))
    if (start, count, step) == (0, x.shape[axis], 1):
        return x
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    return c.emit("slice", x, shape=shape, axis=axis, start=start, end=end, step=step)


def _taken(c: NodeCall, x: NodeValue, axis: int, places: range) -> NodeValue:
    """The elements at places of an axis, backwards too."""
    if places.step < 0:
        return c.same("flip", _taken(c, x, axis, places[::-1]), axis=axis)
    return _cut(c, x, axis, places.start, max(places.stop, 0), places.step)


@rule("Slice")
def slice_(c: NodeCall) -> NodeValue:
    result = c.input()
    for number in range(1, len(c.inputs)):
        if c.has(number):
            c.known(number, "place to cut")
    arrays = [None, *(v.array if v is not None else None for v in c.inputs[1:])]
    for axis, part in sections(c.attributes, c.opset, arrays, result.shape):
        places = range(*part.indices(result.shape[axis]))
        if not places:
            raise Refused("takes nothing", "out-of-range")
        result = _taken(c, result, axis, places)
    return result


@rule("Gather")
def gather(c: NodeCall) -> NodeValue:
    x, places = c.input(), c.array(1, "place to take from")
    axis = c.axis("axis", 0, len(x.shape))
    length = x.shape[axis]
    if places.size == 0 or places.min() < -length or places.max() >= length:
        raise Refused("takes from where nothing is", "out-of-range")
    places = np.where(places < 0, places + length, places).astype(np.int64)
    shape = (*x.shape[:axis], *places.shape, *x.shape[axis + 1 :])
    return c.reshape(_gathered(c, x, axis, [int(n) for n in places.ravel()]), shape)


def _gathered(c: NodeCall, x: NodeValue, axis: int, places: list[int]) -> NodeValue:
    """The elements at places of an axis, one after the other."""
    first, step = places[0], (places[1:] or [places[0] + 1])[0] - places[0]
    if step and places == [first + i * step for i in range(len(places))]:
        return _taken(c, x, axis, range(first, places[-1] + (1 if step > 0 else -1), step))
    length, count = x.shape[axis], len(places)
    if len(x.shape) == 4 and axis > 1 and places == [i * length // count for i in range(count)]:
        size = [x.shape[2], x.shape[3]]
        size[axis - 2] = count
        shape = (*x.shape[:2], *size)
        return c.emit("resize", x, shape=shape, size=tuple(size), mode="nearest")
    runs = _runs(places)
    if len(runs) > 64:
        raise Refused("takes places in an order that can't be expressed")
    parts = [_cut(c, x, axis, run.start, run.stop) for run in runs]
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    return c.emit("concat", *parts, shape=shape, axis=axis) if parts[1:] else parts[0]


def _runs(places: list[int]) -> list[range]:
    """Places that follow each other, as ranges."""
    found: list[range] = []
    for place in places:
        if found and found[-1].stop == place:
            found[-1] = range(found[-1].start, place + 1)
        else:
            found.append(range(place, place + 1))
    return found


@rule("Expand")
def expand(c: NodeCall) -> NodeValue:
    x, wanted = c.input(), c.integers("shape", 1, "shape") or []
    try:
        shape = tuple(int(n) for n in np.broadcast_shapes(x.shape, tuple(wanted)))
    except ValueError:
        raise Refused("spreads to a shape that does not fit", "shape-mismatch") from None
    if shape == x.shape:
        return x
    x = c.reshape(x, (1,) * (len(shape) - len(x.shape)) + x.shape)
    return c.emit("expand", x, shape=shape) if shape != x.shape else x


@rule("Tile")
def tile(c: NodeCall) -> NodeValue:
    x, repeats = c.input(), c.integers("repeats", 1, "count") or []
    shape = tiled(x.shape, repeats)
    if shape == x.shape:
        return x
    if all(n == 1 or r == 1 for n, r in zip(x.shape, repeats, strict=True)):
        return c.emit("expand", x, shape=shape)
    for axis, count in enumerate(repeats):
        if count > 64:
            raise Refused(f"repeats an axis {count:,} times, which can't be expressed")
        if count > 1:
            dims = [*x.shape]
            dims[axis] *= count
            x = c.emit("concat", *[x] * count, shape=tuple(dims), axis=axis)
    return x


@rule("Pad")
def pad(c: NodeCall) -> NodeValue:
    x, rank = c.input(), len(c.input().shape)
    sides = c.integers("pads", 1) or c.get("paddings", [])
    mode = c.get("mode", "constant")
    value = c.get("value", 0.0) if c.opset < 11 else c.number(2, "value", 0.0)
    before, after = [0] * rank, [0] * rank
    given = c.array(3, "axis").ravel() if c.has(3) else range(rank)
    axes = [axis_of(int(a), rank) for a in given]
    if len(sides) != 2 * len(axes):
        raise Refused("has pads that are not two an axis", "wrong-type")
    for i, axis in enumerate(axes):
        before[axis], after[axis] = sides[i], sides[len(axes) + i]
    if mode not in ("constant", "reflect", "edge"):
        raise Refused(f"pads by {mode}, which can't be expressed")
    for axis in range(rank):
        if min(before[axis], after[axis]) < 0:  # cuts off
            end = x.shape[axis] + min(after[axis], 0)
            x = _cut(c, x, axis, max(-before[axis], 0), end)
    before, after = ([max(n, 0) for n in ns] for ns in (before, after))
    if not any(before + after):
        return x
    shape = tuple(b + n + a for b, n, a in zip(before, x.shape, after, strict=True))
    how: dict[str, Any] = {"before": tuple(before), "after": tuple(after), "mode": mode}
    return c.emit("pad", x, shape=shape, **how, value=value)


@rule("DepthToSpace")
def depth_to_space(c: NodeCall) -> NodeValue:
    x, by = c.input(), c.get("blocksize", 1)
    if len(x.shape) != 4 or by < 1 or x.shape[1] % (by * by):
        raise Refused("has a blocksize that does not divide its channels", "groups-mismatch")
    n, channels, height, width = x.shape
    depth = channels // (by * by)
    shape = (n, depth, height * by, width * by)
    if c.get("mode", "DCR") == "CRD":
        return c.emit("pixel_shuffle", x, shape=shape, factor=by)
    parts = c.reshape(x, (n, by, by, depth, height, width))
    return c.reshape(c.transpose(parts, (0, 3, 4, 1, 5, 2)), shape)


@rule("SpaceToDepth")
def space_to_depth(c: NodeCall) -> NodeValue:
    x, by = c.input(), c.get("blocksize", 1)
    if len(x.shape) != 4 or by < 1 or x.shape[2] % by or x.shape[3] % by:
        raise Refused("has a blocksize that does not divide height and width", "groups-mismatch")
    n, channels, height, width = x.shape
    parts = c.reshape(x, (n, channels, height // by, by, width // by, by))
    shape = (n, channels * by * by, height // by, width // by)
    return c.reshape(c.transpose(parts, (0, 3, 5, 1, 2, 4)), shape)
