"""The kernels of the further ops against torch, plain loops and exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from netspec_numpy import kernels

from .test_kernels import TYPES, Array, close, normal, tensor

EDGES = np.array(
    [0.0, -0.0, 1e-30, -1e-30, 3, -3, 6, -6, 90, -90, 1e30, -1e30, np.inf, -np.inf, np.nan]
)
FUNCTIONS: dict[str, Any] = {
    "sigmoid": torch.sigmoid,
    "hard_sigmoid": F.hardsigmoid,
    "hard_swish": F.hardswish,
    "silu": F.silu,
    "gelu": F.gelu,
    "softplus": F.softplus,
    "leaky_relu": F.leaky_relu,
    "elu": F.elu,
}


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_activations(name: str, dtype: Any) -> None:
    x = np.concatenate([EDGES.astype(dtype), normal(500, dtype=dtype) * 4])
    if name == "gelu":
        x = x[~np.isinf(x)]  # torch has NaN there in one type and a number in the other
    before = x.copy()
    with np.errstate(all="ignore"):
        found = getattr(kernels, name)(x)
    np.testing.assert_array_equal(x, before)
    wanted = FUNCTIONS[name](tensor(x)).numpy()
    assert found.dtype == dtype
    # Torch cuts softplus off where exp(-x) is lost in float32 only.
    exact = 1e-6 if dtype == np.float32 else 1e-13 if name != "softplus" else 1e-8
    np.testing.assert_allclose(found, wanted, rtol=exact, atol=exact)


@pytest.mark.parametrize("dtype", TYPES)
def test_error_function(dtype: Any) -> None:
    x = np.concatenate([np.linspace(-7, 7, 20001), EDGES]).astype(dtype)
    found = kernels.erf(x)
    wanted = np.array([math.erf(v) for v in x])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=2e-7 if dtype == np.float32 else 3e-15)


@given(st.integers(1, 40), st.integers(1, 40))
def test_nearest_takes_the_exact_row(length: int, wanted: int) -> None:
    x = np.arange(length, dtype=np.float32).reshape(1, 1, length, 1)
    found = kernels.upsample_nearest(x, (wanted, 2))
    rows = [math.floor(Fraction(i * length, wanted)) for i in range(wanted)]
    assert found[0, 0, :, 0].tolist() == rows == found[0, 0, :, 1].tolist()
    theirs = F.interpolate(tensor(x), (wanted, 2))[0, 0, :, 0].tolist()
    # Torch computes the place in float32 and may fall short of a whole one.
    assert all(abs(a - b) <= 1 for a, b in zip(rows, theirs, strict=True))
    if wanted % length == 0:
        assert rows == theirs


@given(
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.booleans()
)
def test_bilinear(height: int, width: int, rows: int, columns: int, corners: bool) -> None:
    for dtype in TYPES:
        x = normal(2, 3, height, width, dtype=dtype)
        before = x.copy()
        found = kernels.upsample_bilinear(x, (rows, columns), corners)
        np.testing.assert_array_equal(x, before)
        wanted = F.interpolate(tensor(x), (rows, columns), mode="bilinear", align_corners=corners)
        close(found, wanted, dtype)


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


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("channels", [1, 2, 5, 9])
@pytest.mark.parametrize("size", [1, 3, 5, 11])
def test_local_response(channels: int, size: int, dtype: Any) -> None:
    x = normal(2, channels, 3, 4, dtype=dtype)
    found = kernels.local_response_norm(x, size, alpha=0.7, beta=0.6, k=1.5)
    wanted = np.empty_like(x)
    for c in range(channels):
        around = x[:, max(c - size // 2, 0) : c + size // 2 + 1]
        wanted[:, c] = x[:, c] / (1.5 + 0.7 / size * (around**2).sum(axis=1)) ** 0.6
    close(found, wanted, dtype)
    close(found, F.local_response_norm(tensor(x), size, 0.7, 0.6, 1.5), dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(2, 5, 3, 4), (3, 7), (1, 1, 2, 2)])
def test_layer_norm(shape: tuple[int, ...], dtype: Any) -> None:
    x = normal(*shape, dtype=dtype) * 3 + 5
    weight, bias = normal(shape[1], seed=1, dtype=dtype), normal(shape[1], seed=2, dtype=dtype)
    found = kernels.layer_norm(x, weight, bias, 1e-3)
    last = tensor(np.moveaxis(x, 1, -1))
    wanted = F.layer_norm(last, shape[1:2], tensor(weight), tensor(bias), 1e-3).movedim(-1, 1)
    close(found, wanted, dtype)


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


def test_channel_shuffle() -> None:
    x: Array = np.arange(12, dtype=np.float32).reshape(1, 12, 1, 1)
    assert kernels.channel_shuffle(x, 3).ravel().tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    y = normal(2, 6, 3, 2)
    close(kernels.channel_shuffle(y, 2), F.channel_shuffle(tensor(y), 2))


def test_initial_fills() -> None:
    shapes: dict[str, tuple[int, ...]] = {"a.weight": (3,), "p.weight": (4,), "a.bias": (3,)}
    weights = kernels.filled(kernels.initial(shapes, 0), {"p.weight": 0.25})
    assert weights["p.weight"].tolist() == [0.25] * 4
    assert weights["a.weight"].tolist() == [1] * 3
    assert weights["a.bias"].tolist() == [0] * 3
