"""Syntax tree to IR: runs the statements of the net and of the modules that it uses.

Shapes are computed on the way, since `if` may ask for them. What fails is reported once; what
depends on it stays silent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.budget import TooMuch
from netspec.diagnostics import Diagnostics
from netspec.elaborate.body import Body
from netspec.elaborate.outside import public
from netspec.elaborate.run import Run
from netspec.ir import Net, NetParameter
from netspec.program import Program
from netspec.symbolic import Parameter


def elaborate(
    program: Program, settings: Mapping[str, Any], diagnostics: Diagnostics
) -> Net | None:
    """The IR of the program's net; None where it has errors.

    `settings` are constants for parameters of the net, by name.
    """
    assert program.net is not None
    run = Run(diagnostics)
    body = Body(run, program.net, ())
    block = None
    try:
        body.net_parameters(settings)
        block = body.run_block([])
    except TooMuch:
        pass  # said already
    for warning in run.warnings:
        # What a faulty spec does not use may well be used once it is mended.
        if warning.code == "unmet-prefer" or not diagnostics.failed:
            diagnostics.add(warning)
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
