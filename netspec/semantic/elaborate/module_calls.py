"""Calls of modules: arguments and input shapes to a block, an instance of it in the IR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.source import Span
from netspec.diagnostics.suggest import did_you_mean
from netspec.ir import Argument, Block, Instance, Value
from netspec.ops import REQUIRED, op_names
from netspec.semantic.constants import followed_items, key_of, python_value
from netspec.semantic.elaborate.block_builder import BlockBuilder
from netspec.semantic.elaborate.call_inputs import CallNames, Operand, check_arity
from netspec.semantic.elaborate.caller_expressions import caller_shape, symbols_of_caller
from netspec.semantic.elaborate.context import MAX_DEPTH, ElaborationContext
from netspec.semantic.evaluator import Evaluator
from netspec.semantic.imports import ModuleDefinition
from netspec.semantic.scope import (
    POISON,
    EvaluationError,
    Poison,
    Scope,
    TracedConstant,
    all_sound,
    evaluation_error,
)
from netspec.symbolic.expr import Expr, Num, Parameter, literal
from netspec.symbolic.terms import leaves
from netspec.syntax.ast import Call, Field, Input, Param, Variable


def module_instance(
    b: BlockBuilder,
    call: Call,
    module: ModuleDefinition,
    names: CallNames,
    operands: Sequence[Operand | Poison],
    given_fields: Mapping[str, Any],
) -> Instance | Poison:
    """The instance that a call of a module makes; poison, and the errors, where it makes none.

    `given_fields` are those that came with the module where it is a constant's value. Raises
    EvaluationError where modules are nested too deep.
    """
    arguments = _arguments(b, call, module, given_fields)
    # Resolving has seen to it that no `input` is inside an `if`.
    wanted = sum(isinstance(s, Input) for s in module.definition.body)
    if not check_arity(b, call, len(operands), wanted, wanted):
        return POISON
    given = all_sound(operands)
    if isinstance(arguments, Poison) or isinstance(given, Poison):
        b.failed = True
        b.context.uses.unreached(module, b.key, names.node)
        return POISON
    inputs = tuple(o.value for o in given)
    listed = _listed_arguments(b, call, module, arguments)
    return instance_of(b, module, arguments, listed, names, inputs, call.op.span)


def instance_of(
    b: BlockBuilder,
    module: ModuleDefinition,
    arguments: Mapping[str, Any],
    listed: tuple[Argument, ...],
    names: CallNames,
    inputs: tuple[Value, ...],
    span: Span,
    shares: str | None = None,
) -> Instance | Poison:
    """The instance of a module for its arguments and inputs; poison where its body has errors.

    `listed` are the arguments as the IR lists them. Raises EvaluationError.
    """
    block = _block(b, module, names.node, arguments, inputs, span)
    if isinstance(block, Poison):
        b.failed = True
        return POISON
    of_caller = symbols_of_caller(listed, block, inputs)
    outputs = tuple(
        Value(
            f"{names.value}.{result}" if result and i else names.value,
            b.fixed_channels(caller_shape(value.shape, of_caller)),
        )
        for i, (value, result) in enumerate(zip(block.outputs, block.output_names, strict=True))
    )
    for symbol in block.static:
        b.static.update(leaves(of_caller.get(symbol, literal(0))))
    instance = Instance(names.node, names.line, block, listed, inputs, outputs, span, shares)
    b.modules[instance] = module, arguments
    b.add(instance, block.layer_count, span)
    return instance


def _block(
    b: BlockBuilder,
    module: ModuleDefinition,
    name: str,
    arguments: Mapping[str, Any],
    inputs: Sequence[Value],
    span: Span,
) -> Block | Poison:
    """The block of a module, which equal uses share. Raises EvaluationError."""
    if len(b.backtrace) >= MAX_DEPTH:
        message = f"modules are nested more than {MAX_DEPTH} deep"
        raise evaluation_error("too-deep", message, span)
    shapes = [value.shape for value in inputs]
    key = (
        id(module),
        tuple(sorted((k, key_of(v)) for k, v in arguments.items())),
        tuple(sorted((k, i) for k, v in arguments.items() for i, _ in followed_items(v))),
        tuple((tuple(int(d) for d in s), getattr(s, "plane", None)) for s in shapes),
    )
    if key in b.context.running:
        message = f"module {module.definition.name.text} uses itself"
        raise evaluation_error("recursion", message, span)
    b.context.uses.add(module, key, b.key, name)
    blocks = b.context.blocks
    if key not in blocks:
        inner = b.inner(module, name, span, key)
        b.context.running.add(key)
        blocks[key] = b.run_module(inner, arguments, shapes)
        b.context.running.discard(key)
    return blocks[key]


def _arguments(
    b: BlockBuilder, call: Call, module: ModuleDefinition, given: Mapping[str, Any]
) -> dict[str, Any] | Poison:
    """The values of the fields that are given; poison also where one is missing."""
    params = {p.name.text: p for p in module.definition.params}
    found = dict(given)
    sound = True
    for f in call.fields:
        if f.name.text not in params:
            sound = False  # netspec.semantic.resolve has reported it
            continue
        value = b.attempt(_argument, b, f, module)
        if isinstance(value, Poison):
            sound = False
        else:
            found[f.name.text] = value
    missing = any(p.default is None and name not in found for name, p in params.items())
    return found if sound and not missing else POISON


def _argument(b: BlockBuilder, f: Field, module: ModuleDefinition) -> Any:
    """A field's value as a constant. Raises EvaluationError."""
    evaluator = b.evaluator()
    try:
        value = evaluator.constant(f.value)
    except EvaluationError as error:
        raise _with_quotes(error, f, module) from None
    exprs = [value.known] if isinstance(value, Num) else [e for _, e in followed_items(value)]
    b.static |= evaluator.used - {s for e in exprs for s in leaves(e)}
    return value


def _with_quotes(error: EvaluationError, f: Field, module: ModuleDefinition) -> EvaluationError:
    """For an unknown bare word as a module's argument: how to pass a word."""
    d = error.diagnostic
    if d is None or d.code != "unknown-name" or d.help or not isinstance(f.value, Variable):
        return error
    is_called = module.calls(f.name.text)
    near = did_you_mean(f.value.name, op_names()) if is_called else ()
    help_ = near or (f'to pass a word on to a module, write it as a string: `"{f.value.name}"`',)
    return EvaluationError(Diagnostic(d.code, d.message, d.span, help=help_))


# --- arguments as the IR lists them --------------------------------------------------------------


def _listed_arguments(
    b: BlockBuilder, call: Call, module: ModuleDefinition, arguments: Mapping[str, Any]
) -> tuple[Argument, ...]:
    """The value of every parameter of a module in one use, with its expression and its default."""
    defaults = _defaults(b.context, module)
    passed = _passed_on(b, call)
    return tuple(
        Argument(
            name,
            python_value(value),
            value.known if isinstance(value, Num) else passed.get(name),
            defaults[name],
            followed_items(value),
        )
        for name, value in _with_defaults(b.context, module, arguments).items()
    )


def _passed_on(b: BlockBuilder, call: Call) -> dict[str, Expr]:
    """The arguments that are parameters of the block at hand, as they are."""
    found: dict[str, Expr] = {}
    for f in call.fields:
        if isinstance(f.value, Variable):
            parameter = Parameter(f.value.name)
            known = b.scope.find(f.value.name)
            if known and isinstance(known[0], TracedConstant) and known[0].depends == {parameter}:
                found[f.name.text] = parameter
    return found


def _with_defaults(
    context: ElaborationContext, module: ModuleDefinition, arguments: Mapping[str, Any]
) -> dict[str, Any]:
    """All arguments with the defaults of those that are not given."""
    values: dict[str, Any] = {}
    scope = Scope(budget=context.budget)
    for param in module.definition.params:
        name = param.name.text
        if name in arguments:
            values[name] = arguments[name]
        elif param.default is not None:
            evaluator = Evaluator(scope, callee_of=module.callee)
            values[name] = evaluator.constant(param.default)
        # A later default may use it; what its value came from in the caller does not matter then.
        scope.names[name] = (TracedConstant(values.get(name)), param.span)
    return values


def _defaults(context: ElaborationContext, module: ModuleDefinition) -> dict[str, Any]:
    """The defaults of a module's parameters, REQUIRED where they depend on others."""
    known = context.defaults
    if id(module) not in known:
        params = module.definition.params
        known[id(module)] = {p.name.text: _default(context, module, p) for p in params}
    return known[id(module)]


def _default(context: ElaborationContext, module: ModuleDefinition, param: Param) -> Any:
    if param.default is None:
        return REQUIRED
    try:
        evaluator = Evaluator(Scope(budget=context.budget), callee_of=module.callee)
        return python_value(evaluator.constant(param.default))
    except EvaluationError:
        return REQUIRED
