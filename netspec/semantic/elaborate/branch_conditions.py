"""The condition of an `if` as an expression of the block's parameters."""

from __future__ import annotations

from netspec.semantic.evaluator import Evaluator
from netspec.semantic.scope import EvaluationError
from netspec.symbolic.conditions import (
    Combined,
    Compared,
    Condition,
    ConstantTerm,
    ListTerm,
    Term,
)
from netspec.symbolic.expr import Num, Parameter, symbols
from netspec.syntax.ast import (
    Comparison,
    Constant,
    Expression,
    ListLiteral,
    Logic,
    ShapeLiteral,
    Unary,
    Variable,
)


class _Inexpressible(Exception):
    """Parameters decide here in a way that no expression shows."""


def condition_of(e: Expression, evaluator: Evaluator) -> Condition | None:
    """The condition as emitted code can decide it; None where it can't be expressed so."""
    try:
        return _condition(e, evaluator)
    except (EvaluationError, _Inexpressible):
        return None


def _condition(e: Expression, evaluator: Evaluator) -> Condition:
    match e:
        case Comparison():
            rest = tuple((op, _term(operand, evaluator)) for op, operand in e.rest)
            return Compared(_term(e.first, evaluator), rest)
        case Logic():
            return Combined(e.operator, tuple(_condition(o, evaluator) for o in e.operands))
        case Unary() if e.operator == "not":
            return Combined("not", (_condition(e.operand, evaluator),))
        case Variable() | Constant():
            term = _term(e, evaluator)
            if isinstance(term, ConstantTerm | Parameter):
                return term
    raise _Inexpressible


def _term(e: Expression, evaluator: Evaluator) -> Term:
    own = Evaluator(evaluator.scope, evaluator.names)
    value = own.constant(e)
    if isinstance(value, Num):
        if not own.used <= set(symbols(value.known)):
            raise _Inexpressible
        return value.known
    if isinstance(e, ListLiteral | ShapeLiteral) and isinstance(value, tuple):
        items = tuple(v.known for v in value if isinstance(v, Num))
        if len(items) == len(value) and own.used <= {s for i in items for s in symbols(i)}:
            return ListTerm(items)
    if not isinstance(value, str | bool | None):
        raise _Inexpressible
    if isinstance(e, Variable) and own.used == {Parameter(e.name)}:
        return Parameter(e.name)
    if own.used:
        raise _Inexpressible
    return ConstantTerm(value)
