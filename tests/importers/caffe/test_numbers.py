"""What converted layers compute, against Caffe's own loops, written anew here."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import netspec
from netspec.weights import fresh
from netspec.weights.caffe import read_caffe
from netspec.weights.caffemodel_file import CaffemodelLayer, caffemodel

from .helpers import after, checked, net_of

pytestmark = pytest.mark.slow

Array = np.ndarray[Any, np.dtype[Any]]


def computed(text: str, *inputs: Array) -> Array:
    """The first output of the NumPy model of a prototxt."""
    net = net_of(text)
    model = netspec.build(net, "numpy", fresh(net.tensors, 3, varied=True))
    result = model(*inputs)
    return np.asarray(result[0] if isinstance(result, tuple) else result)


def noise(*shape: int) -> Array:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def caffe_pooled(n: int, kernel: int, stride: int, pad: int, clips: bool) -> int:
    """PoolingLayer::Reshape, with its float division."""
    count = math.ceil(float(n + 2 * pad - kernel) / stride) + 1
    if clips and (count - 1) * stride >= n + pad:
        count -= 1
    return count


def caffe_pool(x: Array, kernel: list[int], stride: list[int], pad: list[int], mean: bool) -> Array:
    """PoolingLayer::Forward_cpu."""
    _, channels, height, width = x.shape
    clips = any(pad)
    rows = caffe_pooled(height, kernel[0], stride[0], pad[0], clips)
    columns = caffe_pooled(width, kernel[1], stride[1], pad[1], clips)
    result = np.zeros((1, channels, rows, columns), np.float64)
    for c in range(channels):
        for i in range(rows):
            for j in range(columns):
                top, left = i * stride[0] - pad[0], j * stride[1] - pad[1]
                bottom = min(top + kernel[0], height + pad[0])
                right = min(left + kernel[1], width + pad[1])
                size = (bottom - top) * (right - left)
                bottom, right = min(bottom, height), min(right, width)
                top, left = max(top, 0), max(left, 0)
                window = x[0, c, top:bottom, left:right]
                result[0, c, i, j] = window.sum() / size if mean else window.max()
    return result


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 9),
    st.integers(1, 9),
    st.lists(st.integers(1, 5), min_size=2, max_size=2),
    st.lists(st.integers(1, 4), min_size=2, max_size=2),
    st.lists(st.integers(0, 2), min_size=2, max_size=2),
    st.booleans(),
)
def test_pooling(
    height: int, width: int, kernel: list[int], stride: list[int], pad: list[int], mean: bool
) -> None:
    """Every size is Caffe's, every value is, and what is refused has a reason."""
    assume(all(p < k for p, k in zip(pad, kernel, strict=True)))
    fields = (
        f"pool: {'AVE' if mean else 'MAX'} kernel_h: {kernel[0]} kernel_w: {kernel[1]} "
        f"stride_h: {stride[0]} stride_w: {stride[1]} pad_h: {pad[0]} pad_w: {pad[1]}"
    )
    text = after(f"2x{height}x{width}", f"Pooling pooling_param {{ {fields} }}")
    net, found = checked(text)
    sizes = [
        caffe_pooled(n, k, s, p, any(pad))
        for n, k, s, p in zip((height, width), kernel, stride, pad, strict=True)
    ]
    if net is None:
        empty = not any(pad) and any(
            (count - 1) * s >= n for count, s, n in zip(sizes, stride, (height, width), strict=True)
        )
        assert empty or min(sizes) < 1
        assert found
        return
    x = noise(1, 2, height, width)
    wanted = caffe_pool(x, kernel, stride, pad, mean)
    np.testing.assert_allclose(
        computed(text, x).reshape(wanted.shape), wanted, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("kind", ["MAX", "AVE"])
def test_pyramids(kind: str) -> None:
    """SPPLayer::GetPoolingParam for each level, flattened one behind the other."""
    x = noise(1, 2, 11, 6)
    text = after("2x11x6", f"SPP spp_param {{ pyramid_height: 3 pool: {kind} }}")
    wanted = []
    for bins in (1, 2, 4):
        kernel = [math.ceil(n / bins) for n in (11, 6)]
        pad = [(k * bins - n + 1) // 2 for k, n in zip(kernel, (11, 6), strict=True)]
        wanted.append(caffe_pool(x, kernel, kernel, pad, kind == "AVE").ravel())
    np.testing.assert_allclose(computed(text, x).ravel(), np.concatenate(wanted), rtol=1e-5)


@pytest.mark.parametrize("size", [1, 3, 5])
def test_lrn_within_a_channel(size: int) -> None:
    """LRNLayer::WithinChannelForward: a mean of squares, to which padding counts."""
    fields = f"local_size: {size} alpha: 0.7 beta: 0.6 norm_region: WITHIN_CHANNEL k: 5"
    x = noise(1, 3, 6, 5)
    means = caffe_pool(x**2, [size] * 2, [1, 1], [size // 2] * 2, mean=True)
    wanted = x * (1 + 0.7 * means) ** -0.6
    found = computed(after("3x6x5", f"LRN lrn_param {{ {fields} }}"), x)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


def test_lrn_across_channels() -> None:
    x = noise(1, 7, 2, 3)
    wanted = np.zeros_like(x)
    for c in range(7):
        near = x[:, max(c - 2, 0) : c + 3]
        wanted[:, c] = x[:, c] * (2 + 0.5 / 5 * (near**2).sum(axis=1)) ** -0.75
    found = computed(after("7x2x3", "LRN lrn_param { alpha: 0.5 k: 2 }"), x)
    np.testing.assert_allclose(found, wanted, rtol=1e-5)


@pytest.mark.parametrize(
    ("fields", "size"),
    [
        ("zoom_factor: 2", (9, 5)),
        ("shrink_factor: 2", (3, 2)),
        ("height: 7 width: 4", (7, 4)),
        ("zoom_factor: 3 shrink_factor: 2", (7, 4)),
        ("pad_beg: -1 zoom_factor: 2", (7, 3)),
    ],
)
def test_interp(fields: str, size: tuple[int, int]) -> None:
    """Corners on corners, as util/interp.cpp."""
    x = noise(1, 2, 5, 3)
    start = 1 if "pad_beg" in fields else 0
    part = x[:, :, start:, start:]
    wanted = np.zeros((1, 2, *size))
    height, width = part.shape[2:]
    for i in range(size[0]):
        for j in range(size[1]):
            y = i * (height - 1) / (size[0] - 1) if size[0] > 1 else 0
            z = j * (width - 1) / (size[1] - 1) if size[1] > 1 else 0
            top, left = int(y), int(z)
            below, right = min(top + 1, height - 1), min(left + 1, width - 1)
            a, b = y - top, z - left
            wanted[0, :, i, j] = (1 - a) * (
                (1 - b) * part[0, :, top, left] + b * part[0, :, top, right]
            ) + a * ((1 - b) * part[0, :, below, left] + b * part[0, :, below, right])
    found = computed(after("2x5x3", f"Interp interp_param {{ {fields} }}"), x)
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)


def mvn(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    """MVNLayer::Forward_cpu."""
    centred = x - x.mean(axis=axes, keepdims=True)
    return np.asarray(centred / (np.sqrt((centred**2).mean(axis=axes, keepdims=True)) + eps))


SIMPLE: dict[str, tuple[str, Any]] = {
    "power": ("Power power_param { power: 3 scale: 2 shift: 1 }", lambda x: (1 + 2 * x) ** 3),
    "exp": ("Exp exp_param { base: 3 scale: 0.5 shift: 1 }", lambda x: 3 ** (1 + 0.5 * x)),
    "exp_e": ("Exp", np.exp),
    "log": ("Log log_param { base: 2 shift: 9 }", lambda x: np.log(9 + x) / np.log(2)),
    "abs": ("AbsVal", np.abs),
    "bnll": ("BNLL", lambda x: np.log(1 + np.exp(x))),
    "elu": ("ELU elu_param { alpha: 2 }", lambda x: np.where(x > 0, x, 2 * (np.exp(x) - 1))),
    "relu": ("ReLU relu_param { negative_slope: .2 }", lambda x: np.where(x > 0, x, 0.2 * x)),
    "weighted": (
        'Eltwise bottom: "data" bottom: "data" bottom: "data" '
        "eltwise_param { coeff: 2 coeff: -0.5 coeff: 1 }",
        lambda x: 2.5 * x,
    ),
    "asum": (
        "Reduction reduction_param { operation: ASUM axis: 2 coeff: 3 }",
        lambda x: 3 * np.abs(x).sum(axis=(2, 3)),
    ),
    "sumsq": (
        "Reduction reduction_param { operation: SUMSQ axis: -3 }",
        lambda x: (x**2).sum(axis=(1, 2, 3))[:, None],
    ),
    "sum_columns": (
        "Reduction reduction_param { axis: 3 }",
        lambda x: x.sum(axis=3)[..., None],
    ),
    "tile": ("Tile tile_param { axis: 3 tiles: 2 }", lambda x: np.concatenate([x, x], axis=3)),
    "softmax": (
        "Softmax softmax_param { axis: 3 }",
        lambda x: np.exp(x) / np.exp(x).sum(axis=3, keepdims=True),
    ),
    "argmax": ("ArgMax argmax_param { axis: 2 }", lambda x: x.argmax(axis=2)[:, :, None]),
    "argmax_all": ("ArgMax", lambda x: x.reshape(len(x), -1).argmax(axis=1)[:, None, None, None]),
    "permute": (
        "Permute permute_param { order: 0 order: 3 order: 1 }",
        lambda x: x.transpose(0, 3, 1, 2),
    ),
    "slice": (
        'Slice top: "a" top: "b" slice_param { axis: 3 slice_point: 1 }',
        lambda x: x[..., :1],
    ),
    "shuffle": (
        "ShuffleChannel shuffle_channel_param { group: 2 }",
        lambda x: x.reshape(len(x), 2, 2, *x.shape[2:]).swapaxes(1, 2).reshape(x.shape),
    ),
    "smallest": (
        "Pooling pooling_param { pool: MIN kernel_size: 2 }",
        lambda x: np.minimum.reduce(
            [x[:, :, i : i + 2, j : j + 4] for i in range(2) for j in range(2)]
        ),
    ),
    "smallest_of_all": (
        "Pooling pooling_param { pool: MIN global_pooling: true }",
        lambda x: x.min(axis=(2, 3), keepdims=True).reshape(2, 4),
    ),
    "reverse": ("Reverse reverse_param { axis: 3 }", lambda x: x[..., ::-1]),
    "reverse_two": ("Reverse reverse_param { axis: 1 axis: 2 }", lambda x: x[:, ::-1, ::-1]),
    "mvn": ("MVN", lambda x: mvn(x, (2, 3), 1e-9)),
    "mvn_together": (
        "MVN mvn_param { across_channels: true eps: 0.5 }",
        lambda x: mvn(x, (1, 2, 3), 0.5),
    ),
    "mvn_mean": (
        "MVN mvn_param { normalize_variance: false across_channels: true }",
        lambda x: x - x.mean(axis=(1, 2, 3), keepdims=True),
    ),
    "clip": ("Clip clip_param { min: -0.5 max: 0.75 }", lambda x: np.clip(x, -0.5, 0.75)),
    "clip_to_one": ("ReLU6 relu6_param { threshold: 1 }", lambda x: np.clip(x, 0, 1)),
    "swish": ("Swish swish_param { beta: 2 }", lambda x: x / (1 + np.exp(-2 * x))),
    "threshold": (
        "Threshold threshold_param { threshold: 0.25 }",
        lambda x: (x > 0.25).astype(float),
    ),
    "reshape": (
        "Reshape reshape_param { shape { dim: 0 dim: 0 dim: 1 dim: -1 } }",
        lambda x: x.reshape(len(x), 4, 1, -1),
    ),
}


@pytest.mark.parametrize("case", SIMPLE)
def test_simple_layers(case: str) -> None:
    layer, wanted = SIMPLE[case]
    x = noise(2, 4, 3, 5)
    found = computed(after("4x3x5", layer), x)
    np.testing.assert_allclose(found, wanted(x.astype(np.float64)), rtol=1e-5, atol=1e-5)


def reorganized(x: Array, stride: int, forward: bool) -> Array:
    """The numbers that darknet's reorg_cpu gives, in their order."""
    n, channels, height, width = x.shape
    result, given = np.zeros(x.size, x.dtype), x.ravel()
    depth = channels // stride**2
    for b, k, j, i in np.ndindex(n, channels, height, width):
        one = i + width * (j + height * (k + channels * b))
        row, column = j * stride + k // depth // stride, i * stride + k // depth % stride
        other = column + width * stride * (row + height * stride * (k % depth + depth * b))
        result[other if forward else one] = given[one if forward else other]
    return result


@pytest.mark.parametrize(("stride", "shape"), [(2, (4, 6, 4)), (2, (8, 2, 6)), (3, (9, 6, 3))])
@pytest.mark.parametrize("reverse", [False, True])
def test_reorg_as_darknet(stride: int, shape: tuple[int, ...], reverse: bool) -> None:
    word = str(reverse).lower()
    fields = f"stride: {stride} reverse: {word}"
    text = after("x".join(map(str, shape)), f"Reorg reorg_param {{ {fields} }}")
    x = noise(2, *shape)
    found = computed(text, x)
    factor = stride**2
    channels, height, width = shape
    wanted = (channels // factor, height * stride, width * stride)
    if not reverse:
        wanted = (channels * factor, height // stride, width // stride)
    np.testing.assert_array_equal(found, reorganized(x, stride, reverse).reshape(2, *wanted))


@pytest.mark.parametrize("bottleneck", [False, True])
def test_dense_blocks_of_a_fork(bottleneck: bool, tmp_path: Path) -> None:
    """DenseBlock_layer.cpp: blobs by kind, each for all transitions, the divisor last."""
    count, growth, start = 3, 2, 4
    fields = f"numTransition: {count} growthRate: {growth} initChannel: {start}"
    fields += f" use_BC: {str(bottleneck).lower()}"
    net = net_of(after("4x5x6", f"DenseBlock denseblock_param {{ {fields} }}"))
    draw = np.random.default_rng(4)
    widths = [start + growth * i for i in range(count)]
    inner = [4 * growth] * count

    def filters(given: list[int], made: int, kernel: int) -> list[Array]:
        return [draw.standard_normal((made, c, kernel, kernel)) / c for c in given]

    def norms(given: list[int]) -> list[list[Array]]:
        return [[draw.uniform(0.5, 2, (1, c, 1, 1)) for c in given] for _ in range(4)]

    wide = filters(inner if bottleneck else widths, growth, 3)
    first, second = norms(widths), norms(inner)
    narrow = filters(widths, 4 * growth, 1)
    kinds = [wide, *first, *([narrow, *second] if bottleneck else [])]
    blobs = [blob for kind in kinds for blob in kind] + [np.array([2.0])]
    path = tmp_path / "x.caffemodel"
    path.write_bytes(b"".join(caffemodel("x", [CaffemodelLayer("l1", "DenseBlock", tuple(blobs))])))
    given = noise(2, start, 5, 6)
    found = netspec.build(net, "numpy", read_caffe(path, net))(given)

    def normal(x: Any, kind: list[list[Array]], i: int) -> Any:
        weight, bias, mean, variance = (torch.tensor(k[i].ravel()) for k in kind)
        return F.batch_norm(x, mean / 2, variance / 2, weight, bias).relu()

    x = torch.tensor(given, dtype=torch.float64)
    for i in range(count):
        y = normal(x, first, i)
        if bottleneck:
            y = normal(F.conv2d(y, torch.tensor(narrow[i])), second, i)
        x = torch.cat((x, F.conv2d(y, torch.tensor(wide[i]), padding=1)), 1)
    np.testing.assert_allclose(found, x.numpy(), rtol=1e-4, atol=1e-5)


def test_unpooling_puts_values_back() -> None:
    """SegNet's Upsample with the second top of a pooling."""
    text = after(
        "2x6x4",
        'Pooling top: "l1" top: "mask" pooling_param { kernel_size: 2 stride: 2 }',
        'Upsample bottom: "l1" bottom: "mask" upsample_param { scale: 2 }',
    )
    x = np.abs(noise(1, 2, 6, 4))
    found = computed(text, x)
    pooled = caffe_pool(x, [2, 2], [2, 2], [0, 0], mean=False)
    assert (found > 0).sum() == pooled.size
    np.testing.assert_array_equal(found[found > 0], x[found > 0])


# Where learned numbers lie: fields of the layer, and the axes that they have a number for each of.
AXES = {
    "axis: 1": (1,),
    "axis: 2": (2,),
    "axis: -1": (3,),
    "num_axes: 2": (1, 2),
    "num_axes: -1": (1, 2, 3),
    "axis: 2 num_axes: 2": (2, 3),
    "axis: 0 num_axes: 0": (),
}


@pytest.mark.parametrize("fields", AXES)
@pytest.mark.parametrize("type_", ["Scale", "Bias"])
def test_learned_numbers_along_any_axes(type_: str, fields: str, tmp_path: Path) -> None:
    """ScaleLayer and BiasLayer, with blobs as Caffe shapes them, through a caffemodel."""
    dims, axes = (4, 3, 5), AXES[fields]
    shape = tuple(dims[a - 1] for a in axes)
    bias = type_ == "Scale"
    params = f"{type_.lower()}_param {{ {fields} {'bias_term: true' if bias else ''} }}"
    net = net_of(after("4x3x5", f"{type_} {params}"))
    blobs = tuple(noise(*shape) + i for i in range(2 if bias else 1))
    path = tmp_path / "x.caffemodel"
    path.write_bytes(b"".join(caffemodel("x", [CaffemodelLayer("l1", type_, blobs)])))
    x = noise(2, *dims)
    found = netspec.build(net, "numpy", read_caffe(path, net))(x)
    spread = [b.reshape([n if i + 1 in axes else 1 for i, n in enumerate(dims)]) for b in blobs]
    wanted = x * spread[0] + spread[1] if bias else x + spread[0]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)


def test_products_that_spread(tmp_path: Path) -> None:
    """A second bottom of the first dimensions, or of none, lies on each element of the others."""
    rows = 'Slice top: "l1" top: "rest" slice_param { axis: 3 slice_point: 1 }'
    text = after(
        "4x3x5",
        rows,
        "Reshape reshape_param { shape { dim: 0 dim: 4 dim: 3 } }",
        'Scale bottom: "data" bottom: "l2" scale_param { axis: 0 }',
    )
    x = noise(1, 4, 3, 5)
    np.testing.assert_allclose(
        computed(text.replace('top: "rest"', 'top: "r"') + QUIET, x), x * x[..., :1], rtol=1e-5
    )


QUIET = 'layer { name: "q" type: "Silence" bottom: "r" }'


def test_inner_products_of_rows(tmp_path: Path) -> None:
    """InnerProductLayer with an axis behind others: the same weights for each row."""
    text = after("4x3x5", "InnerProduct inner_product_param { axis: 3 num_output: 2 }")
    net = net_of(text)
    weight, bias = noise(2, 5), noise(2)
    path = tmp_path / "x.caffemodel"
    path.write_bytes(
        b"".join(caffemodel("x", [CaffemodelLayer("l1", "InnerProduct", (weight, bias))]))
    )
    x = noise(1, 4, 3, 5)
    found = netspec.build(net, "numpy", read_caffe(path, net))(x)
    np.testing.assert_allclose(found, x @ weight.T + bias, rtol=1e-4, atol=1e-5)
