"""The names of the constants of a definition, which may hold ops."""

from __future__ import annotations

from netspec.syntax.ast import (
    Conditional,
    Constant,
    Definition,
    Expression,
    For,
    Let,
    Name,
    OpLiteral,
    String,
    Variable,
)
from netspec.syntax.visitor import statements, walk


def constant_names(definition: Definition) -> frozenset[str]:
    """The names of parameters, of `let`s and of variables of loops."""
    return frozenset(_values(definition))


def op_holders(definition: Definition) -> frozenset[str]:
    """Those of the constants that may hold an op: which of them do, elaboration shows."""
    may = (OpLiteral, Variable, Conditional, Constant, String)
    return frozenset(n for n, e in _values(definition).items() if e is None or isinstance(e, may))


def _values(definition: Definition) -> dict[str, Expression | None]:
    """The names, with the expressions that their values are, where these stand in the text."""
    found: dict[str, Expression | None] = {p.name.text: p.default for p in definition.params}
    for s in statements(definition.body):
        match s:
            case Let():
                found[s.name.text] = s.value
            case For():
                found |= dict.fromkeys(n.text for n in walk(s.target) if isinstance(n, Name))
    return found
