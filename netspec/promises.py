"""`expect` and `prefer`: whether they hold, and what to say if not."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from netspec.diagnostics import Diagnostic
from netspec.evaluate import MEASURES, Evaluator, Fault, Line, compare
from netspec.ir import Block, Instance, Layer
from netspec.ops import text
from netspec.ops.kinds import describe
from netspec.patterns import matches, pattern_text, shape_pattern
from netspec.symbolic import Num
from netspec.syntax import (
    Comparison,
    Constant,
    Expression,
    Function,
    ListLiteral,
    Logic,
    Number,
    Require,
    ShapeLiteral,
    String,
    Unary,
    Variable,
)

MAX_QUOTED = 80
"""Longest expression that a message repeats."""


def check_promise(statement: Require, evaluator: Evaluator) -> Diagnostic | None:
    """The diagnostic of a promise that does not hold, else None. Raises Fault.

    The evaluator has `Measures` to measure by.
    """
    code = "unmet-expect" if statement.kind == "expect" else "unmet-prefer"
    span = statement.subject.span
    if statement.pattern is not None:
        line = evaluator.line(statement.subject)
        pattern = shape_pattern(statement.pattern, evaluator)
        if matches(line.value.shape, pattern):
            return None
        wanted = pattern_text(pattern)
        found = f"{_source(statement.subject)} is {text(line.value.shape)}, not {wanted}"
        return Diagnostic(
            code, _message(statement, found), span.to(statement.pattern.span), label=found
        )
    subject = statement.subject
    # Of several conditions, the first that fails is the one to speak of.
    while isinstance(subject, Logic) and subject.operator == "and":
        failed = next((o for o in subject.operands if not evaluator.truth(o)), None)
        if failed is None:
            return None
        subject = failed
    if evaluator.truth(subject):
        return None
    span = subject.span
    reasons = list(dict.fromkeys(_reasons(subject, evaluator)))
    found = (", and " if any(", " in r for r in reasons) else " and ").join(reasons)
    measured = _measured(subject) if isinstance(subject, Comparison) else None
    notes: tuple[str, ...] = ()
    if isinstance(evaluator.measure, Measures) and measured in ("params", "macs"):
        notes = evaluator.measure.contributors(measured)
    return Diagnostic(code, _message(statement, found), span, label=found, notes=notes)


def _message(statement: Require, found: str) -> str:
    what = f"this {statement.kind} does not hold: {found}"
    if statement.message is not None and statement.message.value.strip():
        said = " ".join(statement.message.value.split())
        return f"{said} ({found})" if len(said) < 400 else what
    return what


def _reasons(e: Expression, evaluator: Evaluator) -> list[str]:
    """The figures that make a condition false."""
    if isinstance(e, Logic):
        return [r for o in e.operands if not evaluator.truth(o) for r in _reasons(o, evaluator)]
    if isinstance(e, Unary):
        return [f"{_source(e.operand)} is true"]
    if not isinstance(e, Comparison):
        return [f"{_source(e)} is false"]
    left, at = evaluator.constant(e.first), e.first
    for op, operand in e.rest:
        right = evaluator.constant(operand)
        if not compare(op, left, right, at, operand):
            return _figures(op, left, right, at, operand)
        left, at = right, operand
    return []


def _figures(
    op: str, left: object, right: object, at: Expression, operand: Expression
) -> list[str]:
    """The sides of a comparison that are not written out already."""
    sides = [(left, at), (right, operand)]
    computed = [(v, e) for v, e in sides if not _is_written_out(e)]
    if len(computed) == 1 and op == "==":
        value, e = computed[0]
        other = right if e is at else left
        figure = f"{_source(e)} is {describe(value)}, not {describe(other)}"
        if isinstance(value, Num) and isinstance(other, Num):
            figure += _difference(value.value - other.value)
        return [figure]
    if len(computed) == 1 and computed[0][1] is at and op not in ("!=", "not in"):
        return [f"{_source(at)} is {describe(left)}, not {op} {_source(operand)}"]
    return [f"{_source(e)} is {describe(v)}" for v, e in computed or sides[:1]]


def _is_written_out(e: Expression) -> bool:
    if isinstance(e, ListLiteral):
        return all(_is_written_out(item) for item in e.items)
    return isinstance(e, Number | ShapeLiteral | String | Constant)


def _difference(d: Fraction) -> str:
    if d.denominator != 1:
        return ""
    return f" ({abs(int(d)):,} {'more' if d > 0 else 'fewer'})"


def _source(e: Expression) -> str:
    text = " ".join(e.span.text[:200].split())
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 3] + "..."


def _measured(e: Comparison) -> str | None:
    """Which measure of the whole block a comparison is about, if it is."""
    for side in (e.first, *(operand for _, operand in e.rest)):
        if isinstance(side, Variable) and side.name in MEASURES:
            return side.name
        if isinstance(side, Function) and side.name.text in MEASURES:
            return None
    return None


class Measures:
    """What `params` and the like are for a block (None: it has faults) or one of its lines.

    Each figure is computed once, however many promises speak of it.
    """

    def __init__(self, block: Block | None, lines: Mapping[str, Line | None]) -> None:
        self.block = block
        self.lines = lines
        self.figures: dict[tuple[str, str | None], int] = {}
        self.notes: dict[str, tuple[str, ...]] = {}

    def __call__(self, name: str, line: Line | None) -> int:
        """Raises Fault for a block with faults."""
        key = (name, line.name if line else None)
        if key not in self.figures:
            self.figures[key] = self._of_line(name, line) if line else self._of_block(name)
        return self.figures[key]

    def _of_block(self, name: str) -> int:
        block = self.block
        if block is None:
            raise Fault(None)
        if name == "macs":
            return block.macs
        return 4 * block.activations if name == "activations" else _sized(name, block.params)

    def _of_line(self, name: str, line: Line) -> int:
        if name == "macs":
            return sum(n.macs for n in line.nodes)
        if name != "activations":
            return _sized(name, sum(n.params for n in line.nodes))
        return 4 * max(
            [n.block.activations if isinstance(n, Instance) else _held(n) for n in line.nodes],
            default=line.value.elements,
        )

    def contributors(self, measure: str) -> tuple[str, ...]:
        """The lines with most parameters or MACs, for a reader in search of the odd one."""
        if measure not in self.notes:
            figures = {
                line.name: sum(n.params if measure == "params" else n.macs for n in line.nodes)
                for line in self.lines.values()
                if line is not None
            }
            top = sorted(figures.items(), key=lambda item: -item[1])[:5]
            listed = ", ".join(f"{name} {figure:,}" for name, figure in top if figure)
            self.notes[measure] = (f"most {measure} are in {listed}",) if listed else ()
        return self.notes[measure]


def _sized(name: str, params: int) -> int:
    return 4 * params if name == "size" else params


def _held(layer: Layer) -> int:
    """Elements alive while a layer runs: its inputs and outputs."""
    return sum(v.elements for v in dict.fromkeys((*layer.inputs, *layer.outputs)))
