"""Poolings, concats and the rest of what networks are made of, as calls of a plan.

As in `products.py`, values carry biases that are still to be added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np

from netspec_numpy.kernels.arrays import Array, At, Pads, Pair, Then, Value
from netspec_numpy.kernels.plan import Plan
from netspec_numpy.kernels.products import finish, pixels, strip
from netspec_numpy.kernels.windows import windows


def pool(
    p: Plan,
    at: At,
    x: Value,
    function: np.ufunc,
    kernel: Pair,
    stride: Pair,
    pads: Pads = (0, 0, 0, 0),
    ceil: bool = False,
    around: float | None = -np.inf,
    then: Then = None,
) -> Value:
    """Windows combined by a function: down the columns first, then along the rows."""
    _, height, width, channels = x.data.shape
    h, w = windows((height, width), kernel, stride, pads, ceil)
    y = p.value(at, (h, w, channels), x.bias)
    for i, j in p.tasks(h):
        top, end = i * stride[0], (j - 1) * stride[0] + kernel[0]
        rows = min(end, pads[0] + height + pads[1]) - top
        image = strip(p, x, pads, top, rows, around)
        columns = p.room((p.task, 0), (j - i, *image.shape[1:]))
        combine(p, function, image, columns, kernel[0], stride[0])
        a, b = columns.swapaxes(0, 1), y.data[0, i:j].swapaxes(0, 1)
        combine(p, function, a, b, kernel[1], stride[1])
        if then:
            then(p, pixels(y.data, i, j), y.bias)
    return y


def combine(p: Plan, f: np.ufunc, x: Array, y: Array, size: int, step: int) -> None:
    """Combine `size` elements of x, from every `step`-th on, to one of y."""
    first, *others = (x[k::step][: len(y)] for k in range(size))
    if others and len(others[0]) == len(y):
        p.call(f, first, others.pop(0), out=y)
    else:
        p.call(np.copyto, y, first)
    for other in others:  # the last windows may hang over the end
        p.call(f, y[: len(other)], other, out=y[: len(other)])


def avg_pool(
    p: Plan,
    at: At,
    x: Value,
    kernel: Pair,
    stride: Pair,
    pads: Pads = (0, 0, 0, 0),
    ceil: bool = False,
    count_include_pad: bool = True,
) -> Value:
    """The mean of each window, without what hangs over the end of the padded input."""
    around = None if count_include_pad else 0.0
    y = pool(p, at, x, np.add, kernel, stride, pads, ceil, around)
    counts = []
    for axis, places in enumerate(y.data.shape[1:3]):
        first = np.arange(places) * stride[axis] - pads[2 * axis]
        end, size = first + kernel[axis], x.data.shape[1 + axis]
        if count_include_pad:
            end = np.minimum(end, size + pads[2 * axis + 1])
        else:
            first, end = np.maximum(first, 0), np.minimum(end, size)
        counts.append(end - first)
    divisor = (counts[0][:, None] * counts[1])[:, :, None].astype(p.kind)
    for i, j in p.tasks(len(divisor)):
        p.call(np.divide, y.data[0, i:j], divisor[i:j], out=y.data[0, i:j])
    return y


def global_avg_pool(p: Plan, at: At, x: Value) -> Value:
    """The mean of each channel: (N, C)."""
    size, channels = x.data[..., 0].size, x.data.shape[-1]
    y = p.value(at, (channels,), x.bias)
    share = np.full((1, size), 1 / size, p.kind)
    for i, j in p.tasks(channels):
        p.call(np.matmul, share, pixels(x.data)[:, i:j], out=y.data[:, i:j])
    return y


def concat(p: Plan, at: At, *xs: Value, then: Then = None) -> Value:
    """Channels one behind the other; what lies there already is not copied."""
    bias = np.concatenate([x.bias for x in xs])
    y = p.value(at, (*xs[0].data.shape[1:-1], len(bias)), bias, xs[0].data.dtype)
    ends = np.cumsum([0, *(len(x.bias) for x in xs)]).tolist()
    for i, j in p.rows(y.data):
        for x, (first, last) in zip(xs, pairwise(ends), strict=True):
            there = y.data[..., first:last]
            if there.ctypes.data != x.data.ctypes.data:
                p.call(np.copyto, pixels(there, i, j), pixels(x.data, i, j))
        if then:
            then(p, pixels(y.data, i, j), bias)
    return y


def arithmetic(
    p: Plan, at: At, function: np.ufunc, *xs: Value, then: Then = None
) -> Value:
    """Add or subtract, from the first value to the last."""
    bias = xs[0].bias
    for x in xs[1:]:
        bias = function(bias, x.bias)
    y = p.value(at, xs[0].data.shape[1:], bias, xs[0].data.dtype)
    for i, j in p.rows(y.data):
        first, *others = (pixels(x.data, i, j) for x in xs)
        for other in others:
            p.call(function, first, other, out=pixels(y.data, i, j))
            first = pixels(y.data, i, j)
        if then:
            then(p, pixels(y.data, i, j), bias)
    return y


def normalize(
    p: Plan, at: At, x: Value, name: str, eps: float = 1e-5, then: Then = None
) -> Value:
    """Batch norm by running statistics."""
    factor, shift = norm(p, name, eps)
    bias = (x.bias * factor + shift).astype(p.kind)
    left = x.bias.any()
    y = p.value(at, x.data.shape[1:], None if left else bias)
    for i, j in p.rows(y.data):
        out = pixels(y.data, i, j)
        p.call(np.multiply, pixels(x.data, i, j), factor.astype(p.kind), out=out)
        finish(p, out, bias * left, y.bias, then)
    return y


def norm(p: Plan, name: str, eps: float) -> tuple[Array, Array]:
    """The factor and the shift of each channel that a batch norm comes to."""
    mean, variance = (p.weights[f"{name}.running_{s}"] for s in ("mean", "var"))
    factor = np.asarray(1 / np.sqrt(variance.astype(np.float64) + eps))
    factor *= p.weights.get(f"{name}.weight", 1.0)
    return factor, p.weights.get(f"{name}.bias", 0.0) - mean * factor


def fold(p: Plan, name: str, after: str, eps: float = 1e-5) -> None:
    """Multiply a batch norm into the weights of the layer before it."""
    if name not in p.made:  # else they have been rearranged already
        weight, (factor, shift) = p.weights[f"{name}.weight"], norm(p, after, eps)
        bias = p.weights.get(f"{name}.bias", 0.0) * factor + shift
        factor = factor.reshape(-1, *[1] * (weight.ndim - 1))
        weight = np.multiply(weight, factor, dtype=p.kind)
        p.weights |= {f"{name}.weight": weight, f"{name}.bias": bias}


def plain(p: Plan, at: At, function: Callable[..., Array], *xs: Value) -> Value:
    """What a function makes of arrays (N, C, H, W) or (N, F)."""
    views, biases = zip(*(x.channels_first() for x in xs), strict=True)

    def compute(y: Array, *views: Array) -> None:
        y[...] = function(*map(np.add, views, biases))

    sample = function(*(np.zeros(v.shape, v.dtype) for v in views))
    y = p.like(at, sample)
    for _ in p.tasks(1):
        p.call(compute, y.channels_first()[0], *views)
    return y


def several(
    p: Plan, at: Sequence[At], function: Callable[..., Sequence[Array]], x: Value
) -> list[Value]:
    """What a function makes of an array, where that is several."""
    view, bias = x.channels_first()
    found: list[Array] = []

    def compute(found: list[Array], view: Array) -> None:
        found[:] = function(view + bias)

    def put(y: Array) -> None:
        y[...] = found.pop(0)

    compute(found, np.zeros(view.shape, view.dtype))
    ys = [p.like(place, y) for place, y in zip(at, found, strict=True)]
    for _ in p.tasks(1):
        p.call(compute, found, view)
        for y in ys:
            p.call(put, y.channels_first()[0])
    return ys
