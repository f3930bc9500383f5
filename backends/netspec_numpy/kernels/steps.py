"""Poolings, concats and the rest of what networks are made of, as calls of a plan.

As in `products.py`, values carry biases that are still to be added.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from netspec_numpy.kernels.arrays import Array, At, Then, Value
from netspec_numpy.kernels.plan import Plan
from netspec_numpy.kernels.products import pixels, strip
from netspec_numpy.kernels.windows import windows


def relu(p: Plan, task: int, x: Array, bias: Array) -> None:
    """Cut off pixels (P, C) where they and their bias come below 0."""
    in_rows(p, task, np.maximum, x, -bias)


def relu6(p: Plan, task: int, x: Array, bias: Array) -> None:
    """Cut off pixels (P, C) where they and their bias come below 0 or above 6."""
    in_rows(p, task, np.maximum, x, -bias)
    in_rows(p, task, np.minimum, x, 6 - bias)


def in_rows(p: Plan, task: int, function: np.ufunc, x: Array, y: Array) -> None:
    """Apply a function of two numbers to each pixel of (P, C) and to (C,), in place."""
    # NumPy is fast on long rows: several pixels are put together.
    long = max(1, 2048 // len(y)) if x.flags.c_contiguous else 1
    whole, row = len(x) // long * long, np.tile(y, long)
    for part in (x[:whole].reshape(-1, len(row)), x[whole:].reshape(1, -1)):
        if part.size:
            p.call(task, function, part, row[: part.shape[1]], out=part)


def max_pool(
    p: Plan,
    at: At,
    x: Value,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    ceil: bool = False,
    then: Then | None = None,
) -> Value:
    """The largest of each window."""
    y = pooled(p, at, x, kernel, stride, pads, ceil)
    around = np.full(len(x.bias), -np.inf)
    for task, i, j in pool(p, x, y, np.maximum, kernel, stride, pads, around):
        if then:
            then(p, task, pixels(y.data[:, i:j]), y.bias)
    return y


def avg_pool(
    p: Plan,
    at: At,
    x: Value,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
    ceil: bool = False,
    count_include_pad: bool = True,
) -> Value:
    """The mean of each window, without what hangs over the end of the padded input."""
    y = pooled(p, at, x, kernel, stride, pads, ceil)
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
    around = -x.bias if count_include_pad else 0 * x.bias
    for task, i, j in pool(p, x, y, np.add, kernel, stride, pads, around):
        p.call(task, np.divide, y.data[0, i:j], divisor[i:j], out=y.data[0, i:j])
    return y


def pooled(
    p: Plan,
    at: At,
    x: Value,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int],
    ceil: bool,
) -> Value:
    """The value that a pooling has."""
    _, height, width, channels = x.data.shape
    h = windows(height, kernel[0], stride[0], *pads[:2], ceil)
    w = windows(width, kernel[1], stride[1], *pads[2:], ceil)
    return p.value(at, (h, w, channels), x.bias)


def pool(
    p: Plan,
    x: Value,
    y: Value,
    function: np.ufunc,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pads: tuple[int, int, int, int],
    around: Array,
) -> Iterator[tuple[int, int, int]]:
    """Combine what windows see: down the columns, then along rows. Yields the tasks."""
    _, height, width, channels = x.data.shape
    h, w = y.data.shape[1:3]
    for task, i, j in p.tasks([x], [y], h, max(1, 2**16 // (width * channels))):
        top, left = i * stride[0] - pads[0], -pads[2]
        down = min((j - i - 1) * stride[0] + kernel[0], height + pads[1] - top)
        across = min((w - 1) * stride[1] + kernel[1], width + pads[3] - left)
        image = strip(p, task, x, (top, left), (down, across), around)
        (columns,) = p.scratch(task, (j - i, across, channels))
        across_rows = columns.swapaxes(0, 1), y.data[0, i:j].swapaxes(0, 1)
        combine(p, task, function, image, columns, kernel[0], stride[0])
        combine(p, task, function, *across_rows, kernel[1], stride[1])
        yield task, i, j


def combine(
    p: Plan,
    task: int,
    function: np.ufunc,
    x: Array,
    y: Array,
    kernel: int,
    stride: int,
) -> None:
    """Combine `kernel` elements of x, from every `stride`-th on, to one of y."""
    first, *others = (x[k::stride][: len(y)] for k in range(kernel))
    if others and len(others[0]) == len(y):
        p.call(task, function, first, others.pop(0), out=y)
    else:
        p.call(task, np.copyto, y, first)
    for other in others:  # the last windows may hang over the end
        p.call(task, function, y[: len(other)], other, out=y[: len(other)])


def global_avg_pool(p: Plan, at: At, x: Value) -> Value:
    """The mean of each channel: (N, C)."""
    size, channels = x.data[..., 0].size, x.data.shape[-1]
    y = p.value(at, (channels,), x.bias)
    share = np.full((1, size), 1 / size, p.kind)
    for task, i, j in p.tasks([x], [y], channels):
        p.call(task, np.matmul, share, pixels(x.data)[:, i:j], out=y.data[:, i:j])
    return y


def concat(p: Plan, at: At, *xs: Value, then: Then | None = None) -> Value:
    """Channels one behind the other; what lies there already is not copied."""
    bias = np.concatenate([x.bias for x in xs])
    y = p.value(at, (*xs[0].data.shape[1:-1], len(bias)), bias, xs[0].data.dtype)
    ends = np.cumsum([0, *(len(x.bias) for x in xs)]).tolist()
    for task, i, j in p.tasks(xs, [y], y.data[..., 0].size):
        for x, (first, last) in zip(xs, pairwise(ends), strict=True):
            there = y.data[..., first:last]
            if there.ctypes.data != x.data.ctypes.data:
                p.call(task, np.copyto, pixels(there)[i:j], pixels(x.data)[i:j])
        if then:
            then(p, task, pixels(y.data)[i:j], bias)
    return y


def arithmetic(
    p: Plan, at: At, function: np.ufunc, *xs: Value, then: Then | None = None
) -> Value:
    """Add or subtract, from the first value to the last."""
    bias = xs[0].bias
    for x in xs[1:]:
        bias = function(bias, x.bias)
    y = p.value(at, xs[0].data.shape[1:], bias, xs[0].data.dtype)
    for task, i, j in p.tasks(xs, [y], y.data[..., 0].size):
        first, *others = (pixels(x.data)[i:j] for x in xs)
        for other in others:
            p.call(task, function, first, other, out=pixels(y.data)[i:j])
            first = pixels(y.data)[i:j]
        if then:
            then(p, task, pixels(y.data)[i:j], bias)
    return y


def normalize(
    p: Plan, at: At, x: Value, name: str, eps: float = 1e-5, then: Then | None = None
) -> Value:
    """Batch norm by running statistics."""
    factor, shift = norm(p, name, eps)
    bias = (x.bias * factor + shift).astype(p.kind)
    y = p.value(at, x.data.shape[1:], bias)
    for task, i, j in p.tasks([x], [y], y.data[..., 0].size):
        out = pixels(y.data)[i:j]
        p.call(task, np.multiply, pixels(x.data)[i:j], factor.astype(p.kind), out=out)
        if then:
            then(p, task, out, bias)
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


def plain(p: Plan, at: At | list[At], function: Callable[..., Any], *xs: Value) -> Any:
    """What a function makes of arrays (N, C, H, W) or (N, F): one value or several."""

    several = isinstance(at, list)

    def compute(arrays: Iterable[Array]) -> Sequence[Array]:
        found = function(*(np.moveaxis(a, -1, 1) for a in arrays))
        return found if several else [found]

    def write() -> None:
        found = compute(x.data + x.bias for x in xs)
        for y, new in zip(results, found, strict=True):
            y.data[...] = np.moveaxis(new, 1, -1)

    samples = compute(np.zeros(x.data.shape, x.data.dtype) for x in xs)
    shapes = [np.moveaxis(new, 1, -1).shape[1:] for new in samples]
    slots = at if isinstance(at, list) else [at]
    results = [
        p.value(slot, shape, kind=new.dtype)
        for slot, shape, new in zip(slots, shapes, samples, strict=True)
    ]
    for task, _, _ in p.tasks(xs, results, 1):
        p.call(task, write)
    return results if several else results[0]
