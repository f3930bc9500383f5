"""Padding that follows the size of the input."""

from __future__ import annotations

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
    """Pad by left, right, top, bottom, but for what would let a window start behind the input."""
    left, right, top, bottom = pads
    result: list[int] = []
    for i, before, after in ((1, left, right), (0, top, bottom)):
        k, s, d = (n if isinstance(n, int) else n[i] for n in (kernel, stride, dilation))
        size = x.shape[2 + i]
        span = d * (k - 1) + 1
        most = (size + before + s - 1) // s
        count = min((size + before + after - span + s - 1) // s + 1, most)
        result += [before, min(after, (count - 1) * s + span - size - before)]
    return F.pad(x, result, value=value)


def max_unpool(x: Tensor, indices: Tensor, size: tuple[int, ...] | list[int]) -> Tensor:
    """Put each element where a max-pooling of this size found it, 0 elsewhere."""
    flat = x.new_zeros(*x.shape[:2], size[0] * size[1])
    flat = flat.scatter(2, indices.flatten(2), x.flatten(2))
    return flat.view(*x.shape[:2], size[0], size[1])
