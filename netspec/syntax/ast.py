"""The syntax tree: what a text says, each part with its place.

Frozen and without meaning: names are not looked up, numbers not computed.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from netspec.diagnostics.source import Source, Span
from netspec.lazy_dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Name:
    text: str
    span: Span


# --- expressions ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number:
    value: Fraction
    span: Span


@dataclass(frozen=True, slots=True)
class ShapeLiteral:
    """`3x224x224`; None stands for `?`."""

    dims: tuple[int | None, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class String:
    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class Constant:
    value: bool | None
    span: Span


@dataclass(frozen=True, slots=True)
class Wildcard:
    span: Span


@dataclass(frozen=True, slots=True)
class ListLiteral:
    items: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Variable:
    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Index:
    base: Expression
    index: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Attribute:
    base: Expression
    name: Name
    span: Span


@dataclass(frozen=True, slots=True)
class Function:
    name: Name
    arguments: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    operator: str
    operand: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    operator: str
    left: Expression
    right: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Comparison:
    """`first op operand op operand ...`, chained as in Python."""

    first: Expression
    rest: tuple[tuple[str, Expression], ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Logic:
    operator: Literal["and", "or"]
    operands: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Conditional:
    """`cases[0].value if cases[0].condition else ... else otherwise`."""

    cases: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression
    span: Span


Expression = (
    Number
    | ShapeLiteral
    | String
    | Constant
    | Wildcard
    | ListLiteral
    | Variable
    | Index
    | Attribute
    | Function
    | Unary
    | Binary
    | Comparison
    | Logic
    | Conditional
)
Pattern = ShapeLiteral | Number | ListLiteral
Reference = Variable | Index | Attribute

# --- layers --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    name: Name
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """One use of an op or module; `arguments` is None where it takes what flows."""

    op: Name
    arguments: tuple[Chain | Reference, ...] | None
    fields: tuple[Field, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Chain:
    calls: tuple[Call, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class LayerName:
    base: Name
    indices: tuple[Expression, ...]
    span: Span


# --- statements ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LayerStatement:
    name: LayerName | None
    chain: Chain
    span: Span


@dataclass(frozen=True, slots=True)
class Input:
    name: Name
    pattern: Pattern | None
    fields: tuple[Field, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Output:
    values: tuple[Chain | Reference, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Let:
    name: Name
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Require:
    """`expect` or `prefer`: `subject` holds, or has the shape `pattern`."""

    kind: Literal["expect", "prefer"]
    subject: Expression
    pattern: Pattern | None
    message: String | None
    span: Span


@dataclass(frozen=True, slots=True)
class For:
    """Over `first..last`, or over the list `first` where `last` is None."""

    variable: Name
    first: Expression
    last: Expression | None
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class If:
    branches: tuple[tuple[Expression, tuple[Statement, ...]], ...]
    otherwise: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Train:
    """`train { ... }`: how the net is trained. `word` is the place of the word alone."""

    word: Span
    fields: tuple[Field, ...]
    span: Span


Statement = LayerStatement | Input | Output | Let | Require | For | If | Train

# --- files ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Param:
    name: Name
    default: Expression | None
    span: Span


@dataclass(frozen=True, slots=True)
class Definition:
    """A net or a module; `doc` is the text of the `##` comment right above it."""

    kind: Literal["net", "module"]
    name: Name
    params: tuple[Param, ...]
    body: tuple[Statement, ...]
    doc: str
    span: Span


@dataclass(frozen=True, slots=True)
class Import:
    """`import fire` (a Name) or `import "blocks/mine.net"` (a String)."""

    target: Name | String
    span: Span


@dataclass(frozen=True, slots=True)
class Comment:
    """`text` from its `#` on; `alone` on its line or behind something."""

    text: str
    alone: bool
    span: Span


@dataclass(frozen=True, slots=True)
class File:
    source: Source
    items: tuple[Import | Definition, ...]
    comments: tuple[Comment, ...]
