"""Syntax tree to IR: runs the statements of the net and of the modules that it uses.

Shapes are computed on the way, since `if` may ask for them. What fails is reported once; what
depends on it stays silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from netspec.budget import TooMuch
from netspec.diagnostics import Diagnostics
from netspec.elaborate.body import Body
from netspec.elaborate.defaults import Trial, blame_settings
from netspec.elaborate.outside import public
from netspec.elaborate.run import Run
from netspec.ir import Block, Net, NetParameter
from netspec.program import Module, Program
from netspec.symbolic import Parameter


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
        NetParameter(name, public(known.value), Parameter(name) in body.structural)
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
    net: Module, settings: Mapping[str, Any], diagnostics: Diagnostics
) -> tuple[Run, Body, Block | None, bool]:
    """Run the body of a net; whether to the end is the last of the results."""
    run = Run(diagnostics)
    body = Body(run, net, (), None)
    try:
        body.net_parameters(settings)
        return run, body, body.run_block([]), True
    except TooMuch:
        return run, body, None, False  # said already


def _trial(net: Module, settings: Mapping[str, Any]) -> Trial:
    run, body, _, _ = _run(net, settings, Diagnostics())
    names = body.scope.names
    values = {n: known.value for n, (known, _) in names.items() if known}
    return Trial(values, run.verdicts, run.errors)
