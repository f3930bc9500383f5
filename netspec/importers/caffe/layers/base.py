"""What rules of layer types share: their registry, and fields that stand for height and width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from netspec.diagnostics.source import Span
from netspec.importers.caffe.graph import GraphValue
from netspec.importers.caffe.messages import MessageFields
from netspec.importers.caffe.translate import (
    BlobValue,
    Dims,
    LayerTranslation,
    Nothing,
    language_shape,
)

Tops = Sequence[BlobValue | Nothing]
Run = Callable[[LayerTranslation], Tops]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Rule:
    """How a layer type becomes nodes. `least` and `most` are how many bottoms it takes."""

    run: Run
    least: int
    most: int | None
    tops: int | None

    def check(self, use: LayerTranslation) -> None:
        """Raises Wrong for a number of bottoms or tops that Caffe refuses."""
        count, tops = len(use.bottoms), len(use.layer.tops)
        type_ = use.layer.type
        if count < self.least or (self.most is not None and count > self.most):
            least, most = self.least, self.most
            wanted = f"{least}" if least == most else f"{least} to {most}"
            wanted = f"at least {least}" if most is None else wanted
            message = f"{type_} takes {wanted} bottom{'s' * (wanted != '1')}, but has {count}"
            raise use.wrong("wrong-arity", message)
        if not tops:
            raise use.wrong("wrong-arity", f"this {type_} has no top")
        if self.tops is not None and tops > self.tops:
            message = f"{type_} has at most {self.tops} top{'s' * (self.tops > 1)}, here are {tops}"
            raise use.wrong("wrong-arity", message, use.layer.tops[self.tops].span)


RULES: dict[str, Rule] = {}
"""The rule of every layer type that netspec can express."""


def layer(
    *types: str, bottoms: tuple[int, int | None] = (1, 1), tops: int | None = 1
) -> Callable[[Run], Run]:
    """Decorator: the rule of these layer types, with how many bottoms and tops they have."""

    def register(run: Run) -> Run:
        for type_ in types:
            RULES[type_] = Rule(run, *bottoms, tops)
        return run

    return register


class Folded:
    """A blob whose dimensions from `first` up to `end` are laid out as the channels of a value.

    What acts on channels acts on those dimensions then: a factor of each row, or of each element;
    an empty range is one channel that holds everything.
    """

    def __init__(self, use: LayerTranslation, data: BlobValue, first: int, end: int) -> None:
        dims = data.dims
        self.use = use
        self.lead, self.count = prod(dims[:first]), prod(dims[first:end])
        self.rest = prod(dims[end:])
        if self.lead == 1:
            self.value = use.reshaped(data.value, (self.count, self.rest, 1))
        else:
            apart = use.reshaped(data.value, (self.lead, self.count, self.rest))
            self.value = use.permuted(apart, [1, 0, 2])

    def unfolded(self, value: GraphValue, channels: Dims, dims: Dims) -> GraphValue:
        """`value` laid out as `dims`, which have `channels` where the folded dimensions were."""
        if self.lead != 1:
            apart = (prod(channels), self.lead, self.rest)
            value = self.use.permuted(self.use.reshaped(value, apart), [1, 0, 2])
        return self.use.reshaped(value, language_shape(dims), part=False)


def pair(p: MessageFields, name: str, high: str, wide: str, default: int) -> tuple[Pair, Span]:
    """A field of one or two numbers, or its `_h` and `_w` forms, height first, and its place.

    Raises nothing: what is missing or too much is `default`, or the first two.
    """
    if high in p or wide in p:
        first = p.maybe_integer(high)
        second = p.maybe_integer(wide)
        given = p.place(high if high in p else wide)
        return (default if first is None else first, default if second is None else second), given
    values = p.integers(name)
    if not values:
        return (default, default), p.span
    return (values[0], values[-1 if len(values) == 1 else 1]), p.place(name)
