"""What convolutions and poolings share: the window, how often it fits, and padding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from netspec_numpy.kernels.arrays import Array, Pads, Pair


class Window(NamedTuple):
    """What one filter or pooling sees at once, and by how much it moves on."""

    kernel: Pair = (1, 1)
    stride: Pair = (1, 1)
    pads: Pads = (0, 0, 0, 0)
    dilation: Pair = (1, 1)
    ceil: bool = False

    def counts(self, *sizes: int) -> list[int]:
        """How many windows there are down and across; with `ceil`, the last may hang over."""
        counts = []
        for axis, size in enumerate(sizes):
            before, after = self.pads[2 * axis : 2 * axis + 2]
            space = size + before + after - self.dilation[axis] * (self.kernel[axis] - 1) - 1
            if space < 0:
                raise ValueError(f"a height or width of {size} is too small for {self}")
            step = self.stride[axis]
            over = min(-(-space // step), (size + before - 1) // step)  # all begin before `after`
            counts.append(1 + (over if self.ceil else space // step))
        return counts


def same_pads(sizes: Sequence[int], kernel: Pair, stride: Pair, dilation: Pair = (1, 1)) -> Pads:
    """Top, bottom, left and right padding with which there are ceil(size / stride) windows."""
    pads: list[int] = []
    for size, k, s, d in zip(sizes, kernel, stride, dilation, strict=False):
        total = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
        pads += [total // 2, total - total // 2]
    return pads[0], pads[1], pads[2], pads[3]


def window_element(
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
    height, width = Window(kernel, stride, pads, dilation, ceil).counts(*x.shape[2:])
    below = (height - 1) * stride[0] + dilation[0] * (kernel[0] - 1) + 1 - x.shape[2] - pads[0]
    right = (width - 1) * stride[1] + dilation[1] * (kernel[1] - 1) + 1 - x.shape[3] - pads[2]
    around = (pads[0], max(below, 0), pads[2], max(right, 0))
    return pad2d(x, around, value), height, width
