"""What networks are made of, as calls of a plan: arrays are (N, H, W, C) or (N, F).

Each function lays out one step: it makes the array of its result in slot `at`, adds
calls that compute it, and returns it. Rows of the result are divided among the threads.
`cut` is what `finish` takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from netspec_numpy.kernels.arrays import Array, At
from netspec_numpy.kernels.plan import Plan
from netspec_numpy.kernels.windows import windows


def finish(
    p: Plan, thread: int, y: Array, *biases: str, relu: bool = False, top: float = 0
) -> None:
    """Add the biases of layers to pixels (P, C), then cut off below 0 and above `top`.

    Pixels are put together to long rows: NumPy is fast where whole arrays go in.
    """
    long = max(1, 2048 // y.shape[1]) if y.flags.c_contiguous else 1
    whole = len(y) // long * long
    added = [p.weights[f"{b}.bias"] for b in biases if f"{b}.bias" in p.weights]
    for piece in (y[:whole].reshape(-1, long * y.shape[1]), y[whole:].reshape(1, -1)):
        width = piece.shape[1]
        if added and piece.size:
            bias = p.once(biases, lambda: np.tile(np.concatenate(added), long))
            p.call(thread, np.add, piece, bias[:width], out=piece)
        if relu and piece.size:
            zeros = p.once(("zeros", width), partial(np.zeros, width))
            p.call(thread, np.maximum, piece, zeros, out=piece)
        if top and piece.size:
            tops = p.once((top, width), partial(np.full, width, top))
            p.call(thread, np.minimum, piece, tops, out=piece)


def pixels(x: Array) -> Array:
    """(N, H, W, C) as (N * H * W, C), (N, F) as it is: a view."""
    return as_strided(x, (x[..., 0].size, x.shape[-1]), x.strides[-2:])


def product(
    p: Plan, at: At, x: Array, name: str, raw: bool = False, **cut: Any
) -> Array:
    """A 1x1 convolution or linear layer: one matrix product over all pixels."""
    weight = p.weights[f"{name}.weight"]
    w = p.once(name, lambda: weight.reshape(len(weight), -1).T)
    y = p.value(at, *x.shape[:-1], len(weight))
    p.step([x], [y])
    a, b = pixels(x), pixels(y)
    wide = len(weight) > len(a)
    for thread, i, j in p.shares(len(weight) if wide else len(a)):
        if wide:
            p.call(thread, np.matmul, a, w[:, i:j], out=b[:, i:j])
        else:
            p.call(thread, np.matmul, a[i:j], w, out=b[i:j])
    if wide and not raw:
        p.step([y], [y])
    for thread, i, j in p.shares(len(a)):
        if not raw:
            finish(p, thread, b[i:j], name, **cut)
    return y


def winograd(
    p: Plan,
    at: At,
    x: Array,
    name: str,
    pads: tuple[int, int, int, int] = (1, 1, 1, 1),
    rows: int = 9,
    block: int = 128,
    raw: bool = False,
    **cut: Any,
) -> Array:
    """A 3x3 convolution by tiles of 3x3 results: 25 products where there would be 81.

    Winograd's F(3x3, 3x3), see Lavin and Gray, 2016, arXiv:1509.09308. Takes as many
    `rows` of tiles at once, and filters in blocks, so that all stays in the cache.
    """
    weight = p.weights[f"{name}.weight"]
    filters, channels = weight.shape[:2]
    # Polynomials are multiplied by their values at 0, 1, -1, 2 and infinity.
    before = [[2, -1, -2, 1, 0], [0, 2, 1, -1, 0], [0, -2, 3, -1, 0]]
    before += [[0, -1, 0, 1, 0], [0, 2, -1, -2, 1]]
    inner = np.array([[3, 0, 0], [3, 3, 3], [1, -1, 1], [1, 2, 4], [0, 0, 6]]) / 6
    after = [[1, 1, 1, 1, 0], [0, 1, -1, 2, 0], [0, 1, 1, 4, 1]]
    first = p.once("before", lambda: np.kron(before, before))
    last = p.once("after", lambda: np.kron(after, after))
    blocks = range(0, filters, block)

    def transformed() -> Array:
        u = np.einsum("ai,bj,fcij->abcf", inner, inner, weight, optimize=True)
        u = u.reshape(25, channels, filters)
        return np.concatenate([u[:, :, f : f + block].ravel() for f in blocks])

    u = p.once((name, block), transformed)
    height, width = x.shape[1] + pads[0] + pads[1] - 2, x.shape[2] + pads[2] + pads[3] - 2
    y = p.value(at, len(x), height, width, filters)
    p.step([x], [y])
    down, across = -(-height // 3), -(-width // 3)
    for thread, i, j in p.shares(down):
        for top in range(i, j, rows):
            r = min(rows, j - top)
            tiles = r * across
            wide = min(block, filters)
            v, m, padded, out = p.scratch(
                thread,
                (25, tiles, channels),
                (25 * tiles * max(channels, wide),),
                (3 * r + 2, 3 * across + 2, channels),
                (9 * tiles * wide,),
            )
            d = m[: v.size].reshape(v.shape)
            fill(p, thread, padded, x[0], 3 * top - pads[0], -pads[2], 0)
            p.call(thread, np.copyto, grid(d, 5, r), tiled(padded, 5, r, across))
            by_parts(p, thread, first, d, v)
            for f in blocks:
                size = min(block, filters - f)
                g = u[25 * channels * f : 25 * channels * (f + size)]
                mm = m[: 25 * tiles * size].reshape(25, tiles, size)
                o = out[: 9 * tiles * size].reshape(9, tiles, size)
                p.call(thread, np.matmul, v, g.reshape(25, channels, size), out=mm)
                by_parts(p, thread, last, mm, o)
                target = y[0, 3 * top : 3 * (top + r), :, f : f + size]
                if target.shape[:2] == (3 * r, 3 * across):
                    p.call(thread, np.copyto, tiled(target, 3, r, across), grid(o, 3, r))
                else:
                    whole = m[: o.size].reshape(3 * r, 3 * across, size)
                    p.call(thread, np.copyto, tiled(whole, 3, r, across), grid(o, 3, r))
                    part = whole[: len(target), :width]
                    p.call(thread, np.copyto, target, part)
        if not raw:
            finish(p, thread, pixels(y[:, 3 * i : 3 * j]), name, **cut)
    return y


def fill(
    p: Plan, thread: int, y: Array, x: Array, top: int, left: int, value: float
) -> None:
    """Fill (H, W, C) with what an image has from (top, left) on, and a value around it."""
    a, b = max(top, 0), max(min(top + len(y), len(x)), 0)
    c, d = max(left, 0), min(left + y.shape[1], x.shape[1])
    if (b - a, d - c) != y.shape[:2]:
        p.call(thread, y.fill, value)
    if a < b and c < d:
        inside = y[a - top : b - top, c - left : d - left]
        p.call(thread, np.copyto, inside, x[a:b, c:d])


def grid(x: Array, side: int, rows: int) -> Array:
    """(side * side, tiles, C) as (side, side, rows, tiles in a row, C)."""
    return x.reshape(side, side, rows, -1, x.shape[-1])


def tiled(x: Array, side: int, rows: int, across: int) -> Array:
    """Tiles of (H, W, C), at every third place, as (side, side, rows, across, C)."""
    a, b, c = x.strides
    shape = (side, side, rows, across, x.shape[2])
    return as_strided(x, shape, (a, b, 3 * a, 3 * b, c))


def by_parts(p: Plan, thread: int, matrix: Array, x: Array, y: Array) -> None:
    """Multiply a small matrix by (K, tiles, C), so few tiles at once that BLAS is fast."""
    _, tiles, channels = x.shape
    most = max(1, 1_000_000 // (matrix.size * channels))
    size = max(n for n in range(1, tiles + 1) if tiles % n == 0 and n <= max(1, most))
    parts = [
        a.reshape(len(a), -1, size * channels).transpose(1, 0, 2) for a in (x, y)
    ]
    p.call(thread, np.matmul, matrix, parts[0], out=parts[1])


def convolve(
    p: Plan,
    at: At,
    x: Array,
    name: str,
    stride: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    rows: int = 8,
    raw: bool = False,
    **cut: Any,
) -> Array:
    """A convolution: what the filters see is gathered, `rows` at once, and multiplied."""
    weight = p.weights[f"{name}.weight"]
    filters, channels, kh, kw = weight.shape
    _, height, width, _ = x.shape
    h = (height + pads[0] + pads[1] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    w = (width + pads[2] + pads[3] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = p.value(at, len(x), h, w, filters)
    p.step([x], [y])

    def columns() -> Array:
        parts = weight.reshape(groups, -1, channels, kh, kw).transpose(0, 3, 4, 2, 1)
        return parts.reshape(groups, kh * kw * channels, -1)

    u = p.once(name, columns)
    for thread, i, j in p.shares(h):
        for top in range(i, j, rows):
            r = min(rows, j - top)
            seen = (r - 1) * stride[0] + dilation[0] * (kh - 1) + 1
            across = (w - 1) * stride[1] + dilation[1] * (kw - 1) + 1
            image, patches = p.scratch(
                thread,
                (seen, across, x.shape[3]),
                (groups, r, w, kh, kw, channels),
            )
            start = top * stride[0] - pads[0]
            if any(pads):
                fill(p, thread, image, x[0], start, -pads[2], 0)
            else:
                image = x[0, start:]
            a, b, c = image.strides
            steps = (c * channels, a * stride[0], b * stride[1])
            steps = (*steps, a * dilation[0], b * dilation[1], c)
            p.call(thread, np.copyto, patches, as_strided(image, patches.shape, steps))
            out = pixels(y[:, top : top + r]).reshape(r * w, groups, -1)
            matrices = patches.reshape(groups, r * w, -1)
            p.call(thread, np.matmul, matrices, u, out=out.transpose(1, 0, 2))
        if not raw:
            finish(p, thread, pixels(y[:, i:j]), name, **cut)
    return y


def depthwise(
    p: Plan,
    at: At,
    x: Array,
    name: str,
    stride: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    rows: int = 8,
    raw: bool = False,
    **cut: Any,
) -> Array:
    """A convolution of each channel with a filter of its own."""
    weight = p.weights[f"{name}.weight"]
    filters, _, kh, kw = weight.shape
    _, height, width, _ = x.shape
    h = (height + pads[0] + pads[1] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    w = (width + pads[2] + pads[3] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = p.value(at, len(x), h, w, filters)
    p.step([x], [y])
    # Along a row, filters repeat: where the step is 1, rows need not be told apart.
    long = w if stride[1] == 1 else 1
    u = p.once(name, lambda: np.tile(weight.reshape(filters, kh * kw).T, long))
    for thread, i, j in p.shares(h):
        for top in range(i, j, rows):
            r = min(rows, j - top)
            seen = (r - 1) * stride[0] + dilation[0] * (kh - 1) + 1
            across = (w - 1) * stride[1] + dilation[1] * (kw - 1) + 1
            image, term, total = p.scratch(
                thread, (seen, across, filters), *[(r, w // long, long * filters)] * 2
            )
            fill(p, thread, image, x[0], top * stride[0] - pads[0], -pads[2], 0)
            a, b, c = image.strides
            for k in range(kh * kw):
                corner = image[k // kw * dilation[0] :, k % kw * dilation[1] :]
                steps = (a * stride[0], b * stride[1], c)
                view = as_strided(corner, total.shape, steps)
                p.call(thread, np.multiply, view, u[k], out=term if k else total)
                if k:
                    p.call(thread, np.add, total, term, out=total)
            p.call(thread, np.copyto, y[0, top : top + r], total.reshape(r, w, filters))
        if not raw:
            finish(p, thread, pixels(y[:, i:j]), name, **cut)
    return y


def max_pool(
    p: Plan,
    at: At,
    x: Array,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    ceil: bool = False,
    biases: Sequence[str] = (),
    **cut: Any,
) -> Array:
    """The largest of each window; `biases` are added to it."""
    y = pool(p, np.maximum, -np.inf, at, x, kernel, stride, pads, dilation, ceil)
    for thread, i, j in p.shares(y.shape[1]):
        finish(p, thread, pixels(y[:, i:j]), *biases, **cut)
    return y


def avg_pool(
    p: Plan,
    at: At,
    x: Array,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    ceil: bool = False,
    count_include_pad: bool = True,
) -> Array:
    """The mean of each window; what hangs over the end of the padded input is no part."""
    y = pool(p, np.add, 0.0, at, x, kernel, stride, pads, (1, 1), ceil)
    counts = []
    for axis, windows_ in enumerate(y.shape[1:3]):
        first = np.arange(windows_) * stride[axis] - pads[2 * axis]
        end, size = first + kernel[axis], x.shape[1 + axis]
        if count_include_pad:
            end = np.minimum(end, size + pads[2 * axis + 1])
        else:
            first, end = np.maximum(first, 0), np.minimum(end, size)
        counts.append(end - first)
    divisor = (counts[0][:, None] * counts[1])[:, :, None].astype(p.kind)
    for thread, i, j in p.shares(y.shape[1]):
        p.call(thread, np.divide, y[0, i:j], divisor[i:j], out=y[0, i:j])
    return y


def pool(
    p: Plan,
    combine: np.ufunc,
    empty: float,
    at: At,
    x: Array,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int],
    dilation: tuple[int, int],
    ceil: bool,
) -> Array:
    """Combine the elements of each window: down the columns, then along the rows."""
    _, height, width, channels = x.shape
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    h = windows(height, spans[0], stride[0], pads[0], pads[1], ceil)
    w = windows(width, spans[1], stride[1], pads[2], pads[3], ceil)
    y = p.value(at, 1, h, w, channels)
    p.step([x], [y])
    rows = max(1, 65536 // (width * channels))
    for thread, i, j in p.shares(h):
        for top in range(i, j, rows):
            r = min(rows, j - top)
            (columns,) = p.scratch(thread, (r, width, channels))
            out = y[0, top : top + r]
            for a, b, start, k in (
                (x[0], columns, top * stride[0] - pads[0], 0),
                (columns.swapaxes(0, 1), out.swapaxes(0, 1), -pads[2], 1),
            ):
                places = [start + t * dilation[k] for t in range(kernel[k])]
                sweep(p, thread, combine, empty, a, b, places, stride[k])
    return y


def sweep(
    p: Plan,
    thread: int,
    combine: np.ufunc,
    empty: float,
    x: Array,
    y: Array,
    places: Sequence[int],
    stride: int,
) -> None:
    """Let y[k] be what x[place + k * stride] come to, of all places inside x."""
    ends = [
        (max(0, -(f // stride)), min(len(y), (len(x) - 1 - f) // stride + 1), f)
        for f in places
    ]
    views = [
        (a, b, x[f + a * stride : f + (b - 1) * stride + 1 : stride])
        for a, b, f in ends
        if a < b
    ]
    views.sort(key=lambda view: view[0] - view[1])
    complete = [view for a, b, view in views if b - a == len(y)]
    if len(complete) > 1:
        p.call(thread, combine, *complete[:2], out=y)
    elif complete:
        p.call(thread, np.copyto, y, complete[0])
    else:
        p.call(thread, y.fill, empty)
    for a, b, view in views[min(2, len(complete)) :]:
        p.call(thread, combine, y[a:b], view, out=y[a:b])


def global_avg_pool(p: Plan, at: At, x: Array) -> Array:
    """The mean of each channel: (N, C)."""
    y, size = p.value(at, 1, x.shape[3]), x.shape[1] * x.shape[2]
    p.step([x], [y])
    share = p.once(("mean", size), lambda: np.full((1, size), 1 / size))
    for thread, i, j in p.shares(x.shape[3]):
        p.call(thread, np.matmul, share, pixels(x)[:, i:j], out=y[:, i:j])
    return y


def concat(
    p: Plan, at: At, *xs: Array, biases: Sequence[str] = (), **cut: Any
) -> Array:
    """Channels one behind the other; what lies there already is not copied."""
    ends = np.cumsum([0, *(x.shape[-1] for x in xs)]).tolist()
    y = p.value(at, *xs[0].shape[:-1], ends[-1])
    p.step(xs, [y])
    for thread, i, j in p.shares(y[..., 0].size):
        for x, first, end in zip(xs, ends, ends[1:], strict=False):
            there = y[..., first:end]
            if there.ctypes.data != x.ctypes.data:
                p.call(thread, np.copyto, pixels(there)[i:j], pixels(x)[i:j])
        finish(p, thread, pixels(y)[i:j], *biases, **cut)
    return y


def combine(p: Plan, at: At, function: np.ufunc, *xs: Array, **cut: Any) -> Array:
    """A function of two numbers, from the first array to the last."""
    y = p.value(at, *xs[0].shape)
    p.step(xs, [y])
    for thread, i, j in p.shares(y[..., 0].size):
        first, *others = (pixels(x)[i:j] for x in xs)
        for other in others:
            p.call(thread, function, first, other, out=pixels(y)[i:j])
            first = pixels(y)[i:j]
        finish(p, thread, pixels(y)[i:j], **cut)
    return y


def rectify(p: Plan, at: At, x: Array, **cut: Any) -> Array:
    """Cut off below 0, or above `top`."""
    y = p.value(at, *x.shape)
    p.step([x], [y])
    for thread, i, j in p.shares(y[..., 0].size):
        if y.ctypes.data != x.ctypes.data:
            p.call(thread, np.copyto, pixels(y)[i:j], pixels(x)[i:j])
        finish(p, thread, pixels(y)[i:j], **cut)
    return y


def normalize(
    p: Plan, at: At, x: Array, name: str, eps: float = 1e-5, **cut: Any
) -> Array:
    """Batch norm by running statistics."""
    factor, shift = norm(p, name, eps)
    factor = p.once((name, "factor"), lambda: factor)
    shift = p.once((name, "shift"), lambda: shift)
    y = p.value(at, *x.shape)
    p.step([x], [y])
    for thread, i, j in p.shares(y[..., 0].size):
        out = pixels(y)[i:j]
        p.call(thread, np.multiply, pixels(x)[i:j], factor, out=out)
        p.call(thread, np.add, out, shift, out=out)
        finish(p, thread, out, **cut)
    return y


def norm(p: Plan, name: str, eps: float) -> tuple[Array, Array]:
    """The factor and the shift of each channel that a batch norm comes to."""
    w = {k.removeprefix(name): v.astype(np.float64) for k, v in p.weights.items()}
    factor = w.get(".weight", 1.0) / np.sqrt(w[".running_var"] + eps)
    return factor, w.get(".bias", 0.0) - w[".running_mean"] * factor


def fold(p: Plan, name: str, norm_name: str, eps: float = 1e-5) -> None:
    """Multiply a batch norm into the weights of the layer before it."""
    factor, shift = norm(p, norm_name, eps)
    weight = p.weights[f"{name}.weight"]
    shape = (-1, *[1] * (weight.ndim - 1))
    p.weights[f"{name}.weight"] = weight * factor.reshape(shape)
    p.weights[f"{name}.bias"] = p.weights.get(f"{name}.bias", 0.0) * factor + shift


def flatten(p: Plan, at: At, x: Array) -> Array:
    """(N, H, W, C) as (N, C * H * W)."""
    y = p.value(at, 1, x.size)
    return plain(p, at, lambda a: a.reshape(1, -1), x) if x.ndim == 4 else y


def plain(
    p: Plan, at: At | list[int], function: Callable[..., Any], *xs: Array
) -> Any:
    """What a function makes of arrays (N, C, H, W) or (N, F): one array or several."""
    views = [x.transpose(0, 3, 1, 2) if x.ndim == 4 else x for x in xs]
    found = function(*(np.zeros(v.shape, v.dtype) for v in views))
    slots = at if isinstance(at, list) else [at]
    results = [
        p.value(slot, *y.shape[:1], *y.shape[2:], *y.shape[1:2], kind=y.dtype)
        for slot, y in zip(slots, found if isinstance(at, list) else [found], strict=True)
    ]
    p.step(xs, results)

    def compute() -> None:
        found = function(*views)
        for y, new in zip(results, found if isinstance(at, list) else [found], strict=True):
            y[...] = new.transpose(0, 2, 3, 1) if new.ndim == 4 else new

    for thread, _, _ in p.shares(1):
        p.call(thread, compute)
    return results if isinstance(at, list) else results[0]
