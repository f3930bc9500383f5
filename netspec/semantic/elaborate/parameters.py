"""The parameters of a net or module, as constants of its block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.semantic.constants import as_parameter, followed_items
from netspec.semantic.elaborate.block_builder import BlockBuilder
from netspec.semantic.scope import POISON, Poison, Poisoned, TracedConstant, evaluation_error
from netspec.symbolic.expr import Parameter, ParameterItem
from netspec.syntax.ast import Param


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
        return settings[name]
    if param.default is not None:
        return b.evaluator().constant(param.default)
    if b.module.variant is not None:
        raise Poisoned  # reported where its fields are matched
    message = f"the net's parameter {name} needs a default, or `--set {name}=...`"
    raise evaluation_error("missing-field", message, param.span)


def _declare(b: BlockBuilder, param: Param, value: Any) -> None:
    if isinstance(value, Poison):
        b.declare_constant(param.name, POISON)
        return
    name = param.name.text
    items = (ParameterItem(name, place) for place, _ in followed_items(value))
    known = TracedConstant(as_parameter(name, value), frozenset({Parameter(name), *items}))
    b.declare_constant(param.name, known)
