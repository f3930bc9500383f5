"""Syntax tree to IR: runs the statements of the net and of the modules that it uses.

Shapes are computed on the way, since `if` may ask for them. What fails is reported once; what
depends on it stays silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from netspec.diagnostics import Diagnostics
from netspec.ir import Block, Net, NetParameter
from netspec.semantic.elaborate.block_builder import Body
from netspec.semantic.elaborate.context import ElaborationContext
from netspec.semantic.elaborate.outer_expressions import public
from netspec.semantic.elaborate.setting_effects import Trial, blame_settings
from netspec.semantic.imports import ModuleDefinition, Program
from netspec.semantic.limits import LimitExceeded
from netspec.symbolic.expr import Parameter


def elaborate(
    program: Program, settings: Mapping[str, Any], diagnostics: Diagnostics
) -> Net | None:
    """The IR of the program's net; None where it has errors.

    `settings` are constants for parameters of the net, by name.
    """
    assert program.net is not None
    run, body, block, complete = _run(program.net, settings, diagnostics)
    blame_settings(program.net.definition, settings, run, partial(_trial, program.net))
    run.finish(complete)
    if block is None or diagnostics.failed:
        return None
    definition = program.net.definition
    parameters = tuple(
        NetParameter(
            name,
            public(known.value),
            Parameter(name) in body.static,
            Parameter(name) in body.always_static,
        )
        for name, (known, _) in body.scope.names.items()
        if known is not None
    )
    return Net(
        definition.name.text,
        definition.span.source.name,
        parameters,
        tuple(body.preprocessing),
        block,
        diagnostics.sorted(),
        body.training,
    )


def _run(
    net: ModuleDefinition, settings: Mapping[str, Any], diagnostics: Diagnostics
) -> tuple[ElaborationContext, Body, Block | None, bool]:
    """Run the body of a net; whether to the end is the last of the results."""
    run = ElaborationContext(diagnostics)
    body = Body(run, net, (), None)
    try:
        body.net_parameters(settings)
        return run, body, body.run_block([]), True
    except LimitExceeded:
        return run, body, None, False  # said already


def _trial(net: ModuleDefinition, settings: Mapping[str, Any]) -> Trial:
    run, body, _, _ = _run(net, settings, Diagnostics())
    names = body.scope.names
    values = {n: known.value for n, (known, _) in names.items() if known}
    return Trial(values, run.verdicts, run.errors)
