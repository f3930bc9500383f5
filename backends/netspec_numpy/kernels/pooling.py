"""Poolings of arrays, for those without a step: with indices, global max, adaptive, unpooling."""

from __future__ import annotations

import numpy as np

from netspec_numpy.kernels.arrays import Array
from netspec_numpy.kernels.windows import window_element, window_view


def max_pool2d_with_indices(
    x: Array,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    ceil: bool = False,
) -> tuple[Array, Array]:
    """Take the largest element of each window, and its place h * W + w in the input.

    The first of equal elements counts; NaN is larger than any number.
    """
    columns = x.shape[3]
    (kh, kw), (dh, dw) = kernel, dilation
    x, height, width = window_view(x, kernel, stride, pads, dilation, ceil, -np.inf)
    down = np.arange(height)[:, None] * stride[0] - pads[0]
    across = np.arange(width) * stride[1] - pads[2]
    result = np.full((*x.shape[:2], height, width), -np.inf, dtype=x.dtype)
    # Which element of its window; where all are -inf, the first that is no padding.
    winner = np.empty(result.shape, dtype=np.int32)
    winner[:] = -(np.minimum(down, 0) // dh) * kw - (np.minimum(across, 0) // dw)
    for element in range(kh * kw):
        i, j = divmod(element, kw)
        view = window_element(x, i, j, stride, dilation, height, width)
        larger = (view > result) | np.isnan(view)
        np.maximum(winner, larger * np.int32(element), out=winner)
        np.maximum(result, view, out=result)
    places = [i * dh * columns + j * dw for i in range(kh) for j in range(kw)]
    return result, np.array(places, dtype=np.int64)[winner] + (down * columns + across)


def global_max_pool2d(x: Array) -> Array:
    """Take the largest element of each channel: (N, C, H, W) to (N, C)."""
    result: Array = x.max(axis=(2, 3))
    return result


def adaptive_avg_pool2d(x: Array, size: tuple[int, int]) -> Array:
    """Take the mean of each of height x width nearly equal parts."""
    for axis, parts in ((2, size[0]), (3, size[1])):
        length = x.shape[axis]
        means = []
        for i in range(parts):
            first, end = i * length // parts, -(-(i + 1) * length // parts)
            part = x.take(range(first, end), axis=axis)
            means.append(part.mean(axis=axis, dtype=x.dtype))
        x = np.stack(means, axis=axis)
    return x


def adaptive_max_pool2d(x: Array, size: tuple[int, int]) -> Array:
    """Take the largest element of each of height x width nearly equal parts."""
    for axis, parts in ((2, size[0]), (3, size[1])):
        ends = np.arange(parts + 1) * x.shape[axis]
        spans = zip(ends[:-1] // parts, -(-ends[1:] // parts), strict=True)
        x = np.stack([x.take(range(*span), axis=axis).max(axis=axis) for span in spans], axis=axis)
    return x


def roi_pool(x: Array, regions: Array, size: tuple[int, int], scale: float = 1.0) -> Array:
    """Take the largest element of each of height x width parts of regions (N, 4, H, W)."""
    corners = np.floor(regions * scale + 0.5)
    result = np.zeros((len(x), *regions.shape[2:], x.shape[1], *size), x.dtype)
    for place in np.ndindex(result.shape[:3]):
        left, top, right, bottom = corners[place[0], :, place[1], place[2]]
        rows = region_parts(top, bottom, size[0], x.shape[2])
        columns = region_parts(left, right, size[1], x.shape[3])
        for i, j in np.ndindex(size):
            part = x[place[0], :, rows[i], columns[j]]
            if part.size:
                result[(*place, slice(None), i, j)] = part.max(axis=(1, 2))
    return np.moveaxis(result.reshape(*result.shape[:3], -1), 3, 1)


def region_parts(first: float, last: float, parts: int, length: int) -> list[slice]:
    """The rows of each of so many parts from a first to a last row of a plane of `length` rows."""
    step = max(last - first + 1, 1) / parts
    spans = ((np.floor(i * step), np.ceil((i + 1) * step)) for i in range(parts))
    return [slice(*(int(min(max(n + first, 0), length)) for n in span)) for span in spans]


def max_unpool2d(x: Array, indices: Array, size: tuple[int, ...]) -> Array:
    """Put each element at its place h * W + w in zeros of (N, C, H, W)."""
    n, channels = x.shape[:2]
    result = np.zeros((n, channels, size[0] * size[1]), dtype=x.dtype)
    places = indices.reshape(n, channels, -1)
    np.put_along_axis(result, places, x.reshape(places.shape), axis=2)
    return result.reshape(n, channels, *size)
