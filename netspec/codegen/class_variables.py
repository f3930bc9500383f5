"""The variables of `forward`: which lines are joined, and which values share a name."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterable, Iterator, Sequence
from itertools import count
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
    InstanceCall,
    LineNode,
    OpCall,
    TraceNode,
    TraceValue,
    calls_in,
    regions,
    walk,
)


class VariableWriter(TermWriter):
    """Finds a variable for each value, shared by values that are not alive together."""

    # --- what reads what ---

    def find_readers(self) -> None:
        """What reads each value: calls, what meets behind branches and in loops, the results."""
        self.uses, self.collected = {}, {}
        self.order = {v: n for n, v in enumerate(self.trace.inputs)}
        self.maker: dict[TraceValue, Call] = {}
        self.met: dict[TraceValue, Sequence[TraceValue | None]] = {}
        for node in walk(self.trace.nodes):
            for v in self.defined(node):
                self.order.setdefault(v, len(self.order))
        self.read(self.trace.outputs, self)
        self.read_nodes(self.trace.nodes)

    def read(self, values: Iterable[TraceValue | None], by: Any) -> None:
        for v in values:
            if v is not None and v.item_of is not None:
                self.collected.setdefault(v.item_of[0], "")
            elif v is not None:
                self.uses.setdefault(v, []).append(by)

    def read_nodes(self, nodes: Sequence[TraceNode]) -> None:
        # Backwards, so that what only unread values read is left out.
        for node in reversed(nodes):
            match node:
                case LineNode():
                    for c in reversed(node.calls):
                        self.maker |= dict.fromkeys(c.outputs, c)
                        self.read(c.inputs, c)
                case IfNode():
                    for phi in node.phis:
                        self.met[phi.value] = phi.sources
                        if self.is_read(phi.value):
                            self.read(phi.sources, phi)
                    for body in node.bodies:
                        self.read_nodes(body)
                    self.read(self.planes(c for c, _ in node.cases), node)
                case ForNode():
                    for k in node.carried:
                        self.met[k.value] = (k.before, k.after)
                        self.read(self.met[k.value], k)
                    self.read_nodes(node.body)
                    self.read(self.planes((node.first, node.last)), node)

    def defined(self, node: TraceNode) -> list[TraceValue]:
        """The values that a node begins or makes."""
        match node:
            case LineNode():
                return [v for c in node.calls for v in c.outputs]
            case IfNode():
                return [phi.value for phi in node.phis]
            case ForNode():
                return [k.value for k in node.carried]
        return []

    def planes(self, terms: Iterable[Any]) -> list[TraceValue]:
        """The values of whose heights and widths terms are made."""
        found = (x for t in terms if t is not None for x in leaves(self.at_run_time(t)))
        return [self.at_hand(x.value) for x in found if isinstance(x, Extent) and x.axis <= 2]

    # --- which values are alive together ---

    def read_by(self, line: LineNode) -> set[TraceValue]:
        """The values whose variables the source of a line names."""
        own = {v for c in line.calls for v in c.outputs}
        found: set[TraceValue] = set()
        for c in line.calls:
            for v in (*c.inputs, *self.sized.get(c, ())):
                if v in self.inlined:
                    found |= self.read_by(self.inlined[v])
                elif v not in own and v.item_of is None:
                    found.add(v)
        return found

    def meet(self, values: Iterable[TraceValue], others: Iterable[TraceValue]) -> None:
        """Keep that values are alive together with others, so that they share no variable."""
        others = set(others)
        for v in values:
            for w in others - {v}:
                self.apart.setdefault(v, set()).add(w)
                self.apart.setdefault(w, set()).add(v)

    def alive(self, nodes: Sequence[TraceNode], live: set[TraceValue]) -> set[TraceValue]:
        """The values alive before nodes, behind which `live` are."""
        for node in reversed(nodes):
            match node:
                case LineNode() if node.value not in self.inlined:
                    made = [v for v in node.calls[-1].outputs if self.is_read(v)]
                    self.meet(made, {*live, *made})
                    live = (live - set(made)) | self.read_by(node)
                case IfNode():
                    live = self.alive_before_if(node, live)
                case ForNode():
                    live = self.alive_before_loop(node, live)
        return live

    def alive_before_if(self, node: IfNode, live: set[TraceValue]) -> set[TraceValue]:
        phis = [p for p in node.phis if p.value in self.uses]
        met = {p.value for p in phis}
        before = set(self.planes(c for c, _ in node.cases))
        self.entered[node] = []
        for n, body in enumerate(node.bodies):
            sources = {p.sources[n] for p in phis}
            given = {s for s in sources if s is not None and s.item_of is None}
            for p in phis:
                copied = {s for s in given if s is p.sources[n] and s not in live}
                self.meet([p.value], (live | met | given) - copied)
            inside = self.alive(body, (live - met) | given)
            self.entered[node].append(inside)
            before |= inside
        return before

    def alive_before_loop(self, node: ForNode, live: set[TraceValue]) -> set[TraceValue]:
        values = {k.value for k in node.carried}
        after = {k.after for k in node.carried if k.after.item_of is None}
        before = {k.before for k in node.carried if k.before.item_of is None}
        head = live | self.alive(node.body, (live - values) | after)
        head |= self.alive(node.body, (head - values) | after)
        for k in node.carried:
            self.meet([k.value], head | values | ((after | before) - {k.after, k.before}))
        return (head - values) | before | set(self.planes((node.first, node.last)))

    # --- names ---

    def allocate(self) -> None:
        """A variable for each value, shared by values that are not alive together."""
        for nodes in regions(self.trace.nodes):
            self.join_lines(nodes)
        lines = [n for n in walk(self.trace.nodes) if isinstance(n, LineNode)]
        self.line_of = {c: n for n in lines for c in n.calls}
        self.consumers = {v: n for n in lines for c in n.calls for v in c.inputs}
        inputs = self.trace.inputs
        self.apart: dict[TraceValue, set[TraceValue]] = {}
        self.entered: dict[IfNode, list[set[TraceValue]]] = {}
        self.meet(inputs, {*inputs, *self.alive(self.trace.nodes, set(self.trace.outputs))})
        self.grouped = groups = self.groups()
        identifiers = Identifiers((*self.taken, "self", "block", "layer"))
        for v in inputs:
            self.variables |= dict.fromkeys(groups[v], identifiers.identifier(v.name))
        for v in sorted(self.order, key=self.order.__getitem__):
            group = groups.get(v)
            if group is None or v in self.variables:
                continue
            apart = {w for member in group for w in self.apart.get(member, ())}
            taken = {self.variables.get(w) for w in apart}
            for name in self.wanted_names(v, group):
                if name not in taken:
                    self.variables |= dict.fromkeys(group, name)
                    break
        self.collected = {v: self.collection(v, "items") for v in self.collected}

    def groups(self) -> dict[TraceValue, set[TraceValue]]:
        """The values that have one variable: what meets, with what it is one of, where it can."""
        joined: list[tuple[TraceValue, TraceValue]] = []
        inner: list[tuple[TraceValue, TraceValue]] = []
        for node in walk(self.trace.nodes):
            if isinstance(node, IfNode):
                for phi in node.phis:
                    for body, s in zip(node.bodies, phi.sources, strict=True):
                        own = any(s in c.outputs for c in calls_in(body))
                        if s is not None and s.item_of is None:
                            (inner if own else joined).append((phi.value, s))
            elif isinstance(node, ForNode):
                for k in node.carried:
                    joined += [(k.value, k.after), (k.value, k.before)]
        kept = set(self.trace.inputs if self.trace.template.kind == "net" else ())
        groups = {
            v: {v}
            for v in self.order
            if v not in self.inlined and (v in self.uses or v in self.trace.inputs)
        }
        for a, b in (*joined, *inner):
            if a not in groups or b not in groups or groups[a] is groups[b]:
                continue
            both = groups[a] | groups[b]
            if both & kept or any(both & self.apart.get(v, set()) for v in both):
                continue
            groups |= dict.fromkeys(both, both)
        return groups

    def wanted_names(self, v: TraceValue, group: set[TraceValue]) -> Iterator[str]:
        """Names for a variable, the best first: x and out for what flows on, else the spec's."""
        named = [w for w in sorted(group, key=self.order.__getitem__) if w.name and not w.flows]
        name = self.plain_variable(named[0].name) if named else "x"
        if not any(map(self.keeps_name, group)):
            before = self.variables.get(self.beginning(v), "")
            yield from (before, "x", "out") if before in ("x", "out") else ("x", "out")
        yield name
        yield from (f"{name}{n}" for n in count(2))

    def keeps_name(self, v: TraceValue) -> bool:
        """Whether a value reads better under the name that the spec gives it.

        That are those that several lines read, or a line that reads others beside it. It is not so
        in `x + out`, where one is made of the other.
        """
        if not v.name or v.flows or v in self.trace.inputs:
            return False
        made = self.maker.get(v)
        if made is not None and v is not made.outputs[0]:
            return True
        readers = [r for r in self.uses.get(v, ()) if isinstance(r, OpCall | InstanceCall)]
        lines = {id(self.statement_of(r)) for r in readers}
        together = [
            (w, self.depends(v, self.grouped[w]) or self.depends(w, {v}))
            for r in readers
            for w in r.inputs
            if w is not v and w in self.grouped and w not in self.trace.inputs
        ]
        if len(lines) > 1:
            return len(lines) > 2 or not any(related for _, related in together)
        return any(not related and w.name for w, related in together)

    def beginning(self, v: TraceValue) -> Any:
        """The one value that the line begins with which makes a value."""
        while v in self.maker:
            inputs = self.line_of[self.maker[v]].calls[0].inputs
            if len(inputs) != 1 or inputs[0] not in self.inlined:
                return inputs[0] if len(inputs) == 1 else None
            v = inputs[0]
        return None

    def statement_of(self, c: Call) -> LineNode:
        """The line that a call is written in."""
        line = self.line_of[c]
        while line.value in self.inlined:
            line = self.consumers[line.value]
        return line

    def depends(self, v: TraceValue, on: set[TraceValue]) -> bool:
        """Whether a value is made of another."""
        seen: set[TraceValue | None] = {None}
        queue: list[TraceValue | None] = [v]
        while queue:
            value = queue.pop()
            if value in seen or value is None:
                continue
            seen.add(value)
            made = self.maker.get(value)
            before = made.inputs if made is not None else self.met.get(value, ())
            if not on.isdisjoint(before):
                return True
            queue += before
        return False

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
            or name in ("self", "block", "layer")
        ):
            return "x"
        return name

    # --- lines within lines ---

    def join_lines(self, nodes: Sequence[TraceNode]) -> None:
        """Write lines inside of those behind them where that reads well."""
        for n, second in enumerate(nodes):
            if not isinstance(second, LineNode):
                continue
            consumer = second.calls[0]
            for first in reversed(nodes[:n]):
                if not isinstance(first, LineNode) or not self.is_joined(first, second, consumer):
                    break
                self.inlined[first.value] = first
                if len(consumer.inputs) == 1:
                    break

    def is_joined(self, first: LineNode, second: LineNode, consumer: Call) -> bool:
        """Whether a line is written inside of the next one that is not."""
        v = first.value
        last = first.calls[-1]
        if self.uses.get(v) != [consumer] or not isinstance(consumer, OpCall):
            return False
        if any(map(self.is_read, last.outputs[1:])) or self.repeats_its_input(consumer):
            return False
        if v in self.collected:
            return False
        if len(consumer.inputs) == 1:
            if self.depth(first) >= 3 or not self.reads_well(first, second, consumer):
                return False  # more brackets than a reader counts
        elif not self.is_bare(first):
            return False
        length = len(self.expression(first).flat())
        return length + sum(len(c.name.base if c.name else "") + 12 for c in second.calls) <= 80

    def is_bare(self, line: LineNode) -> bool:
        """Whether a line is the call of a module on a variable: `self.conv1(x)`."""
        (c, *others) = line.calls
        plain = not others and c.name is not None and c.name.fixed is not None
        plain = plain and self.emissions[c].constructor is not None
        return plain and not any(v in self.inlined for v in c.inputs)

    def reads_well(self, first: LineNode, second: LineNode, consumer: OpCall) -> bool:
        """Whether a line is better written inside of the one behind it."""
        last = first.calls[-1]
        ends = isinstance(last, OpCall) and last.bound.activation
        if self.spelling.wraps(consumer):
            return not (ends and len(second.calls) > 1)
        if len(first.calls) > 1 or ends:
            return False
        if isinstance(last, OpCall):
            if last.bound.training_only or consumer.bound.yields_probabilities:
                return True
            if not self.is_bare(first):
                return False
        return len(second.calls) == 1 and self.emissions[consumer].constructor is None

    def repeats_its_input(self, c: Call) -> bool:
        """Whether the code of a call names an input twice, which would be computed twice."""
        if self.emissions[c].one_size:
            return True
        marks = [f"\x00{n}\x01" for n in range(len(c.inputs))]
        source = self.emissions[c].call("", [Verbatim(m) for m in marks]).flat()
        return any(source.count(m) > 1 for m in marks)

    def depth(self, line: LineNode) -> int:
        """How many lines are written inside each other at the beginning of a line."""
        inner = [self.inlined[v] for v in line.calls[0].inputs if v in self.inlined]
        return 1 + max(map(self.depth, inner), default=0)

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
            return f"{self.collected[value]}[{', '.join(map(self.in_forward, key))}]"
        return self.variables.get(v, "x")

    def reached(self, c: Call) -> str:
        if self.emissions[c].constructor is None or c.name is None:
            return ""
        if c.name.fixed is not None:
            return self.attribute(c.name.fixed)
        return f"getattr(self, {self.path_source(c.name, self.forward_printer)})"
