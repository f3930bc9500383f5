"""What a call takes: its inputs, how many there may be, and the names of what it makes."""

from __future__ import annotations

from typing import NamedTuple

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.fixes import Edit, Fix
from netspec.diagnostics.source import Span
from netspec.ir import Node, Value
from netspec.lazy_dataclasses import dataclass
from netspec.semantic.elaborate.block_builder import BlockBuilder
from netspec.syntax.ast import Call


@dataclass(frozen=True)
class Operand:
    """An input of a call, and its place in the text."""

    value: Value
    span: Span
    given: bool
    """Whether it stands in round brackets, and did not just flow in."""
    nodes: tuple[Node, ...] = ()
    """The nodes that make it there."""


class CallNames(NamedTuple):
    """The names of a call's node, of the line it stands in if that has one, and of its value."""

    node: str
    line: str | None
    value: str


def check_arity(b: BlockBuilder, call: Call, count: int, least: int, most: int | None) -> bool:
    """Whether a call has as many inputs as it may have; an error where it has not."""
    if least <= count and (most is None or count <= most):
        return True
    needs = f"{least}" if most == least else f"at least {least}"
    if most is not None and most != least:
        needs = f"{least} to {most}"
    how_many = "1 input" if needs == "1" else f"{needs} inputs"
    help_: tuple[str, ...] = ()
    if most == 0:
        how_many, help_ = "no input", (f"begin the module {call.op.text} with `input x`",)
    if call.arguments is None and least > 1:
        help_ = (f"name them: `{call.op.text}(a, b)`",)
    if call.arguments == () and least == 1:
        help_ = (
            without_brackets(call, "leave out the `()`: what stands before flows in by itself"),
        )
    message = f"{call.op.text} takes {how_many}, but {_given(call, count)}"
    b.report(Diagnostic("wrong-arity", message, call.op.span, help=help_))
    return False


def without_brackets(call: Call, help: str) -> Fix:
    """Help that takes the empty brackets of a call away."""
    start = call.callee.span.end
    end = call.span.source.text.index(")", start) + 1
    return Fix(help, Edit(Span(call.span.source, start, end), ""))


def _given(call: Call, count: int) -> str:
    if call.arguments is None:
        return "one value flows in"
    return f"{count or 'none'} {'are' if count > 1 else 'is'} given"
