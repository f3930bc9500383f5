"""Traces lines that are used again: their calls once more, on other inputs.

A call that is another once more is kept by the class under the name of that (`kept`). A line with
conditional links, or that branches make, comes with these, which the same conditions choose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netspec.codegen.tracing.layers import LayerTracer
from netspec.codegen.tracing.nodes import (
    Call,
    CannotTrace,
    Carried,
    IfNode,
    InstanceCall,
    InstanceSize,
    LayerPath,
    LineNode,
    OpCall,
    Phi,
    Sym,
    TraceNode,
    TraceValue,
    calls_in,
    walk,
)
from netspec.codegen.tracing.numbers import lifted, requiring
from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops import attributes
from netspec.symbolic.expr import NumberLiteral, expr_of
from netspec.symbolic.terms import Local, exchanged, leaves
from netspec.syntax import ast


@dataclass(frozen=True)
class TracedLine:
    """The nodes of a line that has a name, its value, and the variables of the loops around it.

    `at` is what variables are in it, where it is that of a certain iteration.
    """

    nodes: Sequence[TraceNode]
    value: TraceValue
    loops: tuple[Local, ...]
    at: Mapping[Any, Any]

    @property
    def inputs(self) -> list[TraceValue]:
        """The values that it takes from elsewhere, each once, in the order of the text."""
        made = {v: c.inputs for c in calls_in(self.nodes) for v in c.outputs}
        for node in walk(self.nodes):
            if isinstance(node, IfNode):
                made |= {p.value: tuple(s for s in p.sources if s) for p in node.phis}
        found: dict[TraceValue, None] = {}
        pending = [self.value]
        while pending:
            v = pending.pop()
            if v not in found:
                found[v] = None
                pending += reversed(made.get(v, ()))
        return [v for v in found if v not in made]


class LineUseTracer(LayerTracer):
    """Traces further uses of lines."""

    def keep_line(self, value: TraceValue, nodes: Sequence[TraceNode]) -> None:
        """Know what a line is made of, by its value."""
        self.made_by[value] = TracedLine(nodes, value, tuple(self.loops), {})

    def keep_last_line(self, pair: Carried, index: Local, end: Any) -> None:
        """Know that the value behind a loop is that of its last iteration."""
        if pair.after in self.made_by:
            self.made_by[pair.value] = replace(self.made_by[pair.after], at={index: end})

    def once_more(
        self, name: ast.LayerName, path: LayerPath, inputs: tuple[TraceValue, ...]
    ) -> tuple[list[TraceNode], TraceValue]:
        """The nodes of a line again, on other inputs, and its value."""
        line = self.line_of(name)
        outside = line.inputs
        if len(outside) != len(inputs):
            raise CannotTrace(f"the inputs of {name.span.text}, which are not known")
        use = _Use(self, name.span.text, line, path, dict(zip(outside, inputs, strict=True)))
        nodes = use.nodes(line.nodes)
        return nodes, use.values[line.value]

    def line_of(self, name: ast.LayerName) -> TracedLine:
        """The line of a name, with what the variables of a loop are in it, if it is of one."""
        value = self.reference(name.value)
        known: Mapping[Any, Any] | None = {}
        if value is not None and value.item_of is not None:
            value, key = value.item_of
            items = next(i for i in self.now.collected.values() if i.value is value)
            known = items.iteration(key)
        line: TracedLine | None = self.made_by.get(value)
        if line is None or known is None:
            raise CannotTrace(f"{name.span.text}, which may be one of several lines")
        return replace(line, at={**line.at, **known})


class _Use:
    """One further use of a line; `values` are the new values by those of the line."""

    def __init__(
        self,
        tracer: LineUseTracer,
        text: str,
        line: TracedLine,
        path: LayerPath,
        values: dict[TraceValue, TraceValue],
    ) -> None:
        self.tracer, self.text, self.line = tracer, text, line
        self.path, self.values = path, values
        self.count = 0

    def here(self, term: Any) -> Any:
        """A term of the line as it is for the iteration of a loop that the line is from."""
        tracer, line = self.tracer, self.line
        if not line.at and all(v in tracer.loops for v in line.loops):
            return term
        known = exchanged(tracer.by_index(term), line.at)
        unknown = {*tracer.holders, *(v for v in line.loops if v not in tracer.loops)}
        if any(isinstance(x, InstanceSize) or x in unknown for x in leaves(known)):
            raise CannotTrace(f"{self.text}, whose numbers change from item to item")
        return known

    def number(self, s: Sym) -> Sym:
        """A constant of the line."""
        term = self.here(s.term)
        return Sym(term.value if isinstance(term, NumberLiteral) else s.value, term)

    def nodes(self, nodes: Sequence[TraceNode]) -> list[TraceNode]:
        """Nodes again; what only makes numbers is there already."""
        found: list[TraceNode] = []
        for node in nodes:
            match node:
                case LineNode():
                    calls = [self.call(c) for c in node.calls]
                    found.append(LineNode(calls, self.values[node.value]))
                case IfNode():
                    cases = [(self.here(c), self.nodes(body)) for c, body in node.cases]
                    first = node.again or node
                    again = IfNode(cases, self.nodes(node.otherwise), again=first)
                    again.phis += map(self.phi, node.phis)
                    found.append(again)
        return found

    def phi(self, phi: Phi) -> Phi:
        """What meets behind branches: of the channels that it had, in sizes of its own."""
        sources = [s and self.values.get(s, s) for s in phi.sources]
        of = phi.value
        value = TraceValue(of.name, of.shape, of.flows)
        sizes = [s.static for s in sources if s is not None]
        self.tracer.shaped(value, next(s for s in sources if s).shape, self.here(of.channels))
        value.static = sizes[0] if all(s == sizes[0] for s in sizes) else None
        self.values[of] = value
        return Phi(value, sources)

    def call(self, c: Call) -> Call:
        """A call with other inputs, and the module that the class has for it."""
        tracer = self.tracer
        self.count += 1
        path = self.path
        if self.count > 1:
            path = replace(path, suffix=f"{path.suffix}_{self.count}")
        inputs = tuple(self.values[v] for v in c.inputs)
        first = tracer.first_of.get(c, c)
        kept = c.attribute
        if kept is not None:
            kept = replace(kept, indices=tuple(map(self.number, kept.indices)))
        again: Call
        if isinstance(c, InstanceCall):
            assert isinstance(first, InstanceCall), "an instance is one again"
            given = {n: self.number(s) for n, s in c.arguments.items()}
            keyword = c.template.name
            again = tracer.instance_of(
                keyword, c.template, given, path, inputs, first, kept, c.maker
            )
        else:
            assert isinstance(c, OpCall), "chains are made later"
            again = self.layer(c, path, inputs, kept)
        tracer.first_of[again] = first
        self.values |= zip(c.outputs, again.outputs, strict=True)
        return again

    def layer(
        self, c: OpCall, path: LayerPath, inputs: tuple[TraceValue, ...], kept: LayerPath | None
    ) -> OpCall:
        def term(number: Any) -> Any:
            return self.here(expr_of(number))

        numbers = {a.name: lifted(getattr(c.op, a.name), term) for a in attributes(type(c.op))}
        terms: dict[str, Any] = {n: self.here(t) for n, t in c.terms.items()}
        with requiring(self.tracer.need):
            op = c.op.with_attributes(**numbers)
            return self.tracer.layer(op.keyword, op, terms, path, inputs, kept)
