"""Finds the chains that an `nn.Sequential` can keep or be, by the names of their layers.

self.features = nn.Sequential(nn.Conv2d(3, 64, kernel_size=3), nn.ReLU(inplace=True), ...)

Where layers are called `features.0`, `features.3`, and each takes what the one before it yields,
what has no weights may stand between them if the numbers are then those of their places.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from netspec.codegen.python_source import FunctionCall
from netspec.codegen.tracing.names import has_tensors
from netspec.codegen.tracing.nodes import (
    Call,
    ChainCall,
    ChannelsNode,
    CheckNode,
    IfNode,
    InstanceCall,
    InstanceSize,
    LayerPath,
    LetNode,
    LineNode,
    PositiveNode,
    Trace,
    TraceNode,
    calls_in,
    parts_of,
    walk,
)
from netspec.codegen.writing.constructor import Emissions
from netspec.codegen.writing.readers import Readers
from netspec.codegen.writing.spelling import WrittenCall, WrittenInstance
from netspec.codegen.writing.terms import Asked
from netspec.lazy_dataclasses import replace
from netspec.symbolic.terms import leaves

SEQUENCE = "nn.Sequential"
"""PyTorch's, which gives its modules the numbers of their places as names."""


def with_chains(trace: Trace, emissions: Emissions, readers: Readers) -> Trace | None:
    """The trace with chains in place of their calls; None where it has none."""
    found = _Chains(trace, emissions, readers)
    nodes = found.gather(trace.nodes)
    return replace(trace, nodes=nodes) if found.chains else None


def sequential(trace: Trace, written: Mapping[Call, WrittenCall]) -> list[FunctionCall]:
    """The modules of a class that is an `nn.Sequential` itself; none where it is no such chain."""
    calls = list(written)
    if trace.template.kind == "net" or len(trace.inputs) != 1 or not calls:
        return []
    if not all(isinstance(n, LineNode | CheckNode | PositiveNode) for n in trace.nodes):
        return []
    if any(c.kept is not None for c in calls):
        return []
    (value,) = trace.inputs
    for place, c in enumerate(calls):
        named = c.name is not None and c.name.fixed == str(place)
        several = isinstance(c, InstanceCall) and len(c.outputs) > 1  # a tuple
        if c.inputs != (value,) or several or (has_tensors(c) and not named):
            return []
        value = c.outputs[0]
    if trace.outputs != [value] or written[calls[0]].one_size:
        return []
    return _modules(calls, written) or []


def written_chain(c: ChainCall, emissions: Emissions) -> tuple[WrittenCall, Asked]:
    """How a chain is written whose parts are written so."""
    asked = Asked()
    for part in c.calls:
        asked.reads |= emissions[part][1].reads
        asked.supports |= emissions[part][1].supports
    modules = _modules(c.calls, {p: written for p, (written, _) in emissions.items()})
    assert modules is not None, "a chain is made of modules"
    last, first = emissions[c.calls[-1]][0], emissions[c.calls[0]][0]
    module = FunctionCall(SEQUENCE, tuple(modules))
    return WrittenInstance(module, False, last.fresh, first.one_size), asked


def _modules(
    calls: Sequence[Call], written: Mapping[Call, WrittenCall]
) -> list[FunctionCall] | None:
    """The modules of calls in a row; None where one of them is no module."""
    modules: list[FunctionCall] = []
    fresh = False
    for n, c in enumerate(calls):
        module = written[c].in_sequence(overwrite=fresh)
        if not n and written[c].one_size:
            module = written[c].constructor  # `forward` checks its input
        if module is None:
            return None
        modules.append(module)
        fresh = written[c].fresh
    return modules


class _Chains:
    def __init__(self, trace: Trace, emissions: Emissions, readers: Readers) -> None:
        self.readers = readers
        self.written = {c: written for c, (written, _) in emissions.items()}
        self.sized = {v for _, asked in emissions.values() for v in asked.sizes}
        """The values whose heights and widths are asked for."""
        self.keeping = {c for c, (_, asked) in emissions.items() if asked.kept}
        self.asked: set[Call] = set()
        """Instances that numbers of the class ask for a size."""
        for node in walk(trace.nodes):
            if isinstance(node, LetNode | ChannelsNode | CheckNode):
                term = node.condition if isinstance(node, CheckNode) else node.term
                self.asked |= {x.instance for x in leaves(term) if isinstance(x, InstanceSize)}
        again = [c.kept for c in calls_in(trace.nodes) if c.kept is not None]
        self.shared = {c for c in calls_in(trace.nodes) if c.kept or c.name in again}
        """What is used several times."""
        self.members = Counter(g for c in calls_in(trace.nodes) for g in _groups(c))
        """How many layers have a name that begins so."""
        self.chains: dict[Call, ChainCall] = {}
        """The chain of each call."""

    def gather(self, nodes: Sequence[TraceNode]) -> list[TraceNode]:
        """The nodes with chains in place of calls that follow each other."""
        result: list[TraceNode] = []
        run: list[LineNode] = []
        for node in nodes:
            if isinstance(node, LineNode):
                run.append(node)
            elif next(calls_in([node]), None) is not None:
                self.chained([c for line in run for c in line.calls])
                run = []
            if isinstance(node, IfNode):
                cases = [(condition, self.gather(body)) for condition, body in node.cases]
                node = replace(node, cases=cases, otherwise=self.gather(node.otherwise))
            result.append(node)
        self.chained([c for line in run for c in line.calls])
        return [n for node in result for n in self.line(node)]

    def line(self, node: TraceNode) -> list[TraceNode]:
        """A node with chains in place of calls; nothing where it is part of one behind it."""
        if not isinstance(node, LineNode):
            return [node]
        pairs = [(c, self.chains.get(c, c)) for c in node.calls]
        calls = [chain for c, chain in pairs if chain.outputs == c.outputs]
        if not calls:
            return []
        whole = pairs[-1][0].outputs == calls[-1].outputs
        return [LineNode(calls, node.value if whole else calls[-1].outputs[0])]

    def chained(self, calls: list[Call]) -> None:
        """Find the chains among calls that follow each other."""
        groups = dict.fromkeys(g for c in calls for g in _groups(c))
        for group in sorted(groups, key=lambda g: -g.count(".")):
            places = [i for i, c in enumerate(calls) if group in _groups(c)]
            first, last = places[0], places[-1] + 1
            parts = [p for c in calls[first:last] for p in parts_of(c)]
            count = sum(group in _groups(p) for p in parts if not isinstance(p, ChainCall))
            if count == self.members[group]:
                chain = self.chain(group, calls[first:last])
                if chain is not None:
                    calls = [*calls[:first], chain, *calls[last:]]
                    self.chains |= dict.fromkeys(parts, chain)

    def chain(self, group: str, calls: Sequence[Call]) -> ChainCall | None:
        """The calls as one chain; None where they are none, or their names not their places."""
        placed: list[Call] = []
        for n, c in enumerate(calls):
            if n and not self.follows(calls[n - 1], c):
                return None
            if len(c.inputs) != 1 or self.readers.several(c) or not self.is_part(c):
                return None
            if c.name is None or c.name.fixed is None or not c.name.fixed.startswith(f"{group}."):
                if has_tensors(c):
                    return None
                placed.append(c)
                continue
            place = c.name.fixed[len(group) + 1 :]
            if not place.isdecimal() or place != str(int(place)) or int(place) > len(placed):
                return None
            if int(place) < len(placed):
                # Of `features.0.0 -> relu -> features.1`, the activation belongs to `features.0`.
                inner, after = placed[int(place) - 1], placed[int(place) :]
                if not int(place) or not isinstance(inner, ChainCall):
                    return None
                if any(_groups(p) for p in after):
                    return None
                longer = self.made(inner.name, [*inner.calls, *after])
                if longer is None:
                    return None
                placed[int(place) - 1 :] = [longer]
            placed.append(c)
        return self.made(LayerPath(group), placed)

    def follows(self, before: Call, c: Call) -> bool:
        """Whether a call takes just what nothing else reads of the one before."""
        first = next(parts_of(c))
        last = before
        while isinstance(last, ChainCall):
            last = last.calls[-1]
        if self.written[c].one_size or last.outputs[0] in self.sized:
            return False
        return c.inputs == last.outputs[:1] and self.readers.alone(last, first)

    def is_part(self, c: Call) -> bool:
        """Whether a call can stand in a chain: its class is made of arguments alone."""
        if isinstance(c, InstanceCall) and len(c.outputs) > 1:
            return False  # a tuple
        return c not in self.asked and c not in self.keeping and c not in self.shared

    def made(self, name: LayerPath, calls: list[Call]) -> ChainCall | None:
        modules = _modules(calls, self.written)
        if modules is None:
            return None
        chain = ChainCall(name, calls)
        module = FunctionCall(SEQUENCE, tuple(modules))
        first = self.written[calls[0]]
        self.written[chain] = WrittenInstance(module, False, False, first.one_size)
        return chain


def _groups(c: Call) -> list[str]:
    """The names with which that of a layer begins: `a`, `a.b` for `a.b.c`."""
    name = c.name.fixed if c.name is not None else None
    parts = name.split(".") if name is not None else []
    return [".".join(parts[:n]) for n in range(1, len(parts))]
