"""Source of numbers that follow heights and widths: they are asked of the arrays at hand."""

from __future__ import annotations

from collections.abc import Callable

from netspec.symbolic.expr import (
    Apply,
    Expr,
    NumberLiteral,
    Parameter,
    SizeOf,
    Symbol,
    expression_source,
    needs_fractions,
)


def size_source(expr: Expr, variable: Callable[[SizeOf], str]) -> tuple[str, bool]:
    """An expression of sizes as Python source, and whether it is an exact fraction.

    `variable` gives the name of the value whose size is meant.
    """
    expr = _in_whole_numbers(expr)
    exact = needs_fractions(expr)

    def name(symbol: Symbol) -> str:
        if isinstance(symbol, Parameter):
            return symbol.name  # a fraction, see below
        assert isinstance(symbol, SizeOf), "other symbols have their values"
        size = f"{variable(symbol)}.data.shape[{symbol.axis - 1}]"
        return f"Fraction({size})" if exact else size

    return expression_source(_with_fractions(expr), name), exact


def _in_whole_numbers(expr: Expr) -> Expr:
    """The expression with rounded quotients of whole numbers as Python has them: `a // b`."""
    if not isinstance(expr, Apply):
        return expr
    match Apply(expr.operator, tuple(map(_in_whole_numbers, expr.operands))):
        case Apply("floor" | "ceil" as rounding, (Apply("/", (a, b)),)) if not any(
            map(needs_fractions, (a, b))
        ):
            if rounding == "floor":
                return Apply("//", (a, b))
            return Apply("-", (Apply("//", (Apply("-", (a,)), b)),))
        case other:
            return other


def _with_fractions(expr: Expr) -> Expr:
    """Fractions as calls, which is no more than a name to what prints an expression."""
    match expr:
        case Apply(operator, operands):
            return Apply(operator, tuple(map(_with_fractions, operands)))
        case NumberLiteral(value) if value.denominator != 1:
            return Parameter(f"Fraction({value.numerator}, {value.denominator})")
    return expr
