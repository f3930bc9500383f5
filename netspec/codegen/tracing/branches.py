"""Traces the branches of a template, and what meets behind them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import partial
from itertools import product
from typing import Any

from netspec.codegen.tracing.line_uses import LineUseTracer
from netspec.codegen.tracing.nodes import (
    SIZES,
    CannotTrace,
    ChannelsNode,
    CheckNode,
    Extent,
    IfNode,
    InstanceCall,
    InstanceSize,
    LetNode,
    LineNode,
    OpCall,
    Phi,
    Sym,
    TraceNode,
    TraceValue,
    walk,
)
from netspec.codegen.tracing.template_parts import lines_in
from netspec.codegen.tracing.values import State, index_in
from netspec.ir.template import Branches, TemplateStatement
from netspec.lazy_dataclasses import dataclass
from netspec.symbolic.conditions import negated
from netspec.symbolic.expr import ZERO, expr_of
from netspec.symbolic.facts import equal, facts
from netspec.symbolic.terms import Choose, Local, decided, leaves
from netspec.syntax import ast


@dataclass(frozen=True)
class BranchEnd:
    """What is known at the end of a branch, and its nodes."""

    state: State
    nodes: list[TraceNode]


class BranchTracer(LineUseTracer):
    """Traces branches: each on its own, then the values that are one of several behind them."""

    def statements(self, body: Sequence[TemplateStatement]) -> None:
        """Trace what stands in a branch."""
        raise NotImplementedError

    def branches(self, s: Branches) -> None:
        cases = [(condition, partial(self.inside, body)) for condition, body in s.cases]
        if not self.settled(s):
            self.choose(cases, partial(self.inside, s.otherwise))

    def settled(self, s: Branches) -> bool:
        """Trace what one use does alone where its layers have names of their own, if it can."""
        named = {line.name.base.text for line in lines_in([s]) if line.name is not None}
        if self.names is None or not self.names.is_single or named.isdisjoint(self.names.here):
            return False
        syms = [self.evaluate(condition) for condition, _ in s.cases]
        found = {x for sym in syms for x in leaves(sym.term)}
        if any(map(self.is_size, found)) or not found.isdisjoint(self.loops):
            return False
        chosen = next((k for k, sym in enumerate(syms) if sym.value), len(syms))
        for k, sym in enumerate(syms[: chosen + 1]):
            needed = sym.term if k == chosen else negated(sym.term)
            if decided(needed) is None:
                self.nodes.append(CheckNode(needed, "the names of its layers are for others"))
                self.now.known += facts(needed)
        self.inside([*(body for _, body in s.cases), s.otherwise][chosen])
        return True

    def choose(
        self,
        cases: Sequence[tuple[ast.Expression, Callable[[], None]]],
        otherwise: Callable[[], None],
    ) -> None:
        open_: list[tuple[Any, Callable[[], None]]] = []
        for condition, body in cases:
            sym = self.evaluate(condition)
            truth = decided(sym.term)
            if truth is True:
                otherwise = body
                break
            if truth is None:
                open_.append((sym.term, body))
        if not open_:
            otherwise()
            return
        before, node = self.now, IfNode([], [])
        ends: list[BranchEnd] = []
        for k, branch in enumerate([*(body for _, body in open_), otherwise]):
            self.now = before.copy()
            self.now.known += [f for c, _ in open_[:k] for f in facts(c, False)]
            if k < len(open_):
                self.now.known += facts(open_[k][0])
            outer, self.nodes = self.nodes, []
            self.depth += 1
            branch()
            self.set_counts()
            self.depth -= 1
            ends.append(BranchEnd(self.now, self.nodes))
            self.nodes = outer
        node.cases = [(c, end.nodes) for (c, _), end in zip(open_, ends, strict=False)]
        node.otherwise = ends[-1].nodes
        self.now = before.copy()
        for end in ends:
            self.now.ambiguous |= end.state.ambiguous
            for base, items in end.state.collected.items():
                other = self.now.collected.setdefault(base, items)
                if other != items:
                    self.now.ambiguous |= {other.value, items.value}
            self.now.results |= end.state.results
        self.meet(before, node, ends)
        if any(node.bodies):
            self.nodes.append(node)
            hoisted = self.hoist(node)
            if hoisted is not None:
                self.nodes.append(hoisted)
        conditions = [c for c, _ in open_]
        for keyword in dict.fromkeys(k for e in ends for k in e.state.counts):
            numbers = [e.state.counts.get(keyword, ZERO) for e in ends]
            self.now.counts[keyword] = self.count_behind(keyword, conditions, numbers)

    def meet(self, before: State, node: IfNode, ends: Sequence[BranchEnd]) -> None:
        """Have the values of branches meet behind them: those with names, outputs, what flows."""
        merged: dict[tuple[int, ...], TraceValue] = {}
        states = [end.state for end in ends]
        for name in dict.fromkeys(n for state in states for n in state.values):
            sources = [e.state.values.get(name) or self.of_loop(name, before, e) for e in ends]
            if name in before.values and all(v is before.values[name] for v in sources):
                continue
            self.now.values[name] = self.merge(name, sources, node, merged, ends)
        families = [
            {(b, i): v for b, f in s.families.items() for i, v in f.items()} for s in states
        ]
        for base, index in dict.fromkeys(k for found in families for k in found):
            sources = [found.get((base, index)) for found in families]
            if any(v is not sources[0] for v in sources):
                value = self.merge(base, sources, node, merged, ends)
                self.now.families.setdefault(base, {})[index] = value
        if any(state.outputs is not before.outputs for state in states):
            results = [state.outputs for state in states]
            self.now.outputs = self.merged_outputs(results, node, merged, ends)
        flows = [state.current for state in states]
        if all(v is flows[0] for v in flows):
            self.now.current = flows[0]
        else:
            known = merged.get(tuple(map(id, flows)))
            ranks = {len(v.shape) for v in flows if v is not None}
            # What flows on may have no one rank where nothing takes it.
            self.now.current = known or (
                None if len(ranks) > 1 else self.merge("", flows, node, merged, ends)
            )

    def of_loop(self, name: str, before: State, end: BranchEnd) -> TraceValue | None:
        """What a loop of a branch makes under a name that another branch gives as well."""
        new = {b: i for b, i in end.state.collected.items() if b not in before.collected}
        if not any(index_in(name, base, len(items.at)) for base, items in new.items()):
            return None
        behind, self.now = self.now, end.state
        value = self.item(name)
        self.now = behind
        return value

    def merged_outputs(
        self,
        results: Sequence[list[tuple[str, TraceValue]] | None],
        node: IfNode,
        merged: dict[tuple[int, ...], TraceValue],
        ends: Sequence[BranchEnd],
    ) -> list[tuple[str, TraceValue]]:
        """The outputs behind branches that each give them."""
        given = [r for r in results if r is not None]
        counts = [len(r) for r in given]
        if len(given) < len(results) or len({*counts}) > 1:
            # A net may give its first output alone, as classifiers without their auxiliary heads.
            if self.template.kind != "net" or self.depth or sorted(counts)[:-1] != [1]:
                raise CannotTrace("branches give other outputs")
            condition = node.cases[0][0]
            self.alone = condition if counts[0] == 1 else negated(condition)
        outputs = []
        for i, (name, value) in enumerate(given[counts.index(max(counts))]):
            sources: list[Any] = [r[i][1] if i < len(r) else None for r in given]
            if any(r[i][0] != name for r in given if i < len(r)):
                if self.template.kind == "net":
                    raise CannotTrace("branches give outputs of other names")
                name = ""
            if any(v is not value for v in sources):
                known = merged.get(tuple(map(id, sources)))
                value = known or self.merge(name, sources, node, merged, ends)
            outputs.append((name, value))
        return outputs

    def count_behind(self, keyword: str, conditions: Sequence[Any], numbers: Sequence[Any]) -> Any:
        """How many layers without a name there are behind branches, by how many each has."""
        if all(n == numbers[0] for n in numbers):
            return numbers[0]
        used = {x for t in (*conditions, *numbers) if t is not None for x in leaves(t)}
        if None in numbers or any(isinstance(x, InstanceSize) or self.is_size(x) for x in used):
            return None
        *first, count = numbers
        for condition, number in zip(reversed(conditions), reversed(first), strict=True):
            count = Choose(condition, number, count)
        return self.named(f"{keyword}_count", Sym(Fraction(1), count))

    def hoist(self, node: IfNode) -> LineNode | None:
        """The last line of all branches, put behind the `if` where only one input differs."""
        ends = [[n for n in b if not isinstance(n, ChannelsNode)] for b in node.bodies]
        if len(node.bodies) != 2 or not all(e and isinstance(e[-1], LineNode) for e in ends):
            return None
        lines: list[Any] = [e[-1] for e in ends]
        if any(len(line.calls) != 1 or not isinstance(line.calls[0], OpCall) for line in lines):
            return None
        a, b = (line.calls[0] for line in lines)
        if (
            type(a.op) is not type(b.op)
            or len(a.inputs) != len(b.inputs)
            or len(a.outputs) != 1
            or a.terms
            or b.terms
            or a.kept
            or b.kept
        ):
            return None
        if [expr_of(x) if isinstance(x, int | float) else x for x in vars(a.op).values()] != [
            expr_of(x) if isinstance(x, int | float) else x for x in vars(b.op).values()
        ]:
            return None
        differ = [i for i, (v, w) in enumerate(zip(a.inputs, b.inputs, strict=True)) if v is not w]
        phis = [p for p in node.phis if p.sources == [a.outputs[0], b.outputs[0]]]
        if (
            len(differ) != 1
            or len(phis) != 1
            or len(node.phis) != 1
            or a.bound.tensors([v.shape for v in a.inputs])
        ):
            return None
        i = differ[0]
        phi = phis[0]
        v, w = a.inputs[i], b.inputs[i]
        for body, line in zip(node.bodies, lines, strict=True):
            body.remove(line)
        meets = TraceValue(v.name if not v.flows else w.name, v.shape, v.flows and w.flows)
        node.phis = [Phi(meets, [v, w])]
        inputs = tuple(meets if k == i else x for k, x in enumerate(a.inputs))
        call = OpCall(a.name, a.op, a.bound, a.terms, inputs, (phi.value,))
        return LineNode([call], phi.value)

    def merge(
        self,
        name: str,
        sources: list[TraceValue | None],
        node: IfNode,
        merged: dict[tuple[int, ...], TraceValue],
        ends: Sequence[BranchEnd],
    ) -> TraceValue:
        present = [v for v in sources if v is not None]
        first = present[0]
        flow = self.now.current if self.now.current is not None else first
        if len({len(v.shape) for v in present}) > 1:
            raise CannotTrace("branches make values of other ranks")
        if len(present) == 1:
            return first
        value = TraceValue(name, first.shape, not name)
        inside = set[Any]().union(*(_set_in(end.nodes) for end in ends))

        def one(terms: list[Any], what: str) -> Any:
            """The term that stands for those of all branches, else a variable that each sets."""
            given = [t for t, v in zip(terms, sources, strict=True) if v is not None]
            for term in given:
                if all(
                    equal(t, term, end.state.known)
                    or equal(self.expanded(t), self.expanded(term), end.state.known)
                    for t, v, end in zip(terms, sources, ends, strict=True)
                    if v is not None
                ):
                    found = [t for t in (term, self.expanded(term)) if not inside & {*leaves(t)}]
                    if found:
                        return found[0]
            local = self.size_local(flow, name, SIZES.index(what))
            self.holders[local] = Extent(value, SIZES.index(what))
            for t, v, end in zip(terms, sources, ends, strict=True):
                if v is not None:
                    end.nodes.append(ChannelsNode(local, t))
            return local

        self.shaped(value, first.shape, one([v and v.channels for v in sources], "channels"))
        if all(v.static is not None for v in present):
            value.static = tuple(
                one([v and v.static[k] for v in sources], ("height", "width")[k])  # type: ignore[index]
                for k in range(len(first.shape) - 1)
            )
        phi = Phi(value, sources)
        node.phis.append(phi)
        lines = [self.made_by[v].nodes for v in sources if v in self.made_by]
        if len(lines) == len(sources):
            # Of a line that is used again, each branch is what it made before.
            cases = [(c, line) for (c, _), line in zip(node.cases, lines, strict=False)]
            self.keep_line(value, [IfNode(cases, lines[-1], [phi], again=node)])
        merged[tuple(map(id, sources))] = value
        results = [self.now.results.get(v, {}) for v in present]
        common = set(results[0]).intersection(*results[1:])
        if common:
            self.now.results[value] = {}
            for n in results[0]:
                if n in common:
                    inner = [self.now.results[v][n] if v is not None else None for v in sources]
                    self.now.results[value][n] = (
                        value
                        if n == next(iter(results[0]))
                        else self.merge(f"{name}_{n}", inner, node, merged, ends)
                    )
        return value

    def size_local(self, before: TraceValue, base: str, k: int) -> Local:
        """The variable for a size that loops or branches change: the one of before, if free."""
        self.versions += 1
        if before.flows and not base:
            known = [before.channels, *(before.static or ()), None, None][k]
            if known in self.holders and not self.is_read_by_name(known):
                return Local(known.name, False, self.versions)
        what = ("channels", "height", "width")[k]
        return Local(self.local(f"{base}_{what}" if base else what).name, False, self.versions)

    def is_read_by_name(self, local: Local) -> bool:
        """Whether a size of a value that has a name, or a constant, depends on a variable."""
        named = (*self.now.values.values(), *(i.value for i in self.now.collected.values()))
        parts = (*self.now.families.values(), *self.now.results.values())
        values = (*named, *(v for found in parts for v in found.values()))
        terms = [t for v in values for t in (v.channels, *(v.static or ()))]
        terms += [*self.lets.values(), *self.constants.values()]
        return any(local in leaves(t) for t in terms)

    def inside(self, body: Sequence[TemplateStatement]) -> None:
        with self.terms.inner_scope():
            self.statements(body)


def _set_in(nodes: Sequence[TraceNode]) -> Iterator[Any]:
    """The variables, and the sizes of instances, that are there only behind these nodes."""
    for node in walk(nodes):
        match node:
            case LetNode() | ChannelsNode():
                yield node.local
            case LineNode():
                for c in node.calls:
                    if isinstance(c, InstanceCall):
                        places = product(range(len(c.outputs)), range(len(SIZES)))
                        yield from (InstanceSize(c, i, k) for i, k in places)
