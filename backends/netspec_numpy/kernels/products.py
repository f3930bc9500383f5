"""Convolutions and linear layers, as calls of a plan.

Each function lays out one step: it makes the value of its result in slot `at`, adds
calls that compute it, and returns it. Rows of the result are divided among tasks.
Biases are not added: a value carries them, and the layer that it goes to has them in
its own. `then` is a relu or relu6, which knows of the bias.
"""

from __future__ import annotations

import numpy as np
from numpy.lib.stride_tricks import as_strided

from netspec_numpy.kernels.arrays import Array, At, Pads, Pair, Then, Value
from netspec_numpy.kernels.plan import Plan


def pixels(x: Array, i: int = 0, j: int | None = None) -> Array:
    """Rows i to j of (1, H, W, C) as (P, C), (1, F) as it is: a view."""
    x = x[:, i:j] if x.ndim == 4 else x
    return as_strided(x, (x[..., 0].size, x.shape[-1]), x.strides[-2:])


def relu(p: Plan, x: Array, bias: Array) -> None:
    """Cut off pixels (P, C) where they and their bias come below 0."""
    in_place(p, np.maximum, x, -bias)


def relu6(p: Plan, x: Array, bias: Array) -> None:
    """Cut off pixels (P, C) where they and their bias come below 0 or above 6."""
    in_place(p, np.maximum, x, -bias)
    in_place(p, np.minimum, x, 6 - bias)


def in_place(p: Plan, function: np.ufunc, x: Array, y: Array) -> None:
    """Apply a function of two numbers to each pixel of (P, C) and to (C,)."""
    x, row = tiled(p, x, y)
    p.call(function, x, row, out=x)


def tiled(p: Plan, x: Array, y: Array) -> tuple[Array, Array]:
    """Pixels (P, C) and (C,) as rows of several pixels: NumPy is fast on long rows."""
    most = max(1, 2048 // len(y)) if x.flags.c_contiguous else 1
    long = max(n for n in range(1, most + 1) if len(x) % n == 0)
    row = p.once((y.tobytes(), long), lambda: np.tile(y, long))
    return x.reshape(-1, len(row)), row


def finish(p: Plan, x: Array, now: Array, later: Array, then: Then) -> None:
    """Add a bias to pixels (P, C); cut them off, knowing the bias that comes later."""
    if now.any():
        in_place(p, np.add, x, now)
    if then:
        then(p, x, later)


def pointwise(p: Plan, at: At, x: Value, name: str, then: Then = None) -> Value:
    """A 1x1 convolution or linear layer: one matrix product over all pixels."""
    weight = p.weights[f"{name}.weight"]
    y, bias = p.layer(at, name, x)
    w = p.once(name, lambda: weight.reshape(len(weight), -1).T)
    for i, j, f in p.shares(y.data):
        out = pixels(y.data[..., f], i, j)
        p.call(np.matmul, pixels(x.data, i, j), w[:, f], out=out)
        finish(p, out, bias[f], y.bias[f], then)
    return y


def strip(
    p: Plan, x: Value, pads: Pads, top: int, rows: int, around: float | None = None
) -> Array:
    """Some rows of a padded image (H, W, C); around it is what comes to zeros."""
    _, height, width, channels = x.data.shape
    if not any(pads) and top + rows <= height:
        return x.data[0, top : top + rows]
    whole: Array = p.room((p.task, "rows"), (rows, pads[2] + width + pads[3], channels))
    edge = -x.bias if around is None else np.full(channels, around, p.kind)
    p.call(np.copyto, *tiled(p, pixels(whole), edge))
    a, b = np.clip((pads[0] - top, pads[0] - top + height), 0, rows).tolist()
    first = a + top - pads[0]
    inside = whole[a:b, pads[2] : pads[2] + width]
    p.call(np.copyto, inside, x.data[0, first : first + b - a])
    return whole


def convolve(
    p: Plan,
    at: At,
    x: Value,
    name: str,
    stride: Pair = (1, 1),
    pads: Pads = (0, 0, 0, 0),
    then: Then = None,
) -> Value:
    """A convolution: what the filters see in some rows is gathered, then multiplied."""
    weight = p.weights[f"{name}.weight"]
    y, bias = p.layer(at, name, x, stride, pads)
    filters, channels, kh, kw = weight.shape
    w = y.data.shape[2]
    u = p.once(name, lambda: weight.transpose(2, 3, 1, 0).reshape(-1, filters))
    most = max(3 * 2**16, u.size) // (w * len(u))  # few parts where weights are many
    for i, j, f in p.shares(y.data, most):
        image = strip(p, x, pads, i * stride[0], (j - i - 1) * stride[0] + kh)
        patches = p.room((p.task, 0), (j - i, w, kh, kw * channels))
        a, b, c = image.strides
        # What lies side by side is moved as one piece: mostly a row of what is seen.
        run = kw * channels if b == channels * c else channels
        piece = np.dtype((np.void, run * c))
        corner = as_strided(image, (1, 1, run)).view(piece)
        seen = patches.view(piece)
        steps = (a * stride[0], b * stride[1], a, b)
        p.call(np.copyto, seen, as_strided(corner, seen.shape, steps))
        out = pixels(y.data[..., f], i, j)
        p.call(np.matmul, patches.reshape(-1, len(u)), u[:, f], out=out)
        finish(p, out, bias[f], y.bias[f], then)
    return y


def convolve_grouped(
    p: Plan,
    at: At,
    x: Value,
    name: str,
    stride: Pair = (1, 1),
    pads: Pads = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    groups: int = 1,
    then: Then = None,
) -> Value:
    """A convolution with groups or dilation, like `convolve`."""
    weight = p.weights[f"{name}.weight"]
    y, bias = p.layer(at, name, x, stride, pads, dilation)
    filters, channels, kh, kw = weight.shape
    h, w = y.data.shape[1:3]

    def columns() -> Array:
        parts = weight.reshape(groups, -1, channels, kh, kw)
        return parts.transpose(0, 3, 4, 2, 1).reshape(groups, -1, filters // groups)

    u = p.once(name, columns)
    for i, j in p.tasks(h, max(3 * 2**16, u.size) // (w * groups * u.shape[1])):
        down = (j - i - 1) * stride[0] + dilation[0] * (kh - 1) + 1
        image = strip(p, x, pads, i * stride[0], down)
        patches = p.room((p.task, 0), (groups, j - i, w, kh, kw, channels))
        a, b, c = image.strides
        steps = [c * channels, a * stride[0], b * stride[1]]
        steps += [a * dilation[0], b * dilation[1], c]
        p.call(np.copyto, patches, as_strided(image, patches.shape, steps))
        rows = pixels(y.data, i, j)
        out = rows.reshape(len(rows), groups, -1).transpose(1, 0, 2)
        p.call(np.matmul, patches.reshape(groups, len(rows), -1), u, out=out)
        finish(p, rows, bias, y.bias, then)
    return y


def convolve_depthwise(
    p: Plan,
    at: At,
    x: Value,
    name: str,
    stride: Pair = (1, 1),
    pads: Pads = (0, 0, 0, 0),
    dilation: Pair = (1, 1),
    then: Then = None,
) -> Value:
    """A convolution of each channel with a filter of its own.

    A row of pixels is computed like one long pixel. Where windows move on by several
    columns, those that lie one step apart are put together first.
    """
    weight = p.weights[f"{name}.weight"]
    y, bias = p.layer(at, name, x, stride, pads, dilation)
    filters, _, kh, kw = weight.shape
    h, w = y.data.shape[1:3]

    def taps() -> Array:
        return np.tile(weight.transpose(2, 3, 1, 0), w)[:, :, 0]

    u = p.once(name, taps)
    apart = stride[1]
    for i, j in p.tasks(h, 2**16 // (w * filters)):
        down = (j - i - 1) * stride[0] + dilation[0] * (kh - 1) + 1
        image = strip(p, x, pads, i * stride[0], down)
        dense = apart == 1 and image.strides[1] == filters * image.itemsize
        part = (down * (not dense), -(-image.shape[1] // apart), filters)
        planes = p.room((p.task, 0), (apart, *part))
        sums = [p.room((p.task, 1 + k), (j - i, w * filters)) for k in range(apart)]
        rows = y.data[0, i:j]
        if rows.flags.c_contiguous:
            sums[0] = rows.reshape(j - i, -1)
        for k in range(min(apart, kw)):
            plane = image[:, k::apart]
            if not dense:
                p.call(np.copyto, planes[k, :, : plane.shape[1]], plane)
                plane = planes[k]
            a, b, c = plane.strides
            some = u[:, k::apart]
            shape = (kh, some.shape[1], j - i, w * filters)
            steps = (a * dilation[0], b * dilation[1], a * stride[0], c)
            view = as_strided(plane, shape, steps)
            p.call(np.einsum, "abij,abj->ij", view, some, out=sums[k])
            if k:
                p.call(np.add, sums[0], sums[k], out=sums[0])
        if not rows.flags.c_contiguous:
            p.call(np.copyto, rows, sums[0].reshape(rows.shape))
        finish(p, pixels(y.data, i, j), bias, y.bias, then)
    return y


def winograd(
    p: Plan, at: At, x: Value, name: str, pads: Pads = (1, 1, 1, 1), then: Then = None
) -> Value:
    """A 3x3 convolution by tiles of 3x3 results: 25 products where there would be 81.

    F(3x3, 3x3) of Lavin and Gray, 2016, arXiv:1509.09308: polynomials are multiplied by
    their values at 0, 1, -1, 2 and infinity. Some rows of tiles are computed at once,
    so that all stays in the cache.
    """
    weight = p.weights[f"{name}.weight"]
    y, bias = p.layer(at, name, x, (1, 1), pads)
    filters, channels = weight.shape[:2]
    width = y.data.shape[2]
    before = [[2, -1, -2, 1, 0], [0, 2, 1, -1, 0], [0, -2, 3, -1, 0]]
    before += [[0, -1, 0, 1, 0], [0, 2, -1, -2, 1]]
    inner = np.array([[3, 0, 0], [3, 3, 3], [1, -1, 1], [1, 2, 4], [0, 0, 6]]) / 6
    after = [[1, 1, 1, 1, 0], [0, 1, -1, 2, 0], [0, 1, 1, 4, 1]]
    first = p.once((25, 25), lambda: np.kron(before, before))
    last = p.once((9, 25), lambda: np.kron(after, after))

    def values() -> Array:
        u = np.kron(inner, inner) @ weight.reshape(-1, 9).T
        return np.asarray(u.reshape(25, filters, channels).swapaxes(1, 2))

    u = p.once(name, values)
    across = -(-width // 3)
    pads = (*pads[:3], 3 * across + 2 - x.data.shape[2] - pads[2])
    most = 3 * 2**12 // (across * max(channels, filters))
    for i, j, f in p.shares(y.data, most, 3):
        down = -(-(j - i) // 3)
        n, some = down * across, u[..., f]
        image = strip(p, x, pads, i, 3 * down + 2)
        d, v = (p.room((p.task, k), (25, n, channels)) for k in (0, 1))
        m = p.room((p.task, 0), (25, n, some.shape[-1]))
        out = p.room((p.task, 1), (9, n, some.shape[-1]))
        a, b, c = image.strides
        shape = (5, 5, down, across, channels)
        seen = as_strided(image, shape, (a, b, 3 * a, 3 * b, c))
        p.call(np.copyto, d.reshape(shape), seen)
        by_parts(p, first, d, v)
        p.call(np.matmul, v, some, out=m)
        by_parts(p, last, m, out)
        cells = out.reshape(3, 3, down, across, -1)
        for rows, tiles, r in thirds(j - i):
            for columns, others, c in thirds(width):
                there = y.data[0, i:j][rows, columns, f]
                there = there.reshape(len(there) // r, r, -1, c, some.shape[-1])
                found = cells[:r, :c, tiles, others].transpose(2, 0, 3, 1, 4)
                p.call(np.copyto, there, found)
        finish(p, pixels(y.data[..., f], i, j), bias[f], y.bias[f], then)
    return y


def thirds(size: int) -> list[tuple[slice, slice, int]]:
    """Where whole tiles of 3 lie, and the rest; which tiles, and how much of each."""
    full = size // 3
    parts = [(np.s_[: 3 * full], np.s_[:full], 3 * (full > 0))]
    return [p for p in (*parts, (np.s_[3 * full :], np.s_[full:], size % 3)) if p[2]]


def by_parts(p: Plan, matrix: Array, x: Array, y: Array) -> None:
    """Multiply a small matrix by (K, tiles, C), by so few tiles that BLAS is fast."""
    _, count, channels = x.shape
    most = max(1, 1_000_000 // (matrix.size * channels))
    size = max(n for n in range(1, min(count, most) + 1) if count % n == 0)
    a, b = (z.reshape(len(z), -1, size * channels).transpose(1, 0, 2) for z in (x, y))
    p.call(np.matmul, matrix, a, out=b)
