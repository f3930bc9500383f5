"""Ops and modules that an argument of a class makes: `act: Callable[[], nn.Module] = nn.ReLU`.

A parameter that holds one is such an argument where all that is done with it is to call it, or to
hand it on to modules that do no more; an op must keep the shape of its input.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, Self

from netspec.codegen.tracing.expressions import TermEvaluator
from netspec.codegen.tracing.nodes import CannotTrace
from netspec.codegen.tracing.numbers import constant, nums
from netspec.codegen.tracing.template_parts import choices, every_expression_in, op_parameters
from netspec.ir.op_value import OpValue
from netspec.ir.template import NamedCallee, Template, calls_in
from netspec.lazy_dataclasses import dataclass, field
from netspec.ops import Op, Shape, Tensor, attributes
from netspec.ops.base import KeepsShape
from netspec.ops.reshaping import Identity
from netspec.syntax import ast
from netspec.syntax.visitor import walk

Kind = Literal["plain", "channels", "module"]


@dataclass(frozen=True)
class Maker:
    """What makes the module of an op: its source, and whether that is called with channels."""

    kind: Kind
    source: str


MakerOf = Callable[[Op], "Maker | None"]
"""The maker of an op as a backend has it; None where it has none."""


@dataclass(frozen=True)
class MadeArgument:
    """A parameter whose op or module is an argument of the class.

    `default` is what it has by default, if anything. `taken` are the modules that the argument may
    be, `classes` their traces.
    """

    parameter: str
    kind: Kind
    default: OpValue | None
    has_default: bool
    maker_of: MakerOf
    taken: set[OpValue] = field(default_factory=set)
    classes: dict[Template, Any] = field(default_factory=dict)

    def source(self, value: OpValue | None) -> str:
        """The source of an op as the argument. Raises CannotTrace."""
        maker = _maker(value, self.kind, self.maker_of)
        if maker is None or maker.kind != self.kind:
            raise CannotTrace(f"{value} as an argument of a class")
        return maker.source


class CannotMakeOp(CannotTrace):
    """A parameter whose op or module can't be an argument of the class after all."""

    def __init__(self, parameter: str) -> None:
        super().__init__(f"{parameter}, an op or module that is more than called")
        self.parameter = parameter


class MadeOp(KeepsShape):
    """What an argument makes. `sample` is the op that it is in the sample."""

    keyword = "made"

    parameter: str
    kind: Kind
    sample: Op

    def __init__(self, parameter: str, kind: Kind, sample: Op) -> None:
        vars(self).update(parameter=parameter, kind=kind, sample=sample)  # ops are frozen

    def of(self, value: OpValue | None) -> Op:
        """The op for an argument of this value."""
        found = op_of(value)
        assert found is not None, "an argument that makes an op is one"
        return found

    def with_attributes(self, **values: Any) -> Self:
        return self

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        return self.sample.tensors(inputs)


def op_of(value: OpValue | None) -> Op | None:
    """The op that a value is; None where it is a module, or is not whole without more fields."""
    if value is None:
        return Identity()
    callee = value.callee
    if not isinstance(callee, type) or not issubclass(callee, Op):
        return None
    kinds = {a.name: a.kind for a in attributes(callee)}
    required = {a.name for a in attributes(callee) if a.required}
    if not required <= dict(value.fields).keys():
        return None
    return callee(**{n: kinds[n].convert(nums(constant(v))) for n, v in value.fields})


def _maker(value: OpValue | None, kind: Kind, maker_of: MakerOf) -> Maker | None:
    op = op_of(value)
    if op is None or not isinstance(op, KeepsShape) or op.arity != (1, 1):
        return None
    if any(a.training and getattr(op, a.name) != a.default for a in attributes(type(op))):
        return None
    found = maker_of(op)
    if found is not None and isinstance(op, Identity):
        return Maker(kind, found.source)  # it takes any arguments
    return found


def made_arguments(
    template: Template,
    arguments: Mapping[str, Any],
    maker_of: MakerOf,
    refused: Collection[str],
) -> dict[str, MadeArgument]:
    """The parameters of a template whose ops are arguments of its class in one use."""
    found: dict[str, MadeArgument] = {}
    evaluator = TermEvaluator(callees=template.callees)
    held = op_parameters(template)
    for p in template.parameters:
        value = arguments.get(p.name)
        if not isinstance(value, OpValue) and not (value is None and p.name in held):
            continue
        module = is_module(value)
        if p.name in refused or not _only_called(template, p.name, module):
            continue
        default: OpValue | None = None
        if p.default is not None:
            try:
                default = evaluator.evaluate(p.default).value
            except CannotTrace:
                continue
        has_default, standing = p.default is not None, default
        if template.kind == "net":
            has_default, standing = True, value
        if module:
            if default is None or is_module(default):
                found[p.name] = MadeArgument(p.name, "module", standing, has_default, maker_of)
            continue
        first = _maker(default or value, "plain", maker_of)
        own = _maker(value, first.kind if first is not None else "plain", maker_of)
        if first is None or own is None or first.kind != own.kind:
            continue
        if template.kind == "net" and _ends_in_probabilities(value):
            continue
        if has_default and _maker(standing, own.kind, maker_of) is None:
            has_default = False
        found[p.name] = MadeArgument(p.name, own.kind, standing, has_default, maker_of)
    return found


def _ends_in_probabilities(value: OpValue | None) -> bool:
    """Whether an op may have to be taken off the end of a net."""
    return value is not None and value.callee.takes_logits


def is_module(value: Any) -> bool:
    """Whether a constant is a module."""
    return isinstance(value, OpValue) and isinstance(value.callee, Template)


def _only_called(template: Template, name: str, module: bool) -> bool:
    """Whether a parameter is called, an op with one input and no fields, or handed on: no more."""
    handed_on: list[ast.Expression] = []
    for c in calls_in(template.body):
        if isinstance(c.callee, NamedCallee) and c.callee.name == name:
            if not module and (c.fields or len(c.inputs) != 1):
                return False
        elif isinstance(c.callee, Template):
            handed_on += (v for _, e in c.fields for v in choices(e))
    ours = {id(e) for e in handed_on}
    expressions = [*every_expression_in(template.body), *(p.default for p in template.parameters)]
    for e in (e for e in expressions if e is not None):
        for node in walk(e):
            if isinstance(node, ast.Variable) and node.name == name and id(node) not in ours:
                return False
            if isinstance(node, ast.OpLiteral) and node.op.text == name:
                return False
    return True
