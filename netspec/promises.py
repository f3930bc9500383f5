"""`expect` and `prefer`: whether they hold, and what to say if not."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from netspec.diagnostics import Diagnostic
from netspec.evaluate import MEASURES, Evaluator, Line, Measure, compare
from netspec.ir import Block, Instance, Layer
from netspec.ops import text
from netspec.ops.kinds import describe
from netspec.patterns import matches, pattern_text, shape_pattern
from netspec.symbolic import Num
from netspec.syntax import Comparison, Expression, Function, Logic, Number, Require, Variable


def check_promise(
    statement: Require, evaluator: Evaluator, block: Block, lines: Mapping[str, Line | None]
) -> Diagnostic | None:
    """The diagnostic of a promise that does not hold, else None. Raises Fault."""
    code = "unmet-expect" if statement.kind == "expect" else "unmet-prefer"
    span = statement.subject.span
    if statement.pattern is not None:
        line = evaluator.line(statement.subject)
        pattern = shape_pattern(statement.pattern, evaluator)
        if matches(line.value.shape, pattern):
            return None
        wanted = pattern_text(pattern)
        found = f"{span.text} is {text(line.value.shape)}, not {wanted}"
        return Diagnostic(
            code, _message(statement, found), span.to(statement.pattern.span), label=found
        )
    subject = statement.subject
    figures: list[str] = []
    measured: str | None = None
    # Of several conditions, the first that fails is the one to speak of.
    while isinstance(subject, Logic) and subject.operator == "and":
        failed = next((o for o in subject.operands if not evaluator.truth(o)), None)
        if failed is None:
            return None
        subject = failed
    if isinstance(subject, Comparison):
        held, figures = _chain(subject, evaluator)
        measured = _measured(subject)
    else:
        held = evaluator.truth(subject)
    if held:
        return None
    span = subject.span
    found = " and ".join(figures) or "it is false"
    top = _contributors(measured, lines) if measured in ("params", "macs") else ""
    notes = (top,) if top else ()
    return Diagnostic(code, _message(statement, found), span, label=found, notes=notes)


def _message(statement: Require, found: str) -> str:
    what = f"this {statement.kind} does not hold: {found}"
    if statement.message is not None and statement.message.value.strip():
        said = " ".join(statement.message.value.split())
        return f"{said} ({found})" if len(said) < 400 else what
    return what


def _chain(e: Comparison, evaluator: Evaluator) -> tuple[bool, list[str]]:
    """Whether a chain of comparisons holds, and the figures of the first one that does not."""
    left, at = evaluator.constant(e.first), e.first
    for op, operand in e.rest:
        right = evaluator.constant(operand)
        if not compare(op, left, right, at, operand):
            return False, _figures(op, left, right, at, operand)
        left, at = right, operand
    return True, []


def _figures(
    op: str, left: object, right: object, at: Expression, operand: Expression
) -> list[str]:
    sides = [(left, at), (right, operand)]
    computed = [(v, e) for v, e in sides if not isinstance(e, Number)]
    if len(computed) == 1 and op == "==":
        value, e = computed[0]
        other = right if e is at else left
        figure = f"{_source(e)} is {describe(value)}, not {describe(other)}"
        if isinstance(value, Num) and isinstance(other, Num):
            figure += _difference(value.value - other.value)
        return [figure]
    if len(computed) == 1 and computed[0][1] is at:
        return [f"{_source(at)} is {describe(left)}, not {op} {_source(operand)}"]
    return [f"{_source(e)} is {describe(v)}" for v, e in computed]


def _difference(d: Fraction) -> str:
    if d.denominator != 1:
        return ""
    return f" ({abs(int(d)):,} {'more' if d > 0 else 'fewer'})"


def _source(e: Expression) -> str:
    return " ".join(e.span.text.split())


def _measured(e: Comparison) -> str | None:
    """Which measure of the whole block a comparison is about, if it is."""
    for side in (e.first, *(operand for _, operand in e.rest)):
        if isinstance(side, Variable) and side.name in MEASURES:
            return side.name
        if isinstance(side, Function) and side.name.text in MEASURES:
            return None
    return None


def _contributors(measure: str | None, lines: Mapping[str, Line | None]) -> str:
    """The lines with most parameters or MACs, for a reader in search of the odd one."""
    figures: dict[str, int] = {}
    for line in lines.values():
        if line is not None and line.nodes and "." not in line.name:
            figures[line.name] = sum(
                n.params if measure == "params" else n.macs for n in line.nodes
            )
    top = sorted(figures.items(), key=lambda item: -item[1])[:5]
    listed = ", ".join(f"{name} {figure:,}" for name, figure in top if figure)
    return f"most {measure} are in {listed}" if listed else ""


def measure_of(block: Block) -> Measure:
    """What `params` and the like are for the block (None) or one of its lines."""

    def measure(name: str, line: Line | None) -> int:
        if line is None:
            params, macs, elements = block.params, block.macs, block.activations
        else:
            params = sum(n.params for n in line.nodes)
            macs = sum(n.macs for n in line.nodes)
            elements = max(
                [n.block.activations if isinstance(n, Instance) else _held(n) for n in line.nodes],
                default=line.value.elements,
            )
        return {"params": params, "macs": macs, "size": 4 * params, "activations": 4 * elements}[
            name
        ]

    return measure


def _held(layer: Layer) -> int:
    """Elements alive while a layer runs: its inputs and outputs."""
    return sum(v.elements for v in dict.fromkeys((*layer.inputs, *layer.outputs)))
