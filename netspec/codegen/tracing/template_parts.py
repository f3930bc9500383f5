"""What stands in the statements of a template: lines, names of layers, expressions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from weakref import WeakKeyDictionary

from netspec.ir.template import (
    Binding,
    Branches,
    LayerLine,
    NamedCallee,
    Repetition,
    Requirement,
    Template,
    TemplateOutput,
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


def every_expression_in(body: Sequence[TemplateStatement]) -> Iterator[ast.Expression]:
    """The expressions of statements, those of contracts and outputs too."""
    yield from expressions_in(body)
    for s in walk_statements(body):
        match s:
            case TemplateOutput():
                yield from link_conditions(s)
                for c in calls_in([s]):
                    yield from (e for _, e in c.fields)
            case Requirement():
                yield s.condition


def choices(e: ast.Expression) -> list[ast.Expression]:
    """What an expression is, or chooses from."""
    if not isinstance(e, ast.Conditional):
        return [e]
    return [v for each in (*(v for v, _ in e.cases), e.otherwise) for v in choices(each)]


def op_parameters(template: Template) -> frozenset[str]:
    """The parameters that the body calls, or hands on to modules that do, or are ops by default."""
    known = _OP_PARAMETERS.get(template)
    if known is None:
        found: set[str] = set()
        for c in calls_in(template.body):
            callee: object = c.callee
            if isinstance(callee, NamedCallee):
                found.add(callee.name)
                callee = callee.otherwise
            if isinstance(callee, Template):
                inner = op_parameters(callee)
                handed_on = (e for n, e in c.fields if n in inner)
                found |= {
                    v.name for e in handed_on for v in choices(e) if isinstance(v, ast.Variable)
                }
        for p in template.parameters:
            names = (ast.Variable, ast.OpLiteral)
            if isinstance(p.default, names) and _word(p.default) in template.callees:
                found.add(p.name)
        known = frozenset(found & {p.name for p in template.parameters})
        _OP_PARAMETERS[template] = known
    return known


_OP_PARAMETERS: WeakKeyDictionary[Template, frozenset[str]] = WeakKeyDictionary()


def _word(e: ast.Variable | ast.OpLiteral) -> str:
    return e.name if isinstance(e, ast.Variable) else e.op.text
