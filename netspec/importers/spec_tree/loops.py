"""Layers that are equal but for a number in their names, as loops."""

from __future__ import annotations

import re
from fractions import Fraction

from netspec.syntax.ast import (
    Binary,
    Call,
    Constant,
    Expression,
    For,
    Function,
    LayerName,
    LayerStatement,
    ListLiteral,
    Name,
    Number,
    ShapeLiteral,
    Statement,
    String,
    Unary,
    Variable,
)

MIN_ITERATIONS = 4
"""From how many equal layers on a loop is written."""


def with_loops(statements: list[Statement]) -> list[Statement]:
    """The statements, with loops for runs of equal layers whose names count up."""
    result: list[Statement] = []
    i = 0
    while i < len(statements):
        end = i
        start = _counted(statements[i])
        while start and end < len(statements):
            other = _counted(statements[end])
            if other is None or other[0] != start[0] or other[1] != start[1] + end - i:
                break
            if not _equal(statements[i], statements[end]):
                break
            end += 1
        if start and end - i >= MIN_ITERATIONS:
            result.append(_loop(statements[i], start[0], start[1], start[1] + end - i - 1))
            i = end
        else:
            result.append(statements[i])
            i += 1
    return result


def _counted(statement: Statement) -> tuple[str, int] | None:
    """The name of a layer without its last number, and that number; None without one."""
    if not isinstance(statement, LayerStatement) or statement.name is None:
        return None
    call = statement.chain.calls[0]
    if call.arguments is not None:
        return None
    match = re.fullmatch(r"(.*?[A-Za-z_])([1-9]\d{0,4}|0)", statement.name.base.text)
    return (match[1], int(match[2])) if match else None


def _equal(a: Statement, b: Statement) -> bool:
    if not (isinstance(a, LayerStatement) and isinstance(b, LayerStatement)):
        return False
    return list(map(_comparable, a.chain.calls)) == list(map(_comparable, b.chain.calls))


def _comparable(call: Call) -> object:
    return call.op.text, [(f.name.text, _comparable_value(f.value)) for f in call.fields]


def _comparable_value(e: Expression) -> object:
    match e:
        case Number() | Constant() | String():
            return e.value
        case ShapeLiteral():
            return e.dims
        case ListLiteral():
            return tuple(_comparable_value(item) for item in e.items)
        case Unary():
            return (e.operator, _comparable_value(e.operand))
        case Binary():
            return (e.operator, _comparable_value(e.left), _comparable_value(e.right))
        case Variable():
            return e.name
        case Function():
            return (e.name.text, *map(_comparable_value, e.arguments))
        case _:
            return id(e)


def _loop(statement: Statement, base: str, first: int, last: int) -> For:
    assert isinstance(statement, LayerStatement)
    span = statement.span
    name = LayerName(Name(base, span), (Variable("i", span),), span)
    body = LayerStatement(name, statement.chain, span)
    start, end = Number(Fraction(first), span), Number(Fraction(last), span)
    return For(Name("i", span), start, end, (body,), span)
