"""Which C function computes a convolution, and the memory that it takes.

The formulas are those of `kernels/*.c`, which pack weights and use scratch memory accordingly.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.lazy_dataclasses import dataclass

__all__ = ["Kernel", "plan_conv", "plan_conv_transpose"]

_PLAIN_CHANNELS = 4
"""Up to so many channels, a convolution reads its input as it is, not in blocks."""

_WINOGRAD_SCRATCH = 1 << 18
"""Floats of a piece of work, as in `winograd.c`."""


@dataclass(frozen=True)
class Kernel:
    """A kernel in C: its name, floats of packed weights, floats of scratch memory for a thread."""

    name: str
    packed: int
    scratch: int = 0


def plan_conv(
    channels: int,
    filters: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
    result: Sequence[int],
    plain: bool,
) -> Kernel:
    """The kernel of a convolution with a result of these rows and columns.

    `plain` says whether the input lies channel by channel, as an input of the net does; a kernel
    other than conv_plain needs it in blocks all the same.
    """
    kh, kw = kernel
    if groups == channels == filters and groups > 1:
        return Kernel("conv_depthwise", _blocks(channels) * 16 * (kh * kw + 1))
    if plain and groups == 1 and channels <= _PLAIN_CHANNELS:
        return Kernel("conv_plain", _blocks(filters) * 16 * (1 + channels * kh * kw))
    if (kh, kw) == (3, 3) and groups == 1 and tuple(stride) == tuple(dilation) == (1, 1):
        tiles = -(-result[0] // 4) * -(-result[1] // 4)
        if _winograd_pays(channels, filters, result[0] * result[1], tiles):
            most = max(14, _WINOGRAD_SCRATCH // (36 * 16 * (_blocks(channels) + 2)) // 14 * 14)
            each = -(-tiles // -(-tiles // most))
            scratch = 36 * 16 * each * (_blocks(channels) + 2)
            packed = _blocks(filters) * 16 * (1 + 36 * channels)
            return Kernel("conv_winograd", packed, scratch)
    return Kernel("conv", _packed(channels, filters, groups, kh * kw))


def plan_conv_transpose(
    channels: int,
    filters: int,
    kernel: Sequence[int],
    stride: Sequence[int],
    groups: int,
) -> Kernel:
    """The kernel of a transposed convolution: a convolution for each phase of its stride."""
    kh, kw = kernel
    phases = stride[0] * stride[1]
    packed = _packed(channels, filters, groups, kh * kw) + (phases - 1) * _blocks(filters) * 16
    return Kernel("conv_transpose", packed)


def _blocks(channels: int) -> int:
    return -(-channels // 16)


def _packed(channels: int, filters: int, groups: int, taps: int) -> int:
    """Floats of weights and biases in the form that `conv` reads."""
    each, per_group = channels // groups, filters // groups
    read = 0
    for start in range(0, filters, 16):
        last = min(start + 15, filters - 1)
        read += (last // per_group + 1) * each - start // per_group * each // 16 * 16
    return _blocks(filters) * 16 + 16 * taps * read


def _winograd_pays(channels: int, filters: int, pixels: int, tiles: int) -> bool:
    """Whether Winograd's algorithm is faster, in multiplications and what takes their time.

    The transform of a tile takes as long as 11 products for each of its numbers. From 7x7 pixels
    on the four times larger weights, read once, take as long as 10 products each.
    """
    units = _blocks(filters) * 16
    direct = pixels * 9 * channels * units
    products = tiles * 36 * channels * units + 36 * 11 * tiles * (units + _blocks(channels) * 16)
    return products + 27 * 3 * channels * units < direct
