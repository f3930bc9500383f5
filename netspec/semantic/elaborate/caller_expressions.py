"""A module's numbers in terms of the block that uses it."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.ir import Argument, Block, Value
from netspec.ops import Shape, like
from netspec.symbolic.expr import (
    Apply,
    Channels,
    Dim,
    Expr,
    NumberLiteral,
    Symbol,
    apply,
    expr_of,
)
from netspec.symbolic.terms import leaves


def symbols_of_caller(
    arguments: tuple[Argument, ...], block: Block, inputs: tuple[Value, ...]
) -> dict[Symbol, Expr]:
    """The expression of each symbol of a module in terms of the block that uses it."""
    found: dict[Symbol, Expr] = {s: expr for a in arguments for s, expr in a.meanings()}
    for inner, outer in zip(block.inputs, inputs, strict=True):
        found[Channels(inner.name)] = expr_of(outer.shape[0])
    return found


def caller_shape(shape: Shape, of_caller: Mapping[Symbol, Expr]) -> Shape:
    """The shape of a module's output, its channels in terms of the block that uses it."""
    channels = shape[0]
    if not isinstance(channels, Dim):
        return shape
    expr = _substitute(channels.expr, of_caller)
    value = int(channels)
    known = expr is not None and any(leaves(expr))
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
    return e if isinstance(e, NumberLiteral) else given.get(e, e)
