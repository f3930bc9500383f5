"""What the table of Caffe's layers claims of numbers, tried out: Caffe's rules in plain loops."""

from __future__ import annotations

from math import ceil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import netspec
from netspec.ops import ShapeError
from netspec.ops.pooling import AvgPool

from ..helpers import net_of

RNG = np.random.default_rng(7)


def run(body: str, x: Any, weights: dict[str, Any] | None = None) -> Any:
    """A net of these lines on an input x of shape (C, H, W)."""
    shape = "x".join(map(str, x.shape))
    net = net_of(f"net claim {{\n  input x: {shape}\n{body}\n}}")
    return netspec.build(net, "numpy", weights)(x[None].astype(np.float32))[0]


def caffe_average(x: Any, kernel: int, stride: int, pad: int) -> Any:
    """Caffe's PoolingLayer, AVE: rounded up, divided by the window within the padded input."""
    height = x.shape[0]
    count = ceil((height + 2 * pad - kernel) / stride) + 1
    if pad and (count - 1) * stride >= height + pad:
        count -= 1
    out = np.zeros((count, count))
    for i in range(count):
        for j in range(count):
            top, left = i * stride - pad, j * stride - pad
            bottom, right = min(top + kernel, height + pad), min(left + kernel, height + pad)
            size = (bottom - top) * (right - left)
            window = x[max(top, 0) : min(bottom, height), max(left, 0) : min(right, height)]
            out[i, j] = window.sum() / size
    return out


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(st.integers(3, 9), st.integers(1, 4), st.integers(1, 4), st.integers(0, 2))
def test_average_pooling_is_caffes(size: int, kernel: int, stride: int, pad: int) -> None:
    if kernel <= pad or kernel > size + 2 * pad or stride > kernel:
        return  # netspec refuses the first two; the guide names the third as the difference
    x = RNG.standard_normal((1, size, size))
    body = f"avgpool {{ kernel: {kernel} stride: {stride} pad: {pad} round: ceil count_include_pad: true }}"
    np.testing.assert_allclose(run(body, x)[0], caffe_average(x[0], kernel, stride, pad), atol=1e-5)


def test_stride_beyond_kernel_is_the_named_difference() -> None:
    """Without pad, Caffe keeps a window that starts behind the input; it holds nothing."""
    assert ceil((3 - 1) / 3) + 1 == 2
    op = AvgPool(kernel=(1, 1), stride=(3, 3), round="ceil").bind([(1, 3, 3)])
    assert op.outputs([(1, 3, 3)]) == ((1, 1, 1),)
    with pytest.raises(ShapeError):
        AvgPool(kernel=(1, 1), pad=(1, 1, 1, 1)).bind([(1, 3, 3)])


def test_local_response_within_a_channel() -> None:
    page = (Path(__file__).parents[2] / "docs" / "coming-from-prototxt.md").read_text()
    body = page.split("net within {\n  input x: 64x56x56\n")[1].split("\n}")[0]
    x = RNG.standard_normal((2, 5, 4))
    squares = np.pad(x**2, ((0, 0), (1, 1), (1, 1)))
    near = [squares[:, i : i + 5, j : j + 4] for i in range(3) for j in range(3)]
    wanted = x * (1 + 5e-5 * np.mean(near, axis=0)) ** -0.75
    np.testing.assert_allclose(run(body, x), wanted, rtol=1e-6)


def test_bilinear_deconvolution_is_upsampling_inside() -> None:
    """The weights of Caffe's bilinear filler, one group a channel, against `upsample`."""
    factor = 2
    kernel, pad = 2 * factor - factor % 2, ceil((factor - 1) / 2)
    half = ceil(kernel / 2)
    center = (2 * half - 1 - half % 2) / (2 * half)
    line = np.array([1 - abs(i / half - center) for i in range(kernel)])
    x = RNG.standard_normal((3, 6, 7))
    body = f"up: conv_transpose {{ filters: 3 kernel: {kernel} stride: {factor} pad: {pad} groups: 3 bias: false }}"
    weight = np.broadcast_to(np.outer(line, line), (3, 1, kernel, kernel)).astype(np.float32)
    found = run(body, x, {"up.weight": weight})
    wanted = run("upsample { scale: 2 mode: bilinear align_corners: false }", x)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found[:, 1:-1, 1:-1], wanted[:, 1:-1, 1:-1], atol=1e-5)
    assert not np.allclose(found[:, 0], wanted[:, 0])


def test_preprocessing_is_caffes() -> None:
    """(x - mean) * scale as `mean` and `std`."""
    net = net_of(
        "net p { input data: 3x4x4 { channels: bgr mean: [103.94, 116.78, 123.68] std: 1 / 0.017 }\n relu }"
    )
    picture = RNG.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    blob = picture[:, :, ::-1].transpose(2, 0, 1).astype(np.float64)
    caffe = (blob - np.array([103.94, 116.78, 123.68])[:, None, None]) * 0.017
    np.testing.assert_allclose(netspec.build(net, "numpy").preprocess(picture)[0], caffe, atol=1e-5)


def test_lrn_divides_alpha_by_the_size() -> None:
    x = RNG.standard_normal((7, 2, 2)) * 3
    found = run("lrn { size: 5 alpha: 0.5 beta: 0.75 }", x)
    squares = np.pad(x**2, ((2, 2), (0, 0), (0, 0)))
    sums = sum(squares[i : i + 7] for i in range(5))
    np.testing.assert_allclose(found, x / (1 + 0.5 / 5 * sums) ** 0.75, rtol=1e-5)


def test_softplus_is_bnll_and_silu_is_swish() -> None:
    x = RNG.standard_normal((1, 3, 5)) * 20
    bnll = np.where(x > 0, x + np.log(1 + np.exp(-x)), np.log(1 + np.exp(x)))
    np.testing.assert_allclose(run("softplus", x), bnll, atol=1e-5)
    np.testing.assert_allclose(run("silu", x), x / (1 + np.exp(-x)), atol=1e-5)


def test_inner_product_flattens_channels_outermost() -> None:
    x = RNG.standard_normal((2, 3, 4))
    weight = RNG.standard_normal((5, 24)).astype(np.float32)
    weights = {"l.weight": weight, "l.bias": np.zeros(5, dtype=np.float32)}
    found = run("flatten\n  l: linear { units: 5 }", x, weights)
    np.testing.assert_allclose(found, weight @ x.reshape(-1), rtol=1e-4, atol=1e-5)


def test_permute_without_the_batch() -> None:
    """Caffe's and PyTorch's order 0, 2, 3, 1."""
    x = RNG.standard_normal((2, 3, 4))
    whole = x[None].transpose(0, 2, 3, 1)[0]
    np.testing.assert_allclose(run("permute { order: [1, 2, 0] }", x), whole, rtol=1e-6)


def test_pads_are_torchs_the_other_way_round() -> None:
    torch = pytest.importorskip("torch")
    x = RNG.standard_normal((2, 3, 4)).astype(np.float32)
    wanted = torch.nn.functional.pad(torch.from_numpy(x), (1, 2, 3, 4)).numpy()
    np.testing.assert_array_equal(run("pad { pads: [3, 4, 1, 2] }", x), wanted)
