"""Finds the classes that are an `nn.Sequential`: chains whose weights are called by their places.

class Features(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 64, kernel_size=3), nn.ReLU(inplace=True), ...)
"""

from __future__ import annotations

from collections.abc import Mapping

from netspec.codegen.python_source import FunctionCall
from netspec.codegen.spelling import WrittenCall
from netspec.codegen.trace_names import has_tensors
from netspec.codegen.trace_nodes import Call, CheckNode, InstanceCall, LineNode, PositiveNode, Trace


def sequential(trace: Trace, emissions: Mapping[Call, WrittenCall]) -> list[FunctionCall]:
    """The modules of the chain in order; none where the trace is no such chain."""
    if trace.template.kind == "net" or len(trace.inputs) != 1:
        return []
    if not all(isinstance(n, LineNode | CheckNode | PositiveNode) for n in trace.nodes):
        return []
    (value,) = trace.inputs
    modules: list[FunctionCall] = []
    fresh = False
    for place, (c, written) in enumerate(emissions.items()):
        module = written.in_sequence(overwrite=fresh)
        named = c.name is not None and c.name.fixed == str(place)
        several = isinstance(c, InstanceCall) and len(c.outputs) > 1  # a tuple
        if module is None or c.inputs != (value,) or several or (has_tensors(c) and not named):
            return []
        modules.append(module)
        value, fresh = c.outputs[0], written.fresh
    return modules if trace.outputs == [value] else []
