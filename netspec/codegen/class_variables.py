"""The variables of `forward`: which lines are joined, and which values share a name."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Sequence
from itertools import count, pairwise
from typing import Any

from netspec.codegen.class_terms import TermWriter
from netspec.codegen.identifiers import Identifiers
from netspec.codegen.python_source import Source, Verbatim
from netspec.codegen.terms import leaves
from netspec.codegen.trace_nodes import (
    Call,
    Extent,
    ForNode,
    IfNode,
    LineNode,
    OpCall,
    TraceNode,
    TraceValue,
    regions,
    walk,
)


class VariableWriter(TermWriter):
    """Finds a variable for each value, shared by values that are not alive together."""

    def number_lines(self) -> None:
        position = 0
        self.uses, self.defs, self.loops_of, self.collected = {}, {}, {}, {}
        uses, defs = self.uses, self.defs
        for v in self.trace.inputs:
            defs[v] = 0

        def use(v: TraceValue, at: int, by: Any) -> None:
            if v.item_of is not None:
                self.collected.setdefault(v.item_of[0], "")
                return
            uses.setdefault(v, []).append((at, by))

        def use_sizes(term: Any, at: int, by: Any) -> None:
            for leaf in leaves(term) if term is not None else ():
                if isinstance(leaf, Extent) and leaf.axis <= 2:
                    use(self.at_hand(leaf.value), at, by)

        def walk_(nodes: Sequence[TraceNode]) -> None:
            nonlocal position
            for node in nodes:
                match node:
                    case LineNode():
                        position += 2
                        own = dict.fromkeys(v for c in node.calls for v in c.outputs)
                        for c in node.calls:
                            for v in c.inputs:
                                if v not in own:
                                    use(v, position, node)
                            for v in self.sized.get(c, ()):
                                if v not in own:
                                    use(v, position, c)
                        for v in own:
                            defs[v] = position + 1
                    case IfNode():
                        position += 2
                        for condition, _ in node.cases:
                            use_sizes(condition, position, node)
                        for n, body in enumerate(node.bodies):
                            walk_(body)
                            position += 2
                            for phi in node.phis:
                                s = phi.sources[n]
                                if s is not None:
                                    use(s, position, phi)
                        for phi in node.phis:
                            # It is there from the first of its sources on.
                            defs[phi.value] = position + 1
                    case ForNode():
                        position += 2
                        for term in (node.first, node.last):
                            use_sizes(term, position, node)
                        start = position
                        for k in node.carried:
                            use(k.before, position, k)
                            defs[k.value] = position + 1
                        walk_(node.body)
                        position += 2
                        for k in node.carried:
                            use(k.after, position, k)
                        for v, some in uses.items():
                            # What stands before a loop and is read in it lives through it.
                            if defs.get(v, 0) <= start and any(
                                start < at < position for at, by in some
                            ):
                                some.append((position, node))
                        for k in node.carried:
                            self.loops_of[k.value] = (start, position)

        walk_(self.trace.nodes)
        position += 2
        for v in self.trace.outputs:
            use(v, position, self)

    def allocate(self) -> None:
        """A variable for each value, shared by values that are not alive together."""
        group: dict[TraceValue, TraceValue] = {}

        def find(v: TraceValue) -> TraceValue:
            while v in group:
                v = group[v]
            return v

        used = set(self.uses)
        # Inlining
        for nodes in regions(self.trace.nodes):
            for first, second in pairwise(nodes):
                if isinstance(first, LineNode) and isinstance(second, LineNode):
                    self.try_inline(first, second)

        def interval(v: TraceValue) -> tuple[int, int]:
            ends = [at for at, _ in self.uses.get(v, [])]
            return self.defs[v], max(ends, default=self.defs[v])

        joined: list[tuple[TraceValue, TraceValue]] = []
        for node in walk(self.trace.nodes):
            if isinstance(node, IfNode):
                for phi in node.phis:
                    joined += [
                        (phi.value, s) for s in phi.sources if s is not None and s.item_of is None
                    ]
            elif isinstance(node, ForNode):
                for k in node.carried:
                    joined += [(k.value, k.after), (k.value, k.before)]
        values = [v for v in self.defs if v in used or v in self.trace.inputs or v in self.loops_of]
        spans = {v: [interval(v)] for v in values}
        for v, (start, end) in self.loops_of.items():
            # Between its last use in an iteration and the end of the loop, it is not needed.
            places = [at for at, _ in self.uses.get(v, [])]
            spans[v] = [(start, max((p for p in places if p < end), default=start))]
            if any(p >= end for p in places):
                spans[v].append((end, max(places)))
        inputs = set(self.trace.inputs)
        for a, b in joined:
            if a not in spans or b not in spans:
                continue
            ra, rb = find(a), find(b)
            if (
                ra is rb
                or (rb in inputs and self.trace.template.kind == "net")
                or (rb in inputs and ra in inputs)
            ):
                continue
            if _overlap(spans[ra], spans[rb]):
                continue
            if rb in inputs:
                ra, rb = rb, ra
            group[rb] = ra
            spans[ra] = spans[ra] + spans[rb]
        names: dict[str, list[tuple[int, int]]] = {}
        identifiers = Identifiers((*self.taken, "self", "block"))
        for v in self.trace.inputs:
            root = find(v)
            name = identifiers.identifier(v.name)
            self.variables[root] = name
            names[name] = list(spans[root])
        roots = sorted(
            dict.fromkeys(find(v) for v in values), key=lambda r: min(s for s, _ in spans[r])
        )
        members: dict[TraceValue, list[TraceValue]] = {}
        for v in values:
            members.setdefault(find(v), []).append(v)
        for root in roots:
            if root in self.variables:
                continue
            if all(v in self.inlined for v in members[root]):
                continue
            named = next(
                (
                    v.name
                    for v in sorted(members[root], key=lambda v: v not in self.loops_of)
                    if v.name and not v.flows
                ),
                "",
            )
            flow = all(v.flows or self.only_flows(v) for v in members[root])
            options = (["x", "out"] if flow else []) + [named or "x"]
            for option in options:
                option = self.plain_variable(option)
                if not _overlap(spans[root], names.get(option, [])):
                    break
            else:
                numbered = (f"{option}{n}" for n in count(2))
                option = next(n for n in numbered if not _overlap(spans[root], names.get(n, [])))
            self.variables[root] = option
            names.setdefault(option, []).extend(spans[root])
        for v in values:
            if find(v) in self.variables:
                self.variables[v] = self.variables[find(v)]
        self.collected = {v: self.collection(v, "items") for v in self.collected}

    def collection(self, v: TraceValue, what: str) -> str:
        """What the dict is called that holds a value of each iteration."""
        made = self.call_of(v)
        base = made.name.base if made.name is not None else "value"
        return f"{base}_{v.name if v.name not in ('value', base) and what == 'items' else what}"

    def plain_variable(self, name: str) -> str:
        if (
            not name.isidentifier()
            or keyword.iskeyword(name)
            or hasattr(builtins, name)
            or name in self.taken
        ):
            return "x"
        return name

    def only_flows(self, v: TraceValue) -> bool:
        """Whether a value is read only by the statement behind it, as its one input."""
        some = self.uses.get(v, [])
        if len(some) != 1:
            return False
        at, by = some[0]
        if not isinstance(by, LineNode):
            return by is not self or len(self.trace.outputs) == 1
        first = by.calls[0]
        return at == self.defs[v] + 1 and len(first.inputs) == 1 and first.inputs[0] is v

    def reads_well(self, first: LineNode, second: LineNode, consumer: OpCall) -> bool:
        """Whether a line is better written inside of the one behind it."""
        last = first.calls[-1]
        ends = isinstance(last, OpCall) and last.bound.activation
        if self.spelling.wraps(consumer):
            return not (ends and len(second.calls) > 1)
        if len(first.calls) > 1 or ends:
            return False
        if isinstance(last, OpCall):
            return last.bound.training_only or consumer.bound.yields_probabilities
        return len(second.calls) == 1 and self.emissions[consumer].constructor is None

    def repeats_its_input(self, c: Call) -> bool:
        """Whether the source of a call names an input twice, which would be computed twice."""
        marks = [f"\x00{n}\x01" for n in range(len(c.inputs))]
        source = self.emissions[c].call("", [Verbatim(m) for m in marks]).flat()
        return any(source.count(m) > 1 for m in marks)

    def depth(self, line: LineNode) -> int:
        """How many lines are written inside each other at the beginning of a line."""
        inner = [self.inlined[v] for v in line.calls[0].inputs if v in self.inlined]
        return 1 + max(map(self.depth, inner), default=0)

    def try_inline(self, first: LineNode, second: LineNode) -> None:
        v = first.value
        if self.depth(first) >= 3:
            return  # more brackets than a reader counts
        some = self.uses.get(v, [])
        if len(some) != 1 or some[0][1] is not second:
            return
        if any(
            o is not v and o in self.uses and not any(o in c.inputs for c in first.calls)
            for c in first.calls
            for o in c.outputs
        ):
            return
        consumer = next((c for c in second.calls if v in c.inputs), None)
        if consumer is None or consumer is not second.calls[0] or len(consumer.inputs) != 1:
            return
        if self.repeats_its_input(consumer):
            return
        if not isinstance(consumer, OpCall) or not self.reads_well(first, second, consumer):
            return
        if any(o in self.uses for o in first.calls[-1].outputs[1:]):
            return
        length = len(self.expression(first).flat()) + sum(
            len(str(c.name.base if c.name else "")) + 12 for c in second.calls
        )
        if length > 80:
            return
        self.inlined[v] = first

    def expression(self, line: LineNode) -> Source:
        done: dict[TraceValue, tuple[Source, bool]] = {}
        result: Source = Verbatim("")
        for c in line.calls:
            inputs: list[Source] = []
            fresh = False
            for v in c.inputs:
                if v in done:
                    source, fresh = done[v]
                    inputs.append(source)
                elif v in self.inlined:
                    inner = self.inlined[v]
                    inputs.append(self.expression(inner))
                    fresh = self.emissions[inner.calls[-1]].fresh
                else:
                    inputs.append(Verbatim(self.variable(v)))
                    fresh = False
            emission = self.emissions[c]
            overwrite = fresh and len(c.inputs) == 1
            result = emission.call(self.reached(c), inputs, overwrite)
            for v in c.outputs:
                done[v] = (result, emission.fresh)
        return result

    def variable(self, v: TraceValue) -> str:
        if v.item_of is not None:
            value, key = v.item_of
            index = str(key[0]) if len(key) == 1 else ", ".join(map(str, key))
            return f"{self.collected[value]}[{index}]"
        return self.variables.get(v, "x")

    def reached(self, c: Call) -> str:
        if self.emissions[c].constructor is None or c.name is None:
            return ""
        if c.name.fixed is not None:
            return self.attribute(c.name.fixed)
        return f"getattr(self, {self.path_source(c.name, self.forward_printer)})"


def _overlap(spans: Sequence[tuple[int, int]], others: Sequence[tuple[int, int]]) -> bool:
    """Whether two values are ever alive at once; a place where one ends and one begins is none."""
    return any(a < d and c < b for a, b in spans for c, d in others)
