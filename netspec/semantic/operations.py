"""Operators and functions of the language on constants.

Each gets the expressions that its operands come from, for the places of errors.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor
from typing import Any

from netspec.diagnostics.source import Span
from netspec.ir.op_value import OpValue
from netspec.ops.attribute_types import describe
from netspec.semantic.constants import MAX_BITS, exact
from netspec.semantic.scope import evaluation_error
from netspec.symbolic.expr import Expr, Num, Operator, apply
from netspec.syntax.ast import Binary, Expression

# --- arithmetic ----------------------------------------------------------------------------------

_ARITHMETIC: dict[str, Callable[[Fraction, Fraction], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


def arithmetic(e: Binary, left: Num, right: Num) -> Num:
    """What an operator makes of two numbers. Raises EvaluationError."""
    a, b = left.value, right.value
    if e.operator in ("/", "//", "%") and b == 0:
        raise evaluation_error("bad-arithmetic", "this divides by zero", e.right.span)
    if e.operator == "**":
        value = _power(e, a, b)
    else:
        value = Fraction(_ARITHMETIC[e.operator](a, b))
    _check_digits(value, e.span)
    expr = apply(e.operator, left.known, right.known)  # type: ignore[arg-type]
    return Num(value, expr)


def _power(e: Binary, a: Fraction, b: Fraction) -> Fraction:
    if b.denominator != 1:
        raise evaluation_error("not-integral", "an exponent must be a whole number", e.right.span)
    if a == 0 and b < 0:
        raise evaluation_error("bad-arithmetic", "this divides by zero", e.span)
    digits = max(abs(a.numerator), a.denominator).bit_length()
    if a not in (0, 1, -1) and abs(b) * (digits - 1) > MAX_BITS:
        raise evaluation_error("too-large", "this number is too large", e.span)
    exponent = int(b)
    if a in (0, 1, -1) and exponent:
        exponent = 2 - exponent % 2  # only its parity counts, and it may be huge
    return Fraction(a**exponent)


def _check_digits(value: Fraction, span: Span) -> None:
    """Raise EvaluationError for a number with too many digits."""
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > MAX_BITS:
        raise evaluation_error("too-large", "this number is too large", span)


# --- comparisons ---------------------------------------------------------------------------------

_ORDER: dict[str, Callable[[Fraction, Fraction], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compare(op: str, left: Any, right: Any, at: Expression, operand: Expression) -> bool:
    """One comparison of a chain, of which the sides stand at two expressions.

    Raises EvaluationError where they can't be compared.
    """
    left, right = _comparable(left), _comparable(right)
    if op in ("in", "not in"):
        if not isinstance(right, tuple):
            raise evaluation_error(
                "wrong-type", f"`{op}` needs a list, not {describe(right)}", operand.span
            )
        found = any(_equal(exact(left), exact(item)) for item in right)
        return found == (op == "in")
    if op in ("==", "!="):
        return _equal(exact(left), exact(right)) == (op == "==")
    for value, side in ((left, at), (right, operand)):
        if not isinstance(value, Num):
            raise evaluation_error(
                "wrong-type", f"`{op}` needs numbers, not {describe(value)}", side.span
            )
    return _ORDER[op](left.value, right.value)


def _comparable(value: Any) -> Any:
    """A value as it is compared: of ops, which they are, without their fields."""
    if isinstance(value, tuple):
        return tuple(map(_comparable, value))
    return value.bare if isinstance(value, OpValue) else value


def _equal(a: Any, b: Any) -> bool:
    # In Python, True == 1; in the language it is not.
    return isinstance(a, bool) == isinstance(b, bool) and bool(a == b)


# --- functions -----------------------------------------------------------------------------------

FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "round": round,
    "floor": floor,
    "ceil": ceil,
    "sum": sum,
    "len": len,
    "enumerate": enumerate,
    "zip": zip,
}
_OF_ONE_NUMBER = ("abs", "round", "floor", "ceil")


def call_function(name: str, values: Sequence[Any], span: Span) -> Any:
    """What one of FUNCTIONS makes of constants. Raises EvaluationError."""
    if name == "enumerate":
        return _enumerated(values, span)
    if name == "zip":
        return _zipped(values, span)
    if name == "len":
        if len(values) != 1 or not isinstance(values[0], tuple):
            raise evaluation_error("wrong-type", "len(...) takes one list", span)
        return Num(Fraction(len(values[0])))
    numbers = values
    if len(values) == 1 and isinstance(values[0], tuple) and name in ("min", "max", "sum"):
        numbers = values[0]
    for number in numbers:
        if not isinstance(number, Num):
            message = f"{name}(...) takes numbers, not {describe(number)}"
            raise evaluation_error("wrong-type", message, span)
    if (not numbers and name != "sum") or (len(numbers) > 1 and name in _OF_ONE_NUMBER):
        needs = "one number" if name in _OF_ONE_NUMBER else "numbers"
        raise evaluation_error("wrong-arity", f"{name}(...) takes {needs}", span)
    if name == "sum":
        total = sum((n.value for n in numbers), Fraction(0))
        _check_digits(total, span)
        return Num(total, _sum(numbers))
    if len(numbers) == 1 and name in ("min", "max"):
        return numbers[0]
    result = Fraction(FUNCTIONS[name](*(n.value for n in numbers)))
    symbol: Operator = name  # type: ignore[assignment]
    return Num(result, apply(symbol, *(n.known for n in numbers)))


def _enumerated(values: Sequence[Any], span: Span) -> Any:
    """The items of a list, each behind its number; these begin at 0 or at a given number."""
    items, start, *more = (*values, Num(Fraction(0)))[: max(2, len(values))]
    whole = isinstance(start, Num) and start.value.denominator == 1
    if not isinstance(items, tuple) or not whole or more:
        message = "enumerate(...) takes a list, and a whole number to begin with"
        raise evaluation_error("wrong-type", message, span)
    return tuple((Num(start.value + i), item) for i, item in enumerate(items))


def _zipped(values: Sequence[Any], span: Span) -> Any:
    """The first items of several lists together, then the second ones, and so on."""
    for value in values:
        if not isinstance(value, tuple):
            message = f"zip(...) takes lists, not {describe(value)}"
            raise evaluation_error("wrong-type", message, span)
    lengths = [len(value) for value in values]
    if len(set(lengths)) > 1:
        message = f"zip(...) takes lists of one length, not of {' and '.join(map(str, lengths))}"
        raise evaluation_error("wrong-type", message, span)
    return tuple(zip(*values, strict=True))


def _sum(numbers: Sequence[Num]) -> Expr | None:
    """The expression of a sum; None where it is of nothing, or grew too large."""
    expr: Expr | None = None
    for i, number in enumerate(numbers):
        if i == 0:
            expr = number.known
            continue
        if expr is None:
            return None
        expr = apply("+", expr, number.known)
    return expr
