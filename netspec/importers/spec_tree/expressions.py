"""Constants of the graph as expressions of the language."""

from __future__ import annotations

from fractions import Fraction

from netspec.diagnostics.source import Span
from netspec.importers.structure.graph import ConstantValue, bracketed
from netspec.syntax.ast import (
    Binary,
    Constant,
    Expression,
    Function,
    ListLiteral,
    Name,
    Number,
    ShapeLiteral,
    Unary,
    Variable,
)

_PAIRS = {"kernel", "size"}
"""Fields that are written as `3x3`."""
_LISTS = ("parts", "lr_mult", "decay_mult")
"""Fields, and parameters for them, that are written as `[1, 2]`."""


def constant_node(value: ConstantValue, span: Span) -> Expression:
    """A constant as an expression; `normal(0.01)` is a word with what stands in its brackets."""
    if isinstance(value, bool):
        return Constant(value, span)
    if isinstance(value, tuple):
        return ListLiteral(tuple(number(v, span) for v in value), span)
    if isinstance(value, Fraction):
        return number(value, span)
    called = bracketed(value)
    if called is None:
        return Variable(value, span)
    word, inner = called
    return Function(Name(word, span), tuple(constant_node(i, span) for i in inner), span)


def field_value(value: ConstantValue, name: str, span: Span) -> Expression:
    """A constant as an author would write it in the field `name`."""
    if isinstance(value, bool | str):
        return constant_node(value, span)
    if isinstance(value, Fraction):
        return number(value, span)
    whole = all(v.denominator == 1 and v >= 0 for v in value)
    if len(value) == 2 and value[0] == value[1] and name not in _PAIRS:
        return number(value[0], span)
    if len(value) == 2 and whole and max(value) < 10**9 and not name.endswith(_LISTS):
        return ShapeLiteral(tuple(int(v) for v in value), span)
    return ListLiteral(tuple(number(v, span) for v in value), span)


def number(value: Fraction, span: Span) -> Expression:
    """A number; one that is no finite decimal is written as a fraction."""
    if value < 0:
        return Unary("-", number(-value, span), span)
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1:
        top, bottom = Fraction(value.numerator), Fraction(value.denominator)
        return Binary("/", Number(top, span), Number(bottom, span), span)
    return Number(value, span)
