"""The iterations of a loop: what each gives its names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any

from netspec.diagnostics import Diagnostic, Label
from netspec.ops.attribute_types import describe
from netspec.semantic.evaluator import Evaluator
from netspec.semantic.limits import MAX_STEPS
from netspec.semantic.scope import EvaluationError, evaluation_error
from netspec.symbolic.expr import Num
from netspec.syntax.ast import (
    Definition,
    Expression,
    For,
    Function,
    Let,
    ListLiteral,
    Name,
    Target,
    Variable,
)
from netspec.syntax.unparse import target_text
from netspec.syntax.visitor import walk

Named = list[tuple[Name, Any]]
"""The names of a loop with what they are in one iteration."""


def iterations(s: For, evaluator: Evaluator, definition: Definition) -> Iterable[Named]:
    """What a loop gives its names, iteration by iteration. Raises EvaluationError."""
    if s.last is not None:
        return _range(s, s.last, evaluator)
    items = evaluator.constant(s.first)
    if not isinstance(items, tuple):
        raise evaluation_error(
            "wrong-type",
            f"`for` runs over a range or a list, not over {describe(items)}",
            s.first.span,
            "a range is written `1..8`, both ends included",
        )
    places = _places(s.first, len(items), evaluator, definition)
    return [
        list(_unpacked(s.target, item, place)) for item, place in zip(items, places, strict=True)
    ]


def _range(s: For, end: Expression, evaluator: Evaluator) -> Iterable[Named]:
    first = evaluator.integer(s.first, "the start of a range")
    last = evaluator.integer(end, "the end of a range")
    step = 1 if s.step is None else evaluator.integer(s.step, "the step of a range")
    if s.step is not None and step == 0:
        message = "a range with a step of 0 has no end"
        raise evaluation_error("out-of-range", message, s.step.span)
    name = s.target
    if not isinstance(name, Name):
        message = f"a range gives numbers, which have no parts for {target_text(name)}"
        raise evaluation_error("wrong-type", message, name.span)
    numbers = range(first, last + (1 if step > 0 else -1), step)
    count = (last - first) // step + 1
    if count > MAX_STEPS:
        raise evaluation_error(
            "too-large",
            f"this loop runs {count:,} times; at most {MAX_STEPS:,} are possible",
            s.first.span.to(end.span),
        )
    return ([(name, Num(Fraction(i)))] for i in numbers)


# --- items ---------------------------------------------------------------------------------------

_Place = Any
"""Where an item stands: its expression, a tuple for those that `zip` joins, None if unknown."""


def _unpacked(target: Target, value: Any, place: _Place) -> Iterator[tuple[Name, Any]]:
    """The names of a target with the parts of an item. Raises EvaluationError."""
    if isinstance(target, Name):
        yield target, value
        return
    wanted = len(target.parts)
    if not isinstance(value, tuple) or len(value) != wanted:
        what = "is no list" if not isinstance(value, tuple) else f"has length {len(value)}"
        message = f"{describe(value)} {what}, but {target_text(target)} takes a list of {wanted}"
        if place is None or isinstance(place, tuple):
            raise evaluation_error("wrong-type", message, target.span)
        label = Label(target.span, "taken apart here")
        raise EvaluationError(Diagnostic("wrong-type", message, place.span, others=(label,)))
    inner: Sequence[_Place] = [None] * wanted
    if isinstance(place, tuple):
        inner = place
    elif isinstance(place, ListLiteral) and len(place.items) == wanted:
        inner = place.items
    for part, item, at in zip(target.parts, value, inner, strict=True):
        yield from _unpacked(part, item, at)


def _places(
    e: Expression, count: int, evaluator: Evaluator, definition: Definition
) -> Sequence[_Place]:
    """Where the items of a list stand in the text."""
    unknown: list[_Place] = [None] * count
    match e:
        case ListLiteral(items) if len(items) == count:
            return items
        case Function(Name("enumerate"), (items, *_)):
            return [(None, p) for p in _places(items, count, evaluator, definition)]
        case Function(Name("zip"), lists):
            columns = (_places(x, count, evaluator, definition) for x in lists)
            return list(zip(*columns, strict=True))
        case Variable(name):
            known = evaluator.scope.find(name)
            for let in walk(*definition.body):
                if known and isinstance(let, Let) and let.name.span == known[1]:
                    # Not of names in it, which may mean other constants there.
                    return let.value.items if isinstance(let.value, ListLiteral) else unknown
    return unknown
