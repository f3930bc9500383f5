"""What reads each value of a class: calls, what meets behind branches and in loops, results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netspec.codegen.tracing.nodes import (
    Call,
    Carried,
    ForNode,
    IfNode,
    InstanceCall,
    OpCall,
    Phi,
    Trace,
    TraceValue,
)
from netspec.codegen.tracing.nodes import walk as walk_nodes
from netspec.codegen.writing.terms import Terms
from netspec.ops.reshaping import Split


class Readers:
    """What reads each value. `asked` are values of which calls read more than they take."""

    def __init__(
        self, trace: Trace, terms: Terms, asked: Mapping[Call, Sequence[TraceValue]]
    ) -> None:
        self.asked = asked
        self.calls = terms.makers
        self.of: dict[TraceValue, list[Any]] = {}
        """Calls, what meets behind branches and in loops, and None for the results."""
        self.collected: set[TraceValue] = set()
        """The values of loops that are asked for by their iteration."""
        self.written: set[Call | Phi | Carried] = set()
        """What makes values that are read."""
        branching = [n for n in walk_nodes(trace.nodes) if isinstance(n, IfNode | ForNode)]
        self.met = {m.value: m for n in branching for m in n.meets}
        sizes = [v for n in branching for v in terms.planes(n)]
        pending: list[tuple[TraceValue, Any]] = [(v, None) for v in (*trace.outputs, *sizes)]
        while pending:
            v, by = pending.pop()
            if v.item_of is None:
                self.of.setdefault(v, []).append(by)
            else:
                v = v.item_of[0]
                self.collected.update((v, *v.others))
            for made in map(self.maker, (v, *v.others)):
                if made is not None and made not in self.written:
                    self.written.add(made)
                    pending += [(s, made) for s in self.before(made)]

    def maker(self, v: TraceValue) -> Call | Phi | Carried | None:
        return self.met.get(v) or self.calls.get(v)

    def before(self, made: Call | Phi | Carried) -> list[TraceValue]:
        """The values that a call reads, or one of which a value is."""
        match made:
            case Phi():
                return [s for s in made.sources if s is not None]
            case Carried():
                return [made.before, made.after]
        return [*made.inputs, *self.asked.get(made, ())]

    def several(self, c: Call) -> bool:
        """Whether more than the first result of a call is read."""
        return any(v in self.of or v in self.collected for v in c.outputs[1:])

    def alone(self, c: Call, reader: Call) -> bool:
        """Whether a call's only result has no other reader."""
        v = c.outputs[0]
        return self.of.get(v) == [reader] and v not in self.collected and not self.several(c)

    def is_part(self, v: TraceValue) -> bool:
        """Whether a value is one of several parts of another."""
        made = self.calls.get(v)
        return isinstance(made, OpCall) and isinstance(made.op, Split) and self.several(made)

    def name(self, v: TraceValue) -> str:
        """What the spec calls a value, else what makes it."""
        made = self.maker(v)
        if not v.flows and not self.is_part(v):
            return v.name
        match made:
            case OpCall():
                part = made.bound.result_names[made.outputs.index(v)]
                return part if self.is_part(v) else type(made.op).keyword
            case InstanceCall():
                return made.template.name
            case Phi() | Carried():
                return next((s.name for s in self.before(made) if not s.flows), "x")
        return "x"

    def is_made_of(self, v: TraceValue, w: TraceValue) -> bool:
        """Whether layers in a row lead to a value from another, or from what that is one of."""
        ends = {w, *(self.before(self.met[w]) if w in self.met else ())}
        while (made := self.maker(v)) is not None:
            before = self.before(made)[:1] if isinstance(made, Carried) else self.before(made)
            if not ends.isdisjoint(before):
                return True
            if isinstance(made, Phi):
                return any(self.is_made_of(s, w) for s in before)
            if len(before) != 1:
                return False
            (v,) = before
        return False
