"""Layers that are equal but for a number in their names, as loops."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Any

from netspec.lazy_dataclasses import replace
from netspec.syntax.ast import (
    Attribute,
    Binary,
    Call,
    Constant,
    Expression,
    For,
    Function,
    Index,
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
    """The statements, with loops for runs of equal layers whose names count up evenly."""
    result: list[Statement] = []
    i = 0
    while i < len(statements):
        end = i
        start, step = _counted(statements[i]), 0
        while start and end < len(statements):
            other = _counted(statements[end])
            if other is None or other[0] != start[0]:
                break
            step = step or other[1] - start[1]
            if step < min(1, end - i) or other[1] != start[1] + step * (end - i):
                break
            if not _equal(statements[i], statements[end]):
                break
            end += 1
        if start and end - i >= MIN_ITERATIONS:
            result.append(_loop(statements[i], *start, end - i, step))
            i = end
        else:
            result.append(statements[i])
            i += 1
    return result


def _counted(statement: Statement) -> tuple[str, int] | None:
    """The name of a layer without its last number, and that number; None without one."""
    if not isinstance(statement, LayerStatement) or statement.name is None:
        return None
    return _split(statement.name.base.text)


def _split(name: str) -> tuple[str, int] | None:
    """A name without its last number, and that number; None without one."""
    match = re.fullmatch(r"(.*?[A-Za-z_])([1-9]\d{0,4}|0)", name)
    return (match[1], int(match[2])) if match else None


def _equal(a: Statement, b: Statement) -> bool:
    """Whether two layers are equal, each but for its number."""
    if not (isinstance(a, LayerStatement) and isinstance(b, LayerStatement)):
        return False
    return _comparable(a) == _comparable(b)


def _comparable(statement: LayerStatement) -> object:
    own = _counted(statement)
    return [
        (
            call.op.text,
            None if call.arguments is None else [_argument(a, own) for a in call.arguments],
            [(f.name.text, comparable_value(f.value)) for f in call.fields],
        )
        for call in statement.chain.calls
    ]


def _argument(argument: object, own: tuple[str, int] | None) -> object:
    """An argument for comparison: the value of the layer before is the same for each."""
    match argument:
        case Attribute():
            return argument.name.text, _argument(argument.base, own)
        case Variable():
            found = _split(argument.name)
            if own and found and found[0] == own[0]:
                return own[1] - found[1]
            return argument.name
        case _:
            return id(argument)


def comparable_value(e: Expression) -> object:
    """An object that is equal for equal constants and variables."""
    match e:
        case Number() | Constant() | String():
            return e.value
        case ShapeLiteral():
            return e.dims
        case ListLiteral():
            return tuple(comparable_value(item) for item in e.items)
        case Unary():
            return (e.operator, comparable_value(e.operand))
        case Binary():
            return (e.operator, comparable_value(e.left), comparable_value(e.right))
        case Variable():
            return e.name
        case Function():
            return (e.name.text, *map(comparable_value, e.arguments))
        case _:
            return id(e)


def _with_index(call: Call, base: str, number: int) -> Call:
    """A call of iteration `number` whose arguments refer to earlier iterations by `i`."""
    if call.arguments is None:
        return call

    def indexed(e: Any) -> Any:
        if isinstance(e, Attribute):
            return replace(e, base=indexed(e.base))
        found = _split(e.name) if isinstance(e, Variable) else None
        if found is None or found[0] != base:
            return e
        before = Number(Fraction(number - found[1]), e.span)
        return Index(
            Variable(base, e.span), Binary("-", Variable("i", e.span), before, e.span), e.span
        )

    return replace(call, arguments=tuple(map(indexed, call.arguments)))


def _loop(statement: Statement, base: str, first: int, count: int, step: int) -> For:
    assert isinstance(statement, LayerStatement)
    span = statement.span
    name = LayerName(Name(base, span), (Variable("i", span),), span)
    calls = tuple(_with_index(call, base, first) for call in statement.chain.calls)
    body = LayerStatement(name, replace(statement.chain, links=calls), span)
    start, end, by = (Number(Fraction(n), span) for n in (first, first + step * (count - 1), step))
    return For(Name("i", span), start, end, by if step > 1 else None, (body,), span)
