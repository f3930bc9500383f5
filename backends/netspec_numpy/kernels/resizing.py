"""Upsampling of arrays: nearest and bilinear."""

from __future__ import annotations

import numpy as np

from netspec_numpy.kernels.arrays import Array


def upsample_nearest(x: Array, size: tuple[int, int]) -> Array:
    """Repeat rows and columns: row i of n is row floor(i * m / n) of m."""
    rows = np.arange(size[0]) * x.shape[2] // size[0]
    columns = np.arange(size[1]) * x.shape[3] // size[1]
    return x[:, :, rows[:, None], columns]


def upsample_bilinear(x: Array, size: tuple[int, int], align_corners: bool) -> Array:
    """Mix the two nearest rows, then columns; corners or edges lie on each other."""
    for axis, wanted in ((2, size[0]), (3, size[1])):
        length = x.shape[axis]
        if align_corners:
            place = np.arange(wanted) * ((length - 1) / max(wanted - 1, 1))
        else:
            place = np.maximum((np.arange(wanted) + 0.5) * (length / wanted) - 0.5, 0)
        low = np.minimum(place.astype(np.intp), length - 1)
        share = (place - low).astype(x.dtype)
        first = x.take(low, axis=axis)
        second = x.take(np.minimum(low + 1, length - 1), axis=axis)
        second -= first
        second *= share if axis == 3 else share[:, None]
        second += first
        x = second
    return x
