"""Shape rules, parameter shapes and MACs against brute force and against torch's own modules."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, prod
from typing import Literal

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from netspec_numpy.python_language import whole
from torch import nn

from netspec.ops import OPS, Op, ShapeError, attributes
from netspec.ops.convolution import Conv, Linear
from netspec.ops.merging import Add, Concat
from netspec.ops.normalization import BatchNorm
from netspec.ops.pooling import AvgPool, MaxPool
from netspec.ops.reshaping import Flatten
from netspec.ops.window import positions, same_pads
from netspec.symbolic.expr import Apply, Dim, Parameter, evaluate, expression_source, literal

SIZES = st.integers(1, 14)
SMALL = st.integers(1, 4)
PADS = st.integers(0, 3)


def starts(
    size: int, kernel: int, stride: int, before: int, after: int, dilation: int, up: bool
) -> int:
    """Windows counted one by one on the padded line."""
    count = start = 0
    end = size + before + after
    span = dilation * (kernel - 1) + 1
    if end < span:
        return 0
    while start + span <= end:
        count += 1
        start += stride
    # Rounded up, one more window takes what is left over, if it starts before the last padding.
    left_over = start - stride + span < end
    return count + (up and left_over and start < size + before)


@given(SIZES, SMALL, st.integers(1, 6), PADS, PADS, SMALL, st.booleans())
def test_window_count(
    size: int, kernel: int, stride: int, before: int, after: int, dilation: int, up: bool
) -> None:
    # Padding that holds whole windows is refused before windows are counted.
    assume(max(before, after) < dilation * (kernel - 1) + 1)
    rounding = "ceil" if up else "floor"
    found = positions(size, kernel, stride, before, after, dilation, rounding)  # type: ignore[arg-type]
    assert found == starts(size, kernel, stride, before, after, dilation, up)


@given(SIZES, SIZES, SMALL, SMALL, SMALL, SMALL)
def test_same_padding(
    height: int, width: int, kh: int, kw: int, stride: int, dilation: int
) -> None:
    op = Conv(
        filters=2, kernel=(kh, kw), stride=(stride, stride), pad="same", dilation=(dilation,) * 2
    ).bind([(1, height, width)])
    assert op.outputs([(1, height, width)]) == ((2, ceil(height / stride), ceil(width / stride)),)
    top, bottom, left, right = same_pads((height, width), (kh, kw), (stride,) * 2, (dilation,) * 2)
    assert 0 <= bottom - top <= 1
    assert 0 <= right - left <= 1


def multiplications(op: Conv, shape: tuple[int, ...], out: tuple[int, ...]) -> int:
    """One for each output element, place of the filter and channel of its group, counted."""
    count = 0
    for _ in range(out[0] * out[1] * out[2]):
        for _ in range(op.kernel[0] * op.kernel[1]):
            count += shape[0] // op.group_count
    return count


@pytest.mark.slow
@given(SIZES, SIZES, SMALL, SMALL, SMALL, PADS, SMALL, st.integers(1, 3), st.booleans())
def test_conv_is_torchs(
    height: int,
    width: int,
    kh: int,
    kw: int,
    stride: int,
    pad: int,
    dilation: int,
    groups: int,
    bias: bool,
) -> None:
    shape = (2 * groups, height, width)
    op = Conv(
        filters=3 * groups,
        kernel=(kh, kw),
        stride=(stride, stride),
        pad=(pad,) * 4,
        dilation=(dilation, dilation),
        groups=groups,
        bias=bias,
    ).bind([shape])
    module = nn.Conv2d(shape[0], op.filters, (kh, kw), stride, pad, dilation, groups, bias)
    try:
        expected = tuple(module(torch.zeros(1, *shape)).shape[1:])
    except RuntimeError:
        with pytest.raises(ShapeError):
            op.outputs([shape])
        return
    assert op.outputs([shape]) == (expected,)
    tensors = op.tensors([shape])
    assert {n: t.shape for n, t in tensors.items()} == {
        n: tuple(p.shape) for n, p in module.named_parameters()
    }
    assert op.macs([shape], [expected]) == multiplications(op, shape, expected)


@pytest.mark.slow
@given(SIZES, SIZES, st.integers(1, 5), st.integers(1, 6), PADS, st.booleans())
def test_poolings_are_torchs(
    height: int, width: int, kernel: int, stride: int, pad: int, up: bool
) -> None:
    # A window that exceeds its padded input is an error here; torch rounds it up to one.
    assume(pad <= kernel // 2 and kernel <= min(height, width) + 2 * pad)
    shape = (2, height, width)
    size = {"kernel": (kernel, kernel), "stride": (stride, stride), "pad": (pad,) * 4}
    rounding = "ceil" if up else "floor"
    ops: list[tuple[Op, nn.Module]] = [
        (MaxPool(**size, round=rounding), nn.MaxPool2d(kernel, stride, pad, ceil_mode=up)),  # type: ignore[arg-type]
        (
            AvgPool(**size, round=rounding, count_include_pad=True),  # type: ignore[arg-type]
            nn.AvgPool2d(kernel, stride, pad, ceil_mode=up),
        ),
    ]
    for op, module in ops:
        try:
            expected = tuple(module(torch.zeros(1, *shape)).shape[1:])
        except RuntimeError:
            with pytest.raises(ShapeError):
                op.bind([shape]).outputs([shape])
            continue
        assert op.bind([shape]).outputs([shape])[0] == expected


@given(SIZES, SIZES, st.integers(1, 4), st.integers(1, 5), PADS)
def test_rounding_must_be_said_just_where_it_matters(
    height: int, width: int, kernel: int, stride: int, pad: int
) -> None:
    assume(pad < kernel <= min(height, width) + 2 * pad)
    shape = (1, height, width)
    results = set()
    size = {"kernel": (kernel, kernel), "stride": (stride, stride), "pad": (pad,) * 4}
    for rounding in ("floor", "ceil"):
        op = MaxPool(**size, round=rounding).bind([shape])  # type: ignore[arg-type]
        results.add(op.outputs([shape]))
    silent = MaxPool(**size)  # type: ignore[arg-type]
    if len(results) == 1:
        assert silent.bind([shape]).outputs([shape]) in results
    else:
        with pytest.raises(ShapeError) as error:
            silent.bind([shape])
        assert error.value.code == "ambiguous-rounding"


@given(SIZES, st.integers(1, 4), st.integers(1, 5), PADS, PADS, st.booleans())
def test_an_average_must_say_whether_padding_counts_just_where_it_matters(
    size: int, kernel: int, stride: int, before: int, after: int, up: bool
) -> None:
    assume(max(before, after) < kernel <= size + before + after)
    rounding: Literal["floor", "ceil"] = "ceil" if up else "floor"
    count = positions(size, kernel, stride, before, after, 1, rounding)
    windows = [range(i * stride - before, i * stride - before + kernel) for i in range(count)]
    # What hangs over the end of the padded input never counts.
    padding = any(p < 0 or size <= p < size + after for window in windows for p in window)
    op = AvgPool(kernel=(kernel, 1), stride=(stride, 1), pad=(before, after, 0, 0), round=rounding)
    if not padding:
        assert op.bind([(1, size, 3)])
        return
    with pytest.raises(ShapeError) as error:
        op.bind([(1, size, 3)])
    assert error.value.code == "ambiguous-average"


def test_linear_and_batchnorm_are_torchs() -> None:
    linear = nn.Linear(12, 5)
    op = Linear(units=5)
    assert {n: t.shape for n, t in op.tensors([(12,)]).items()} == {
        n: tuple(p.shape) for n, p in linear.named_parameters()
    }
    assert op.macs([(12,)], [(5,)]) == 12 * 5
    norm = nn.BatchNorm2d(7)
    tensors = BatchNorm().tensors([(7, 3, 3)])
    state = {n: tuple(t.shape) for n, t in norm.state_dict().items() if "num" not in n}
    assert {n: t.shape for n, t in tensors.items()} == state
    learnable = {n for n, t in tensors.items() if t.learnable}
    assert learnable == {n for n, _ in norm.named_parameters()}
    assert BatchNorm().eps == norm.eps
    assert BatchNorm().momentum == norm.momentum


def test_combining() -> None:
    assert Concat().outputs([(3, 4, 5), (2, 4, 5)]) == ((5, 4, 5),)
    assert Add().outputs([(3, 1, 1), (3, 4, 5), (3, 4, 5)]) == ((3, 4, 5),)
    assert Flatten().outputs([(3, 4, 5)]) == ((60,),)
    for bad in ([(3, 4, 5), (3, 4, 6)], [(3, 4, 5), (60,)]):
        for op in (Concat(), Add()):
            with pytest.raises(ShapeError):
                op.outputs(bad)


def test_declarations_are_complete() -> None:
    for keyword, op in OPS.items():
        assert op.__doc__, keyword
        assert op.keyword == keyword
        for a in attributes(op):
            assert a.doc
            assert str(a.kind)


STEPS = st.tuples(st.sampled_from("+-*%/"), st.integers(1, 9), st.booleans(), st.booleans())


@given(st.lists(STEPS, max_size=8))
def test_numbers_remember_how_they_were_made(steps: list[tuple[str, int, bool, bool]]) -> None:
    value: int = Dim(6, Parameter("p"))
    known = {"p": 6}
    for i, (operator, operand, symbolic, swapped) in enumerate(steps):
        other: int = operand
        if symbolic:
            known[f"q{i}"] = operand
            other = Dim(operand, Parameter(f"q{i}"))
        if operator == "+":
            value = other + value if swapped else value + other
        elif operator == "-":
            value = other - value if swapped else value - other
        elif operator == "*":
            value = other * value if swapped else value * other
        else:
            value = value % other if operator == "%" else value // other
        if isinstance(value, Dim):
            assert evaluate(value.expr, lambda s: known[s.name]) == int(value)  # type: ignore[union-attr]
            source = expression_source(value.expr, lambda s: s.name)  # type: ignore[union-attr]
            assert eval(source, {}, dict(known)) == int(value)


@pytest.mark.parametrize(
    ("compute", "source"),
    [
        (lambda a, b: a + b + b + b, "a + 3 * b"),
        (lambda a, b: a * 2 + a, "3 * a"),
        (lambda a, b: a + 1 + 1, "a + 2"),
        (lambda a, b: (a - b) + b, "a"),
        (lambda a, b: 9 - a - a, "9 - 2 * a"),
        (lambda a, b: a * b + b, "a * b + b"),
        (lambda a, b: a - a, None),
    ],
)
def test_equal_terms_are_counted(compute: Callable[[int, int], int], source: str | None) -> None:
    value = compute(Dim(7, Parameter("a")), Dim(5, Parameter("b")))
    assert value == compute(7, 5)
    found = expression_source(value.expr, lambda s: s.name) if isinstance(value, Dim) else None  # type: ignore[union-attr]
    assert found == source


@pytest.mark.parametrize(
    ("expr", "source"),
    [
        (Apply("/", (Parameter("n"), literal(2))), "n // 2"),
        (Apply("+", (Apply("/", (Parameter("n"), literal(2))), literal(1))), "int(n / 2 + 1)"),
        (Apply("*", (literal(0.5), Parameter("n"))), "int(0.5 * n)"),
        (Apply("*", (literal(3), Parameter("n"))), "3 * n"),
    ],
)
def test_whole_numbers_stay_ints_in_python(expr: Apply, source: str) -> None:
    found = whole(expr, lambda _: 8)
    assert expression_source(found, lambda s: s.name) == source  # type: ignore[union-attr]
    value = eval(source, {}, {"n": 8})
    assert isinstance(value, int)
    assert value == evaluate(expr, lambda _: 8)


def test_prod_of_dims_keeps_its_expression() -> None:
    size = prod((Dim(4, Parameter("n")), 3, 2))
    assert isinstance(size, Dim)
    assert evaluate(size.expr, lambda _: 5) == 30
