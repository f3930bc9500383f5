"""Functions that Keras lacks; those that count channels first do as the weights of a spec do."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from keras import ops

Tensor = Any


def pair(n: Any) -> tuple[Any, Any]:
    """One number for two, or both."""
    return (n[0], n[1]) if isinstance(n, tuple) else (n, n)


def pad(
    x: Tensor,
    sides: int | tuple[Any, ...] | str,
    kernel: int | tuple[int, ...] = 1,
    strides: int | tuple[int, ...] = 1,
    dilation: int | tuple[int, ...] = 1,
    ceil: bool = False,
    value: float = 0.0,
) -> Tensor:
    """Pad height and width by a number, one for each, ((top, bottom), (left, right)), or "same".

    So much that windows fit in: "same" gives ceil(size / stride) of them. With `ceil`, a last one
    may hang over the end, unless it starts behind input and padding.
    """
    width = [(0, 0)] * 4
    for i, (k, s, d) in enumerate(zip(pair(kernel), pair(strides), pair(dilation), strict=True)):
        size, span = x.shape[i + 1], d * (k - 1) + 1
        if isinstance(sides, str):
            count = -(-size // s)
            before = max((count - 1) * s + span - size, 0) // 2
        else:
            before, after = pair(pair(sides)[i])
            free = size + before + after - span
            count = min(-(-free // s) + 1, -(-(size + before) // s)) if ceil else free // s + 1
        width[i + 1] = (before, max((count - 1) * s + span - size - before, 0))
    return ops.pad(x, width, constant_values=value) if np.any(width) else x


def max_pool(
    x: Tensor,
    kernel: int | tuple[int, ...],
    strides: int | tuple[int, ...] | None = None,
    pads: int | tuple[Any, ...] | str = 0,
    dilation: int | tuple[int, ...] = 1,
    ceil: bool = False,
) -> Tensor:
    """The largest value of each window, rounded and padded as PyTorch and Caffe do."""
    strides = kernel if strides is None else strides
    x = pad(x, pads, kernel, strides, dilation, ceil, -math.inf)
    if dilation == 1:
        return ops.max_pool(x, kernel, strides, data_format="channels_last")
    for i, (k, s, d) in enumerate(zip(pair(kernel), pair(strides), pair(dilation), strict=True)):
        first = np.arange(0, x.shape[i + 1] - d * (k - 1), s)
        x = ops.max(ops.take(x, first[:, None] + d * np.arange(k), i + 1), i + 2)
    return x


def average_pool(
    x: Tensor,
    kernel: int | tuple[int, ...],
    strides: int | tuple[int, ...] | None = None,
    pads: int | tuple[Any, ...] | str = 0,
    ceil: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window, rounded and padded as PyTorch and Caffe do."""
    strides = kernel if strides is None else strides
    padded = pad(x, pads, kernel, strides, 1, ceil)
    mean = ops.average_pool(padded, kernel, strides, data_format="channels_last")
    if count_include_pad and (not ceil or pads == "same"):
        return mean
    # Divided by the share of each window that counts: not what hangs over the end.
    counts = ops.ones_like(x[:1, :, :, :1])
    if count_include_pad:
        counts, pads = pad(counts, pads, value=1.0), 0
    counts = pad(counts, pads, kernel, strides, 1, ceil)
    counts = ops.average_pool(counts, kernel, strides, data_format="channels_last")
    return mean / counts[:, : mean.shape[1], : mean.shape[2]]


def adaptive_pool(
    x: Tensor, size: int | tuple[int, ...], reduction: Callable[..., Tensor]
) -> Tensor:
    """The mean or maximum of each of height x width nearly equal parts."""
    for axis, count in enumerate(pair(size), 1):
        length = x.shape[axis]
        rows = ops.moveaxis(x, axis, 0)
        parts = [(n * length // count, -(-(n + 1) * length // count)) for n in range(count)]
        x = ops.stack([reduction(rows[a:b], axis=0) for a, b in parts], axis)
    return x


def resize(
    x: Tensor,
    size: tuple[int, ...] = (),
    scale_factor: float | tuple[float, ...] = 1,
    mode: str = "nearest",
    align_corners: bool = False,
) -> Tensor:
    """Stretch height and width to a size, or by a factor, as PyTorch's interpolate does."""
    for axis in (1, 2):
        m = x.shape[axis]
        n = size[axis - 1] if size else int(m * pair(scale_factor)[axis - 1])
        if mode == "nearest":
            x = ops.take(x, np.arange(n) * m // n, axis)
            continue
        places = (np.arange(n) + 0.5) * m / n - 0.5
        if align_corners:
            places = np.arange(n) * (m - 1) / max(n - 1, 1)
        first, taken = np.floor(places).astype(int), []
        for i in (0, 1) if mode == "bilinear" else (-1, 0, 1, 2):
            u = np.abs(places - first - i)
            if mode == "bilinear":
                weights = 1 - u
            else:  # Keys 1981, a = -0.75
                far = -0.75 * (((u - 5) * u + 8) * u - 4)
                weights = np.where(u < 1, (1.25 * u - 2.25) * u * u + 1, far)
            shape = (n, 1, 1) if axis == 1 else (n, 1)
            share = ops.convert_to_tensor(weights.reshape(shape), x.dtype)
            taken.append(ops.take(x, (first + i).clip(0, m - 1), axis) * share)
        x = sum(taken)
    return x


def roi_pool(x: Tensor, regions: Tensor, size: tuple[int, int], scale: float = 1.0) -> Tensor:
    """Take the largest element of each of height x width parts of regions (N, H, W, 4).

    The largest of 2**i x 2**j elements are found once for all places; four of them cover a part.
    """
    height, width, channels = x.shape[1:]
    tables: list[Tensor] = []
    for i in range(height.bit_length()):
        x = row = ops.maximum(x, ops.roll(x, -(2**i // 2), 1))
        for j in range(width.bit_length()):
            row = ops.maximum(row, ops.roll(row, -(2**j // 2), 2))
            tables.append(row)
    count = regions.shape[1] * regions.shape[2]
    corners = ops.floor(ops.reshape(regions, (-1, count, 4, 1)) * scale + 0.5)
    sides = []
    for axis, (parts, length) in enumerate(zip(size, (height, width), strict=True)):
        first, last = corners[:, :, 1 - axis], corners[:, :, 3 - axis]
        # XLA multiplies by the reciprocal of a constant, which rounds otherwise than a division.
        step = ops.maximum(last - first + 1, 1) / (0 * first + parts)
        part = ops.arange(parts, dtype="float32")
        ends = (ops.floor(part * step), ops.ceil((part + 1) * step))
        start, end = (ops.cast(ops.clip(first + n, 0, length), "int32") for n in ends)
        level = ops.cast(ops.log2(ops.maximum(end - start, 1) + 0.5), "int32")
        low, high = ops.minimum(start, length - 1), ops.maximum(end - 2**level, 0)
        shape = (-1, count, parts, 1) if axis == 0 else (-1, count, 1, parts)
        sides.append([ops.reshape(n, shape) for n in (level, low, high, end <= start)])
    (down, *rows, no_rows), (across, *columns, no_columns) = sides
    table = down * width.bit_length() + across
    flat = ops.reshape(ops.stack(tables, 1), (-1, len(tables) * height * width, channels))
    places = [((table * height + y) * width + z) for y in rows for z in columns]
    row = (-1, count * size[0] * size[1], 1)
    found = [ops.take_along_axis(flat, ops.reshape(p, row), 1) for p in places]
    result = ops.reshape(ops.max(ops.stack(found), 0), (-1, count, *size, channels))
    result = ops.where((no_rows | no_columns)[..., None], 0.0, result)
    result = ops.transpose(result, (0, 1, 4, 2, 3))  # the channels of a part come first
    return ops.reshape(result, (-1, *regions.shape[1:3], channels * size[0] * size[1]))


def reshape(x: Tensor, *shape: int) -> Tensor:
    """Other channels, height and width, or a row, for elements counted channel by channel."""
    if len(x.shape) == 4:
        x = ops.transpose(x, (0, 3, 1, 2))
    rest = math.prod(x.shape[1:]) // abs(math.prod(shape))
    x = ops.reshape(x, (-1, *(rest if n == -1 else n for n in shape)))
    return ops.transpose(x, (0, 2, 3, 1)) if len(shape) == 3 else x


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """The channels of all groups in turn."""
    _, height, width, channels = x.shape
    x = ops.reshape(x, (-1, height, width, groups, channels // groups))
    return ops.reshape(ops.swapaxes(x, 3, 4), (-1, height, width, channels))


def pixel_shuffle(x: Tensor, factor: int) -> Tensor:
    """factor x factor channels as places of a larger map."""
    height, width, channels = x.shape[1], x.shape[2], x.shape[3] // factor**2
    x = ops.reshape(x, (-1, height, width, channels, factor, factor))
    x = ops.transpose(x, (0, 1, 4, 2, 5, 3))
    return ops.reshape(x, (-1, height * factor, width * factor, channels))


def pixel_unshuffle(x: Tensor, factor: int) -> Tensor:
    """factor x factor places as channels of a smaller map."""
    height, width, channels = x.shape[1] // factor, x.shape[2] // factor, x.shape[3]
    x = ops.reshape(x, (-1, height, factor, width, factor, channels))
    x = ops.transpose(x, (0, 1, 3, 5, 2, 4))
    return ops.reshape(x, (-1, height, width, channels * factor**2))


def local_response_norm(
    x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Divide by (k + alpha * the mean of squares of `size` channels around) ** beta."""
    sides = [(0, 0)] * (len(x.shape) - 1)
    squares = ops.pad(ops.square(x), [*sides, (size // 2, size // 2)])
    total = sum(squares[..., i : i + x.shape[-1]] for i in range(size))
    return x / (k + alpha / size * total) ** beta
