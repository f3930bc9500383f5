"""Upsampling of arrays: nearest, bilinear and bicubic."""

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


def upsample_bicubic(x: Array, size: tuple[int, int], align_corners: bool) -> Array:
    """Mix four rows, then columns, by cubic convolution; corners or edges lie on each other."""
    for axis, wanted in ((2, size[0]), (3, size[1])):
        length = x.shape[axis]
        if align_corners:
            place = np.arange(wanted) * ((length - 1) / max(wanted - 1, 1))
        else:
            place = (np.arange(wanted) + 0.5) * (length / wanted) - 0.5
        low = np.floor(place)
        result = np.zeros_like(x, shape=(*x.shape[:axis], wanted, *x.shape[axis + 1 :]))
        for row in (low - 1, low, low + 1, low + 2):
            away = np.abs(place - row)
            near = (1.25 * away - 2.25) * away * away + 1
            far = -0.75 * (((away - 5) * away + 8) * away - 4)
            share = np.where(away <= 1, near, far).astype(x.dtype)
            taken = x.take(np.clip(row, 0, length - 1).astype(np.intp), axis=axis)
            result += taken * (share if axis == 3 else share[:, None])
        x = result
    return x
