"""Reshaping and reordering arrays."""

from __future__ import annotations

from netspec_numpy.kernels.arrays import Array, Pair


def flatten(x: Array) -> Array:
    """Line up the elements of each picture: (N, C, H, W) to (N, F)."""
    return x.reshape(x.shape[0], -1)


def crop(x: Array, size: Pair, offset: Pair = (0, 0)) -> Array:
    """Cut a part out of height and width; ValueError where it does not fit."""
    (height, width), (top, left) = size, offset
    part = x[:, :, top : top + height, left : left + width]
    if part.shape[2:] != size or min(offset) < 0:
        raise ValueError(f"can't cut {size} at {offset} out of {x.shape[2:]}")
    return part


def channel_shuffle(x: Array, groups: int) -> Array:
    """Deal the channels out anew: the first of every group, then the second, ..."""
    n, channels, height, width = x.shape
    parts = x.reshape(n, groups, channels // groups, height, width)
    return parts.swapaxes(1, 2).reshape(x.shape)


def pixel_shuffle(x: Array, factor: int) -> Array:
    """Lay each factor * factor channels out as a square."""
    n, channels, height, width = x.shape
    parts = x.reshape(n, channels // factor**2, factor, factor, height, width)
    return parts.transpose(0, 1, 4, 2, 5, 3).reshape(n, -1, height * factor, width * factor)


def pixel_unshuffle(x: Array, factor: int) -> Array:
    """Lay each square of factor x factor places out as channels."""
    n, channels, height, width = x.shape
    parts = x.reshape(n, channels, height // factor, factor, width // factor, factor)
    return parts.transpose(0, 1, 3, 5, 2, 4).reshape(n, -1, height // factor, width // factor)
