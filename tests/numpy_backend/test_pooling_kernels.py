"""Poolings against torch and against plain loops."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from netspec_numpy import kernels
from netspec_numpy.kernels import Window

from netspec.ops.window import positions

from .helpers import (
    TYPES,
    Array,
    Pads,
    Pair,
    close,
    close_by_largest,
    computed,
    doubles,
    normal,
    padded,
    spans,
    tensor,
)

pytestmark = pytest.mark.slow


def starts(
    size: int, kernel: int, stride: int, before: int, after: int, dilation: int, ceil: bool
) -> list[int]:
    """Where windows start, found by walking: the padding before the input is negative."""
    extent = dilation * (kernel - 1) + 1
    found = [-before]
    while found[-1] + extent < size + after:
        found.append(found[-1] + stride)
    if ceil:
        return [s for s in found if s < size]
    return [s for s in found if s + extent <= size + after]


def by_loops(
    x: Array, kernel: Pair, stride: Pair, pads: Pads, dilation: Pair, ceil: bool
) -> tuple[Array, Array, Array, Array]:
    """Largest element, its place, and the mean with and without padding, one window at a time."""
    n, c, h, w = x.shape
    top, bottom, left, right = pads
    rows = starts(h, kernel[0], stride[0], top, bottom, dilation[0], ceil)
    columns = starts(w, kernel[1], stride[1], left, right, dilation[1], ceil)
    shape = (n, c, len(rows), len(columns))
    largest, places = np.empty(shape, x.dtype), np.empty(shape, np.int64)
    with_pads, without = np.empty(shape, x.dtype), np.empty(shape, x.dtype)
    for i, j in itertools.product(range(len(rows)), range(len(columns))):
        real, padding = [], 0
        for a, b in itertools.product(range(kernel[0]), range(kernel[1])):
            row, column = rows[i] + a * dilation[0], columns[j] + b * dilation[1]
            if 0 <= row < h and 0 <= column < w:
                real.append(row * w + column)
            elif row < h + bottom and column < w + right:
                padding += 1
        for k, m in itertools.product(range(n), range(c)):
            values = [x[k, m].flat[p] for p in real]
            largest[k, m, i, j] = max(values)
            places[k, m, i, j] = real[values.index(max(values))]
            with_pads[k, m, i, j] = math.fsum(values) / (len(real) + padding)
            without[k, m, i, j] = math.fsum(values) / len(real)
    return largest, places, with_pads, without


def max_pool2d(x: Array, kernel: Pair, stride: Pair, pads: Pads, dilation: Pair, ceil: bool) -> Any:
    if dilation != (1, 1):
        return kernels.max_pool2d_with_indices(x, kernel, stride, pads, dilation, ceil)[0]
    return computed(kernels.pool, x, np.maximum, Window(kernel, stride, pads, ceil=ceil))


def avg_pool2d(
    x: Array, kernel: Pair, stride: Pair, pads: Pads, ceil: bool = False, include: bool = True
) -> Any:
    return computed(kernels.avg_pool, x, Window(kernel, stride, pads, ceil=ceil), include)


def pools_agree(
    x: Array, kernel: Pair, stride: Pair, pads: Pads, dilation: Pair, ceil: bool
) -> None:
    dtype = x.dtype.type
    before = x.copy()
    largest, places, with_pads, without = by_loops(x, kernel, stride, pads, dilation, ceil)
    found = max_pool2d(x, kernel, stride, pads, dilation, ceil)
    both = kernels.max_pool2d_with_indices(x, kernel, stride, pads, dilation, ceil)
    for array, wanted in zip((found, *both), (largest, largest, places), strict=True):
        assert array.dtype == wanted.dtype
        np.testing.assert_array_equal(array, wanted)
        assert not np.shares_memory(array, x)
    if dilation == (1, 1):
        for include, wanted in ((True, with_pads), (False, without)):
            close(avg_pool2d(x, kernel, stride, pads, ceil, include), wanted, dtype)
    np.testing.assert_array_equal(x, before)


@given(down=spans(), across=spans(), ceil=st.booleans(), ties=st.booleans(), dilated=st.booleans())
@example((1, 1, 1, 0, 0, 1), (1, 1, 1, 0, 0, 1), True, False, False)
@example((4, 2, 5, 0, 0, 1), (6, 1, 4, 0, 0, 1), True, False, False)
@example((1, 3, 6, 1, 1, 1), (3, 2, 3, 1, 1, 1), True, True, False)
@example((3, 3, 1, 3, 0, 2), (4, 4, 2, 2, 3, 3), False, False, True)
@settings(max_examples=250, deadline=None)
def test_any_pooling(down: Any, across: Any, ceil: bool, ties: bool, dilated: bool) -> None:
    """Against plain loops: strides beyond the kernel, uneven pads, single pixels."""
    (h, kh, sh, top, bottom, dh), (w, kw, sw, left, right, dw) = down, across
    dh, dw = (dh, dw) if dilated else (1, 1)
    for size, k, s, b, a, d in ((h, kh, sh, top, bottom, dh), (w, kw, sw, left, right, dw)):
        extent = d * (k - 1) + 1
        assume(max(a, b) < extent <= size + a + b)
        # With a gap as wide as the input a window could see nothing but padding.
        assume(not (a or b) or size >= d)
        count = len(starts(size, k, s, b, a, d, ceil))
        assert count == positions(size, k, s, b, a, d, "ceil" if ceil else "floor")
    x = normal(2, 2, h, w, seed=h * w)
    x = np.round(x) if ties else x
    pools_agree(x, (kh, kw), (sh, sw), (top, bottom, left, right), (dh, dw), ceil)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (3, 3), (2, 5)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (3, 1), (6, 7)])
@pytest.mark.parametrize("pad", [(0, 0), (1, 0), (0, 2), (1, 1)])
@pytest.mark.parametrize("size", [(3, 5), (5, 6), (11, 14)])
def test_pooling_as_torch(
    size: Pair, kernel: Pair, stride: Pair, pad: Pair, ceil: bool, dtype: Any
) -> None:
    pad = min(pad[0], kernel[0] // 2), min(pad[1], kernel[1] // 2)
    pads = (pad[0], pad[0], pad[1], pad[1])
    x = normal(2, 3, *size, dtype=dtype)
    wanted, places = F.max_pool2d(tensor(x), kernel, stride, pad, 1, ceil, return_indices=True)
    found, found_places = kernels.max_pool2d_with_indices(x, kernel, stride, pads, ceil=ceil)
    np.testing.assert_array_equal(max_pool2d(x, kernel, stride, pads, (1, 1), ceil), wanted)
    np.testing.assert_array_equal(found, wanted)
    np.testing.assert_array_equal(found_places, places)
    for include in (True, False):
        mean = F.avg_pool2d(tensor(x), kernel, stride, pad, ceil, include)
        close(avg_pool2d(x, kernel, stride, pads, ceil, include), mean, dtype)


@pytest.mark.parametrize("ceil", [False, True])
@pytest.mark.parametrize("dilation", [(2, 1), (3, 2)])
def test_dilated_pooling_as_torch(dilation: Pair, ceil: bool) -> None:
    x = normal(2, 3, 13, 10)
    wanted, places = F.max_pool2d(tensor(x), 3, 2, 1, dilation, ceil, return_indices=True)
    found = kernels.max_pool2d_with_indices(x, (3, 3), (2, 2), (1, 1, 1, 1), dilation, ceil)
    np.testing.assert_array_equal(found[0], wanted)
    np.testing.assert_array_equal(found[1], places)


@pytest.mark.parametrize("pads", [(0, 1, 0, 1), (2, 0, 1, 0)])
def test_uneven_pads_as_torch(pads: Pads) -> None:
    x = normal(2, 3, 8, 9)
    wanted = F.max_pool2d(padded(x, pads, -math.inf), 3, 2)
    np.testing.assert_array_equal(max_pool2d(x, (3, 3), (2, 2), pads, (1, 1), False), wanted)
    mean = F.avg_pool2d(padded(x, pads), 3, 2)
    close(avg_pool2d(x, (3, 3), (2, 2), pads), mean)


@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("value", [-math.inf, math.inf, math.nan, -1e38])
def test_pooling_of_what_is_no_number(value: float, dilation: int) -> None:
    """Where all is -inf a place is still in the input, and NaN wins, as in torch."""
    full = np.full((1, 1, 7, 7), value, np.float32)
    some = normal(1, 1, 7, 7)
    some[0, 0, [1, 3, 4], [2, 3, 3]] = value
    for x in (full, some):
        wanted, places = F.max_pool2d(tensor(x), 3, 2, 1, dilation, True, return_indices=True)
        found = kernels.max_pool2d_with_indices(x, (3, 3), (2, 2), (1,) * 4, (dilation,) * 2, True)
        plain = max_pool2d(x, (3, 3), (2, 2), (1,) * 4, (dilation,) * 2, True)
        np.testing.assert_array_equal(plain, wanted)
        np.testing.assert_array_equal(found[0], wanted)
        np.testing.assert_array_equal(found[1], places)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(4, 15), st.integers(4, 15)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    pad=st.integers(0, 1),
    ceil=st.booleans(),
    include=st.booleans(),
    threads=st.integers(1, 3),
)
def test_poolings(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: int,
    ceil: bool,
    include: bool,
    threads: int,
) -> None:
    x = doubles(2, 3, *size)
    pad = min(pad, *(k // 2 for k in kernel))
    pads = (pad, pad, pad, pad)
    wanted = F.max_pool2d(torch.from_numpy(x), kernel, stride, pad, ceil_mode=ceil)
    window = Window(kernel, stride, pads, ceil=ceil)
    close_by_largest(computed(kernels.pool, x, np.maximum, window, threads=threads), wanted, True)
    mean = F.avg_pool2d(torch.from_numpy(x), kernel, stride, pad, ceil, include)
    found = computed(kernels.avg_pool, x, window, count_include_pad=include, threads=threads)
    close_by_largest(found, mean, True)


def test_nan_is_the_largest() -> None:
    x = doubles(1, 2, 6, 6)
    x[0, 1, 3, 3] = np.nan
    found = computed(kernels.pool, x, np.maximum, Window((3, 3), (2, 2), ceil=True), threads=2)
    assert np.isnan(found[0, 1, 1, 1])
    assert np.isfinite(found[0, 0]).all()


@given(st.integers(1, 9), st.integers(1, 9), st.integers(1, 9), st.integers(1, 9))
def test_adaptive_pooling(height: int, width: int, rows: int, columns: int) -> None:
    x = normal(2, 3, height, width)
    found = kernels.adaptive_avg_pool2d(x, (rows, columns))
    close(found, F.adaptive_avg_pool2d(tensor(x), (rows, columns)))


@given(st.integers(2, 9), st.integers(2, 9), st.integers(1, 2), st.integers(1, 2))
def test_unpooling(height: int, width: int, kernel: int, stride: int) -> None:
    x = np.random.default_rng(0).permutation(2 * 3 * height * width).astype(np.float32)
    x = x.reshape(2, 3, height, width) + 1
    values, places = kernels.max_pool2d_with_indices(x, (kernel, kernel), (stride, stride))
    found = kernels.max_unpool2d(values, places, (height, width))
    # What won a window stands where it stood, and nothing else does.
    winners = np.isin(x, values)
    close(found, np.where(winners, x, 0))
