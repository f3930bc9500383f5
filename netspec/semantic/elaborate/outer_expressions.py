"""A module's numbers in terms of the block that it is used in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.ir import Argument, Block, Value
from netspec.ops import Shape, like
from netspec.symbolic.expr import (
    Apply,
    Channels,
    Dim,
    Expr,
    Literally,
    Num,
    Parameter,
    Symbol,
    apply,
    expr_of,
    symbols,
)


def outside_of(
    arguments: tuple[Argument, ...], block: Block, inputs: tuple[Value, ...]
) -> dict[Symbol, Expr]:
    """What the symbols of a module are in terms of the block that it stands in."""
    outside: dict[Symbol, Expr] = {
        Parameter(a.name): a.expr for a in arguments if a.expr is not None
    }
    for inner, outer in zip(block.inputs, inputs, strict=True):
        outside[Channels(inner.name)] = expr_of(outer.shape[0])
    return outside


def outer_shape(shape: Shape, outside: Mapping[Symbol, Expr]) -> Shape:
    """A shape of a module's inside, its channels in terms of the outside."""
    channels = shape[0]
    if not isinstance(channels, Dim):
        return shape
    expr = _substitute(channels.expr, outside)
    value = int(channels)
    known = expr is not None and any(symbols(expr))
    channels = Dim(value, expr) if known and expr is not None else value
    return like(shape, (channels, *shape[1:]))


def _substitute(e: Expr, given: Mapping[Symbol, Expr]) -> Expr | None:
    if isinstance(e, Apply):
        operands = []
        for operand in e.operands:
            result = _substitute(operand, given)
            if result is None:
                return None
            operands.append(result)
        # An expression of literals only is worth no more than its value.
        return apply(e.operator, *operands)
    return e if isinstance(e, Literally) else given.get(e, e)


def as_parameter(name: str, value: Any) -> Any:
    """A parameter's value inside its block, where its name is the expression for it."""
    return Num(value.value, Parameter(name)) if isinstance(value, Num) else value


def public(value: Any) -> Any:
    """A constant as backends and Python callers see it."""
    if isinstance(value, Num):
        return int(value.value) if value.value.denominator == 1 else float(value.value)
    if isinstance(value, tuple):
        return tuple(public(v) for v in value)
    return value
