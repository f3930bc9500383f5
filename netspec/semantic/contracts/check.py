"""Whether an `expect` or `prefer` holds, and its diagnostic if not."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

from netspec.diagnostics import Diagnostic
from netspec.lazy_dataclasses import dataclass
from netspec.ops import Shape, text
from netspec.ops.attribute_types import decimal, describe
from netspec.semantic.evaluator import METRICS, Evaluator
from netspec.semantic.operations import compare
from netspec.semantic.scope import EvaluationError, LayerReference, Poisoned
from netspec.semantic.shape_patterns import (
    Pattern,
    matches,
    pattern_text,
    shape_pattern,
)
from netspec.symbolic.expr import Num
from netspec.syntax.ast import (
    Attribute,
    Binary,
    Comparison,
    Conditional,
    Constant,
    ContractStatement,
    Expression,
    Function,
    ListLiteral,
    Logic,
    Number,
    ShapeLiteral,
    String,
    Unary,
    Variable,
)
from netspec.syntax.visitor import Node, children

MAX_QUOTED = 80
"""Longest expression that a message repeats."""


@dataclass(frozen=True)
class Wanted:
    """The shape that a value was expected to have, and does not; None stands for any size."""

    line: LayerReference
    pattern: Pattern


@dataclass(frozen=True)
class Verdict:
    """The result of a contract: a diagnostic if it does not hold, and what that is about.

    `metrics` are names of metrics, each with the line that it is of, or None for the whole block.
    """

    diagnostic: Diagnostic | None
    shapes: tuple[Wanted, ...] = ()
    metrics: tuple[tuple[str, LayerReference | None], ...] = ()
    holds: LayerReference | None = None
    """The value whose shape is as expected."""


def check_contract(statement: ContractStatement, evaluator: Evaluator) -> Verdict:
    """The result of a contract. Raises EvaluationError where it can't be evaluated.

    The evaluator has `BlockMetrics`.
    """
    code = "unmet-expect" if statement.kind == "expect" else "unmet-prefer"
    subject = statement.subject
    if statement.pattern is not None:
        line = evaluator.reference(subject)
        pattern = shape_pattern(statement.pattern, evaluator)
        if matches(line.value.shape, pattern):
            return Verdict(None, holds=line)
        wanted = pattern_text(pattern)
        found = f"{_source(subject)} is {text(line.value.shape)}, not {wanted}"
        span = subject.span.to(statement.pattern.span)
        diagnostic = Diagnostic(code, _message(statement, found), span, label=found)
        return Verdict(diagnostic, (Wanted(line, pattern),))
    # Of several conditions, the first that fails is reported.
    while isinstance(subject, Logic) and subject.operator == "and":
        failed = next((o for o in subject.operands if not evaluator.truth(o)), None)
        if failed is None:
            return Verdict(None)
        subject = failed
    if evaluator.truth(subject):
        return Verdict(None)
    reasons = list(dict.fromkeys(_reasons(subject, evaluator)))
    found = (", and " if any(", " in r for r in reasons) else " and ").join(reasons)
    diagnostic = Diagnostic(code, _message(statement, found), subject.span, label=found)
    metrics = tuple(_metrics_of(subject, evaluator))
    return Verdict(diagnostic, tuple(_shapes(subject, evaluator)), metrics)


def _message(statement: ContractStatement, found: str) -> str:
    what = f"this {statement.kind} does not hold: {found}"
    if statement.message is not None and statement.message.value.strip():
        own = " ".join(statement.message.value.split())
        return f"{own} ({found})" if len(own) < 400 else what
    return what


# --- why a condition is false --------------------------------------------------------------------


def _reasons(e: Expression, evaluator: Evaluator) -> list[str]:
    """What makes a condition false, a clause for each part."""
    if isinstance(e, Logic):
        return [r for o in e.operands if not evaluator.truth(o) for r in _reasons(o, evaluator)]
    if isinstance(e, Unary):
        return [f"{_source(e.operand)} is true"]
    if not isinstance(e, Comparison):
        return [f"{_source(e)} is false"]
    op, left, right, at, operand = _failing(e, evaluator)
    return _compared(op, left, right, at, operand)


def _failing(
    e: Comparison, evaluator: Evaluator
) -> tuple[str, object, object, Expression, Expression]:
    """The first comparison of a chain that is false."""
    left, at = evaluator.constant(e.first), e.first
    for op, operand in e.rest:
        right = evaluator.constant(operand)
        if not compare(op, left, right, at, operand):
            return op, left, right, at, operand
        left, at = right, operand
    raise Poisoned  # it holds, which the caller has excluded


_SWAPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "==": "==", "!=": "!="}


def _compared(
    op: str, left: object, right: object, at: Expression, operand: Expression
) -> list[str]:
    """The sides of a comparison that are not written out already, and how far they are apart."""
    written, other_written = _is_written_out(at), _is_written_out(operand)
    if written and not other_written and op in _SWAPPED:
        # `1_000 > macs` is about macs.
        op, left, right, at, operand = _SWAPPED[op], right, left, operand, at
        written, other_written = other_written, written
    if op in ("!=", "not in"):
        sides = [(left, at, written), (right, operand, other_written)]
        shown = [f"{_source(e)} is {describe(v)}" for v, e, plain in sides if not plain]
        return shown or [f"{_source(at)} is {describe(left)}"]
    wanted = describe(right) if op == "==" and other_written else _source(operand)
    text = f"{_source(at)} is {describe(left)}, not {'' if op == '==' else f'{op} '}{wanted}"
    if not other_written:
        text += f", which is {describe(right)}"
    show_gap = op == "==" or any(_metrics_in(at)) or any(_metrics_in(operand))
    if op != "in" and show_gap and isinstance(left, Num) and isinstance(right, Num):
        text += f" ({_gap(left.value, right.value, at)})"
    return [text]


def _is_written_out(e: Expression) -> bool:
    if isinstance(e, ListLiteral):
        return all(_is_written_out(item) for item in e.items)
    return isinstance(e, Number | ShapeLiteral | String | Constant)


def _gap(found: Fraction, wanted: Fraction, e: Expression) -> str:
    """`1,235,496 too many, 2.0x`."""
    apart = abs(found - wanted)
    names = {name for name, _ in _metrics_in(e)}
    unit, words = "", ("too large", "too small")
    if names & {"size", "activations"} and not isinstance(_ratio_of(e), Binary):
        unit, words = " bytes", ("too many", "too few")
    elif names or (isinstance(e, Attribute) and e.name.text == "channels"):
        words = ("too many", "too few")
    if apart.denominator == 1:
        amount = decimal(apart)
    else:
        amount, unit, words = f"{float(apart):.3g}", "", ("too large", "too small")
    gap = f"{amount}{unit} {words[found < wanted]}" if apart else "neither more nor less"
    if names and found > 0 and wanted > 0:
        ratio = f"{_ratio(float(found / wanted))}x"
        if ratio not in ("1.00x", "1x"):
            gap += f", {ratio}"
    return gap


def _ratio_of(e: Expression) -> Expression:
    """A quotient, which has no unit."""
    return e if isinstance(e, Binary) and e.operator in ("/", "//", "%") else Variable("", e.span)


def _ratio(x: float) -> str:
    if x >= 9.95:
        return f"{x:,.0f}"
    return f"{x:.1f}" if x >= 1.095 else f"{x:.2f}" if x >= 0.0995 else f"{x:.1g}"


def _source(e: Expression) -> str:
    text = " ".join(e.span.text[:200].split())
    return text if len(text) <= MAX_QUOTED else text[: MAX_QUOTED - 3] + "..."


# --- what a condition is about -------------------------------------------------------------------


def _metrics_in(e: Node) -> Iterator[tuple[str, Expression | None]]:
    """The metrics in an expression, each with what it is of: None for the whole block."""
    if isinstance(e, Variable) and e.name in METRICS:
        yield e.name, None
    elif isinstance(e, Function) and e.name.text in METRICS:
        yield e.name.text, e.arguments[0] if e.arguments else None
    elif isinstance(e, Conditional):
        # What is compared is a value; its condition only says which.
        for value in (*(value for value, _ in e.cases), e.otherwise):
            yield from _metrics_in(value)
    elif not isinstance(e, Attribute):
        for part in children(e):
            yield from _metrics_in(part)


def _metrics_of(e: Expression, evaluator: Evaluator) -> Iterator[tuple[str, LayerReference | None]]:
    """The metrics in a failed condition, each with the line that it is of."""
    for name, of in _metrics_in(e):
        try:
            yield name, evaluator.reference(of) if of is not None else None
        except EvaluationError:
            continue  # it stands where nothing was evaluated


def _shapes(e: Expression, evaluator: Evaluator) -> Iterator[Wanted]:
    """The shapes that a failed comparison wants: of `x.height == 13`, `?x13x?`."""
    if isinstance(e, Logic):
        for operand in e.operands:
            if not evaluator.truth(operand):
                yield from _shapes(operand, evaluator)
        return
    if not isinstance(e, Comparison):
        return
    op, left, right, at, operand = _failing(e, evaluator)
    if op != "==":
        return
    for side, value in ((at, right), (operand, left)):
        if not isinstance(side, Attribute) or side.name.text not in _DIMS:
            continue
        line = evaluator.reference(side.base)
        pattern = _pattern(line.value.shape, side.name.text, value)
        if pattern is not None:
            yield Wanted(line, pattern)
            return


_DIMS = ("channels", "height", "width", "shape")


def _pattern(shape: Shape, part: str, value: object) -> Pattern | None:
    """A shape pattern in which one part has a value, and the rest may be anything."""
    if part == "shape":
        if not isinstance(value, tuple) or len(value) != len(shape):
            return None
        numbers = [v.value for v in value if isinstance(v, Num)]
        whole = all(n.denominator == 1 for n in numbers) and len(numbers) == len(shape)
        return tuple(int(n) for n in numbers) if whole else None
    if not isinstance(value, Num) or value.value.denominator != 1:
        return None
    dims: list[int | None] = [None] * len(shape)
    dims[_DIMS.index(part)] = int(value.value)
    return tuple(dims)
