"""Padding and poolings that follow the size of the input."""

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


def roi_pool(x: Tensor, regions: Tensor, size: tuple[int, int], scale: float = 1.0) -> Tensor:
    """Take the largest element of each of height x width parts of regions (N, 4, H, W).

    The largest of 2**i x 2**j elements are found once for all places; four of them cover a part.
    """
    height, width = x.shape[2:]
    tables: list[Tensor] = []
    for i in range(height.bit_length()):
        x = torch.maximum(x, x.roll(-(2**i // 2), 2))
        tables.append(x)
        for j in range(1, width.bit_length()):
            tables.append(torch.maximum(tables[-1], tables[-1].roll(-(2**j // 2), 3)))
    corners = (regions * scale + 0.5).floor().flatten(2)[..., None]
    sides = []
    for axis, (count, length) in enumerate(zip(size, (height, width), strict=True)):
        first, last = corners[:, 1 - axis], corners[:, 3 - axis]
        step, part = (last - first + 1).clamp(min=1) / count, torch.arange(count, device=x.device)
        ends = ((part * step).floor(), ((part + 1) * step).ceil())
        start, end = ((first + n).clamp(0, length).long() for n in ends)
        level = (end - start).clamp(min=1).log2().long()
        low, high = start.clamp(max=length - 1), (end - 2**level).clamp(min=0)
        spread = (..., None) if axis == 0 else (..., None, slice(None))
        sides.append([n[spread] for n in (level, low, high, end <= start)])
    (down, *rows, no_rows), (across, *columns, no_columns) = sides
    table = down * width.bit_length() + across
    places = [((table * height + y) * width + z).flatten(1) for y in rows for z in columns]
    flat = torch.stack(tables, 2).flatten(2)
    found = [flat.gather(2, p[:, None].expand(-1, flat.shape[1], -1)) for p in places]
    result = torch.stack(found).amax(0).reshape(*flat.shape[:2], -1, *size)
    result = result.masked_fill((no_rows | no_columns)[:, None], 0)
    return result.movedim(2, -1).reshape(x.shape[0], -1, *regions.shape[2:])
