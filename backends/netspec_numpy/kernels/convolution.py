"""Convolutions and linear layers."""

from __future__ import annotations

import numpy as np

from netspec_numpy.kernels.arrays import Array
from netspec_numpy.kernels.windows import pad2d, seen


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Array:
    """Convolve (N, C, H, W) with filters of shape (F, C / groups, KH, KW)."""
    filters, channels, kh, kw = weight.shape
    x = pad2d(x, pads)
    n = x.shape[0]
    height = (x.shape[2] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    width = (x.shape[3] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    if channels == 1 and groups > 1:
        result = depthwise(x, weight, stride, dilation, height, width)
    else:
        result = np.empty((n, filters, height, width), dtype=x.dtype)
        matrix = weight.reshape(groups, filters // groups, channels * kh * kw)
        products = result.reshape(n, groups, filters // groups, height * width)
        if kh == kw == 1:
            # A 1x1 convolution is a plain product; nothing need be gathered.
            columns = x[:, :, :: stride[0], :: stride[1]]
            columns = columns.reshape(n, groups, channels, height * width)
            np.matmul(matrix, columns, out=products)
        else:
            patches = np.empty((x.shape[1], kh, kw, height, width), dtype=x.dtype)
            columns = patches.reshape(groups, channels * kh * kw, height * width)
            for image, product in zip(x, products, strict=True):
                gather(image, patches, stride, dilation)
                np.matmul(matrix, columns, out=product)
    if bias is not None:
        result += bias[:, None, None]
    return result


def gather(
    image: Array,
    patches: Array,
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> None:
    """Fill in (C, KH, KW, height, width) what places of a filter see of (C, H, W)."""
    _, kh, kw, height, width = patches.shape
    for i in range(kh):
        for j in range(kw):
            patches[:, i, j] = seen(image, i, j, stride, dilation, height, width)


def depthwise(
    x: Array,
    weight: Array,
    stride: tuple[int, int],
    dilation: tuple[int, int],
    height: int,
    width: int,
) -> Array:
    """Convolve each channel with filters of its own: weights are (F, 1, KH, KW)."""
    filters, _, kh, kw = weight.shape
    n, channels = x.shape[:2]
    factors = weight.reshape(channels, filters // channels, kh, kw, 1, 1)
    result = np.zeros((n, *factors.shape[:2], height, width), dtype=x.dtype)
    product = np.empty_like(result)
    for i in range(kh):
        for j in range(kw):
            view = seen(x, i, j, stride, dilation, height, width)
            np.multiply(view[:, :, None], factors[:, :, i, j], out=product)
            result += product
    return result.reshape(n, filters, height, width)


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
            target = seen(result, i, j, stride, dilation, height, width)
            target += products[:, :, i, j]
    top, bottom, left, right = pads
    result = result[:, :, top : whole[0] - bottom, left : whole[1] - right]
    if bias is not None:
        result += bias[:, None, None]
    return result


def linear(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Multiply (N, F) by weights of shape (units, F)."""
    result: Array = x @ weight.T
    if bias is not None:
        result += bias
    return result
