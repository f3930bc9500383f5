"""Transposed convolutions of arrays; other convolutions are steps of a plan (`products.py`)."""

from __future__ import annotations

import numpy as np

from netspec_numpy.kernels.arrays import Array
from netspec_numpy.kernels.windows import window_element


def conv_transpose2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    output_pad: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Array:
    """Add up the filters (C, F / groups, KH, KW) that each element of x calls for."""
    n, channels, height, width = x.shape
    _, per_group, kh, kw = weight.shape
    matrix = weight.reshape(groups, channels // groups, per_group * kh * kw)
    columns = x.reshape(n, groups, channels // groups, height * width)
    products = np.matmul(matrix.swapaxes(1, 2), columns)
    products = products.reshape(n, groups * per_group, kh, kw, height, width)
    whole = [
        (size - 1) * s + d * (k - 1) + 1 + extra
        for size, s, d, k, extra in zip(
            (height, width), stride, dilation, (kh, kw), output_pad, strict=True
        )
    ]
    result = np.zeros((n, groups * per_group, *whole), dtype=x.dtype)
    for i in range(kh):
        for j in range(kw):
            target = window_element(result, i, j, stride, dilation, height, width)
            target += products[:, :, i, j]
    top, bottom, left, right = pads
    result = result[:, :, top : whole[0] - bottom, left : whole[1] - right]
    if bias is not None:
        result += bias[:, None, None]
    return result
