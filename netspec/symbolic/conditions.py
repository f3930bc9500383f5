"""Conditions of `if` in terms of a module's parameters, for code that decides when it runs.

A comparison of what is known for good (iterations of loops) is kept as the literals it came to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Literal

from netspec.lazy_dataclasses import dataclass
from netspec.symbolic.expr import (
    Apply,
    Channels,
    Expr,
    NumberLiteral,
    Parameter,
    SizeOf,
    Symbol,
    constant_source,
    evaluate,
    expression_source,
    symbols,
)


@dataclass(frozen=True)
class ConstantTerm:
    """A string, truth value or `none`."""

    value: str | bool | None


@dataclass(frozen=True)
class ListTerm:
    """A list, as the right side of `in`."""

    items: tuple[Term, ...]


@dataclass(frozen=True)
class Compared:
    """`first op term op term ...`, chained as in Python."""

    first: Term
    rest: tuple[tuple[str, Term], ...]


@dataclass(frozen=True)
class Combined:
    """Conditions joined by `and` or `or`, or one behind `not`."""

    operator: Literal["and", "or", "not"]
    operands: tuple[Condition, ...]


MAX_ITEMS = 10_000
"""Most items of a list, those of lists in it counted."""

Term = Expr | ConstantTerm | ListTerm
Condition = Compared | Combined | ConstantTerm | Parameter

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "in": lambda a, b: a in b,
    "not in": lambda a, b: a not in b,
}


def known_symbols(condition: Condition | Term) -> Iterator[Symbol]:
    """The parameters and input channels in a condition, from left to right."""
    match condition:
        case Combined(_, operands):
            for operand in operands:
                yield from known_symbols(operand)
        case Compared(first, rest):
            for term in (first, *(t for _, t in rest)):
                yield from known_symbols(term)
        case ListTerm(items):
            for item in items:
                yield from known_symbols(item)
        case ConstantTerm():
            return
        case _:
            yield from symbols(condition)


def holds(condition: Condition, value: Callable[[Symbol], Any]) -> bool | None:
    """Whether a condition holds in Python's arithmetic; None where that fails."""
    try:
        match condition:
            case Combined("not", (operand,)):
                return not _sure(holds(operand, value))
            case Combined(operator, operands):
                each = (_sure(holds(o, value)) for o in operands)
                return all(each) if operator == "and" else any(each)
            case Compared(first, rest):
                left = _term(first, value)
                for sign, term in rest:
                    right = _term(term, value)
                    if not COMPARISONS[sign](left, right):
                        return False
                    left = right
                return True
            case ConstantTerm(truth):
                return _sure(truth)
            case Parameter():
                return _sure(value(condition))
    except (KeyError, TypeError, ValueError):
        return None


def _sure(truth: object) -> bool:
    if not isinstance(truth, bool):
        raise TypeError("no truth value")
    return truth


def _term(term: Term, value: Callable[[Symbol], Any]) -> Any:
    match term:
        case ConstantTerm(constant):
            return constant
        case ListTerm(items):
            return tuple(_term(item, value) for item in items)
        case Parameter() | Channels():
            return value(term)
        case _:
            number = evaluate(term, value)
            if number is None:
                raise ValueError("no result")
            return number


OPPOSITE = {"==": "!=", "<": ">=", "<=": ">", "in": "not in"}
OPPOSITE |= {b: a for a, b in OPPOSITE.items()}


def negated(condition: Condition) -> Condition:
    """The opposite, without a `not` where there is another way to write it."""
    match condition:
        case Compared(first, ((operator, term),)):
            return Compared(first, ((OPPOSITE[operator], term),))
        case Combined("not", (operand,)):
            return operand
        case Combined("and" | "or" as operator, operands):
            opposites = tuple(negated(o) for o in operands)
            if all(isinstance(o, Compared) for o in opposites):
                return Combined("or" if operator == "and" else "and", opposites)
    return Combined("not", (condition,))


def condition_source(condition: Condition, name: Callable[[Symbol], str]) -> str:
    """A condition as Python source; `name` gives the source of a symbol."""
    match condition:
        case Combined("not", (operand,)):
            opposite = negated(operand)
            if opposite != condition:
                return condition_source(opposite, name)
            return f"not {_inner(operand, name)}"
        case Combined(operator, operands):
            return f" {operator} ".join(_inner(o, name) for o in operands)
        case Compared(first, ((operator, ConstantTerm(bool() | None) as constant),)) if (
            operator
            in (
                "==",
                "!=",
            )
        ):
            # As linters want it: no `== True`, no `== None`.
            if constant.value is None:
                return f"{_source(first, name)} is {'not ' if operator == '!=' else ''}None"
            positive = constant.value is (operator == "==")
            return f"{'' if positive else 'not '}{_source(first, name)}"
        case Compared(first, rest):
            parts = [_source(first, name)]
            for operator, term in rest:
                parts += [operator, _source(term, name)]
            return " ".join(parts)
        case _:
            return _source(condition, name)


def _inner(condition: Condition, name: Callable[[Symbol], str]) -> str:
    text = condition_source(condition, name)
    joined = isinstance(condition, Combined) and condition.operator != "not"
    return f"({text})" if joined else text


def _source(term: Term, name: Callable[[Symbol], str]) -> str:
    match term:
        case ConstantTerm(constant):
            return constant_source(constant)
        case ListTerm(items):
            inner = ", ".join(_source(item, name) for item in items)
            return f"({inner},)" if len(items) == 1 else f"({inner})"
        case NumberLiteral() | Apply() | Parameter() | Channels() | SizeOf():
            return expression_source(term, name)
