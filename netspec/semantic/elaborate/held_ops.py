"""Calls by the name of a constant that holds an op or module: `-> act` of a parameter `act`."""

from __future__ import annotations

from netspec.diagnostics import Diagnostic, Diagnostics, Label
from netspec.ir.op_value import OpValue
from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops import Op, attributes
from netspec.ops.attribute_types import describe
from netspec.semantic.elaborate.block_builder import BlockBuilder
from netspec.semantic.fields import check_fields
from netspec.semantic.imports import ModuleDefinition
from netspec.semantic.scope import Poison, Poisoned
from netspec.syntax.ast import Call, Name


@dataclass(frozen=True)
class HeldOp:
    """What a constant holds that is called; None where the call is left out."""

    value: OpValue | None


def held_op(b: BlockBuilder, call: Call) -> HeldOp | None:
    """What the constant of a call's name holds; None where there is none, or it holds no op.

    Raises Poisoned.
    """
    known = b.scope.find(call.op.text) if not call.indices else None
    if known is None:
        return None
    constant = known[0]
    if isinstance(constant, Poison):
        raise Poisoned
    if constant.value is not None and not isinstance(constant.value, OpValue):
        return None
    b.static |= constant.depends
    return HeldOp(constant.value)


def called(call: Call, value: OpValue) -> Call:
    """The call with the name of the op or module that is meant, for messages."""
    return replace(call, op=Name(value.name, call.op.span))


def fields_fit(
    b: BlockBuilder, call: Call, callee: type[Op] | ModuleDefinition, given: OpValue | None
) -> bool:
    """Whether a call has the fields that its op or module needs; errors where it has not.

    Resolving leaves to this the calls by a name that a constant has.
    """
    if isinstance(callee, ModuleDefinition):
        params = callee.definition.params
        names = [p.name.text for p in params]
        required, what = [p.name.text for p in params if p.default is None], "module"
    else:
        names = [a.name for a in attributes(callee)]
        required, what = [a.name for a in attributes(callee) if a.required], "op"
    have = dict(given.fields) if given is not None else {}
    found = Diagnostics()
    check_fields(call, names, [n for n in required if n not in have], what, found)
    for diagnostic in found:
        b.report(diagnostic)
    return not found


def report_no_op(b: BlockBuilder, call: Call) -> None:
    """Report a call of a constant that holds no op or module."""
    known = b.scope.find(call.op.text)
    assert known is not None, "resolving reports other names"
    constant, place = known
    assert not isinstance(constant, Poison), "a poisoned constant is found before"
    message = f"{call.op.text} is {describe(constant.value)}, and no op or module"
    help_: tuple[str, ...] = ()
    if isinstance(constant.value, str) and b.module.callee(constant.value) is not None:
        help_ = (f"an op is written without quotes: `{constant.value}`",)
    others = (Label(place, "it is this constant"),)
    b.report(Diagnostic("unknown-op", message, call.op.span, others=others, help=help_))
