"""Convolutions and linear layers against torch, by each of the algorithms."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from netspec_numpy import kernels
from netspec_numpy.kernels import Window, products

from .helpers import (
    NO_PADS,
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


def conv2d(
    x: Array,
    weight: Array,
    bias: Array | None = None,
    stride: Pair = (1, 1),
    pads: Pads = NO_PADS,
    dilation: Pair = (1, 1),
    groups: int = 1,
) -> Any:
    """A convolution as the planner would have it."""
    weights = {"c.weight": weight} | ({} if bias is None else {"c.bias": bias})
    window = Window((weight.shape[2], weight.shape[3]), stride, pads, dilation)
    if groups == 1 and dilation == (1, 1):
        return computed(kernels.convolve, x, "c", len(weight), window, weights=weights)
    if groups == x.shape[1] == len(weight) and (dilation[1] == 1 or stride[1] == 1):
        return computed(kernels.convolve_depthwise, x, "c", window, weights=weights)
    return computed(kernels.convolve_grouped, x, "c", len(weight), window, groups, weights=weights)


def conv_agrees(
    x: Array,
    filters: int,
    kernel: Pair,
    stride: Pair = (1, 1),
    pads: Pads = NO_PADS,
    dilation: Pair = (1, 1),
    groups: int = 1,
    bias: bool = True,
) -> None:
    dtype = x.dtype.type
    weight = normal(filters, x.shape[1] // groups, *kernel, seed=1, dtype=dtype)
    shift = normal(filters, seed=2, dtype=dtype) if bias else None
    before = x.copy()
    found = conv2d(x, weight, shift, stride, pads, dilation, groups)
    np.testing.assert_array_equal(x, before)
    assert not np.shares_memory(found, x)
    wanted = F.conv2d(
        padded(x, pads),
        tensor(weight),
        None if shift is None else tensor(shift),
        stride,
        0,
        dilation,
        groups,
    )
    close(found, wanted, dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("groups", [1, 2, 6])
@pytest.mark.parametrize("kernel", [(1, 1), (3, 3), (1, 4), (5, 2)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 3), (7, 7)])
@pytest.mark.parametrize("pads", [NO_PADS, (1, 1, 1, 1), (2, 0, 1, 3)])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 3)])
def test_conv(
    kernel: Pair, stride: Pair, pads: Pads, dilation: Pair, groups: int, dtype: Any
) -> None:
    conv_agrees(normal(2, 6, 13, 12, dtype=dtype), 12, kernel, stride, pads, dilation, groups)


@given(
    down=spans(),
    across=spans(),
    n=st.integers(1, 3),
    groups=st.integers(1, 3),
    each=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    bias=st.booleans(),
    seed=st.integers(0, 9),
)
@settings(max_examples=200, deadline=None)
def test_any_conv(
    down: Any, across: Any, n: int, groups: int, each: Pair, bias: bool, seed: int
) -> None:
    (h, kh, sh, top, bottom, dh), (w, kw, sw, left, right, dw) = down, across
    x = normal(n, groups * each[0], h, w, seed=seed)
    pads = (top, bottom, left, right)
    conv_agrees(x, groups * each[1], (kh, kw), (sh, sw), pads, (dh, dw), groups, bias)


@pytest.mark.parametrize("kernel", [(1, 1), (3, 3)])
def test_conv_of_views(kernel: Pair) -> None:
    """Inputs that don't lie in memory in their order."""
    conv_agrees(normal(2, 9, 8, 4).transpose(0, 3, 1, 2), 5, kernel)
    conv_agrees(normal(2, 4, 9, 8)[:, ::-1, ::2, 1:], 5, kernel)


def test_conv_of_one_pixel() -> None:
    conv_agrees(normal(1, 3, 1, 1), 4, (1, 1))
    conv_agrees(normal(1, 3, 1, 1), 4, (3, 3), pads=(1, 1, 1, 1))
    conv_agrees(normal(1, 3, 1, 1), 3, (3, 3), pads=(1, 1, 1, 1), groups=3)


def test_conv_keeps_the_type_of_its_input() -> None:
    x, weight, bias = normal(1, 2, 5, 5), normal(2, 2, 3, 3), normal(2)
    for other in (weight.astype(np.float64), weight[:, :1].astype(np.float64)):
        groups = 2 // other.shape[1]
        found = conv2d(x, other, bias.astype(np.float64), groups=groups)
        assert found.dtype == np.float32


PADS = st.tuples(*[st.integers(0, 2)] * 4)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    channels=st.integers(1, 9),
    filters=st.sampled_from([1, 2, 5, 127, 128, 130, 257]),
    pads=PADS,
    batch=st.integers(1, 3),
    threads=st.integers(1, 3),
    double=st.booleans(),
    relu=st.booleans(),
)
def test_winograd(
    size: tuple[int, int],
    channels: int,
    filters: int,
    pads: Pads,
    batch: int,
    threads: int,
    double: bool,
    relu: bool,
) -> None:
    if size[0] + pads[0] + pads[1] < 3 or size[1] + pads[2] + pads[3] < 3:
        return
    x = doubles(batch, channels, *size)
    weights = {"c.weight": doubles(filters, channels, 3, 3, seed=1), "c.bias": doubles(filters)}
    w, b = (torch.from_numpy(a) for a in weights.values())
    wanted = F.conv2d(padded(x, pads), w, b)
    dtype = np.float64 if double else np.float32
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "winograd_pays", lambda *sizes: True)
        found = computed(
            kernels.winograd,
            x.astype(dtype),
            "c",
            filters,
            kernels.Window((3, 3), pads=pads),
            weights=weights,
            threads=threads,
            then=kernels.RELU if relu else None,
        )
    close_by_largest(found, F.relu(wanted) if relu else wanted, double)


@settings(max_examples=60, deadline=None)
@given(
    size=st.tuples(st.integers(5, 14), st.integers(5, 14)),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.sampled_from([(1, 1), (1, 1), (2, 1), (1, 2)]),
    groups=st.integers(1, 3),
    pads=PADS,
    threads=st.integers(1, 3),
    double=st.booleans(),
    depthwise=st.booleans(),
)
def test_convolutions(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    pads: Pads,
    threads: int,
    double: bool,
    depthwise: bool,
) -> None:
    room = [n + sum(p) for n, p in zip(size, (pads[:2], pads[2:]), strict=True)]
    if any(r <= d * (k - 1) for r, d, k in zip(room, dilation, kernel, strict=True)):
        return
    channels = 4 if depthwise else 2 * groups
    groups = 4 if depthwise else groups
    filters = channels if depthwise else 3 * groups
    x = doubles(2, channels, *size)
    weights = {
        "c.weight": doubles(filters, channels // groups, *kernel, seed=1),
        "c.bias": doubles(filters, seed=2),
    }
    w, b = (torch.from_numpy(a) for a in weights.values())
    wanted = F.conv2d(padded(x, pads), w, b, stride, dilation=dilation, groups=groups)
    window = Window(kernel, stride, pads, dilation)
    step: Any = kernels.convolve_depthwise
    args: tuple[Any, ...] = (window,)
    if not depthwise:
        step, args = kernels.convolve_grouped, (filters, window, groups)
        if groups == 1 and dilation == (1, 1):
            step, args = kernels.convolve, (filters, window)
    elif dilation[1] > 1 < stride[1]:
        return
    dtype = np.float64 if double else np.float32
    found = computed(step, x.astype(dtype), "c", *args, weights=weights, threads=threads)
    close_by_largest(found, wanted, double)


@pytest.mark.parametrize("shape", [(4, 3, 2), (2, 5, 5), (700, 1, 1), (5,)])
@pytest.mark.parametrize("filters", [1, 3, 300])
def test_products(shape: tuple[int, ...], filters: int) -> None:
    x = doubles(3, *shape)
    weights = {
        "c.weight": doubles(filters, shape[0], *(1 for _ in shape[1:])),
        "c.bias": doubles(filters),
    }
    wanted = np.einsum("nc...,fc->nf...", x, weights["c.weight"].reshape(filters, -1))
    bias = weights["c.bias"].reshape(-1, *(1 for _ in shape[1:]))
    wanted += bias
    close_by_largest(
        computed(kernels.convolve, x, "c", filters, threads=2, weights=weights), wanted, True
    )
    cut = computed(
        kernels.convolve, 4 * x, "c", filters, threads=2, weights=weights, then=kernels.RELU6
    )
    close_by_largest(cut, np.clip(4 * wanted - 3 * bias, 0, 6), True)


def test_a_product_with_weights_for_something_else_is_refused() -> None:
    with pytest.raises(ValueError, match=r"c.weight is \(2, 5\), not \(2, 4\)"):
        computed(
            kernels.convolve, doubles(1, 4), "c", 2, threads=2, weights={"c.weight": doubles(2, 5)}
        )


@given(
    *(st.integers(1, 5) for _ in range(2)),
    *(st.tuples(st.integers(1, 3), st.integers(1, 3)) for _ in range(3)),
    st.tuples(*(st.integers(0, 2) for _ in range(4))),
    st.integers(1, 2),
    st.booleans(),
)
def test_transposed_convolution(
    height: int,
    width: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    pads: tuple[int, int, int, int],
    groups: int,
    bias: bool,
) -> None:
    extra = (max(stride[0], dilation[0]) - 1, 0)
    x = normal(2, 2 * groups, height, width)
    weight = normal(2 * groups, 3, *kernel, seed=1)
    shift = normal(3 * groups, seed=2) if bias else None
    whole = F.conv_transpose2d(
        tensor(x),
        tensor(weight),
        None if shift is None else tensor(shift),
        stride,
        0,
        extra,
        groups,
        dilation,
    )
    top, bottom, left, right = pads
    wanted = whole[:, :, top : whole.shape[2] - bottom, left : whole.shape[3] - right]
    if 0 in wanted.shape:
        return
    found = kernels.conv_transpose2d(x, weight, shift, stride, pads, extra, dilation, groups)
    close(found, wanted)
