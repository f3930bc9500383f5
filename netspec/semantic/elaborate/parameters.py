"""The parameters of a net or module, as constants of its block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.ir.op_value import OpValue
from netspec.lazy_dataclasses import replace
from netspec.ops import op_names
from netspec.semantic.constants import as_parameter, followed_items
from netspec.semantic.elaborate.block_builder import BlockBuilder
from netspec.semantic.scope import (
    POISON,
    EvaluationError,
    Poison,
    Poisoned,
    TracedConstant,
    evaluation_error,
)
from netspec.symbolic.expr import Parameter, ParameterItem
from netspec.syntax.ast import Expression, Param, Variable
from netspec.syntax.parser.options import parse_option


def declare_net_parameters(b: BlockBuilder, settings: Mapping[str, Any]) -> None:
    """Declare a net's parameters with the values that are set, or their defaults."""
    for param in b.definition.params:
        _declare(b, param, b.attempt(_net_value, b, param, settings))
    known = [p.name.text for p in b.definition.params]
    for name in settings:
        if name not in known:
            help_ = did_you_mean(name, known)
            if known:
                help_ = help_ or (f"its parameters are {one_of(known)}",)
            message = f"the net {b.definition.name.text} has no parameter {name}"
            place = b.definition.name.span
            b.report(Diagnostic("unknown-parameter", message, place, help=help_))


def declare_module_parameters(b: BlockBuilder, arguments: Mapping[str, Any]) -> None:
    """Declare a module's parameters with its arguments, or their defaults.

    Raises EvaluationError.
    """
    for param in b.definition.params:
        if param.name.text in arguments:
            value = arguments[param.name.text]
        elif param.default is not None:
            value = b.evaluator().constant(param.default)
        else:
            raise Poisoned  # reported where the fields are matched
        _declare(b, param, value)


def _net_value(b: BlockBuilder, param: Param, settings: Mapping[str, Any]) -> Any:
    """The value of a net's parameter: as it is set, or its default. Raises EvaluationError."""
    name = param.name.text
    if name in settings:
        given = settings[name]
        return _op_setting(b, param, given) if isinstance(given, str) else given
    if param.default is not None:
        return _constant(b, name, param.default)
    if b.module.variant is not None:
        raise Poisoned  # reported where its fields are matched
    message = f"the net's parameter {name} needs a default, or `--set {name}=...`"
    raise evaluation_error("missing-field", message, param.span)


def _op_setting(b: BlockBuilder, param: Param, text: str) -> OpValue | str:
    """A parameter's setting as the op or module that its text names, where it is for one.

    Raises EvaluationError.
    """
    name = param.name.text
    default = b.evaluator().constant(param.default) if param.default is not None else None
    is_called = default is None and b.module.calls(name)
    if not isinstance(default, OpValue) and not is_called:
        return text
    found = Diagnostics()
    field = parse_option("--set", name, text, found)
    value = _constant(b, name, field.value) if field is not None else None
    if not isinstance(value, OpValue):
        message = f'{name} takes an op or module, not "{text}"'
        raise evaluation_error("wrong-type", message, param.span)
    return value


def _constant(b: BlockBuilder, name: str, e: Expression) -> Any:
    """The value of a parameter; an unknown name may be a misspelt op, if it is called.

    Raises EvaluationError.
    """
    try:
        return b.evaluator().constant(e)
    except EvaluationError as error:
        d = error.diagnostic
        if d is None or d.help or not isinstance(e, Variable) or not b.module.calls(name):
            raise
        help_ = did_you_mean(e.name, [*op_names(), *b.module.visible()])
        raise EvaluationError(replace(d, help=help_)) from None


def _declare(b: BlockBuilder, param: Param, value: Any) -> None:
    if isinstance(value, Poison):
        b.declare_constant(param.name, POISON)
        return
    name = param.name.text
    items = (ParameterItem(name, place) for place, _ in followed_items(value))
    known = TracedConstant(as_parameter(name, value), frozenset({Parameter(name), *items}))
    b.declare_constant(param.name, known)
