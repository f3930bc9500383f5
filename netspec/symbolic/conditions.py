"""Conditions of `if` in terms of a module's parameters, for code that decides when it runs.

A comparison of what is known for good (iterations of loops) is kept as the literals it came to.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from netspec.lazy_dataclasses import dataclass
from netspec.symbolic.expr import (
    Expr,
    Parameter,
)


@dataclass(frozen=True)
class ConstantTerm:
    """A string, truth value, `none`, or an op or module (`netspec.ir.op_value.OpValue`)."""

    value: Any


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
