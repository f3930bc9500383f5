"""Receptive fields: how much of the input each layer's result depends on, and how far apart.

Every value carries, for height and width, an interval of the input: place o of the value depends
on the input from o * step + low to o * step + high. Ops say what a place of theirs depends on
(`Op.receptive_field`), so the intervals of a layer follow from those of its inputs; those of
several inputs are united. Padding counts as part of the input, as in Araujo et al. 2019 (Computing
Receptive Fields of Convolutional Neural Networks, Distill).
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from netspec.ir import Net, Value
from netspec.lazy_dataclasses import dataclass

Number = int | Fraction
MAX_STEP = 2**40
"""A step beyond this is taken for the whole input."""


@dataclass(frozen=True)
class EffectiveField:
    """The receptive field and effective stride of a layer's result, height first.

    `size` is in elements of the net's input, None for all of it; `stride` is how far apart the
    fields of two neighbours are, None where there are no neighbours.
    """

    size: tuple[int, int] | None
    stride: tuple[Number, Number] | None


class _Axis(NamedTuple):
    """`step` is None for a single place; `low` and `high` are None for the whole input."""

    step: Number | None
    low: Number | None
    high: Number | None


_WHOLE = _Axis(None, None, None)
_Axes = tuple[_Axis, _Axis]


def fields(net: Net) -> tuple[EffectiveField | None, ...]:
    """The field of each of `net.layers`; None where an input of the net has no height and width."""
    start = _Axis(1, 0, 0)
    known: dict[Value, _Axes | None] = {
        v: (start, start) if len(v.shape) == 3 else None for v in net.body.inputs
    }
    results: list[EffectiveField | None] = []
    for layer in net.layers:
        inputs = [found for v in layer.inputs if (found := known[v]) is not None]
        field = layer.op.receptive_field(
            [v.shape for v in layer.inputs], [v.shape for v in layer.outputs]
        )
        axes: _Axes | None = None
        if inputs and field is None:
            axes = (_WHOLE, _WHOLE)
        elif inputs and field is not None:
            height, width = (_united(a[i] for a in inputs) for i in (0, 1))
            vertical, horizontal = zip(field.extent, field.stride, field.before, strict=True)
            axes = (_through(height, *vertical), _through(width, *horizontal))
        for value in layer.outputs:
            known[value] = axes
        results.append(None if axes is None else _field(axes))
    return tuple(results)


def _united(axes: Iterable[_Axis]) -> _Axis:
    first, *others = axes
    step, low, high = first
    for other in others:
        if other.step is not None:
            step = other.step if step is None else max(step, other.step)
        if low is None or high is None or other.low is None or other.high is None:
            low = high = None
        else:
            low, high = min(low, other.low), max(high, other.high)
    return _Axis(step, low, high)


def _through(axis: _Axis, extent: int, stride: Number, before: Number) -> _Axis:
    step, low, high = axis
    if step is None:
        return axis
    further = step * stride
    if further > MAX_STEP:
        return _WHOLE
    if low is None or high is None:
        return _Axis(further, None, None)
    return _Axis(further, low - before * step, high + (extent - 1 - before) * step)


def _field(axes: _Axes) -> EffectiveField:
    height, width = axes
    size = stride = None
    if height.low is not None and height.high is not None:
        if width.low is not None and width.high is not None:
            size = int(height.high - height.low) + 1, int(width.high - width.low) + 1
    if height.step is not None and width.step is not None:
        stride = _plain(height.step), _plain(width.step)
    return EffectiveField(size, stride)


def _plain(number: Number) -> Number:
    return int(number) if number.denominator == 1 else Fraction(number)
