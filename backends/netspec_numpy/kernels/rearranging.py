"""Reshaping and reordering arrays."""

from __future__ import annotations

from netspec_numpy.kernels.arrays import Array


def flatten(x: Array) -> Array:
    """Line up the elements of each picture: (N, C, H, W) to (N, F)."""
    return x.reshape(x.shape[0], -1)


def channel_shuffle(x: Array, groups: int) -> Array:
    """Deal the channels out anew: the first of every group, then the second, ..."""
    n, channels, height, width = x.shape
    parts = x.reshape(n, groups, channels // groups, height, width)
    return parts.swapaxes(1, 2).reshape(x.shape)
