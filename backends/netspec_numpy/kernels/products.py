"""Convolutions and linear layers, as calls of a plan.

Each function lays out one step: it makes the value of its result in slot `at`, adds
calls that compute it, and returns it. Rows of the result are divided among tasks.
Biases are not added: a value carries them, and the layer that it goes to has them in
its own. `then` is a relu or relu6, which knows of the bias.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.lib.stride_tricks import as_strided

from netspec_numpy.kernels.arrays import Array, At, Then, Value
from netspec_numpy.kernels.plan import Plan
from netspec_numpy.kernels.windows import windows


def pixels(x: Array) -> Array:
    """(N, H, W, C) as (N * H * W, C), (N, F) as it is: a view."""
    return as_strided(x, (x[..., 0].size, x.shape[-1]), x.strides[-2:])


def pointwise(p: Plan, at: At, x: Value, name: str, then: Then | None = None) -> Value:
    """A 1x1 convolution or linear layer: one matrix product over all pixels."""
    filters, channels = p.weights[f"{name}.weight"].shape[:2]
    y = p.value(at, (*x.data.shape[1:-1], filters), p.bias(name, x))
    w = p.once(name, (channels, filters), lambda: p.weight(name).reshape(filters, -1).T)
    a, b = pixels(x.data), pixels(y.data)
    wide = filters > len(a)  # then the filters are divided, not the pixels
    for task, i, j in p.tasks([x], [y], filters if wide else len(a)):
        some, f = (np.s_[:], np.s_[i:j]) if wide else (np.s_[i:j], np.s_[:])
        p.call(task, np.matmul, a[some], w[:, f], out=b[some, f])
        if then:
            then(p, task, b[some, f], y.bias[f])
    return y


def strip(
    p: Plan,
    task: int,
    x: Value,
    place: tuple[int, int],
    size: tuple[int, int],
    around: Array | float,
) -> Array:
    """What an image has from a place on, and what is to be around it."""
    (top, left), (down, across) = place, size
    image = x.data[0]
    height, width, channels = image.shape
    if min(top, left, height - top - down, width - left - across) >= 0:
        return image[top : top + down, left : left + across]
    strip: Array = p.room(("strip", task), (down, across, channels))
    a, b = np.clip((-top, height - top), 0, down).tolist()
    c, d = np.clip((-left, width - left), 0, across).tolist()
    for edge in (strip[:a], strip[b:], strip[a:b, :c], strip[a:b, d:]):
        if edge.size:
            p.call(task, np.copyto, edge, around)
    inside = image[a + top : b + top, c + left : d + left]
    p.call(task, np.copyto, strip[a:b, c:d], inside)
    return strip


def convolve(
    p: Plan,
    at: At,
    x: Value,
    name: str,
    stride: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    then: Then | None = None,
) -> Value:
    """A convolution: what the filters see in some rows is gathered, then multiplied."""
    filters, channels, kh, kw = p.weights[f"{name}.weight"].shape
    tall, wide = dilation[0] * (kh - 1) + 1, dilation[1] * (kw - 1) + 1
    h = windows(x.data.shape[1], tall, stride[0], *pads[:2])
    w = windows(x.data.shape[2], wide, stride[1], *pads[2:])
    y = p.value(at, (h, w, filters), p.bias(name, x))
    shape = (groups, kh * kw * channels, filters // groups)

    def columns() -> Array:
        parts = p.weight(name).reshape(groups, -1, channels, kh, kw)
        return parts.transpose(0, 3, 4, 2, 1).reshape(shape)

    u = p.once(name, shape, columns)
    for task, i, j in p.tasks([x], [y], h, max(1, 2**18 // (w * u[..., 0].size))):
        size = (j - i - 1) * stride[0] + tall, (w - 1) * stride[1] + wide
        place = i * stride[0] - pads[0], -pads[2]
        image = strip(p, task, x, place, size, -x.bias)
        (patches,) = p.scratch(task, (groups, j - i, w, kh, kw, channels))
        a, b, c = image.strides
        steps = [c * channels, a * stride[0], b * stride[1]]
        steps += [a * dilation[0], b * dilation[1], c]
        p.call(task, np.copyto, patches, as_strided(image, patches.shape, steps))
        rows = pixels(y.data[:, i:j])
        out = rows.reshape(len(rows), groups, -1).transpose(1, 0, 2)
        p.call(task, np.matmul, patches.reshape(groups, len(rows), -1), u, out=out)
        if then:
            then(p, task, rows, y.bias)
    return y


def convolve_depthwise(
    p: Plan,
    at: At,
    x: Value,
    name: str,
    stride: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    then: Then | None = None,
) -> Value:
    """A convolution of each channel with a filter of its own.

    A row of pixels is computed like one long pixel. Where windows move on by several
    columns, those that lie one step apart are put together first.
    """
    filters, _, kh, kw = p.weights[f"{name}.weight"].shape
    tall, wide = dilation[0] * (kh - 1) + 1, dilation[1] * (kw - 1) + 1
    h = windows(x.data.shape[1], tall, stride[0], *pads[:2])
    w = windows(x.data.shape[2], wide, stride[1], *pads[2:])
    y = p.value(at, (h, w, filters), p.bias(name, x))

    def taps() -> Array:
        return np.tile(p.weight(name).transpose(2, 3, 1, 0), w)[:, :, 0]

    u = p.once(name, (kh, kw, w * filters), taps)
    apart = stride[1]
    for task, i, j in p.tasks([x], [y], h, max(1, 2**15 // (w * filters))):
        size = (j - i - 1) * stride[0] + tall, (w - 1) * apart + wide
        place = i * stride[0] - pads[0], -pads[2]
        image = strip(p, task, x, place, size, -x.bias)
        plane_size = (apart, size[0], -(-size[1] // apart), filters)
        planes, *sums = p.scratch(task, plane_size, *[(j - i, w * filters)] * apart)
        rows = y.data[0, i:j]
        if rows.flags.c_contiguous:
            sums[0] = rows.reshape(j - i, -1)
        for k in range(min(apart, kw)):
            plane = image[:, k::apart]
            if plane.strides[1] != filters * plane.itemsize:
                p.call(task, np.copyto, planes[k, :, : plane.shape[1]], plane)
                plane = planes[k]
            a, b, c = plane.strides
            some = u[:, k::apart]
            shape = (kh, some.shape[1], j - i, w * filters)
            steps = (a * dilation[0], b * dilation[1], a * stride[0], c)
            view = as_strided(plane, shape, steps)
            p.call(task, np.einsum, "abij,abj->ij", view, some, out=sums[k])
            if k:
                p.call(task, np.add, sums[0], sums[k], out=sums[0])
        if not rows.flags.c_contiguous:
            p.call(task, np.copyto, rows, sums[0].reshape(rows.shape))
        if then:
            then(p, task, pixels(y.data[:, i:j]), y.bias)
    return y


def winograd(
    p: Plan,
    at: At,
    x: Value,
    name: str,
    pads: tuple[int, int, int, int] = (1, 1, 1, 1),
    then: Then | None = None,
) -> Value:
    """A 3x3 convolution by tiles of 3x3 results: 25 products where there would be 81.

    F(3x3, 3x3) of Lavin and Gray, 2016, arXiv:1509.09308: polynomials are multiplied by
    their values at 0, 1, -1, 2 and infinity. Some rows of tiles and some filters are
    computed at once, so that all stays in the cache.
    """
    filters, channels = p.weights[f"{name}.weight"].shape[:2]
    height = windows(x.data.shape[1], 3, 1, *pads[:2])
    width = windows(x.data.shape[2], 3, 1, *pads[2:])
    y = p.value(at, (height, width, filters), p.bias(name, x))
    before = [[2, -1, -2, 1, 0], [0, 2, 1, -1, 0], [0, -2, 3, -1, 0]]
    before += [[0, -1, 0, 1, 0], [0, 2, -1, -2, 1]]
    inner = np.array([[3, 0, 0], [3, 3, 3], [1, -1, 1], [1, 2, 4], [0, 0, 6]]) / 6
    after = [[1, 1, 1, 1, 0], [0, 1, -1, 2, 0], [0, 1, 1, 4, 1]]
    first = p.once("before", (25, 25), lambda: np.kron(before, before))
    last = p.once("after", (9, 25), lambda: np.kron(after, after))
    blocks = {}
    for f in range(0, filters, 128):
        shape = (25, channels, min(128, filters - f))
        blocks[f] = p.once((name, f), shape, partial(transform, p, inner, name, f))
    down, across = -(-height // 3), -(-width // 3)
    for task, i, j in p.tasks([x], [y], down, max(1, 160 // across)):
        n, wide = (j - i) * across, min(128, filters)
        size = (3 * (j - i) + 2, 3 * across + 2)
        image = strip(p, task, x, (3 * i - pads[0], -pads[2]), size, -x.bias)
        shapes = (25, n, channels), (25 * n * max(channels, wide),), (9 * n * wide,)
        v, m, out = p.scratch(task, *shapes)
        d = m[: v.size].reshape(v.shape)
        tiles = d.reshape(5, 5, j - i, across, channels)
        p.call(task, np.copyto, tiles, tiled(image, tiles.shape))
        by_parts(p, task, first, d, v)
        for f, block in blocks.items():
            some = block.shape[2]
            values = m[: 25 * n * some].reshape(25, n, some)
            p.call(task, np.matmul, v, block, out=values)
            tiles = out[: 9 * n * some].reshape(3, 3, j - i, across, some)
            by_parts(p, task, last, values, tiles.reshape(9, n, some))
            target = y.data[0, 3 * i : 3 * j, :, f : f + some]
            if target.shape[:2] == (3 * (j - i), 3 * across):
                p.call(task, np.copyto, tiled(target, tiles.shape), tiles)
            else:  # some tiles stand over
                whole = m[: tiles.size].reshape(3 * (j - i), 3 * across, some)
                p.call(task, np.copyto, tiled(whole, tiles.shape), tiles)
                p.call(task, np.copyto, target, whole[: len(target), :width])
        if then:
            then(p, task, pixels(y.data[:, 3 * i : 3 * j]), y.bias)
    return y


def transform(p: Plan, inner: Array, name: str, f: int) -> Array:
    """128 filters (F, C, 3, 3) as (25, C, F), their values at pairs of points."""
    weight = p.weight(name)[f : f + 128]
    u: Array = np.einsum("ai,bj,fcij->abcf", inner, inner, weight, optimize=True)
    return u.reshape(25, *u.shape[2:])


def tiled(x: Array, shape: tuple[int, ...]) -> Array:
    """Tiles of (H, W, C), at every third place, as (side, side, rows, across, C)."""
    a, b, c = x.strides
    return as_strided(x, shape, (a, b, 3 * a, 3 * b, c))


def by_parts(p: Plan, task: int, matrix: Array, x: Array, y: Array) -> None:
    """Multiply a small matrix by (K, tiles, C), by so few tiles that BLAS is fast."""
    _, tiles, channels = x.shape
    most = max(1, 1_000_000 // (matrix.size * channels))
    size = max(n for n in range(1, min(tiles, most) + 1) if tiles % n == 0)
    a, b = (z.reshape(len(z), -1, size * channels).transpose(1, 0, 2) for z in (x, y))
    p.call(task, np.matmul, matrix, a, out=b)
