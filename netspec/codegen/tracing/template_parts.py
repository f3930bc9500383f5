"""What stands in the statements of a template: lines, names of layers, expressions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from netspec.ir.template import (
    Binding,
    Branches,
    LayerLine,
    Repetition,
    TemplateStatement,
    calls_in,
    link_conditions,
)
from netspec.ir.template import walk as walk_statements
from netspec.syntax import ast


def lines_in(body: Sequence[TemplateStatement]) -> Iterator[LayerLine]:
    """The lines of layers of an iteration, those of branches too."""
    for s in body:
        match s:
            case LayerLine():
                yield s
            case Branches():
                for inner in (*(b for _, b in s.cases), s.otherwise):
                    yield from lines_in(inner)


def layer_names_in(body: Sequence[TemplateStatement]) -> Iterator[tuple[str, bool]]:
    """The names of a loop's layers without indices and numbers, and whether the spec gives them."""
    for s in walk_statements(body):
        match s:
            case LayerLine(ast.LayerName() as name) if name.indices:
                yield name.base.text, True
            case LayerLine():
                yield from ((f"{c.keyword}_", False) for c in calls_in([s]))


def expressions_in(body: Sequence[TemplateStatement]) -> Iterator[ast.Expression]:
    """The expressions of statements."""
    for s in walk_statements(body):
        match s:
            case Binding():
                yield s.value
            case LayerLine():
                yield from link_conditions(s)
                for c in calls_in([s]):
                    yield from (e for _, e in c.fields)
            case Branches():
                yield from (condition for condition, _ in s.cases)
            case Repetition():
                yield from (e for e in (s.first, s.last, s.step) if e is not None)
