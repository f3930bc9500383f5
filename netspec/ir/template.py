"""A definition as its text has it: parameters, constants, layers, branches and loops.

Where a `Block` is what a module came to for certain arguments and input shapes, its `Template` is
the module itself, with every branch and every loop. Names of ops and modules are looked up;
expressions are those of the syntax tree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from netspec.diagnostics.source import Span
from netspec.lazy_dataclasses import dataclass, field
from netspec.ops import Op
from netspec.syntax.ast import Expression, LayerName, Pattern, Reference, Target


@dataclass(frozen=True)
class TemplateParameter:
    """A parameter and its default, None where it must be given."""

    name: str
    default: Expression | None


@dataclass(frozen=True, eq=False)
class Flowing:
    """The value that flows from statement to statement."""


@dataclass(frozen=True, eq=False)
class TemplateCall:
    """One use of an op, a module or, by its name, a line.

    `inputs` are the flowing value, names, or other links whose first result is taken. `suffix` is
    what its name has behind that of its line (`relu_2` for `conv1_relu_2`), None for the first.
    """

    callee: type[Op] | Template | LayerName | NamedCallee
    inputs: tuple[Operand, ...]
    fields: tuple[tuple[str, Expression], ...]
    keyword: str
    suffix: str | None
    span: Span


@dataclass(frozen=True)
class NamedCallee:
    """The name of a constant that is called: the op or module that it holds, if it holds one.

    `otherwise` is what the name is then.
    """

    name: str
    otherwise: type[Op] | Template | LayerName


@dataclass(frozen=True, eq=False)
class TemplateChoice:
    """A link of a chain that conditions decide about: a call that takes `before`, or none."""

    before: TemplateCall | TemplateChoice
    cases: tuple[tuple[Expression, TemplateCall], ...]
    otherwise: TemplateCall | None

    @property
    def calls(self) -> tuple[TemplateCall, ...]:
        """All that it chooses from; each takes the flowing value."""
        last = () if self.otherwise is None else (self.otherwise,)
        return (*(call for _, call in self.cases), *last)


Link = TemplateCall | TemplateChoice
Operand = Flowing | Reference | Link


@dataclass(frozen=True, eq=False)
class LayerLine:
    """A statement that makes layers: its name, None where it has none, and the last link."""

    name: LayerName | None
    links: tuple[Link, ...]
    """In order of execution, those in round brackets included."""
    span: Span

    @property
    def last(self) -> Link:
        return self.links[-1]


@dataclass(frozen=True, eq=False)
class TemplateInput:
    name: str
    pattern: Pattern | None


@dataclass(frozen=True, eq=False)
class TemplateOutput:
    """The results, the names that are given to them (or ""), and the calls that stand in their
    place, in order of execution."""

    values: tuple[Operand, ...]
    names: tuple[str, ...]
    links: tuple[Link, ...]
    span: Span


@dataclass(frozen=True, eq=False)
class Binding:
    """`let name = value`."""

    name: str
    value: Expression


@dataclass(frozen=True, eq=False)
class Branches:
    """`if`: the conditions with what stands behind them, and what stands behind `else`."""

    cases: tuple[tuple[Expression, tuple[TemplateStatement, ...]], ...]
    otherwise: tuple[TemplateStatement, ...]
    span: Span


@dataclass(frozen=True, eq=False)
class Repetition:
    """`for target in first..last step step`, or over the list `first` where `last` is None."""

    target: Target
    first: Expression
    last: Expression | None
    step: Expression | None
    body: tuple[TemplateStatement, ...]
    span: Span


@dataclass(frozen=True, eq=False)
class ShapeRequirement:
    """`expect` with the shape of a value, sizes left open as `?`."""

    subject: Expression
    pattern: Pattern
    span: Span


@dataclass(frozen=True, eq=False)
class Requirement:
    """`expect` with a condition."""

    condition: Expression
    message: str | None
    span: Span


TemplateStatement = (
    TemplateInput
    | Binding
    | LayerLine
    | Branches
    | Repetition
    | TemplateOutput
    | Requirement
    | ShapeRequirement
)


def walk(body: Sequence[TemplateStatement]) -> Iterator[TemplateStatement]:
    """Statements and those in them, in the order of the text."""
    for s in body:
        yield s
        match s:
            case Branches():
                for inner in (*(b for _, b in s.cases), s.otherwise):
                    yield from walk(inner)
            case Repetition():
                yield from walk(s.body)


def calls_in(body: Sequence[TemplateStatement]) -> Iterator[TemplateCall]:
    """All calls of statements, those that a condition decides about too, in order."""
    for s in walk(body):
        if isinstance(s, LayerLine | TemplateOutput):
            for k in s.links:
                yield from k.calls if isinstance(k, TemplateChoice) else (k,)


def link_conditions(s: LayerLine | TemplateOutput) -> Iterator[Expression]:
    """The conditions of a statement's links."""
    for k in s.links:
        if isinstance(k, TemplateChoice):
            yield from (condition for condition, _ in k.cases)


@dataclass(frozen=True, eq=False)
class Template:
    """A net or module. `body` has its statements in the order of the text."""

    kind: Literal["net", "module"]
    name: str
    doc: str
    parameters: tuple[TemplateParameter, ...]
    body: tuple[TemplateStatement, ...]
    span: Span | None = None
    """Where its name stands."""
    callees: Mapping[str, type[Op] | Template] = field(default_factory=dict)
    """The ops and modules that expressions may name, which are constants there."""
