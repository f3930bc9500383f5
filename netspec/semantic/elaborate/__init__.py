"""Syntax tree to IR: runs the statements of the net and of the modules that it uses.

In:  a `Program` whose names are looked up, and constants for parameters of its net.
Out: a `netspec.ir.Net`, or diagnostics.

Shapes are computed on the way, since `if` may ask for them. What fails is reported once; what
depends on it is poisoned, and is not reported. The files, each using only those above it:

repeated_errors     where the same error recurs: which uses of a module, which iterations
unknown_values      what was meant by the unknown name of a value
context             what all blocks of one elaboration share
block_builder       what is known of one block while its statements run
caller_expressions  a module's numbers in terms of the block that uses it
call_inputs         the inputs of a call, and how many there may be
op_calls            calls of ops: a layer
module_calls        calls of modules: an instance
line_uses           lines that are used again
held_ops            calls by the name of a constant that holds an op
chains              chains of calls
inputs_outputs      `input` and `output`
iterations          what a loop gives its names, iteration by iteration
statements          all statements, loops and branches
parameters          the parameters of a net or module
block_checks        what is checked when all statements have run: contracts, what is unused
bodies              a whole body, from its parameters to its checks
setting_effects     which settings led to an error
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from netspec.diagnostics import Diagnostics
from netspec.ir import Block, Net, NetParameter
from netspec.semantic.constants import python_value
from netspec.semantic.elaborate.block_builder import BlockBuilder
from netspec.semantic.elaborate.bodies import run_module, run_net
from netspec.semantic.elaborate.context import ElaborationContext
from netspec.semantic.elaborate.setting_effects import Trial, note_setting_effects
from netspec.semantic.imports import ModuleDefinition
from netspec.semantic.limits import LimitExceeded
from netspec.semantic.scope import POISON, Poison, TracedConstant
from netspec.symbolic.expr import Parameter


def elaborate(
    net: ModuleDefinition, settings: Mapping[str, Any], diagnostics: Diagnostics
) -> Net | None:
    """The IR of a net; None where it has errors.

    `settings` are constants for parameters of the net, by name.
    """
    builder, block, complete = _run(net, settings, diagnostics)
    context = builder.context
    definition = net.definition
    note_setting_effects(definition, settings, context, partial(_trial, net))
    context.finish(complete)
    if isinstance(block, Poison) or diagnostics.failed:
        return None
    parameters = tuple(
        NetParameter(
            name,
            python_value(known.value),
            Parameter(name) in builder.static,
        )
        for name, (known, _) in builder.scope.names.items()
        if isinstance(known, TracedConstant)
    )
    variant = net.variant
    return Net(
        definition.name.text,
        definition.span.source.name,
        parameters,
        tuple(builder.preprocessing),
        block,
        diagnostics.sorted(),
        builder.training,
        detection=builder.detection,
        variant=variant.name.text if variant is not None else "",
        variant_of=net.variant_of,
        varied=frozenset(f.name.text for f in variant.fields)
        if variant is not None
        else frozenset(),
    )


def _run(
    net: ModuleDefinition, settings: Mapping[str, Any], diagnostics: Diagnostics
) -> tuple[BlockBuilder, Block | Poison, bool]:
    """Run the body of a net; whether to the end is the last of the results."""
    builder = BlockBuilder(ElaborationContext(diagnostics), net, run_module)
    try:
        return builder, run_net(builder, settings), True
    except LimitExceeded:
        return builder, POISON, False


def _trial(net: ModuleDefinition, settings: Mapping[str, Any]) -> Trial:
    builder, _, _ = _run(net, settings, Diagnostics())
    names = builder.scope.names
    values = {
        n: known.value for n, (known, _) in names.items() if isinstance(known, TracedConstant)
    }
    return Trial(values, builder.context.verdicts, builder.context.errors)
