"""The nodes of the syntax tree, each with its place in the text.

Frozen and without meaning: names are not looked up, expressions not computed.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Literal

from netspec.diagnostics.source import Source, Span
from netspec.lazy_dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Name:
    """A name in the text."""

    text: str
    span: Span


# --- expressions ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Number:
    """`3`, `1.5K`, `50%`: its value, the unit applied."""

    value: Fraction
    span: Span


@dataclass(frozen=True, slots=True)
class ShapeLiteral:
    """`3x224x224`; None stands for `?`."""

    dims: tuple[int | None, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class String:
    """`"text"`, with its escapes replaced."""

    value: str
    span: Span


@dataclass(frozen=True, slots=True)
class Constant:
    """`true`, `false` or `none`."""

    value: bool | None
    span: Span


@dataclass(frozen=True, slots=True)
class Wildcard:
    """`?` in a list of dimensions."""

    span: Span


@dataclass(frozen=True, slots=True)
class ListLiteral:
    """`[a, b]`."""

    items: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Variable:
    """The name of a value, constant or parameter."""

    name: str
    span: Span


@dataclass(frozen=True, slots=True)
class Index:
    """`base[index]`."""

    base: Expression
    index: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Attribute:
    """`base.name`."""

    base: Expression
    name: Name
    span: Span


@dataclass(frozen=True, slots=True)
class Function:
    """`name(arguments)` in an expression."""

    name: Name
    arguments: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Unary:
    """`-operand`, `+operand` or `not operand`."""

    operator: str
    operand: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Binary:
    """`left operator right` of arithmetic."""

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
    """Two or more operands joined by `and` or by `or`."""

    operator: Literal["and", "or"]
    operands: tuple[Expression, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Conditional:
    """`cases[0].value if cases[0].condition else ... else otherwise`."""

    cases: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class OpLiteral:
    """`op { fields }` as a value: an op or module and what it is given."""

    op: Name
    fields: tuple[Field, ...]
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
    | OpLiteral
)
Pattern = ShapeLiteral | Number | ListLiteral
Reference = Variable | Index | Attribute

# --- layers --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Field:
    """`name: value` in braces."""

    name: Name
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class Call:
    """One use of an op, module or line; `arguments` is None where it takes what flows.

    `indices` are those of a line that is used again: `tower[i](x)`.
    """

    op: Name
    arguments: tuple[Chain | Reference, ...] | None
    fields: tuple[Field, ...]
    span: Span
    indices: tuple[Expression, ...] = ()

    @property
    def callee(self) -> LayerName:
        """What is called, with its indices."""
        span = self.op.span
        if self.indices:
            end = span.source.text.find("]", self.indices[-1].span.end) + 1
            span = Span(span.source, span.start, max(end, span.end))
        return LayerName(self.op, self.indices, span)


@dataclass(frozen=True, slots=True)
class Choice:
    """`(call if condition else call)` behind an arrow; without `otherwise` it may be left out."""

    cases: tuple[tuple[Call, Expression], ...]
    otherwise: Call | None
    span: Span

    @property
    def calls(self) -> tuple[Call, ...]:
        """All that it chooses from."""
        last = () if self.otherwise is None else (self.otherwise,)
        return (*(call for call, _ in self.cases), *last)


@dataclass(frozen=True, slots=True)
class Chain:
    """`link -> link -> ...`; the first is a call."""

    links: tuple[Call | Choice, ...]
    span: Span

    @property
    def calls(self) -> tuple[Call, ...]:
        """The calls of all links, also of those that are not chosen."""
        return tuple(c for k in self.links for c in (k.calls if isinstance(k, Choice) else (k,)))


@dataclass(frozen=True, slots=True)
class LayerName:
    """`base[index][index]` in front of a layer, or of the inputs of one that is used again."""

    base: Name
    indices: tuple[Expression, ...]
    span: Span

    @property
    def value(self) -> Reference:
        """The value of this name, as an expression."""
        e: Reference = Variable(self.base.text, self.base.span)
        for index in self.indices:
            e = Index(e, index, self.span)
        return e


# --- statements ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LayerStatement:
    """`name: chain`, or a chain alone."""

    name: LayerName | None
    chain: Chain
    span: Span


@dataclass(frozen=True, slots=True)
class Input:
    """`input name: pattern { fields }`."""

    name: Name
    pattern: Pattern | None
    fields: tuple[Field, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Result:
    """A value behind `output`, and the name that stands in front of it, if one does."""

    name: Name | None
    value: Chain | Reference
    span: Span


@dataclass(frozen=True, slots=True)
class Output:
    """`output value, name: value, ...`."""

    results: tuple[Result, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Let:
    """`let name = value`."""

    name: Name
    value: Expression
    span: Span


@dataclass(frozen=True, slots=True)
class ContractStatement:
    """`expect` or `prefer`: `subject` holds, or has the shape `pattern`."""

    kind: Literal["expect", "prefer"]
    subject: Expression
    pattern: Pattern | None
    message: String | None
    span: Span


@dataclass(frozen=True, slots=True)
class Unpacked:
    """`(a, b)` behind `for`: names for the parts of each item. At the top, brackets may lack."""

    parts: tuple[Target, ...]
    span: Span


Target = Name | Unpacked


@dataclass(frozen=True, slots=True)
class For:
    """Over `first..last step step`, or over the list `first` where `last` is None."""

    target: Target
    first: Expression
    last: Expression | None
    step: Expression | None
    body: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class If:
    """`if` and `else if` with their blocks, and the block of `else`."""

    branches: tuple[tuple[Expression, tuple[Statement, ...]], ...]
    otherwise: tuple[Statement, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class NetBlock:
    """`train { ... }` or `detect { ... }`: what a net has beside its layers.

    `word` is the place of the word alone.
    """

    kind: str
    word: Span
    fields: tuple[Field, ...]
    span: Span


@dataclass(frozen=True, slots=True)
class Default:
    """`default op { fields }`: for the calls behind it. `head` is the place of `default op`."""

    op: Name
    fields: tuple[Field, ...]
    head: Span
    span: Span


@dataclass(frozen=True, slots=True)
class Variant:
    """`variant name { ... }`: values of the net's parameters, and contracts that hold with them.

    `items` are in the order of the text, `doc` is the text of the `##` comment right above.
    """

    word: Span
    name: Name
    items: tuple[Field | ContractStatement, ...]
    doc: str
    span: Span

    @property
    def fields(self) -> tuple[Field, ...]:
        return tuple(i for i in self.items if isinstance(i, Field))

    @property
    def contracts(self) -> tuple[ContractStatement, ...]:
        return tuple(i for i in self.items if isinstance(i, ContractStatement))


Statement = (
    LayerStatement
    | Input
    | Output
    | Let
    | ContractStatement
    | For
    | If
    | NetBlock
    | Variant
    | Default
)

# --- files ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Param:
    """A parameter of a net or module; `default` is None where it must be given."""

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
    """The imports, defaults and definitions of a text, and its comments."""

    source: Source
    items: tuple[Import | Default | Definition, ...]
    comments: tuple[Comment, ...]
