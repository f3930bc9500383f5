"""Convolutions and linear layers, as calls of a plan.

Each function lays out one step: it makes the value of its result, adds
calls that compute it, and returns it. Rows of the result are divided among tasks.
Biases are not added: a value carries them, and the layer that it goes to has them in
its own. `then` is a relu or relu6, which knows of the bias.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from netspec_numpy.kernels.arrays import Array, Pads, Then, Value
from netspec_numpy.kernels.plan import Plan
from netspec_numpy.kernels.windows import Window
from netspec_numpy.winograd_choice import winograd_pays


def pixels(x: Array, i: int = 0, j: int | None = None) -> Array:
    """Rows i to j of (H, W, C) as (P, C), (F,) as (1, F): a view."""
    return (x[i:j] if x.ndim == 3 else x).reshape(-1, x.shape[-1])


def broadcast_rows(p: Plan, x: Array, y: Array) -> tuple[Array, Array]:
    """Pixels (P, C) and (C,) as rows of several pixels: NumPy is fast on long rows."""
    most = max(1, 2048 // len(y)) if x.flags.c_contiguous else 1
    long = max(n for n in range(1, most + 1) if len(x) % n == 0)
    row = p.cached((y.tobytes(), long), (len(y) * long,), lambda: np.tile(y, long))
    return x.reshape(-1, len(row)), row


def epilogue(p: Plan, x: Array, then: Then, deferred: Array, bias: Array) -> None:
    """Add a bias to pixels (P, C), then clip them, knowing the bias that is added later."""
    first = [(np.add, bias)] * bool(bias.any())
    for function, y in first + [(clip, bound - deferred) for clip, bound in then or ()]:
        rows, row = broadcast_rows(p, x, y)
        p.call(function, rows, row, out=rows)


def padded_rows(p: Plan, x: Value, pads: Pads, top: int, rows: int, edge: Any = None) -> Array:
    """Some rows of a padded image (H, W, C); around it is `edge`, or what comes to zeros."""
    height, width, channels = x.data.shape
    if not any(pads) and top + rows <= height:
        return x.data[top : top + rows]
    whole = p.buffer((p.task, "rows"), (rows, pads[2] + width + pads[3], channels))
    around = -x.bias if edge is None else np.full(channels, edge, p.dtype)
    p.call(np.copyto, *broadcast_rows(p, pixels(whole), around))
    a, b = np.clip((pads[0] - top, pads[0] - top + height), 0, rows).tolist()
    inside = whole[a:b, pads[2] : pads[2] + width]
    p.call(np.copyto, inside, x.data[a + top - pads[0] :][: b - a])
    return whole


def convolve(
    p: Plan, x: Value, name: str, filters: int, window: Window | None = None, then: Then = None
) -> Value:
    """A convolution or linear layer: what the filters see in some rows, in one product."""
    y, weight, bias = p.layer(x, name, filters, window or Window())
    shape = (weight[0].size, filters)
    matrix = p.cached(p.key, shape, lambda: np.moveaxis(weight, (0, 1), (-1, -2)))
    most = max(3 * 2**16, matrix.size) // (y.data.shape[1] * len(matrix)) if window else 2**31
    for i, j, f in p.parts(y.data, most, across=True):
        patches = im2col(p, x, window, i, j, y.data.shape[1]) if window else pixels(x.data, i, j)
        out = pixels(y.data[..., f], i, j)
        p.call(np.matmul, patches, matrix[:, f], out=out)
        epilogue(p, out, then, y.bias[f], bias[f])
    return y


def im2col(p: Plan, x: Value, window: Window, i: int, j: int, width: int) -> Array:
    """What the filters see in rows i to j of the result, copied: (P, K)."""
    (kh, kw), (down, right), pads = window[:3]
    channels = x.data.shape[2]
    image = padded_rows(p, x, pads, i * down, (j - i - 1) * down + kh)
    patches = p.buffer((p.task, 0), (j - i, width, kh, kw * channels))
    a, b, c = image.strides
    # What lies side by side is moved as one piece: mostly a row of what is seen.
    run = kw * channels if b == channels * c else channels
    piece = np.dtype((np.void, run * c))
    corner, target = as_strided(image, (1, 1, run)).view(piece), patches.view(piece)
    p.call(np.copyto, target, as_strided(corner, target.shape, (a * down, b * right, a, b)))
    return patches.reshape((j - i) * width, -1)


def convolve_grouped(
    p: Plan,
    x: Value,
    name: str,
    filters: int,
    window: Window,
    groups: int = 1,
    then: Then = None,
) -> Value:
    """A convolution with groups or dilation, like `convolve`."""
    y, weight, bias = p.layer(x, name, filters, window, groups)
    (kh, kw), (down, right), pads, dilation = window[:4]
    channels, width = weight.shape[1], y.data.shape[1]
    shape = (groups, kh * kw * channels, filters // groups)
    parts = weight.reshape(groups, -1, channels, kh, kw)
    matrices = p.cached(p.key, shape, lambda: parts.transpose(0, 3, 4, 2, 1))
    most = max(3 * 2**16, matrices.size) // (width * groups * matrices.shape[1])
    for i, j, _ in p.parts(y.data, most):
        rows = (j - i - 1) * down + dilation[0] * (kh - 1) + 1
        image = padded_rows(p, x, pads, i * down, rows)
        patches = p.buffer((p.task, 0), (groups, j - i, width, kh, kw, channels))
        a, b, c = image.strides
        steps = (c * channels, a * down, b * right, a * dilation[0], b * dilation[1], c)
        p.call(np.copyto, patches, as_strided(image, patches.shape, steps))
        part = pixels(y.data, i, j)
        out = part.reshape(len(part), groups, -1).swapaxes(0, 1)
        p.call(np.matmul, patches.reshape(groups, len(part), -1), matrices, out=out)
        epilogue(p, part, then, y.bias, bias)
    return y


def convolve_depthwise(p: Plan, x: Value, name: str, window: Window, then: Then = None) -> Value:
    """A convolution of each channel with a filter of its own.

    A row of pixels is computed like one long pixel. Where windows move on by several
    columns, those that lie one step apart are put together first.
    """
    filters = x.data.shape[2]
    y, weight, bias = p.layer(x, name, filters, window, filters)
    (kh, kw), (down, right), pads, dilation = window[:4]
    width = y.data.shape[1]

    shape = (kh, kw, width * filters)
    factors = p.cached(p.key, shape, lambda: np.tile(weight.transpose(2, 3, 1, 0), width))
    for i, j, _ in p.parts(y.data, 2**16 // (width * filters)):
        height = (j - i - 1) * down + dilation[0] * (kh - 1) + 1
        image = padded_rows(p, x, pads, i * down, height)
        dense = right == 1 and image.strides[1] == filters * image.itemsize
        part = (height * (not dense), -(-image.shape[1] // right), filters)
        planes = p.buffer((p.task, 0), (right, *part))
        sums = [p.buffer((p.task, 1 + k), (j - i, width * filters)) for k in range(right)]
        rows = y.data[i:j]
        if rows.flags.c_contiguous:
            sums[0] = rows.reshape(j - i, -1)
        for k in range(min(right, kw)):
            plane = image[:, k::right]
            if not dense:
                p.call(np.copyto, planes[k, :, : plane.shape[1]], plane)
                plane = planes[k]
            a, b, c = plane.strides
            some = factors[:, k::right]
            size = (kh, some.shape[1], j - i, width * filters)
            view = as_strided(plane, size, (a * dilation[0], b * dilation[1], a * down, c))
            p.call(np.einsum, "abij,abj->ij", view, some, out=sums[k])
            if k:
                p.call(np.add, sums[0], sums[k], out=sums[0])
        if not rows.flags.c_contiguous:
            p.call(np.copyto, rows, sums[0].reshape(rows.shape))
        epilogue(p, pixels(y.data, i, j), then, y.bias, bias)
    return y


def winograd(
    p: Plan, x: Value, name: str, filters: int, window: Window, then: Then = None
) -> Value:
    """A 3x3 convolution by tiles of 3x3 results: 25 products where there would be 81.

    F(3x3, 3x3) of Lavin and Gray, 2016, arXiv:1509.09308, at 0, 1, -1, 2 and infinity.
    """
    _, width, channels = x.data.shape
    height, columns = window.counts(*x.data.shape[:2])
    if not winograd_pays(height, columns, channels):
        return convolve(p, x, name, filters, window, then)
    y, weight, bias = p.layer(x, name, filters, window)
    before = [[2, -1, -2, 1, 0], [0, 2, 1, -1, 0], [0, -2, 3, -1, 0]]
    before += [[0, -1, 0, 1, 0], [0, 2, -1, -2, 1]]
    inner = np.array([[3, 0, 0], [3, 3, 3], [1, -1, 1], [1, 2, 4], [0, 0, 6]]) / 6
    after = [[1, 1, 1, 1, 0], [0, 1, -1, 2, 0], [0, 1, 1, 4, 1]]
    first = p.cached(25, (25, 25), lambda: np.kron(before, before))
    last = p.cached(9, (9, 25), lambda: np.kron(after, after))
    shape, parts = (25, channels, filters), (inner, inner, weight)
    u = p.cached(p.key, shape, lambda: np.einsum("ai,bj,fcij->abcf", *parts, optimize=True))
    across = -(-columns // 3)
    pads = (*window.pads[:3], 3 * across + 2 - width - window.pads[2])
    most = 3 * 2**12 // (across * max(channels, filters))  # so that all stays in the cache
    for i, j, f in p.parts(y.data, most, 3, across=True):
        down, some = -(-(j - i) // 3), u[..., f]
        n, image = down * across, padded_rows(p, x, pads, i, 3 * down + 2)
        d, v = (p.buffer((p.task, k), (25, n, channels)) for k in (0, 1))
        m, out = (p.buffer((p.task, k), (s, n, some.shape[2])) for k, s in enumerate((25, 9)))
        a, b, c = image.strides
        tiles = d.reshape(5, 5, down, across, channels)
        p.call(np.copyto, tiles, as_strided(image, tiles.shape, (a, b, 3 * a, 3 * b, c)))
        blocked_matmul(p, first, d, v)
        p.call(np.matmul, v, some, out=m)
        blocked_matmul(p, last, m, out)
        cells = out.reshape(3, 3, down, across, -1)
        for (r, rows, s), (q, places, t) in product(tile_ranges(j - i), tile_ranges(columns)):
            target = y.data[i:j][rows, places, f]
            target = target.reshape(len(target) // r, r, -1, q, some.shape[2])
            p.call(np.copyto, target, cells[:r, :q, s, t].transpose(2, 0, 3, 1, 4))
        epilogue(p, pixels(y.data[..., f], i, j), then, y.bias[f], bias[f])
    return y


def tile_ranges(size: int) -> list[tuple[int, slice, slice]]:
    """Whole tiles of 3, and the rest: how much of a tile, where it lies, which tiles."""
    full, rest = divmod(size, 3)
    parts = [(3, np.s_[: 3 * full], np.s_[:full]), (rest, np.s_[3 * full :], np.s_[full:])]
    return parts[full == 0 : 1 + (rest > 0)]


def blocked_matmul(p: Plan, matrix: Array, x: Array, y: Array) -> None:
    """Multiply a small matrix by (K, tiles, C), by so few tiles that BLAS is fast."""
    _, count, channels = x.shape
    most = max(1, 1_000_000 // (matrix.size * channels))
    size = max(n for n in range(1, min(count, most) + 1) if count % n == 0)
    a, b = (z.reshape(len(z), -1, size * channels).swapaxes(0, 1) for z in (x, y))
    p.call(np.matmul, matrix, a, out=b)
