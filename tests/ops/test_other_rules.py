"""Shape rules, parameter shapes and MACs of the further ops, against torch and by counting."""

from __future__ import annotations

from math import prod
from typing import Any, Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from netspec.ops import IndexShape, Op, ShapeError
from netspec.ops.activation import PRelu
from netspec.ops.attribute_types import (
    AttributeType,
    AttributeTypeError,
    DimensionOrder,
    Dimensions,
    Integer,
    Parts,
    Size,
)
from netspec.ops.convolution import ConvTranspose
from netspec.ops.merging import Maximum, Mul, Sub
from netspec.ops.normalization import LayerNorm, Scale
from netspec.ops.pooling import AdaptiveAvgPool, MaxPool
from netspec.ops.reshaping import (
    ChannelShuffle,
    Crop,
    Pad,
    Permute,
    PixelShuffle,
    PixelUnshuffle,
    Reshape,
    Slice,
    Split,
)
from netspec.ops.resizing import MaxUnpool, Upsample
from netspec.symbolic.expr import Num

SIZES = st.integers(1, 9)
SMALL = st.integers(1, 4)


def multiplications(op: ConvTranspose, shape: tuple[int, ...]) -> int:
    """One for each input element, place of the filter, and filter of its group, counted."""
    count = 0
    for _ in range(prod(shape)):
        for _ in range(op.kernel[0] * op.kernel[1]):
            count += op.filters // op.group_count
    return count


@pytest.mark.slow
@given(
    SIZES, SIZES, SMALL, SMALL, SMALL, st.integers(0, 3), st.integers(0, 3), SMALL, st.booleans()
)
def test_transposed_conv_is_torchs(
    height: int,
    width: int,
    kernel: int,
    stride: int,
    dilation: int,
    pad: int,
    output_pad: int,
    groups: int,
    bias: bool,
) -> None:
    shape = (2 * groups, height, width)
    module = nn.ConvTranspose2d(
        shape[0], 3 * groups, kernel, stride, pad, output_pad, groups, bias, dilation
    )
    op = ConvTranspose(
        filters=3 * groups,
        kernel=(kernel, kernel),
        stride=(stride, stride),
        pad=(pad,) * 4,
        output_pad=(output_pad, output_pad),
        dilation=(dilation, dilation),
        groups=groups,
        bias=bias,
    )
    try:
        expected = tuple(module(torch.zeros(1, *shape)).shape[1:])
    except RuntimeError:
        expected = (0,)
    if 0 in expected:
        with pytest.raises(ShapeError):
            op.bind([shape]).outputs([shape])
        return
    bound = op.bind([shape])
    assert bound.outputs([shape]) == (expected,)
    tensors = bound.tensors([shape])
    assert {n: t.shape for n, t in tensors.items()} == {
        n: tuple(p.shape) for n, p in module.named_parameters()
    }
    assert bound.macs([shape], [expected]) == multiplications(bound, shape)


@given(SIZES, SIZES, SMALL, SMALL, SMALL)
def test_same_padding_of_a_transposed_conv(
    height: int, width: int, kernel: int, stride: int, dilation: int
) -> None:
    op = ConvTranspose(
        filters=2, kernel=(kernel, 4), stride=(stride, 2), pad="same", dilation=(dilation, 1)
    )
    shape = (1, height, width)
    if dilation * (kernel - 1) + 1 < stride:
        with pytest.raises(ShapeError) as error:
            op.bind([shape])
        assert error.value.at == "pad"
        return
    assert op.bind([shape]).outputs([shape]) == ((2, height * stride, width * 2),)


@pytest.mark.slow
@given(SIZES, SIZES, SIZES, SIZES)
def test_adaptive_pooling_is_torchs(height: int, width: int, rows: int, columns: int) -> None:
    shape = (3, height, width)
    expected = F.adaptive_avg_pool2d(torch.zeros(shape), (rows, columns)).shape
    assert AdaptiveAvgPool(size=(rows, columns)).outputs([shape]) == (tuple(expected),)


@given(SIZES, SIZES, SMALL, SMALL)
def test_upsampling_by_a_factor_is_torchs(height: int, width: int, rows: int, columns: int) -> None:
    shape = (2, height, width)
    expected = F.interpolate(torch.zeros(1, *shape), scale_factor=(rows, columns)).shape[1:]
    op = Upsample(scale=(rows, columns), mode="nearest").bind([shape])
    assert op.outputs([shape]) == (tuple(expected),)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@given(SIZES, SIZES, SIZES, SIZES)
def test_alignment_must_be_said_just_where_it_matters(
    mode: Literal["bilinear", "bicubic"], height: int, width: int, rows: int, columns: int
) -> None:
    x = torch.rand(1, 1, height, width, dtype=torch.float64)
    size = (rows, columns)
    edges = F.interpolate(x, size, mode=mode, align_corners=False)
    corners = F.interpolate(x, size, mode=mode, align_corners=True)
    silent = Upsample(size=size, mode=mode)
    shape = (1, height, width)
    if torch.allclose(edges, corners, atol=1e-9):
        assert silent.bind([shape]).outputs([shape]) == ((1, *size),)
    else:
        with pytest.raises(ShapeError) as error:
            silent.bind([shape])
        assert error.value.code == "ambiguous-alignment"


@given(st.integers(2, 12), st.integers(2, 12), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_unpooling_gives_the_pooled_size_back(
    height: int, width: int, kernel: int, stride: int, up: bool
) -> None:
    rounding: Literal["floor", "ceil"] = "ceil" if up else "floor"
    if kernel > min(height, width):
        return
    pool = MaxPool(kernel=(kernel, kernel), stride=(stride, stride), round=rounding)
    value, indices = pool.bind([(2, height, width)]).outputs([(2, height, width)])
    assert isinstance(indices, IndexShape)
    op = MaxUnpool().bind([value, indices])
    assert op.outputs([value, indices]) == ((2, height, width),)
    stated = MaxUnpool(size=(7, height, width)).bind([value, indices])
    assert stated.outputs([value, indices]) == ((2, height, width),)
    with pytest.raises(ShapeError):
        MaxUnpool(size=(height + 1, width)).bind([value, indices])


@given(SIZES, st.integers(0, 9), st.integers(1, 10), st.integers(1, 4))
def test_slices_are_those_of_a_list(length: int, first: int, end: int, step: int) -> None:
    op = Slice(rows=(first, end, step))
    if first >= end or end > length:
        with pytest.raises(ShapeError) as error:
            op.outputs([(2, length, 3)])
        assert error.value.at == "rows"
        return
    taken = list(range(length))[first:end:step]
    assert op.outputs([(2, length, 3)]) == ((2, len(taken), 3),)
    field = op.receptive_field([(2, length, 3)], [(2, len(taken), 3)])
    assert field is not None
    assert field.height is not None
    assert [list(field.height.places(i)) for i in range(len(taken))] == [[i] for i in taken]


SIZES_THAT_SPREAD = st.tuples(*(st.sampled_from([1, 2, 3]),) * 3)


@given(st.lists(SIZES_THAT_SPREAD, min_size=2, max_size=4))
def test_dimensions_of_1_spread_as_in_numpy(shapes: list[tuple[int, ...]]) -> None:
    try:
        expected = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(ShapeError, match="equal shapes"):
            Mul().outputs(shapes)
    else:
        assert Mul().outputs(shapes) == (expected,)


@given(SIZES, SIZES, SMALL)
def test_pixels_are_laid_out_as_torch_has_it(height: int, width: int, factor: int) -> None:
    shape = (2 * factor**2, height, width)
    expected = tuple(F.pixel_shuffle(torch.zeros(shape), factor).shape)
    assert PixelShuffle(factor=factor).outputs([shape]) == (expected,)
    assert PixelUnshuffle(factor=factor).outputs([expected]) == (shape,)


@pytest.mark.parametrize(
    ("op", "inputs", "outputs"),
    [
        (Split(parts=3), [(6, 2, 5)], [(2, 2, 5)] * 3),
        (Split(parts=(1, 5)), [(6,)], [(1,), (5,)]),
        (Reshape(shape=(-1, 5, 2)), [(3, 4, 5)], [(6, 5, 2)]),
        (Reshape(shape=(60,)), [(3, 4, 5)], [(60,)]),
        (Permute(order=(2, 0, 1)), [(3, 4, 5)], [(5, 3, 4)]),
        (Pad(pads=(1, 2, 3, 4)), [(3, 4, 5)], [(3, 7, 12)]),
        (Crop(size=(9, 2, 3), offset=(2, 1)), [(3, 4, 5)], [(3, 2, 3)]),
        (ChannelShuffle(groups=3), [(6, 4, 5)], [(6, 4, 5)]),
        (Mul(), [(3, 4, 5), (3, 1, 1)], [(3, 4, 5)]),
        (Sub(), [(3, 1, 1), (3, 4, 5)], [(3, 4, 5)]),
        (Maximum(), [(7,), (7,), (7,)], [(7,)]),
    ],
)
def test_rearranging_and_combining(
    op: Op, inputs: list[tuple[int, ...]], outputs: list[tuple[int, ...]]
) -> None:
    assert list(op.bind(inputs).outputs(inputs)) == outputs


@pytest.mark.parametrize(
    ("op", "inputs", "code"),
    [
        (Split(parts=4), [(6, 2, 5)], "groups-mismatch"),
        (Split(parts=(1, 4)), [(6, 2, 5)], "groups-mismatch"),
        (Reshape(shape=(-1, 7, 2)), [(3, 4, 5)], "shape-mismatch"),
        (Reshape(shape=(61,)), [(3, 4, 5)], "shape-mismatch"),
        (Permute(order=(2, 0, 1)), [(60,)], "wrong-rank"),
        (Crop(size=(3, 3), offset=(2, 1)), [(3, 4, 5)], "out-of-range"),
        (Crop(size=(3, 5), offset=(0, 1)), [(3, 4, 5)], "out-of-range"),
        (ChannelShuffle(groups=4), [(6, 4, 5)], "groups-mismatch"),
        (Mul(), [(3, 4, 5), (2, 1, 1)], "shape-mismatch"),
        (Sub(), [(7,), (7, 1, 1)], "shape-mismatch"),
        (Upsample(scale=(2, 2), size=(4, 4), mode="nearest"), [(1, 2, 2)], "conflicting-fields"),
        (Upsample(mode="nearest"), [(1, 2, 2)], "missing-field"),
        (ConvTranspose(filters=4, kernel=(3, 3), groups=3), [(6, 4, 4)], "groups-mismatch"),
        (ConvTranspose(filters=4, kernel=(1, 1), pad=(2,) * 4), [(6, 4, 4)], "pad-too-large"),
        (ConvTranspose(filters=4, kernel=(1, 1), output_pad=(1, 1)), [(6, 4, 4)], "out-of-range"),
    ],
)
def test_what_does_not_go(op: Op, inputs: list[tuple[int, ...]], code: str) -> None:
    with pytest.raises(ShapeError) as error:
        op.bind(inputs).outputs(inputs)
    assert error.value.code == code


def test_tensors_are_those_of_torch() -> None:
    for op, module in (
        (PRelu(), nn.PReLU(5)),
        (PRelu(shared=True), nn.PReLU()),
        (LayerNorm(), nn.LayerNorm(5)),
    ):
        tensors = op.tensors([(5, 4, 4)])
        state = module.state_dict()
        assert {n: t.shape for n, t in tensors.items()} == {
            n: tuple(p.shape) for n, p in state.items()
        }
        for name, tensor in tensors.items():
            assert tensor.learnable
            assert state[name].eq(tensor.init).all()
    assert {n: t.shape for n, t in Scale().tensors([(5, 2, 2)]).items()} == {
        "weight": (5,),
        "bias": (5,),
    }
    assert set(Scale(bias=False).tensors([(5,)])) == {"weight"}


def num(*numbers: int) -> tuple[Num, ...]:
    return tuple(Num.of(n) for n in numbers)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Integer(odd=True), {Num.of(5): 5}, [Num.of(4), Num.of(0)]),
        (
            Size(),
            {Num.of(4): (4, 4), num(2, 3): (2, 3), num(9, 2, 3): (9, 2, 3)},
            [num(1), num(0, 2)],
        ),
        (Parts(), {Num.of(3): 3, num(1, 2): (1, 2)}, [Num.of(0), Num.of(5000), (), num(0, 1)]),
        (
            Dimensions(),
            {num(-1, 2, 3): (-1, 2, 3)},
            [num(1, 2), num(-1, -1, 2), num(0, 1, 2), num(-2)],
        ),
        (
            DimensionOrder(),
            {num(2, 0, 1): (2, 0, 1)},
            [num(0, 1), num(1, 2, 3), num(0, 0, 1), Num.of(0)],
        ),
    ],
)
def test_kinds(kind: AttributeType, good: dict[Any, Any], bad: list[Any]) -> None:
    for value, converted in good.items():
        assert kind.convert(value) == converted
    for value in [*bad, "word", None]:
        with pytest.raises(AttributeTypeError):
            kind.convert(value)
