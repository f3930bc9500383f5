"""What networks are made of, as calls of a plan: arrays are (N, H, W, C) or (N, F).

Each function lays out one step: it makes the array of its result in slot `at`, adds
calls that compute it, and returns it. Rows of the result are divided among the threads.
`end` is what `finish` takes. Convolutions that are `raw` leave their biases to the
max pooling or concat that comes next.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from netspec_numpy.kernels.arrays import Array, At
from netspec_numpy.kernels.plan import Plan
from netspec_numpy.kernels.windows import windows


def finish(
    p: Plan, thread: int, y: Array, *names: str, relu: bool = False, top: float = 0
) -> None:
    """Add the biases of layers to pixels (P, C); cut off below 0 and above `top`."""
    # NumPy is fast on long rows: several pixels are put together.
    long = max(1, 2048 // y.shape[1]) if y.flags.c_contiguous else 1
    whole = len(y) // long * long
    biases = [b for b in map(p.bias, names) if b is not None]
    for piece in (y[:whole].reshape(-1, long * y.shape[1]), y[whole:].reshape(1, -1)):
        width = piece.shape[1]
        if biases and piece.size:
            bias = p.once(names, lambda: np.tile(np.concatenate(biases), long))
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


def pointwise(
    p: Plan, at: At, x: Array, name: str, raw: bool = False, **end: Any
) -> Array:
    """A 1x1 convolution or linear layer: one matrix product over all pixels."""
    weight = p.weight(name)
    if x.shape[-1] != weight.shape[1]:
        raise ValueError(f"{name} takes {weight.shape[1]} elements, not {x.shape[-1]}")
    w = p.once(name, lambda: weight.reshape(len(weight), -1).T)
    y = p.value(at, *x.shape[:-1], len(weight), names=[name] if raw else [])
    p.step([x], [y])
    a, b = pixels(x), pixels(y)
    wide = len(weight) > len(a)  # then the filters are divided, not the pixels
    for thread, i, j in p.shares(len(weight) if wide else len(a)):
        if wide:
            p.call(thread, np.matmul, a, w[:, i:j], out=b[:, i:j])
        else:
            p.call(thread, np.matmul, a[i:j], w, out=b[i:j])
            finish(p, thread, b[i:j], *([] if raw else [name]), **end)
    if wide and not raw:
        p.step([y], [y])
        for thread, i, j in p.shares(len(a)):
            finish(p, thread, b[i:j], name, **end)
    return y


def winograd(
    p: Plan,
    at: At,
    x: Array,
    name: str,
    pads: tuple[int, int, int, int] = (1, 1, 1, 1),
    raw: bool = False,
    **end: Any,
) -> Array:
    """A 3x3 convolution by tiles of 3x3 results: 25 products where there would be 81.

    F(3x3, 3x3) of Lavin and Gray, 2016, arXiv:1509.09308: polynomials are multiplied by
    their values at 0, 1, -1, 2 and infinity. Some rows of tiles and some filters are
    computed at once, so that all stays in the cache.
    """
    weight = p.weight(name)
    filters, channels = weight.shape[:2]
    before = [[2, -1, -2, 1, 0], [0, 2, 1, -1, 0], [0, -2, 3, -1, 0]]
    before += [[0, -1, 0, 1, 0], [0, 2, -1, -2, 1]]
    inner = np.array([[3, 0, 0], [3, 3, 3], [1, -1, 1], [1, 2, 4], [0, 0, 6]]) / 6
    after = [[1, 1, 1, 1, 0], [0, 1, -1, 2, 0], [0, 1, 1, 4, 1]]
    first = p.once("before", lambda: np.kron(before, before))
    last = p.once("after", lambda: np.kron(after, after))
    blocks = {
        f: p.once((name, f), partial(transform, inner, weight[f : f + 128]))
        for f in range(0, filters, 128)
    }
    height = x.shape[1] + pads[0] + pads[1] - 2
    width = x.shape[2] + pads[2] + pads[3] - 2
    y = p.value(at, 1, height, width, filters, names=[name] if raw else [])
    p.step([x], [y])
    down, across = -(-height // 3), -(-width // 3)
    rows = max(1, 160 // across)
    for thread, i, j in p.shares(down):
        for top in range(i, j, rows):
            r = min(rows, j - top)
            n, wide = r * across, min(128, filters)
            image, v, m, out = p.scratch(
                thread,
                (3 * r + 2, 3 * across + 2, channels),
                (25, n, channels),
                (25 * n * max(channels, wide),),
                (9 * n * wide,),
            )
            fill(p, thread, image, x[0], 3 * top - pads[0], -pads[2])
            d = m[: v.size].reshape(v.shape)
            tiles = d.reshape(5, 5, r, across, channels)
            p.call(thread, np.copyto, tiles, tiled(image, tiles.shape))
            by_parts(p, thread, first, d, v)
            for f, block in blocks.items():
                size = block.shape[2]
                values = m[: 25 * n * size].reshape(25, n, size)
                p.call(thread, np.matmul, v, block, out=values)
                tiles = out[: 9 * n * size].reshape(3, 3, r, across, size)
                by_parts(p, thread, last, values, tiles.reshape(9, n, size))
                target = y[0, 3 * top : 3 * (top + r), :, f : f + size]
                if target.shape[:2] == (3 * r, 3 * across):
                    p.call(thread, np.copyto, tiled(target, tiles.shape), tiles)
                else:  # some tiles stand over
                    whole = m[: tiles.size].reshape(3 * r, 3 * across, size)
                    p.call(thread, np.copyto, tiled(whole, tiles.shape), tiles)
                    p.call(thread, np.copyto, target, whole[: len(target), :width])
        if not raw:
            finish(p, thread, pixels(y[:, 3 * i : 3 * j]), name, **end)
    return y


def transform(inner: Array, weight: Array) -> Array:
    """Filters (F, C, 3, 3) as (25, C, F), their values at pairs of points."""
    u: Array = np.einsum("ai,bj,fcij->abcf", inner, inner, weight, optimize=True)
    return u.reshape(25, *u.shape[2:])


def fill(
    p: Plan, thread: int, y: Array, x: Array, top: int, left: int, around: float = 0
) -> None:
    """Fill (H, W, C) with what an image has from (top, left) on, and around it."""
    a, b = max(top, 0), max(min(top + len(y), len(x)), 0)
    c, d = max(left, 0), max(min(left + y.shape[1], x.shape[1]), 0)
    if (b - a, d - c) != y.shape[:2]:
        p.call(thread, y.fill, around)
    if a < b and c < d:
        inside = y[a - top : b - top, c - left : d - left]
        p.call(thread, np.copyto, inside, x[a:b, c:d])


def tiled(x: Array, shape: tuple[int, ...]) -> Array:
    """Tiles of (H, W, C), at every third place, as (side, side, rows, across, C)."""
    a, b, c = x.strides
    return as_strided(x, shape, (a, b, 3 * a, 3 * b, c))


def by_parts(p: Plan, thread: int, matrix: Array, x: Array, y: Array) -> None:
    """Multiply a small matrix by (K, tiles, C), by so few tiles that BLAS is fast."""
    _, tiles, channels = x.shape
    most = max(1, 1_000_000 // (matrix.size * channels))
    size = max(n for n in range(1, min(tiles, most) + 1) if tiles % n == 0)
    a, b = (z.reshape(len(z), -1, size * channels).transpose(1, 0, 2) for z in (x, y))
    p.call(thread, np.matmul, matrix, a, out=b)


def convolve(
    p: Plan,
    at: At,
    x: Array,
    name: str,
    stride: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    raw: bool = False,
    **end: Any,
) -> Array:
    """A convolution: what the filters see in some rows is gathered, then multiplied."""
    weight = p.weight(name)
    filters, channels, kh, kw = weight.shape
    h = windows(x.shape[1], dilation[0] * (kh - 1) + 1, stride[0], *pads[:2], False)
    w = windows(x.shape[2], dilation[1] * (kw - 1) + 1, stride[1], *pads[2:], False)
    y = p.value(at, 1, h, w, filters, names=[name] if raw else [])
    p.step([x], [y])

    def columns() -> Array:
        parts = weight.reshape(groups, -1, channels, kh, kw).transpose(0, 3, 4, 2, 1)
        return parts.reshape(groups, kh * kw * channels, -1)

    u = p.once(name, columns)
    rows = max(1, 2**18 // (w * u[..., 0].size))
    for thread, i, j in p.shares(h):
        for top in range(i, j, rows):
            r = min(rows, j - top)
            down = (r - 1) * stride[0] + dilation[0] * (kh - 1) + 1
            across = (w - 1) * stride[1] + dilation[1] * (kw - 1) + 1
            shapes = (down, across, x.shape[3]), (groups, r, w, kh, kw, channels)
            image, patches = p.scratch(thread, *shapes)
            start = top * stride[0] - pads[0]
            if any(pads):
                fill(p, thread, image, x[0], start, -pads[2])
            else:
                image = x[0, start:]
            a, b, c = image.strides
            steps = [c * channels, a * stride[0], b * stride[1]]
            steps += [a * dilation[0], b * dilation[1], c]
            p.call(thread, np.copyto, patches, as_strided(image, patches.shape, steps))
            out = pixels(y[:, top : top + r]).reshape(r * w, groups, -1)
            patches = patches.reshape(groups, r * w, -1)
            p.call(thread, np.matmul, patches, u, out=out.transpose(1, 0, 2))
        if not raw:
            finish(p, thread, pixels(y[:, i:j]), name, **end)
    return y


def convolve_depthwise(
    p: Plan,
    at: At,
    x: Array,
    name: str,
    stride: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    dilation: tuple[int, int] = (1, 1),
    raw: bool = False,
    **end: Any,
) -> Array:
    """A convolution of each channel with a filter of its own."""
    weight = p.weight(name)
    filters, _, kh, kw = weight.shape
    h = windows(x.shape[1], dilation[0] * (kh - 1) + 1, stride[0], *pads[:2], False)
    w = windows(x.shape[2], dilation[1] * (kw - 1) + 1, stride[1], *pads[2:], False)
    y = p.value(at, 1, h, w, filters, names=[name] if raw else [])
    p.step([x], [y])
    # Where the step is 1, a row of pixels is computed like one long pixel.
    long = w if stride[1] == 1 else 1
    taps = weight.reshape(filters, kh * kw).T
    u = p.once(name, lambda: np.tile(taps, long))
    rows = max(1, 2**15 // (w * filters))
    for thread, i, j in p.shares(h):
        for top in range(i, j, rows):
            r = min(rows, j - top)
            down = (r - 1) * stride[0] + dilation[0] * (kh - 1) + 1
            across = (w - 1) * stride[1] + dilation[1] * (kw - 1) + 1
            shape = (r, w // long, long * filters)
            image, term, total = p.scratch(
                thread, (down, across, filters), shape, shape
            )
            fill(p, thread, image, x[0], top * stride[0] - pads[0], -pads[2])
            a, b, c = image.strides
            for k in range(kh * kw):
                corner = image[k // kw * dilation[0] :, k % kw * dilation[1] :]
                view = as_strided(corner, shape, (a * stride[0], b * stride[1], c))
                p.call(thread, np.multiply, view, u[k], out=term if k else total)
                if k:
                    p.call(thread, np.add, total, term, out=total)
            p.call(thread, np.copyto, y[0, top : top + r], total.reshape(r, w, filters))
        if not raw:
            finish(p, thread, pixels(y[:, i:j]), name, **end)
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
    **end: Any,
) -> Array:
    """The largest of each window."""
    y = pooled(p, at, x, kernel, stride, pads, dilation, ceil)
    for thread, i, j in p.shares(y.shape[1]):
        window = (np.maximum, -np.inf, kernel, stride, pads, dilation)
        pool(p, thread, x[0], y[0], range(i, j), *window)
        finish(p, thread, pixels(y[:, i:j]), *p.names(x), **end)
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
    """The mean of each window, without what hangs over the end of the padded input."""
    y = pooled(p, at, x, kernel, stride, pads, (1, 1), ceil)
    counts = []
    for axis, places in enumerate(y.shape[1:3]):
        first = np.arange(places) * stride[axis] - pads[2 * axis]
        end, size = first + kernel[axis], x.shape[1 + axis]
        if count_include_pad:
            end = np.minimum(end, size + pads[2 * axis + 1])
        else:
            first, end = np.maximum(first, 0), np.minimum(end, size)
        counts.append(end - first)
    divisor = (counts[0][:, None] * counts[1])[:, :, None].astype(p.kind)
    for thread, i, j in p.shares(y.shape[1]):
        window = (np.add, 0.0, kernel, stride, pads, (1, 1))
        pool(p, thread, x[0], y[0], range(i, j), *window)
        p.call(thread, np.divide, y[0, i:j], divisor[i:j], out=y[0, i:j])
    return y


def pooled(
    p: Plan,
    at: At,
    x: Array,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int],
    dilation: tuple[int, int],
    ceil: bool,
) -> Array:
    """The array for the result of a pooling."""
    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    h = windows(x.shape[1], spans[0], stride[0], *pads[:2], ceil)
    w = windows(x.shape[2], spans[1], stride[1], *pads[2:], ceil)
    y = p.value(at, 1, h, w, x.shape[3])
    p.step([x], [y])
    return y


def pool(
    p: Plan,
    thread: int,
    x: Array,
    y: Array,
    rows: range,
    combine: np.ufunc,
    empty: float,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int],
    dilation: tuple[int, int],
) -> None:
    """Combine the elements of windows (H, W, C): down the columns, then along rows."""
    most = max(1, 2**16 // x[0].size)
    for top in rows[::most]:
        out = y[top : min(top + most, rows.stop)]
        (columns,) = p.scratch(thread, (len(out), *x.shape[1:]))
        for a, b, start, k in (
            (x, columns, top * stride[0] - pads[0], 0),
            (columns.swapaxes(0, 1), out.swapaxes(0, 1), -pads[2], 1),
        ):
            places = range(start, start + kernel[k] * dilation[k], dilation[k])
            views = seen_inside(a, len(b), places, stride[k])
            whole = [view for span, view in views if len(b) == len(span)]
            if len(whole) > 1:
                p.call(thread, combine, whole[0], whole[1], out=b)
            elif whole:
                p.call(thread, np.copyto, b, whole[0])
            else:
                p.call(thread, b.fill, empty)
            for span, view in views[min(2, len(whole)) :]:
                part = b[span.start : span.stop]
                p.call(thread, combine, part, view, out=part)


def seen_inside(
    x: Array, count: int, places: range, stride: int
) -> list[tuple[range, Array]]:
    """For each place, which k < `count` have place + k * stride inside, and those rows.

    The places with the most of them come first.
    """
    views = []
    for f in places:
        a, b = max(0, -(f // stride)), min(count, (len(x) - 1 - f) // stride + 1)
        if a < b:
            view = x[f + a * stride : f + (b - 1) * stride + 1 : stride]
            views.append((range(a, b), view))
    return sorted(views, key=lambda view: -len(view[0]))


def global_avg_pool(p: Plan, at: At, x: Array) -> Array:
    """The mean of each channel: (N, C)."""
    y, size = p.value(at, 1, x.shape[3]), x.shape[1] * x.shape[2]
    p.step([x], [y])
    share = p.once(("mean", size), lambda: np.full((1, size), 1 / size))
    for thread, i, j in p.shares(x.shape[3]):
        p.call(thread, np.matmul, share, pixels(x)[:, i:j], out=y[:, i:j])
    return y


def concat(p: Plan, at: At, *xs: Array, **end: Any) -> Array:
    """Channels one behind the other; what lies there already is not copied."""
    ends = np.cumsum([0, *(x.shape[-1] for x in xs)]).tolist()
    y = p.value(at, *xs[0].shape[:-1], ends[-1], kind=xs[0].dtype)
    names = [name for x in xs for name in p.names(x)]
    p.step(xs, [y])
    for thread, i, j in p.shares(y[..., 0].size):
        for x, (first, last) in zip(xs, pairwise(ends), strict=True):
            there = y[..., first:last]
            if there.ctypes.data != x.ctypes.data:
                p.call(thread, np.copyto, pixels(there)[i:j], pixels(x)[i:j])
        finish(p, thread, pixels(y)[i:j], *names, **end)
    return y


def arithmetic(p: Plan, at: At, function: np.ufunc, *xs: Array, **end: Any) -> Array:
    """A function of two numbers, from the first array to the last."""
    y = p.value(at, *xs[0].shape, kind=xs[0].dtype)
    p.step(xs, [y])
    for thread, i, j in p.shares(y[..., 0].size):
        first, *others = (pixels(x)[i:j] for x in xs)
        for other in others:
            p.call(thread, function, first, other, out=pixels(y)[i:j])
            first = pixels(y)[i:j]
        finish(p, thread, pixels(y)[i:j], **end)
    return y


def rectify(p: Plan, at: At, x: Array, **end: Any) -> Array:
    """Cut off below 0, or above `top`."""
    y = p.value(at, *x.shape)
    p.step([x], [y])
    for thread, i, j in p.shares(y[..., 0].size):
        if y.ctypes.data != x.ctypes.data:
            p.call(thread, np.copyto, pixels(y)[i:j], pixels(x)[i:j])
        finish(p, thread, pixels(y)[i:j], **end)
    return y


def normalize(
    p: Plan, at: At, x: Array, name: str, eps: float = 1e-5, **end: Any
) -> Array:
    """Batch norm by running statistics."""
    factor = p.once((name, "factor"), lambda: norm(p, name, eps)[0])
    shift = p.once((name, "shift"), lambda: norm(p, name, eps)[1])
    y = p.value(at, *x.shape)
    p.step([x], [y])
    for thread, i, j in p.shares(y[..., 0].size):
        out = pixels(y)[i:j]
        p.call(thread, np.multiply, pixels(x)[i:j], factor, out=out)
        p.call(thread, np.add, out, shift, out=out)
        finish(p, thread, out, **end)
    return y


def norm(p: Plan, name: str, eps: float) -> tuple[Array, Array]:
    """The factor and the shift of each channel that a batch norm comes to."""
    mean, variance = (p.weights[f"{name}.running_{s}"] for s in ("mean", "var"))
    factor = np.asarray(1 / np.sqrt(variance.astype(np.float64) + eps))
    factor *= p.weights.get(f"{name}.weight", 1.0)
    return factor, p.weights.get(f"{name}.bias", 0.0) - mean * factor


def fold(p: Plan, name: str, after: str, eps: float = 1e-5) -> None:
    """Multiply a batch norm into the weights of the layer before it."""
    p.norms[name] = norm(p, after, eps)


def plain(p: Plan, at: At | list[At], function: Callable[..., Any], *xs: Array) -> Any:
    """What a function makes of arrays (N, C, H, W) or (N, F): one array or several."""
    views = [x.transpose(0, 3, 1, 2) if x.ndim == 4 else x for x in xs]
    found = function(*(np.zeros(v.shape, v.dtype) for v in views))
    several = isinstance(at, list)
    slots = at if isinstance(at, list) else [at]
    results = []
    for slot, y in zip(slots, found if several else [found], strict=True):
        results.append(p.value(slot, *np.moveaxis(y, 1, -1).shape, kind=y.dtype))
    p.step(xs, results)

    def compute() -> None:
        found = function(*views)
        for y, new in zip(results, found if several else [found], strict=True):
            y[...] = np.moveaxis(new, 1, -1)

    for thread, _, _ in p.shares(1):
        p.call(thread, compute)
    return results if several else results[0]
