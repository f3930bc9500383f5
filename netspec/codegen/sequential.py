"""Finds the classes that are an `nn.Sequential`: chains whose weights are called by their places.

class Features(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(nn.Conv2d(3, 64, kernel_size=3), nn.ReLU(inplace=True), ...)
"""

from __future__ import annotations

from collections.abc import Mapping

from netspec.codegen.python_source import FunctionCall
from netspec.codegen.spelling import WrittenCall
from netspec.codegen.trace_nodes import (
    Call,
    CheckNode,
    InstanceCall,
    LineNode,
    PositiveNode,
    Trace,
    TraceNode,
)


def sequential(trace: Trace, emissions: Mapping[Call, WrittenCall]) -> list[FunctionCall] | None:
    """The modules of the chain in order; None where the trace is no such chain."""
    calls = _chain(trace)
    if not calls or trace.template.kind == "net":
        return None
    modules: list[FunctionCall] = []
    fresh = False
    for place, c in enumerate(calls):
        has_weights = isinstance(c, InstanceCall) or c.bound.tensors([v.shape for v in c.inputs])
        if has_weights and (c.name is None or c.name.fixed != str(place)):
            return None
        module = emissions[c].in_sequence(overwrite=fresh)
        if module is None:
            return None
        modules.append(module)
        fresh = emissions[c].fresh
    return modules


def _chain(trace: Trace) -> list[Call]:
    """The calls of a trace in which each takes just what the one before it yields, else none."""
    if len(trace.inputs) != 1:
        return []
    value = trace.inputs[0]
    calls: list[Call] = []
    for c in _calls(trace.nodes):
        if c is None or c.inputs != (value,):
            return []
        if isinstance(c, InstanceCall) and len(c.outputs) > 1:
            return []  # a tuple
        value = c.outputs[0]
        calls.append(c)
    return calls if trace.outputs == [value] else []


def _calls(nodes: list[TraceNode]) -> list[Call | None]:
    found: list[Call | None] = []
    for node in nodes:
        if isinstance(node, CheckNode | PositiveNode):
            continue
        found += node.calls if isinstance(node, LineNode) else [None]
    return found
