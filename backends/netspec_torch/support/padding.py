"""Padding that follows the size of the input."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def pad_same(
    x: Tensor,
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    dilation: int | tuple[int, ...] = 1,
    value: float = 0.0,
) -> Tensor:
    """Pad height and width so that a window gives ceil(size / stride) results."""
    pads: list[int] = []
    for i in (1, 0):
        k, s, d = (n if isinstance(n, int) else n[i] for n in (kernel, stride, dilation))
        size = x.shape[2 + i]
        # No quotient of a negative number: ONNX would round it up.
        total = max((size - 1) // s * s + d * (k - 1) + 1 - size, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value)


def pad_ceil(
    x: Tensor,
    pads: tuple[int, int, int, int],
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    dilation: int | tuple[int, ...] = 1,
    value: float = 0.0,
) -> Tensor:
    """Pad by left, right, top, bottom, and so far that the last window fits."""
    left, right, top, bottom = pads
    result: list[int] = []
    for i, before, after in ((1, left, right), (0, top, bottom)):
        k, s, d = (n if isinstance(n, int) else n[i] for n in (kernel, stride, dilation))
        size = x.shape[2 + i]
        span = d * (k - 1) + 1
        # A window that would start behind the input is none.
        most = (size + before + s - 1) // s
        count = min((size + before + after - span + s - 1) // s + 1, most)
        result += [before, (count - 1) * s + span - size - before]
    return F.pad(x, result, value=value)


def avg_pool(
    x: Tensor,
    pads: tuple[int, int, int, int],
    kernel: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    ceil: bool,
    count_include_pad: bool,
) -> Tensor:
    """Means of windows over an input padded by left, right, top, bottom."""
    padded = pad_ceil(x, pads, kernel, stride) if ceil else F.pad(x, pads)
    counted = torch.ones_like(x)
    if count_include_pad:
        counted = F.pad(counted, pads, value=1.0)
        before = (0, 0)
    else:
        before = (pads[0], pads[2])
    # What hangs over the end does not count.
    rows, columns = (padded.shape[i] - counted.shape[i] for i in (2, 3))
    around = (before[0], columns - before[0], before[1], rows - before[1])
    counted = F.pad(counted, around)
    return F.avg_pool2d(padded, kernel, stride) / F.avg_pool2d(counted, kernel, stride)


def max_unpool(x: Tensor, indices: Tensor, size: tuple[int, ...] | list[int]) -> Tensor:
    """Put each element where a max-pooling of this size found it, 0 elsewhere."""
    flat = x.new_zeros(*x.shape[:2], size[0] * size[1])
    flat = flat.scatter(2, indices.flatten(2), x.flatten(2))
    return flat.view(*x.shape[:2], size[0], size[1])
