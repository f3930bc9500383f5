"""Other kernels than convolutions and poolings: against torch, plain loops and exact arithmetic."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import example, given, settings
from hypothesis import strategies as st
from netspec_numpy import kernels
from PIL import Image

from .helpers import TYPES, Array, Pair, close, computed, normal, tensor

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


def test_channel_shuffle() -> None:
    x: Array = np.arange(12, dtype=np.float32).reshape(1, 12, 1, 1)
    assert kernels.channel_shuffle(x, 3).ravel().tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    y = normal(2, 6, 3, 2)
    close(kernels.channel_shuffle(y, 2), F.channel_shuffle(tensor(y), 2))


@pytest.mark.parametrize("dtype", TYPES)
def test_small_kernels(dtype: Any) -> None:
    x, flat = normal(2, 3, 4, 5, dtype=dtype), normal(2, 7, seed=1, dtype=dtype)
    close(computed(kernels.concat, x, then=kernels.RELU), F.relu(tensor(x)), dtype)
    close(computed(kernels.concat, 9 * x, then=kernels.RELU6), F.relu6(tensor(9 * x)), dtype)
    close(computed(kernels.global_avg_pool, x), tensor(x).mean((2, 3)), dtype)
    close(kernels.flatten(x), tensor(x).flatten(1), dtype)
    for array in (x, flat, flat * 1000, flat - 1e30):
        close(kernels.softmax(array), F.softmax(tensor(array), 1), dtype)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("shape", [(2, 4, 3, 5), (3, 4)])
@pytest.mark.parametrize("affine", [False, True])
def test_batch_norm(shape: tuple[int, ...], affine: bool, dtype: Any) -> None:
    x = normal(*shape, dtype=dtype)
    mean, weight, bias = (normal(4, seed=s, dtype=dtype) for s in (1, 2, 3))
    variance = np.abs(normal(4, seed=4, dtype=dtype))
    wanted = F.batch_norm(
        tensor(x),
        tensor(mean),
        tensor(variance),
        tensor(weight) if affine else None,
        tensor(bias) if affine else None,
        eps=1e-3,
    )
    weights = {"b.running_mean": mean, "b.running_var": variance}
    weights |= {"b.weight": weight, "b.bias": bias} if affine else {}
    close(computed(kernels.batch_norm, x, "b", 1e-3, affine, weights=weights), wanted, dtype)


def torch_resize(image: Array, height: int, width: int) -> Array:
    x = tensor(image).permute(2, 0, 1)[None]
    x = F.interpolate(x, (height, width), mode="bilinear", antialias=True, align_corners=False)
    result: Array = x[0].permute(1, 2, 0).numpy()
    return result


def pillow_resize(image: Array, height: int, width: int) -> Array:
    channels = [Image.fromarray(c) for c in image.astype(np.float32).transpose(2, 0, 1)]
    resized = [c.resize((width, height), Image.Resampling.BILINEAR) for c in channels]
    return np.stack([np.asarray(c) for c in resized], axis=-1)


@pytest.mark.slow
@given(
    size=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    wanted=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    channels=st.sampled_from([1, 3]),
    dtype=st.sampled_from(TYPES),
)
@example((500, 375), (341, 256), 3, np.float32)
@example((17, 900), (256, 255), 3, np.float32)
@example((2, 1), (3, 1), 1, np.float32)
@settings(max_examples=150, deadline=None)
def test_resize(size: Pair, wanted: Pair, channels: int, dtype: Any) -> None:
    rng = np.random.default_rng(size[0])
    image = rng.integers(0, 256, (*size, channels)).astype(dtype)
    found = kernels.resize(image, *wanted)
    assert found.dtype == dtype
    assert found.shape == (*wanted, channels)
    np.testing.assert_allclose(found, pillow_resize(image, *wanted), rtol=1e-4, atol=1e-3)
    if wanted[1] > 1:  # torch 2.13 repeats the first row where a result is one pixel wide
        np.testing.assert_allclose(found, torch_resize(image, *wanted), rtol=1e-4, atol=1e-3)


def test_resize_to_the_same_size_changes_nothing() -> None:
    image = normal(9, 7, 3)
    np.testing.assert_array_equal(kernels.resize(image, 9, 7), image)


def test_resize_of_bytes() -> None:
    image = np.random.default_rng(0).integers(0, 256, (9, 7, 3)).astype(np.uint8)
    found = kernels.resize(image, 4, 9)
    np.testing.assert_array_equal(found, kernels.resize(image.astype(np.float32), 4, 9))
