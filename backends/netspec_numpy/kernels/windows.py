"""What convolutions and poolings share: padding, and what a moving window sees."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from netspec_numpy.kernels.arrays import Array, Pads, Pair


def seen(
    x: Array,
    i: int,
    j: int,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    height: int,
    width: int,
) -> Array:
    """The elements that place (i, j) of a window lies on as it moves: a view."""
    top, left = i * dilation[0], j * dilation[1]
    bottom = top + (height - 1) * stride[0] + 1
    right = left + (width - 1) * stride[1] + 1
    return x[..., top : bottom : stride[0], left : right : stride[1]]


def pad2d(x: Array, pads: tuple[int, int, int, int], value: float = 0.0) -> Array:
    """Put elements of one value around height and width."""
    top, bottom, left, right = pads
    if not any(pads):
        return x
    n, channels, height, width = x.shape
    shape = (n, channels, top + height + bottom, left + width + right)
    result = np.full(shape, value, dtype=x.dtype)
    result[:, :, top : top + height, left : left + width] = x
    return result


def windows(
    sizes: Sequence[int], kernel: Pair, stride: Pair, pads: Pads, ceil: bool = False
) -> list[int]:
    """How many windows there are down and across.

    With `ceil`, the last may hang over, if they start before the second padding.
    """
    counts = []
    for axis, size in enumerate(sizes):
        before, after = pads[2 * axis : 2 * axis + 2]
        room, step = size + before + after - kernel[axis], stride[axis]
        over = min(-(-room // step), (size + before - 1) // step)
        counts.append(1 + (over if ceil else room // step))
    return counts


def window_view(
    x: Array,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int],
    dilation: tuple[int, int],
    ceil: bool,
    value: float,
) -> tuple[Array, int, int]:
    """The input, padded with `value` as far as the windows reach, and their counts."""
    (kh, kw), (dh, dw) = kernel, dilation
    span_h, span_w = dh * (kh - 1) + 1, dw * (kw - 1) + 1
    height, width = windows(x.shape[2:], (span_h, span_w), stride, pads, ceil)
    below = (height - 1) * stride[0] + span_h - x.shape[2] - pads[0]
    right = (width - 1) * stride[1] + span_w - x.shape[3] - pads[2]
    around = (pads[0], max(below, 0), pads[2], max(right, 0))
    return pad2d(x, around, value), height, width
