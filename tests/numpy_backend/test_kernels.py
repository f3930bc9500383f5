"""The kernels against torch, against plain loops, and against broken weight files."""

from __future__ import annotations

import ast
import gzip
import itertools
import json
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import safetensors.torch
import torch
import torch.nn.functional as F
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from netspec_numpy import kernels
from netspec_numpy.kernel_source import FOLDER, SUBJECTS, with_helpers
from netspec_numpy.kernels import Window
from PIL import Image

from netspec.ops.window import positions

from .steps import computed

Array = kernels.Array
Pads = tuple[int, int, int, int]
Pair = tuple[int, int]

NO_PADS: Pads = (0, 0, 0, 0)
TYPES = (np.float32, np.float64)


def normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def tensor(x: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x))


def padded(x: Array, pads: Pads, value: float = 0.0) -> torch.Tensor:
    top, bottom, left, right = pads
    return F.pad(tensor(x), (left, right, top, bottom), value=value)


def close(found: Array, wanted: Any, dtype: Any = np.float32) -> None:
    """Equal in type and shape, and in value up to rounding."""
    wanted = np.asarray(wanted)
    assert found.dtype == wanted.dtype == dtype
    assert found.shape == wanted.shape
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


# --- convolutions --------------------------------------------------------------------------------


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


@st.composite
def spans(draw: st.DrawFn) -> tuple[int, int, int, int, int, int]:
    """Size, kernel, stride, pads and dilation of one direction in which a window fits."""
    kernel, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    before, after = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    least = max(dilation * (kernel - 1) + 1 - before - after, 1)
    return (
        draw(st.integers(least, least + 7)),
        kernel,
        draw(st.integers(1, 6)),
        before,
        after,
        dilation,
    )


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


# --- poolings ------------------------------------------------------------------------------------


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


# --- all else that computes ----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", TYPES)
def test_small_kernels(dtype: Any) -> None:
    x, flat = normal(2, 3, 4, 5, dtype=dtype), normal(2, 7, seed=1, dtype=dtype)
    close(computed(kernels.concat, x, then=kernels.relu), F.relu(tensor(x)), dtype)
    close(computed(kernels.concat, 9 * x, then=kernels.relu6), F.relu6(tensor(9 * x)), dtype)
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
    close(computed(kernels.normalize, x, "b", 1e-3, affine, weights=weights), wanted, dtype)


# --- pictures ------------------------------------------------------------------------------------


def torch_resize(image: Array, height: int, width: int) -> Array:
    x = tensor(image).permute(2, 0, 1)[None]
    x = F.interpolate(x, (height, width), mode="bilinear", antialias=True, align_corners=False)
    result: Array = x[0].permute(1, 2, 0).numpy()
    return result


def pillow_resize(image: Array, height: int, width: int) -> Array:
    channels = [Image.fromarray(c) for c in image.astype(np.float32).transpose(2, 0, 1)]
    resized = [c.resize((width, height), Image.Resampling.BILINEAR) for c in channels]
    return np.stack([np.asarray(c) for c in resized], axis=-1)


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


# --- weights -------------------------------------------------------------------------------------


def test_initial() -> None:
    shapes = {
        "conv.weight": (64, 32, 3, 3),
        "conv.bias": (64,),
        "bn.weight": (64,),
        "bn.running_mean": (64,),
        "bn.running_var": (64,),
        "fc.weight": (500, 200),
    }
    weights = kernels.initial(shapes, 7)
    assert {n: w.shape for n, w in weights.items()} == shapes
    assert all(w.dtype == np.float32 for w in weights.values())
    for name, fan_in in (("conv.weight", 32 * 9), ("fc.weight", 200)):
        assert weights[name].std() == pytest.approx((2 / fan_in) ** 0.5, rel=0.02)
        assert abs(weights[name].mean()) < 0.002
    for name in ("bn.weight", "bn.running_var"):
        assert (weights[name] == 1).all()
    for name in ("conv.bias", "bn.running_mean"):
        assert (weights[name] == 0).all()
    same, other = kernels.initial(shapes, 7), kernels.initial(shapes, 8)
    np.testing.assert_array_equal(weights["fc.weight"], same["fc.weight"])
    assert (weights["fc.weight"] != other["fc.weight"]).any()


SHAPES = {"a.weight": (2, 3), "a.bias": (2,)}


@pytest.mark.parametrize("weight", [normal(2, 3), normal(3, 2, dtype=np.float64).T])
def test_checked_weights_are_float32_of_their_own(weight: Array) -> None:
    found = {
        "a.bias": np.arange(2),
        "a.weight": weight,
        "a.num_batches_tracked": np.array(3),
    }
    weights = kernels.checked(found, SHAPES)
    assert list(weights) == list(SHAPES)
    for name, array in weights.items():
        assert array.dtype == np.float32
        assert array.flags.c_contiguous
        assert array.flags.writeable
        assert not np.shares_memory(array, found[name])
        np.testing.assert_array_equal(array, found[name].astype(np.float32))


def test_checked_names_all_that_is_amiss() -> None:
    found = {"a.weight": normal(3, 2), "b.weight": normal(1), "c": normal(1)}
    with pytest.raises(ValueError, match="do not fit") as caught:
        kernels.checked(found, SHAPES)
    message = str(caught.value)
    for part in (
        "a.bias is missing",
        "b.weight is left over",
        "c is left over",
        "a.weight is float32 of (3, 2), not (2, 3)",
    ):
        assert part in message


@pytest.mark.parametrize("dtype", ["<U3", "S3", np.complex64, object, bool])
def test_checked_wants_numbers(dtype: Any) -> None:
    found = {"a.weight": normal(2, 3), "a.bias": np.zeros(2).astype(dtype)}
    with pytest.raises(ValueError, match=r"a\.bias is .* of \(2,\), not"):
        kernels.checked(found, SHAPES)


def arrays() -> dict[str, Array]:
    types = ("f8", "f4", "f2", "i8", "i4", "i2", "i1", "u8", "u4", "u2", "u1", "?")
    found = {t: (normal(3, 2) * 9).astype(t) for t in types}
    return {**found, "scalar": np.array(2.5, np.float32), "empty": np.zeros((0, 3), np.float32)}


def same(found: dict[str, Array], wanted: dict[str, Array]) -> None:
    assert set(found) == set(wanted)
    for name, array in wanted.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        np.testing.assert_array_equal(found[name], array)


def test_npz(tmp_path: Path) -> None:
    named: dict[str, Any] = arrays()
    for save in (np.savez, np.savez_compressed):
        save(tmp_path / "w.npz", **named)
        same(kernels.read_weights(tmp_path / "w.npz"), arrays())
    same(kernels.read_weights(str(tmp_path / "w.npz")), arrays())


@pytest.mark.parametrize("metadata", [None, {"format": "np"}])
def test_safetensors(tmp_path: Path, metadata: dict[str, str] | None) -> None:
    safetensors.numpy.save_file(arrays(), tmp_path / "w.safetensors", metadata)
    same(kernels.read_weights(tmp_path / "w.safetensors"), arrays())
    same(kernels.read_weights(str(tmp_path / "w.safetensors")), arrays())


def test_bfloat16(tmp_path: Path) -> None:
    x = torch.tensor([1.0, -2.5, 3e38, math.inf, 1e-40]).to(torch.bfloat16)
    safetensors.torch.save_file({"x": x}, tmp_path / "w.safetensors")
    same(kernels.read_weights(tmp_path / "w.safetensors"), {"x": x.to(torch.float32).numpy()})


def test_types_that_numpy_lacks(tmp_path: Path) -> None:
    x = torch.ones(3).to(torch.float8_e4m3fn)
    safetensors.torch.save_file({"x": x}, tmp_path / "w.safetensors")
    with pytest.raises(ValueError, match="F8_E4M3"):
        kernels.read_weights(tmp_path / "w.safetensors")


def test_other_files(tmp_path: Path) -> None:
    torch.save({"x": torch.ones(3)}, tmp_path / "w.pt")
    refuses(tmp_path / "w.pt", (tmp_path / "w.pt").read_bytes())
    refuses(tmp_path / "w.npz.gz", gzip.compress(b"no weights"))


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_missing_files(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(FileNotFoundError):
        kernels.read_weights(tmp_path / f"none{suffix}")


def refuses(path: Path, data: bytes, reason: str = "") -> None:
    path.write_bytes(data)
    with pytest.raises(ValueError, match="holds no sound weights") as caught:
        kernels.read_weights(path)
    assert reason in str(caught.value)
    assert path.name in str(caught.value)


def test_every_truncation_of_safetensors(tmp_path: Path) -> None:
    data = safetensors.numpy.save({"a": normal(3, 2), "b": normal(4)})
    for end in range(len(data)):
        refuses(tmp_path / "w.safetensors", data[:end])


def test_truncations_of_npz(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, a=normal(30, 20), b=normal(4))
    data = path.read_bytes()
    for end in range(0, len(data), 29):
        refuses(path, data[:end])


def test_damaged_npz(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez_compressed(path, a=normal(30, 20))
    data = bytearray(path.read_bytes())
    for place in range(300, 1500, 100):
        refuses(path, bytes(data[:place]) + b"\xff\x00\xff" + bytes(data[place + 3 :]))
    np.save(tmp_path / "one.npy", normal(3))
    refuses(path, (tmp_path / "one.npy").read_bytes())
    refuses(path, b"no archive at all")


def test_pickles_are_never_read(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    np.savez(path, a=np.array([print, len], dtype=object))
    refuses(path, path.read_bytes(), "allow_pickle=False")


def headed(header: Any, body: bytes = b"\0" * 8) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def entry(**changes: Any) -> bytes:
    return headed({"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}})


HOSTILE = {
    "no JSON": (headed(b"{x"), ""),
    "no text": (headed(b"\xff\xfe\xfd"), ""),
    "no header": (headed(b""), ""),
    "deep": (headed(b"[" * 200_000), ""),
    "long number": (headed(b'{"x": ' + b"9" * 5000 + b"}"), ""),
    "list": (headed([1, 2]), ""),
    "number": (headed(7), ""),
    "entry is no object": (headed({"x": 3}), ""),
    "entry is a list": (headed({"x": []}), ""),
    "nothing in it": (headed({"x": {}}), ""),
    "type is a list": (entry(dtype=[]), ""),
    "unknown type": (entry(dtype="F31"), "F31"),
    "offsets swapped": (entry(data_offsets=[8, 0]), ""),
    "negative offsets": (entry(data_offsets=[-8, 0]), ""),
    "offsets beyond the end": (entry(data_offsets=[8, 16]), ""),
    "huge offsets": (entry(data_offsets=[10**30, 10**30]), ""),
    "three offsets": (entry(data_offsets=[0, 4, 8]), ""),
    "text as offsets": (entry(data_offsets=["0", "8"]), ""),
    "fractions as offsets": (entry(data_offsets=[0.0, 8.0]), ""),
    "none as offsets": (entry(data_offsets=None), ""),
    "two negatives": (entry(shape=[-2, -1]), ""),
    "shape too large": (entry(shape=[3]), ""),
    "shape too small": (entry(shape=[1]), ""),
    "shape beyond all": (entry(shape=[10**30]), ""),
    "nothing times all": (entry(shape=[0, 10**30], data_offsets=[0, 0]), ""),
    "many directions": (entry(shape=[1] * 99 + [2]), ""),
    "text as shape": (entry(shape="2"), ""),
    "fraction as shape": (entry(shape=[2.0]), ""),
    "half an element": (entry(data_offsets=[0, 7]), ""),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_headers(case: str, tmp_path: Path) -> None:
    refuses(tmp_path / "w.safetensors", *HOSTILE[case])


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
json_values = st.recursive(
    scalars,
    lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(max_size=3), v, max_size=4),
    max_leaves=8,
)


@given(
    dtype=st.sampled_from(["F32", "BF16", "U8"]) | json_values,
    shape=st.lists(st.integers(0, 4), max_size=3) | json_values,
    offsets=st.lists(st.integers(-2, 20), max_size=3) | json_values,
    body=st.binary(max_size=16),
)
@settings(max_examples=200, deadline=None)
def test_any_header_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, dtype: Any, shape: Any, offsets: Any, body: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.safetensors"
    path.write_bytes(headed({"x": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}, body))
    try:
        weights = kernels.read_weights(path)
    except ValueError:
        return
    # A number is as good as a list of one, and none is the shape as it is.
    sizes = shape if isinstance(shape, list) else [shape]
    assert shape is None or list(weights["x"].shape) == sizes or -1 in sizes


@pytest.mark.parametrize("size", [9, 2**63])
def test_a_header_that_is_cut_off(size: int, tmp_path: Path) -> None:
    """Nothing is missing from the JSON: then the weights are."""
    (tmp_path / "w.safetensors").write_bytes(size.to_bytes(8, "little") + b"{}")
    with pytest.raises(ValueError, match="a.weight is missing"):
        kernels.checked(kernels.read_weights(tmp_path / "w.safetensors"), SHAPES)


# --- the module as text --------------------------------------------------------------------------

SOURCES = {subject: (FOLDER / f"{subject}.py").read_text(encoding="utf-8") for subject in SUBJECTS}
FUNCTIONS = [
    n for s in SOURCES.values() for n in ast.parse(s).body if isinstance(n, ast.FunctionDef)
]


def locals_of(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_functions_can_be_copied(function: ast.FunctionDef) -> None:
    """Each has a docstring, and no variable with the name of a kernel that is copied with it."""
    assert ast.get_docstring(function)
    assert not set(locals_of(function)) & set(with_helpers([function.name]))


def test_the_modules_hold_functions_classes_and_constants_only() -> None:
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign)
    for subject, source in SOURCES.items():
        body = ast.parse(source).body[1:]
        assert all(isinstance(n, kinds) for n in body)
        constants = [ast.unparse(n.targets[0]) for n in body if isinstance(n, ast.Assign)]
        assert all(map(str.isupper, constants)) or subject == "arrays"
        assert max(map(len, source.splitlines())) <= 100
    assert len({f.name for f in FUNCTIONS}) == len(FUNCTIONS)


def test_every_file_of_kernels_is_known() -> None:
    files = {p.stem for p in FOLDER.glob("*.py")} - {"__init__"}
    assert files == set(SUBJECTS)


def test_kernels_are_typed() -> None:
    """All can be called by name, with the types that emitted files rely on."""
    for function in FUNCTIONS:
        kernel: Callable[..., Any] = getattr(kernels, function.name)
        assert "return" in kernel.__annotations__
        arguments = [n for n in ast.walk(function.args) if isinstance(n, ast.arg)]
        assert len(kernel.__annotations__) == len(arguments) + 1
