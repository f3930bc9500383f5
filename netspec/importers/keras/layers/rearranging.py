"""Layers that move elements: flattening, padding, cutting, resizing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from netspec.importers.keras.translate import KerasValue, RuleCall
from netspec.importers.tensors.program import ProgramTensor


def reshaped(call: RuleCall, value: KerasValue, shape: Sequence[Any]) -> KerasValue:
    """The numbers of a value, in Keras's order, in another shape without the batch."""
    dims = list(shape)
    size = prod(value.shape[1:])
    if not all(type(d) is int and (d > 0 or d == -1) for d in dims) or dims.count(-1) > 1:
        raise call.error("its shape is no list of sizes", "wrong-type")
    if -1 in dims:
        known = -prod(dims)
        if size % known:
            raise call.error(f"{size} numbers do not fit its shape", "shape-mismatch")
        dims[dims.index(-1)] = size // known
    if prod(dims) != size:
        raise call.error(f"{size} numbers do not fit its shape", "shape-mismatch")
    whole = (value.shape[0], *dims)
    return KerasValue(whole, call.emit("reshape", [call.own(value)], whole, shape=whole), None)


def _flatten(call: RuleCall) -> KerasValue:
    x = call.x
    if call.channels_first and len(x.shape) == 4:  # Keras turns its channels back first
        order = (0, 2, 3, 1)
        shape = tuple(x.shape[i] for i in order)
        x = KerasValue(
            shape, call.emit("transpose", [call.own(x)], shape, "turn", order=order), None
        )
    return reshaped(call, x, [-1])


def _reshape(call: RuleCall) -> KerasValue:
    return reshaped(call, call.x, call.layer.integers("target_shape"))


def permuted(call: RuleCall, value: KerasValue, order: Sequence[int]) -> KerasValue:
    """The axes of a value, the batch among them, in another order."""
    if sorted(order) != list(range(len(value.shape))) or order[0] != 0:
        raise call.error("its order is none of the axes", "out-of-range")
    shape = tuple(value.shape[i] for i in order)
    made = call.emit("transpose", [call.own(value)], shape, order=tuple(order))
    return KerasValue(shape, made, None)


def _permute(call: RuleCall) -> KerasValue:
    return permuted(call, call.x, [0, *call.layer.integers("dims")])


def _edges(call: RuleCall, name: str) -> tuple[tuple[int, int], tuple[int, int]]:
    """Four numbers from one, a pair, or two pairs: (top, bottom), (left, right)."""
    said = call.layer.config.get(name, 1)
    items = said if isinstance(said, list) else [said, said]
    pairs = [i if isinstance(i, list) else [i, i] for i in items]
    if len(pairs) != 2 or not all(
        len(p) == 2 and all(type(v) is int and 0 <= v < 1 << 40 for v in p) for p in pairs
    ):
        raise call.error(f"its {name} can't be read", "wrong-type")
    return (pairs[0][0], pairs[0][1]), (pairs[1][0], pairs[1][1])


def padded(
    call: RuleCall,
    x: ProgramTensor,
    before: Sequence[int],
    after: Sequence[int],
    value: float = 0.0,
) -> ProgramTensor:
    """A tensor with constant numbers around it."""
    shape = [a + d + b for a, d, b in zip(before, x.shape, after, strict=True)]
    fields = {"before": tuple(before), "after": tuple(after), "mode": "constant", "value": value}
    return call.emit("pad", [x], shape, **fields)


def _zero_padding(call: RuleCall) -> KerasValue:
    x, (rows, columns) = call.map(), _edges(call, "padding")
    if rows == columns == (0, 0):
        return call.of_map(call.emit("identity", [x], x.shape))
    return call.of_map(padded(call, x, (0, 0, rows[0], columns[0]), (0, 0, rows[1], columns[1])))


def cut(
    call: RuleCall, x: ProgramTensor, axis: int, start: int, end: int, step: int = 1
) -> ProgramTensor:
    """A part of a tensor along an axis of the tensor."""
    if (start, end, step) == (0, x.shape[axis], 1):
        return x
    if not 0 <= start < end <= x.shape[axis]:
        raise call.error("nothing is left of its input", "window-too-large")
    shape = list(x.shape)
    shape[axis] = len(range(start, end, step))
    return call.emit(
        "slice", [x], shape, f"slice_{axis}", axis=axis, start=start, end=end, step=step
    )


def _cropping(call: RuleCall) -> KerasValue:
    x, edges = call.map(), _edges(call, "cropping")
    for axis, (front, behind) in zip((2, 3), edges, strict=True):
        x = cut(call, x, axis, front, x.shape[axis] - behind)
    return call.of_map(x)


def _center_crop(call: RuleCall) -> KerasValue:
    x, layer = call.map(), call.layer
    for axis, name in ((2, "height"), (3, "width")):
        size, have = layer.integer(name), x.shape[axis]
        if size > have:
            raise call.error("a CenterCrop that enlarges can't be expressed")
        x = cut(call, x, axis, (have - size) // 2, (have - size) // 2 + size)
    return call.of_map(x)


def resized(
    call: RuleCall,
    x: ProgramTensor,
    size: tuple[int, int],
    mode: str,
    scale: tuple[int, int] | None,
) -> ProgramTensor:
    """A map of another height and width; Keras takes the middles of pixels for their places."""
    fields: dict[str, Any] = {"size": size, "mode": mode, "align_corners": False}
    if scale is not None:
        fields["scale"] = (float(scale[0]), float(scale[1]))
    return call.emit("resize", [x], (*x.shape[:2], *size), **fields)


def _up_sampling(call: RuleCall) -> KerasValue:
    x, scale = call.map(), call.layer.pair("size", 2)
    mode = call.layer.word("interpolation", "nearest", "nearest", "bilinear")
    size = (x.shape[2] * scale[0], x.shape[3] * scale[1])
    return call.of_map(resized(call, x, size, mode, scale))


def _resizing(call: RuleCall) -> KerasValue:
    x, layer = call.map(), call.layer
    size = (layer.integer("height"), layer.integer("width"))
    mode = layer.word("interpolation", "bilinear", "nearest", "bilinear")
    if layer.flag("crop_to_aspect_ratio", False) or layer.flag("pad_to_aspect_ratio", False):
        raise call.error("a Resizing that keeps the aspect ratio can't be expressed")
    if layer.flag("antialias", False):
        raise call.error("a Resizing with antialias can't be expressed")
    return call.of_map(resized(call, x, size, mode, None))


REARRANGING: dict[str, Callable[[RuleCall], KerasValue]] = {
    "Flatten": _flatten,
    "Reshape": _reshape,
    "Permute": _permute,
    "ZeroPadding2D": _zero_padding,
    "Cropping2D": _cropping,
    "CenterCrop": _center_crop,
    "UpSampling2D": _up_sampling,
    "Resizing": _resizing,
}
