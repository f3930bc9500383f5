"""Poolings, concats and the rest of what networks are made of, as calls of a plan.

As in `products.py`, values carry biases that are still to be added.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from math import inf
from typing import Any

import numpy as np

from netspec_numpy.kernels.arrays import Array, Then, Value
from netspec_numpy.kernels.plan import Plan
from netspec_numpy.kernels.pooling import max_unpool2d
from netspec_numpy.kernels.products import epilogue, padded_rows, pixels
from netspec_numpy.kernels.windows import Window


def pool(
    p: Plan, x: Value, f: np.ufunc, window: Window, edge: Any = -inf, then: Then = None
) -> Value:
    """Windows combined by a function, with `edge` around: down the columns, then along the rows."""
    y = p.value([x], (*window.counts(*x.data.shape[:2]), x.data.shape[2]), x.bias)
    (kh, kw), (down, right), pads = window[:3]
    for i, j, _ in p.parts(y.data):
        rows = min((j - i - 1) * down + kh, sum(pads[:2]) + len(x.data) - i * down)
        image = padded_rows(p, x, pads, i * down, rows, edge)
        columns = p.buffer((p.task, 0), (j - i, *image.shape[1:]))
        combine(p, f, image, columns, kh, down)
        combine(p, f, columns.swapaxes(0, 1), y.data[i:j].swapaxes(0, 1), kw, right)
        epilogue(p, pixels(y.data, i, j), then, y.bias, np.zeros(1))
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


def avg_pool(p: Plan, x: Value, window: Window, count_include_pad: bool = True) -> Value:
    """The mean of each window, without what hangs over the end of the padded input."""
    y = pool(p, x, np.add, window, None if count_include_pad else 0.0)
    counts = []
    for axis, places in enumerate(y.data.shape[:2]):
        first = np.arange(places) * window.stride[axis] - window.pads[2 * axis]
        end, size = first + window.kernel[axis], x.data.shape[axis]
        if count_include_pad:
            end = np.minimum(end, size + window.pads[2 * axis + 1])
        else:
            first, end = np.maximum(first, 0), np.minimum(end, size)
        counts.append(end - first)
    divisor = (counts[0][:, None] * counts[1])[:, :, None].astype(p.dtype)
    for i, j, _ in p.parts(y.data):
        p.call(np.divide, y.data[i:j], divisor[i:j], out=y.data[i:j])
    return y


def global_avg_pool(p: Plan, x: Value) -> Value:
    """The mean of each channel: (C,)."""
    y, data = p.value([x], x.bias.shape, x.bias), pixels(x.data)
    share = np.full((1, len(data)), 1 / len(data), p.dtype)
    for _, _, f in p.parts(y.data, across=True):
        p.call(np.matmul, share, data[:, f], out=pixels(y.data)[:, f])
    return y


def concat(p: Plan, *xs: Value, then: Then = None) -> Value:
    """Channels one behind the other; what lies there already is not copied."""
    bias, size = np.concatenate([x.bias for x in xs]), xs[0].data.shape[:-1]
    if any(x.data.shape[:-1] != size for x in xs):
        raise ValueError(f"can't join {[x.data.shape for x in xs]}, which differ in size")
    y = p.value(xs, (*size, len(bias)), bias, xs[0].data.dtype, inside=len(xs))
    parts = np.split(y.data, np.cumsum([len(x.bias) for x in xs[:-1]]), axis=-1)
    for i, j, _ in p.parts(y.data):
        for x, target in zip(xs, parts, strict=True):
            if target.ctypes.data != x.data.ctypes.data:
                p.call(np.copyto, pixels(target, i, j), pixels(x.data, i, j))
        epilogue(p, pixels(y.data, i, j), then, bias, np.zeros(1))
    return y


def clip(p: Plan, x: Value, then: Then) -> Value:
    """A value cut off at bounds, where no other step ends with that."""
    return concat(p, x, then=then)


def arithmetic(p: Plan, function: np.ufunc, *xs: Value, then: Then = None) -> Value:
    """Add or subtract, from the first value to the last."""
    bias = reduce(function, (x.bias for x in xs))
    shape, dtype = (*common_size(xs), len(bias)), xs[0].data.dtype
    y = p.value(xs, shape, bias, dtype, inside=int(xs[0].data.shape == shape))
    for i, j, _ in p.parts(y.data):
        rows = np.s_[i:j] if len(shape) == 3 else ...
        first, *others = (x.data if len(x.data) < len(y.data) else x.data[rows] for x in xs)
        for other in others:
            p.call(function, first, other, out=y.data[rows])
            first = y.data[rows]
        epilogue(p, pixels(y.data, i, j), then, bias, np.zeros(1))
    return y


def elementwise(p: Plan, function: np.ufunc, *xs: Value) -> Value:
    """Multiply, divide, or take the largest or smallest, from the first value to the last."""
    common_size(xs)
    return apply(p, lambda *arrays: reduce(function, arrays), *xs)


def common_size(xs: Sequence[Value]) -> tuple[int, ...]:
    """The height and width of values; 1 is as much as the others have, else ValueError."""
    sizes: set[tuple[int, ...]] = {x.data.shape[:-1] for x in xs}
    size = tuple(map(max, zip(*sizes, strict=True)))
    if any(n not in (1, most) for s in sizes for n, most in zip(s, size, strict=True)):
        raise ValueError(f"can't combine values of the sizes {sorted(sizes)}")
    return size


def batch_norm(
    p: Plan, x: Value, name: str, eps: float = 1e-5, affine: bool = True, then: Then = None
) -> Value:
    """Batch norm by running statistics."""
    factor, shift = batch_norm_factors(p, name, len(x.bias), eps, affine)
    bias = (x.bias * factor + shift).astype(p.dtype)
    now = x.bias.any()
    y = p.value([x], x.data.shape, None if now else bias, inside=1)
    for i, j, _ in p.parts(y.data):
        out = pixels(y.data, i, j)
        p.call(np.multiply, pixels(x.data, i, j), factor.astype(p.dtype), out=out)
        epilogue(p, out, then, y.bias, bias * now)
    return y


def batch_norm_factors(
    p: Plan, name: str, channels: int, eps: float, affine: bool
) -> tuple[Array, Array]:
    """The factor and the shift of each channel that a batch norm comes to."""
    weight, bias = (
        p.weight(f"{name}.{s}", channels) if affine else other
        for s, other in (("weight", np.ones(1)), ("bias", np.zeros(1)))
    )
    mean, variance = (p.weight(f"{name}.running_{s}", channels) for s in ("mean", "var"))
    factor = weight / np.sqrt(variance.astype(np.float64) + eps)
    return factor, bias - mean * factor


def fold_batch_norm(
    p: Plan, name: str, after: str, eps: float = 1e-5, affine: bool = True, bias: bool = False
) -> str:
    """Let a layer have the batch norm behind it in its weights; returns the layer's name."""

    def folded(*shape: int) -> tuple[Array, Array]:
        factor, shift = batch_norm_factors(p, after, shape[0], eps, affine)
        weight = p.weight(f"{name}.weight", *shape)
        if bias:
            shift = shift + factor * p.weight(f"{name}.bias", shape[0])
        if not p.dry_run and p.key not in p.cache:  # else they have been rearranged already
            factors = factor.reshape(-1, *[1] * (weight.ndim - 1))
            weight = np.multiply(weight, factors, dtype=p.dtype)
        return weight, shift

    p.folded[name] = after, folded
    return name


def without_bias(p: Plan, name: str) -> str:
    """Say that a layer has no bias of its own; returns its name."""
    p.folded[name] = "", lambda *shape: (p.weight(f"{name}.weight", *shape), np.zeros(1))
    return name


def apply(p: Plan, function: Callable[..., Array], *xs: Value) -> Value:
    """What a function makes of arrays (N, C, H, W) or (N, F)."""
    views, biases = zip(*(x.channels_first() for x in xs), strict=True)

    def compute(y: Array, *views: Array) -> None:
        y[...] = function(*map(np.add, views, biases))

    sample = function(*(np.ones(v.shape, v.dtype) for v in views))[0]
    if not sample.size:
        raise ValueError(f"a value would have the size {sample.shape}")
    y = p.value(xs, (*sample.shape[1:], len(sample)), dtype=views[0].dtype)
    for _ in p.parts(y.bias):
        p.call(compute, y.channels_first()[0], *views)
    return y


def max_unpool(p: Plan, x: Value, indices: Value) -> Value:
    """Each element put back where a pooling found it, in the plane that the pooling had."""
    return apply(p, partial(max_unpool2d, size=indices.plane), x, indices)


def apply_multiple(p: Plan, function: Callable[..., Sequence[Array]], x: Value) -> list[Value]:
    """What a function makes of an array, where that is several."""
    view, bias = x.channels_first()
    found: list[Array] = []

    def compute(found: list[Array], view: Array) -> None:
        found[:] = function(view + bias)

    def put(y: Array) -> None:
        y[...] = found.pop(0)

    compute(found, np.ones(view.shape, view.dtype))
    ys = []
    for y in found:
        dtype = p.dtype if y.dtype.kind == "f" else y.dtype
        value = p.value([x], (*y.shape[2:], y.shape[1]), dtype=dtype)
        ys.append(value._replace(plane=x.data.shape[:-1]))
    for _ in p.parts(x.bias):
        p.call(compute, found, view)
        for value in ys:
            p.call(put, value.channels_first()[0])
    return ys
