"""Padding, poolings and stretching that follow the size of the input."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

Tensor = Any


def pad(x: Tensor, sides: int | tuple[int, ...], value: float = 0.0) -> Tensor:
    """Pad height and width by a number, by one for each, or by top, bottom, left and right."""
    if isinstance(sides, int):
        sides = (sides, sides)
    if len(sides) == 2:
        sides = (sides[0], sides[0], sides[1], sides[1])
    width = ((0, 0), sides[:2], sides[2:], (0, 0))
    return ops.pad(x, width, constant_values=value) if any(sides) else x


def pad_same(
    x: Tensor,
    kernel: int | tuple[int, ...],
    strides: int | tuple[int, ...],
    dilation: int | tuple[int, ...] = 1,
) -> Tensor:
    """Pad height and width so that a window gives ceil(size / stride) results."""
    held = window_sides(x, kernel, strides, "same", dilation)
    return pad(x, tuple(n for before, after, _ in held for n in (before, after)))


def window_sides(
    x: Tensor,
    kernel: int | tuple[int, ...],
    strides: int | tuple[int, ...],
    pads: int | tuple[int, ...] | str,
    dilation: int | tuple[int, ...] = 1,
    ceil: bool = False,
) -> list[tuple[int, int, int]]:
    """For height and width: padding before, behind, and as much as the last window needs.

    With `ceil`, a last window may hang over the end, unless it starts behind input and padding.
    """
    found = []
    for i in (0, 1):
        k, s, d = (n if isinstance(n, int) else n[i] for n in (kernel, strides, dilation))
        size, span = x.shape[i + 1], d * (k - 1) + 1
        if isinstance(pads, str):
            total = max((size - 1) // s * s + span - size, 0)
            before, after = total // 2, total - total // 2
        else:
            given = (pads, pads) if isinstance(pads, int) else pads
            before, after = given[2 * i : 2 * i + 2] if len(given) == 4 else (given[i], given[i])
        free = size + before + after - span
        count = free // s + 1
        if ceil:
            count = min(-(-free // s) + 1, -(-(size + before) // s))
        found.append((before, after, max((count - 1) * s + span - size - before, 0)))
    return found


def max_pool(
    x: Tensor,
    kernel: int | tuple[int, ...],
    strides: int | tuple[int, ...] | None = None,
    pads: int | tuple[int, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    ceil: bool = False,
) -> Tensor:
    """The largest value of each window, rounded and padded as PyTorch and Caffe do."""
    strides = kernel if strides is None else strides
    held = window_sides(x, kernel, strides, pads, dilation, ceil)
    x = pad(x, tuple(n for before, _, needed in held for n in (before, needed)), -math.inf)
    if dilation == 1:
        return ops.max_pool(x, kernel, strides, data_format="channels_last")
    down, across = (
        [slice(n * d, n * d + (x.shape[i + 1] - d * (k - 1) - 1) // s * s + 1, s) for n in range(k)]
        for i, (k, s, d) in enumerate(
            tuple(n if isinstance(n, int) else n[i] for n in (kernel, strides, dilation))
            for i in (0, 1)
        )
    )
    return ops.max(ops.stack([x[:, rows, columns] for rows in down for columns in across]), axis=0)


def average_pool(
    x: Tensor,
    kernel: int | tuple[int, ...],
    strides: int | tuple[int, ...] | None = None,
    pads: int | tuple[int, ...] | str = 0,
    ceil: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window, rounded and padded as PyTorch and Caffe do."""
    strides = kernel if strides is None else strides
    held = window_sides(x, kernel, strides, pads, 1, ceil)
    sides = tuple(n for before, _, needed in held for n in (before, needed))
    # The share of each window that counts: not what hangs over the end.
    shares: list[Any] = []
    for i, (before, after, needed) in enumerate(held):
        k, s = (n if isinstance(n, int) else n[i] for n in (kernel, strides))
        counts = np.zeros(before + x.shape[i + 1] + max(needed, after))
        inside = slice(0 if count_include_pad else before, before + x.shape[i + 1])
        counts[inside] = 1
        if count_include_pad:
            counts[inside.stop : inside.stop + after] = 1
        last = before + x.shape[i + 1] + needed - k
        shares.append([counts[n : n + k].mean() for n in range(0, last + 1, s)])
    x = ops.average_pool(pad(x, sides), kernel, strides, data_format="channels_last")
    share = np.outer(shares[0], shares[1])[..., None]
    return x if share.min() == 1 else x / ops.convert_to_tensor(share, x.dtype)


def adaptive_pool(
    x: Tensor, size: int | tuple[int, ...], reduction: Callable[..., Tensor]
) -> Tensor:
    """The mean or maximum of each of height x width nearly equal parts."""
    for axis, count in enumerate((size, size) if isinstance(size, int) else size, 1):
        length = x.shape[axis]
        rows = ops.moveaxis(x, axis, 0)
        parts = [(n * length // count, -(-(n + 1) * length // count)) for n in range(count)]
        x = ops.stack([reduction(rows[a:b], axis=0) for a, b in parts], axis)
    return x


def resize(
    x: Tensor,
    size: tuple[int, ...] = (),
    scale: int | tuple[int, ...] = 1,
    mode: str = "nearest",
    align_corners: bool = False,
) -> Tensor:
    """Stretch height and width to a size, or by a scale, as PyTorch's interpolate does."""
    for axis in (1, 2):
        m = x.shape[axis]
        n = size[axis - 1] if size else m * (scale if isinstance(scale, int) else scale[axis - 1])
        if mode == "nearest":
            x = ops.take(x, np.arange(n) * m // n, axis)
            continue
        places = (np.arange(n) + 0.5) * m / n - 0.5
        if align_corners:
            places = np.arange(n) * (m - 1) / max(n - 1, 1)
        if mode == "bilinear":
            places = places.clip(0, m - 1)
        first = np.floor(places).astype(int)
        t = places - first
        weights = {0: 1 - t, 1: t}
        if mode == "bicubic":  # Keys 1981, a = -0.75
            far = [((u - 5) * u + 8) * u - 4 for u in (1 + t, 2 - t)]
            near = [(1.25 * u - 2.25) * u * u + 1 for u in (t, 1 - t)]
            weights = {-1: -0.75 * far[0], 0: near[0], 1: near[1], 2: -0.75 * far[1]}
        shape = (n, 1, 1) if axis == 1 else (n, 1)
        x = sum(
            ops.take(x, (first + i).clip(0, m - 1), axis)
            * ops.convert_to_tensor(w.reshape(shape), x.dtype)
            for i, w in weights.items()
        )
    return x


def roi_pool(x: Tensor, regions: Tensor, size: tuple[int, int], scale: float = 1.0) -> Tensor:
    """Take the largest element of each of height x width parts of regions (N, H, W, 4).

    The largest of 2**i x 2**j elements are found once for all places; four of them cover a part.
    """
    height, width, channels = x.shape[1:]
    tables: list[Tensor] = []
    for i in range(height.bit_length()):
        x = ops.maximum(x, ops.roll(x, -(2**i // 2), 1))
        tables.append(x)
        for j in range(1, width.bit_length()):
            tables.append(ops.maximum(tables[-1], ops.roll(tables[-1], -(2**j // 2), 2)))
    count = regions.shape[1] * regions.shape[2]
    corners = ops.floor(ops.reshape(regions, (-1, count, 4)) * scale + 0.5)
    sides = []
    for axis, (parts, length) in enumerate(zip(size, (height, width), strict=True)):
        first, last = corners[..., 1 - axis, None], corners[..., 3 - axis, None]
        step, part = ops.maximum(last - first + 1, 1) / parts, ops.arange(parts, dtype="float32")
        ends = (ops.floor(part * step), ops.ceil((part + 1) * step))
        start, end = (ops.cast(ops.clip(first + n, 0, length), "int32") for n in ends)
        steps = [ops.cast(end - start >= 2**n, "int32") for n in range(1, length.bit_length())]
        level = sum(steps, ops.zeros_like(start))
        low, high = ops.minimum(start, length - 1), ops.maximum(end - 2**level, 0)
        shape = (-1, count, parts, 1) if axis == 0 else (-1, count, 1, parts)
        sides.append([ops.reshape(n, shape) for n in (level, low, high, end <= start)])
    (down, *rows, no_rows), (across, *columns, no_columns) = sides
    table = down * width.bit_length() + across
    flat = ops.reshape(ops.stack(tables, 1), (-1, len(tables) * height * width, channels))
    result: Tensor = None
    for y, z in ((y, z) for y in rows for z in columns):
        places = ops.reshape((table * height + y) * width + z, (-1, count * size[0] * size[1], 1))
        found = ops.take_along_axis(flat, places, 1)
        result = found if result is None else ops.maximum(result, found)
    result = ops.reshape(result, (-1, count, *size, channels))
    result = ops.where((no_rows | no_columns)[..., None], 0.0, result)
    result = ops.transpose(result, (0, 1, 4, 2, 3))  # the channels of a part come first
    return ops.reshape(result, (-1, *regions.shape[1:3], channels * size[0] * size[1]))
