"""Receptive fields: how much of the input each layer's result depends on, and how far apart.

Ops say which places of their input a place of their result depends on (`Op.receptive_field`). From
these follow the first and the last row of the net's input that a place depends on, and the columns;
several inputs are united. Padding counts as part of the input, as in Araujo et al. 2019 (Computing
Receptive Fields of Convolutional Neural Networks, Distill): a place outside a value depends on what
it would if the value went on. Where the field depends on the place, the largest counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fractions import Fraction
from math import gcd, lcm

from netspec.ir import FlatLayer, Net, Value
from netspec.lazy_dataclasses import dataclass
from netspec.ops import ReceptiveField
from netspec.ops.reads import ITSELF, ONE, Reads

Number = int | Fraction
MAX_STEP = 2**40
"""A step beyond this is taken for the whole input."""
MAX_PERIOD = 4096
"""Places after which the fields of a value must repeat, or they are worked out place by place."""
MAX_PLACES = 400_000
"""Places whose fields are worked out for a net at most."""


@dataclass(frozen=True)
class EffectiveField:
    """The receptive field and effective stride of a layer's result, height first.

    `size` is in rows and columns of the net's input, None for all of it; `stride` is how many of
    them the fields of two neighbours are apart, None where there are no neighbours.
    """

    size: tuple[int, int] | None
    stride: tuple[Number, Number] | None


class _Axis:
    """Which rows, or columns, of the net's input the places of a value depend on.

    `sources` are what the value is made of and which of their places each place reads; the input
    has none. `step` is how far apart neighbours are, None for a single place. What holds for a
    place holds `period` further on, `shift` later, if `period` is not None.
    """

    def __init__(
        self,
        sources: tuple[tuple[_Axis, Reads], ...],
        step: Number | None,
        whole: bool = False,
        period: tuple[int, int] | None = None,
    ) -> None:
        self.sources = sources
        self.step = step
        self.whole = whole
        self.period: int | None = None
        self.shift = 0
        if period is not None:
            self.period, self.shift = period
        self.known: dict[int, tuple[int, int] | None] = {}

    def reduced(self, place: int) -> tuple[int, int]:
        """The place that says what holds for a place, and how much later that is."""
        if self.period is None:
            return place, 0
        times, rest = divmod(place, self.period)
        return rest, times * self.shift


_WHOLE = _Axis((), None, whole=True)
_Tracked = tuple[_Axis, int]
"""An axis of the net's input and which dimension of a value moves along it."""


def fields(net: Net) -> tuple[EffectiveField | None, ...]:
    """The field of each of `net.layers`.

    None where an input of the net has no height and width, and where a net of sizes that never
    repeat needs more than MAX_PLACES.
    """
    return _Fields(net).found()


class _Fields:
    def __init__(self, net: Net) -> None:
        self._net = net
        self._left = MAX_PLACES
        self._made: dict[tuple[tuple[int, Reads], ...], _Axis] = {}
        self._largest: dict[tuple[int, int], int] = {}

    def found(self) -> tuple[EffectiveField | None, ...]:
        start = _Axis((), 1, period=(1, 1))
        start.known[0] = (0, 0)
        inputs = [v for v in self._net.body.inputs if len(v.shape) == 3]
        known: dict[Value, tuple[_Tracked, _Tracked] | None]
        known = {
            v: ((start, 1), (start, 2)) if v in inputs else None for v in self._net.body.inputs
        }
        size = [max((int(v.shape[i]) for v in inputs), default=0) for i in (1, 2)]
        results = []
        for layer in self._net.layers:
            taken = [(v, axes) for v in layer.inputs if (axes := known[v]) is not None]
            axes = self._through(layer, taken) if taken else None
            known.update(dict.fromkeys(layer.outputs, axes))
            results.append(None if axes is None else self._field(axes, layer.outputs[0], size))
        return tuple(results)

    def _through(
        self, layer: FlatLayer, taken: Sequence[tuple[Value, tuple[_Tracked, _Tracked]]]
    ) -> tuple[_Tracked, _Tracked]:
        shapes = [v.shape for v in layer.outputs]
        field = layer.op.receptive_field([v.shape for v in layer.inputs], shapes)
        if field is None:
            return (_WHOLE, 1), (_WHOLE, 2)
        rows, columns = (
            self._united(layer, field, [(v, axes[i]) for v, axes in taken]) for i in (0, 1)
        )
        return rows, columns

    def _united(
        self, layer: FlatLayer, field: ReceptiveField, taken: Iterable[tuple[Value, _Tracked]]
    ) -> _Tracked:
        """One axis of the net's input behind a layer."""
        channels = ITSELF if layer.op.elementwise or field.order != (0, 1, 2) else None
        reads = (channels, field.height, field.width)
        result = layer.outputs[0].shape
        sources: dict[tuple[int, Reads], tuple[_Axis, Reads]] = {}
        steps: list[Number] = []
        dimensions = set()
        whole = False
        for value, (axis, dimension) in taken:
            spreads = layer.op.elementwise and dimension and len(value.shape) == 3
            spreads = spreads and value.shape[dimension] == 1 != result[dimension]
            read = ONE if spreads else reads[dimension]
            whole = whole or axis.whole or read is None
            if read is not None:
                sources[id(axis), read] = (axis, read)
                places, distance = read.period
                if axis.step is not None and distance:
                    steps.append(axis.step * Fraction(abs(distance), places))
                    dimensions.add(field.order.index(dimension))
                elif not axis.whole:
                    dimensions.add(field.order.index(dimension))
        step = max(steps, default=None)
        if len(dimensions) > 1 or (step is not None and step > MAX_STEP):
            return _WHOLE, 1
        dimension = dimensions.pop() if dimensions else 1
        if whole:
            return _Axis((), step, whole=True), dimension
        ((axis, read), *others) = sources.values()
        if read == ITSELF and not others:
            return axis, dimension
        key = tuple(sources)
        if key not in self._made:
            self._made[key] = _Axis(tuple(sources.values()), step, period=_period(sources.values()))
        return self._made[key], dimension

    def _field(
        self, axes: tuple[_Tracked, _Tracked], result: Value, size: Sequence[int]
    ) -> EffectiveField | None:
        """What is said of a layer's result; None where that takes too long."""
        # Of what lies along the channels, a place has all.
        lost = [axis.whole or not dimension for axis, dimension in axes]
        sizes: list[int] = []
        for (axis, dimension), all_, whole in zip(axes, lost, size, strict=True):
            try:
                length = 0 if all_ else int(result.shape[dimension])
                sizes.append(whole if all_ else self._extent(axis, length))
            except _TooMuch:
                return None
        height, width = (axis.step if dimension else None for axis, dimension in axes)
        stride = None if height is None or width is None else (_plain(height), _plain(width))
        return EffectiveField(None if all(lost) else (sizes[0], sizes[1]), stride)

    def _extent(self, axis: _Axis, length: int) -> int:
        """The largest extent of what one of the first `length` places depends on."""
        if axis.period is not None:
            length = min(length, axis.period)
        key = id(axis), length
        if key not in self._largest:
            found = (self._ends(axis, place) for place in range(length))
            self._largest[key] = max((e[1] - e[0] + 1 for e in found if e is not None), default=0)
        return self._largest[key]

    def _ends(self, axis: _Axis, place: int) -> tuple[int, int] | None:
        """First and last row of the net's input that a place depends on; None if on none."""
        wanted = [(axis, axis.reduced(place)[0])]
        while wanted:
            axis, at = wanted[-1]
            if at in axis.known:
                wanted.pop()
                continue
            missing: list[tuple[_Axis, int]] = []
            ends: list[int] = []
            for source, reads in axis.sources:
                for place in _outermost(reads.places(at), source.period):
                    rest, later = source.reduced(place)
                    if rest not in source.known:
                        missing.append((source, rest))
                    elif (found := source.known[rest]) is not None:
                        ends += (found[0] + later, found[1] + later)
            if missing:
                wanted += missing
                continue
            self._left -= 1
            if self._left < 0:
                raise _TooMuch
            axis.known[at] = (min(ends), max(ends)) if ends else None
        return axis.known[at]


class _TooMuch(Exception):
    """A net needs more than MAX_PLACES."""


def _period(sources: Iterable[tuple[_Axis, Reads]]) -> tuple[int, int] | None:
    """After how many places all sources repeat, and how much later that is."""
    period, shift = 1, None
    for axis, reads in sources:
        places, distance = reads.period
        if distance == 0:
            later = 0
        elif axis.period is None:
            return None
        else:
            times = axis.period // gcd(axis.period, distance)
            places, later = places * times, axis.shift * (distance * times // axis.period)
        if shift is not None and shift * places != later * period:
            return None
        common = lcm(period, places)
        period, shift = common, later * (common // places)
    return (period, shift or 0) if period <= MAX_PERIOD else None


def _outermost(places: Sequence[int], period: int | None) -> Iterable[int]:
    """Those of evenly spaced places that can depend on the first or the last row."""
    if period is None or len(places) <= 2 * period:
        return places
    return (*places[:period], *places[-period:])


def _plain(number: Number) -> Number:
    return int(number) if number.denominator == 1 else Fraction(number)
