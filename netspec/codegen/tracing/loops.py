"""Traces the loops of a template: one iteration that stands for all, and what it hands on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from netspec.codegen.tracing.branches import BranchTracer
from netspec.codegen.tracing.nodes import (
    CannotTrace,
    Carried,
    ChannelsNode,
    CheckNode,
    Extent,
    ForNode,
    Sym,
    TraceNode,
    TraceValue,
    behind_loop,
    is_mixed,
    variables_of,
)
from netspec.codegen.tracing.numbers import (
    constant,
    item_of,
    plain_value,
)
from netspec.codegen.tracing.template_parts import layer_names_in, lines_in
from netspec.codegen.tracing.values import Items
from netspec.ir.op_value import OpValue
from netspec.ir.template import (
    Binding,
    LayerLine,
    Repetition,
    TemplateStatement,
)
from netspec.ir.template import walk as walk_statements
from netspec.lazy_dataclasses import dataclass
from netspec.symbolic.conditions import Compared, ConstantTerm, ListTerm
from netspec.symbolic.expr import ONE, ZERO, Apply, NumberLiteral, ordered
from netspec.symbolic.facts import bounds, lowest, whole
from netspec.symbolic.terms import (
    Local,
    exchanged,
    folded,
    is_whole,
    item,
    leaves,
    length,
)
from netspec.syntax import ast

MOST_ITERATIONS = 100_000
"""Most iterations that are written in a row for the names of their layers."""


MOST_CARRIED = 8
"""From so many iterations before, values are handed on."""


@dataclass(frozen=True)
class CarriedValue:
    """What a loop may hand on: flowing, or under a name.

    `key` is the index of what an iteration gets, `own` of what it makes.
    """

    base: str
    before: TraceValue
    key: Any = None
    own: Any = None

    def sizes(self) -> list[Any]:
        """Channels, height and width before the loop, as far as they are known."""
        return [self.before.channels, *(self.before.static or ())]


@dataclass(frozen=True)
class LoopHead:
    """What stands in front of a loop's body, as a `ForNode` has it, and how iterations count.

    `index` counts from `first` to `end` by `distance`, where the loop has such a variable; `done`
    is how many iterations were before, `count` how many there are.
    """

    target: Any
    names: Mapping[str, Sym]
    over: Any
    last: Any
    step: Any
    count: Any
    index: Local | None = None
    first: Any = None
    end: Any = None
    distance: Any = None
    done: Any = None


class LoopTracer(BranchTracer):
    """Traces loops."""

    def loop(self, s: Repetition) -> None:
        if (self.has_other_names(s) or self.takes_ops(s)) and self.unrolled(s):
            return
        head = self.head(s)
        self.set_counts()
        variables = variables_of(head.target)
        if head.last is None and head.index is not None:
            at = folded("-", head.index, head.first)
            self.items_at |= _items_at(head.target[1], head.over.operands[0], at)
        carried = self._carried(s, head)
        before, asked = self.now, len(self.elements)
        given = [c.sizes() for c in carried]
        changing = [
            [self.size_local(c.before, c.base, k) for k in range(len(g))]
            for c, g in zip(carried, given, strict=True)
        ]
        names = set(self.locals)
        counts, added = self.now.counts, dict[str, Any]()
        counters: dict[str, Any] = {}
        """The variables that count layers of which iterations have unlike many."""
        terms: list[list[Any]] = [list(c) for c in changing]
        like_items = len(self.like_items)
        for _ in range(4 + len(carried)):
            for v in self.like_items[like_items:]:
                if v.item_like is not None:  # of an item that is gone
                    v.item_like[0].others.remove(v)
                    v.item_like = None
            del self.like_items[like_items:]
            self.now = before.copy()
            self.locals = set(names)
            self.numbers.clear()  # they are in nodes that are gone
            begins = self.now.counts = {
                k: self.after(counts.get(k, ZERO), n, head.done)
                for k, n in {**dict.fromkeys(counts, ZERO), **added}.items()
            } | counters
            begins = dict(begins)
            nodes, pairs = self._iteration(s, head, carried, terms)
            # A size that an iteration leaves as it is, or as it was before the loop, is no
            # variable.
            settled = [
                [
                    g if p is not None and a in (t, g) else t
                    for a, t, g in zip(_padded(p, ts), ts, gs, strict=True)
                ]
                for p, ts, gs in zip(pairs, terms, given, strict=True)
            ]
            outside = names - {v.name for v in variables}
            more = {
                k: self.added(begins.get(k, ZERO), n, outside) for k, n in self.now.counts.items()
            }
            for k in (k for k, n in more.items() if n is None and k not in counters):
                more[k], known, self.locals = ZERO, counts.get(k, ZERO), set(names)
                if known is not None and known not in self.counted:
                    self.versions += 1
                    known = Local(self.local(f"{k}_count").name, False, self.versions)
                    names.add(known.name)
                    self.counted.add(known)
                counters[k] = known
            if settled == terms and more == added:
                break
            terms, added = settled, more
        else:
            raise CannotTrace("sizes that change with their own values")
        if isinstance(head.count, NumberLiteral) and head.count.value >= 1:
            # How long a list must be is the same in each iteration.
            checks = [n for n in nodes if isinstance(n, CheckNode) and n.is_of_length()]
            self.nodes += checks
            nodes = [n for n in nodes if n not in checks]
        begun = ((v, counts.get(k, ZERO)) for k, v in counters.items())
        self.nodes += [ChannelsNode(v, n) for v, n in begun if v not in (n, None)]
        node = ForNode(head.target, head.over, head.last, head.step, nodes)
        changes: dict[Any, Any] = {}
        for p, ts, gs in zip(pairs, terms, given, strict=True):
            if p is None:
                continue
            for t, g, a in zip(ts, gs, _padded(p, ts), strict=True):
                if t != g and a is not None:
                    self.nodes.append(ChannelsNode(t, g))
                    changes[t] = a
            node.carried.append(p)
        nodes += self.in_order(changes)
        self.nodes.append(node)
        self.now.counts = {
            k: self.after(counts.get(k, ZERO), n, head.count) for k, n in added.items()
        } | counters
        # What the iterations made may be asked for by its number behind the loop.
        inside = {p.value for p in pairs if p is not None}
        made: dict[str, Items] = {}
        for base, found in self.now.families.items():
            for key, value in found.items():
                if key in before.families.get(base, {}):
                    continue
                used = {x for t in _terms(key) for x in leaves(t)}
                own_ = [v for v in variables if v in used]
                if value in inside:
                    continue
                items = Items(value, (*self.loops, *(own_ or variables[:1])), _terms(key))
                first = made.get(base) or self.now.collected.get(base)
                if first is None:
                    made[base] = items
                elif not self.is_item_of(first, items):
                    self.now.ambiguous |= {first.value, value}
                    made[base] = items
                    if any(of is first.value for of, _ in [*self.elements][asked:]):
                        raise CannotTrace(f"an item of {base}, which several loops make")
        for p in pairs:
            if p is not None and head.index is not None:
                self.last_items[p.after] = (head.end, p.value)
                self.keep_last_line(p, head.index, head.end)
        self.now.collected |= made
        self.now.families = {base: dict(found) for base, found in before.families.items()}
        self.now.values = dict(before.values)
        # The value behind the loop is the one that its iterations hand on.
        flow = next((p for c, p in zip(carried, pairs, strict=True) if not c.base), None)
        self.now.current = before.current if flow is None else behind_loop(flow, pairs, nodes)
        for c, p in zip(carried, pairs, strict=True):
            if c.base and p is not None and head.index is not None:
                end = _each(c.own, {head.index: head.end})
                self.now.families.setdefault(c.base, {})[end] = p.value
                if _fixed(c.base, end):
                    self.now.values[_fixed(c.base, end)] = p.value
        self.locals -= {v.name for v in variables}
        self.last_of_loop(s, flow)

    def in_order(self, changes: Mapping[Any, Any]) -> Iterator[ChannelsNode]:
        """What sets variables to terms of what they all were before."""
        left = dict(changes)
        while left:
            others = {v: [t for other, t in left.items() if other != v] for v in left}
            free = [v for v in left if not any(v in leaves(t) for t in others[v])]
            if free:
                yield ChannelsNode(free[0], left.pop(free[0]))
                continue
            first = next(iter(left))
            before = Local(self.local(f"{first.name}_before").name, False, self.versions)
            yield ChannelsNode(before, first)
            left = {v: exchanged(t, {first: before}) for v, t in left.items()}

    def head(self, s: Repetition) -> LoopHead:
        """What stands in front of a loop's body, with the names of an iteration."""
        self.versions += 1
        if s.last is not None:
            return self._range(s, self.evaluate(s.first), self.evaluate(s.last))
        makes_layers = any(isinstance(inner, LayerLine) for inner in walk_statements(s.body))
        over = self._iterated(s.first, makes_layers)
        if not isinstance(over.value, tuple) or not over.value:
            raise CannotTrace("a loop over nothing")
        self._fit(s.target, over.term)
        count = self.terms.length(over).term
        target, names = self._targets(s.target, over.value)
        match over.term, target:
            case Apply("enumerate", (_, start)), (Local() as index, _):
                end = folded("-", folded("+", start, count), ONE)
                self.terms.ranges[index] = start, end
                done = folded("-", index, start)
                counting = (index, start, end, ONE, done)
            case _:
                # Layers without a name of their own have numbers.
                index = Local(self.local("index").name, False, self.versions)
                target = (index, target)
                over = Sym(over.value, Apply("enumerate", (over.term, ZERO)))  # type: ignore[arg-type]
                counting = (None, None, None, None, index)
        return LoopHead(target, names, over.term, None, None, count, *counting)

    def _range(self, s: Repetition, first: Sym, last: Sym) -> LoopHead:
        """The head of a loop over a range."""
        step = Sym(ONE.value, ONE) if s.step is None else self.evaluate(s.step)
        target, names = self._targets(s.target, [first])
        for sym in (first, last, step):
            self.need(whole(sym.term))
        first, last, step = (
            sym if is_whole(sym.term) else Sym(sym.value, folded("int", sym.term))
            for sym in (first, last, step)
        )
        self.need(Compared(step.term, (("!=", ZERO),)))
        steps = folded("//", folded("-", last.term, first.term), step.term)
        end = _end(first.term, last.term, step.term)
        low, high = first.term, end
        if step.known and step.value < 0:
            low, high = high, low
        ranges = self.terms.ranges
        if step.known:
            least, _ = bounds(low, ranges) or (low, None)
            _, most = bounds(high, ranges) or (None, high)
            ranges[target] = least, most
        done = folded("//", folded("-", target, first.term), step.term)
        count = folded("+", steps, ONE)
        return LoopHead(
            *(target, names, first.term, last.term, step.term, count),
            *(target, self.expanded(first.term), self.expanded(end), step.term, done),
        )

    def _iterated(self, e: ast.Expression, makes_layers: bool) -> Sym:
        """The list that a loop runs over, `enumerate` and `zip` as the text has them.

        A list of lists, or of words and numbers, has a name where the loop makes layers:
        constructor and `forward` read it.
        """
        if isinstance(e, ast.Function) and e.name.text in ("enumerate", "zip"):
            args = [self._iterated(a, makes_layers) for a in e.arguments]
            return self.terms.paired(e.name.text, args)
        items = self.evaluate(e)
        if makes_layers and items.known and isinstance(items.term, ListTerm):
            if any(isinstance(row, ListTerm) for row in items.term.items) or is_mixed(items.term):
                local = self.named("table", items)
                self.terms.lists[local] = items.term
                return Sym(items.value, local)
        return items

    def _fit(self, target: ast.Target, items: Any, path: tuple[Any, ...] = ()) -> None:
        """Have lists refused whose items can't be taken apart so; `path` leads to what is."""
        match items, target:
            case Apply("enumerate", (inner, _)), ast.Unpacked((_, part)):
                self._fit(part, inner)
                return
            case Apply("zip", lists), ast.Unpacked(parts):
                for part, inner in zip(parts, lists, strict=True):
                    self._fit(part, inner)
                return
            case _, ast.Unpacked(parts):
                count = NumberLiteral(Fraction(len(parts)))
                rows = self.terms.lists.get(items, items)
                fixed = rows.items if isinstance(rows, ListTerm) else ()
                if not fixed or path or any(length(row) != count for row in fixed):
                    inside = "".join(f"item {k.value} of " for k in reversed(path))
                    condition: Any = Apply("misfits", (items, count, *path))  # type: ignore[arg-type]
                    condition = Compared(condition, (("==", ConstantTerm(False)),))
                    message = f"{inside}each item must have {count.value} items"
                    self.nodes.append(CheckNode(condition, message))
                for k, part in enumerate(parts):
                    self._fit(part, items, (*path, NumberLiteral(Fraction(k))))

    def _targets(self, target: ast.Target, values: Sequence[Sym]) -> tuple[Any, dict[str, Sym]]:
        """The variables of a loop, and the names of an iteration with the first of the values."""
        if isinstance(target, ast.Name):
            local = Local(self.local(target.text).name, False, self.versions)
            sym = item_of(plain_value(tuple(values)), plain_value(values[0]), local)
            if all(v.known for v in values):
                lengths = {len(v.value) for v in values if isinstance(v.value, tuple)}
                if len(lengths) == 1:
                    self.terms.lengths[local] = lengths.pop()
                if sym.term == local and all(isinstance(v.term, NumberLiteral) for v in values):
                    ends = (min(values, key=_number).term, max(values, key=_number).term)
                    self.terms.ranges[local] = ends
            return local, {target.text: sym}
        columns = zip(*(v.value for v in values), strict=True)
        parts = [self._targets(t, c) for t, c in zip(target.parts, columns, strict=True)]
        names = {name: sym for _, found in parts for name, sym in found.items()}
        return tuple(t for t, _ in parts), names

    def has_other_names(self, s: Repetition) -> bool:
        """Whether layers of a loop have other names than its index gives them."""
        bases = tuple(base for base, _ in layer_names_in(s.body))
        return self.names is not None and any(
            n.startswith(bases) for n in (*self.names.here, *self.names.below)
        )

    def takes_ops(self, s: Repetition) -> bool:
        """Whether a loop goes over ops or modules."""
        return s.last is None and _holds_op(self.evaluate(s.first).value)

    def unrolled(self, s: Repetition) -> bool:
        """The iterations of a loop whose number is the same for all arguments, in a row."""
        given = [self.evaluate(e) for e in (s.first, s.last, s.step) if e is not None]
        if not all(sym.known for sym in given):
            return False
        if s.last is None:
            values = list(given[0].value)
        else:
            first, last, step = (*(int(sym.value) for sym in given), 1)[:3]
            numbers = range(first, last + (1 if step > 0 else -1), step)
            values = [constant(n) for n in numbers[: MOST_ITERATIONS + 1]]
        self.iterations += len(values)
        if self.iterations > MOST_ITERATIONS:
            raise CannotTrace(f"more than {MOST_ITERATIONS:,} iterations of layers by name")
        for value in values:
            with self.terms.inner_scope() as names:
                names |= _assigned(s.target, value)
                self.statements(s.body)
        return True

    def after(self, count: Any, added: Any, iterations: Any) -> Any:
        """A count after so many iterations, each of which adds to it."""
        if added == ZERO:
            return count
        if None in (count, added, iterations):
            return None
        return folded("+", count, folded("*", added, iterations))

    def added(self, before: Any, after: Any, names: set[str]) -> Any:
        """What an iteration adds to a count; None where that is not the same for all."""
        if before is None or after is None:
            return None
        added = folded("-", after, before)
        inside = (x for x in leaves(added) if isinstance(x, Local))
        return None if any(x.name not in names or x in self.loops for x in inside) else added

    def _carried(self, s: Repetition, head: LoopHead) -> list[CarriedValue]:
        """What a loop may hand on: what flows, and `cur` of `cur[i]: ...(cur[i - 1])`.

        What is of one iteration before becomes `cur[i - 2]` in the next, and so on.
        """
        found = [CarriedValue("", self.now.current)] if self.now.current is not None else []
        if head.index is None:
            return found
        with self.terms.inner_scope():
            self.enter(s, head.names)
            for line in lines_in(s.body):
                if line.name is None or any(c.base == line.name.base.text for c in found):
                    continue
                base = line.name.base.text
                try:
                    index = self.by_loops(self.path(line.name)).key
                except CannotTrace:
                    continue  # of a name that a branch gives
                if head.index not in {x for t in _terms(index) for x in leaves(t)}:
                    continue
                own = index
                for n in range(1, MOST_CARRIED + 1):
                    back = folded("*", head.distance, NumberLiteral(Fraction(n)))
                    outer = _each(index, {head.index: folded("-", head.first, back)})
                    before = self.now.families.get(base, {}).get(outer)
                    before = before or self.now.values.get(_fixed(base, outer))
                    if before is None:
                        break
                    key = _each(index, {head.index: folded("-", head.index, back)})
                    found.append(CarriedValue(base, before, key, own))
                    own = key
        return found

    def enter(self, s: Repetition, values: Mapping[str, Sym]) -> None:
        """Bring the names and the constants of an iteration in sight."""
        names = self.terms.scope.names
        names |= values
        with self.terms.unasked():
            for inner in s.body:
                if isinstance(inner, Binding):
                    names[inner.name] = self.evaluate(inner.value)

    def _iteration(
        self,
        s: Repetition,
        head: LoopHead,
        carried: Sequence[CarriedValue],
        terms: Sequence[Sequence[Any]],
    ) -> tuple[list[TraceNode], list[Carried | None]]:
        """One iteration for all: its nodes, and what it hands on of each candidate."""
        inner: list[TraceValue] = []
        for c, ts in zip(carried, terms, strict=True):
            value = TraceValue(c.base, c.before.shape, not c.base)
            self.shaped(value, c.before.shape, ts[0])
            value.static = tuple(ts[1:]) if len(ts) == len(c.before.shape) else None
            for axis, t in enumerate(ts):
                if isinstance(t, Local) and t.version:
                    self.holders[t] = Extent(value, axis)
            inner.append(value)
            if c.key is None:
                self.now.current = value
            else:
                self.now.families.setdefault(c.base, {})[c.key] = value
        outer_nodes, self.nodes = self.nodes, []
        variables = variables_of(head.target)
        self.loops += variables
        outputs, known = self.now.outputs, [*self.now.known]
        for variable in variables:
            low, _ = self.terms.ranges.get(variable, (None, None))
            low = None if low is None else lowest(low, known)
            if low is not None:
                self.now.known.append(Compared(variable, ((">=", NumberLiteral(low)),)))  # type: ignore[arg-type]
        with self.terms.inner_scope() as names:
            names |= head.names
            self.statements(s.body)
            self.set_counts()
        if self.now.outputs is not outputs:
            raise CannotTrace("an output in a loop")
        self.now.known = known
        del self.loops[-len(variables) :]
        nodes, self.nodes = self.nodes, outer_nodes
        pairs: list[Carried | None] = []
        for c, value in zip(carried, inner, strict=True):
            after = self.now.current if c.key is None else self.now.families[c.base].get(c.own)
            if after is None or after is value:
                pairs.append(None)
                continue
            if len(after.shape) != len(value.shape):
                raise CannotTrace("a loop changes the rank of a value")
            pairs.append(Carried(value, c.before, after))
        return nodes, pairs

    def last_of_loop(self, s: Repetition, carried: Carried | None) -> None:
        """Names that only the last iteration gives: `bottleneck3_8` behind the loop."""
        line: TemplateStatement = s
        with self.terms.inner_scope(), self.terms.unasked():
            while isinstance(line, Repetition) and line.last is not None and line.body:
                first, last = map(self.evaluate, (line.first, line.last))
                step = ONE if line.step is None else self.evaluate(line.step).term
                end = Sym(last.value, _end(first.term, last.term, step))
                self.enter(line, _assigned(line.target, end))
                line = line.body[-1]
            if carried is not None and isinstance(line, LayerLine) and line.name is not None:
                path = self.path(line.name)
                if path.fixed is not None and not self.now.results.get(carried.after):
                    self.now.values.setdefault(path.fixed, carried.value)


def _items_at(target: Any, over: Any, at: Any) -> dict[Local, Any]:
    """What the variables of a target are in the iteration `at` of a loop over a list."""
    match over:
        case Apply("zip", lists):
            parts = [(t, item(x, at)) for t, x in zip(target, lists, strict=True)]
        case _:
            parts = [(target, item(over, at))]
    found: dict[Local, Any] = {}
    for part, term in parts:
        if isinstance(part, Local):
            found[part] = term
        else:
            literals = (NumberLiteral(Fraction(k)) for k in range(len(part)))
            parts += zip(part, (item(term, k) for k in literals), strict=True)
    return found


def _assigned(target: ast.Target, value: Sym) -> dict[str, Sym]:
    """The names of a loop's target for a value."""
    if isinstance(target, ast.Name):
        return {target.text: value}
    parts = zip(target.parts, value.value, strict=True)
    return {name: sym for t, v in parts for name, sym in _assigned(t, v).items()}


def _number(sym: Sym) -> Any:
    return sym.value


def _end(first: Any, last: Any, step: Any) -> Any:
    """The last number of a range."""
    if step in (ONE, folded("-", ONE)):
        return last
    steps = folded("//", folded("-", last, first), step)
    return folded("+", first, folded("*", steps, step))


def _holds_op(value: Any) -> bool:
    if isinstance(value, Sym):
        value = value.value
    return isinstance(value, OpValue) or (type(value) is tuple and any(map(_holds_op, value)))


def _terms(key: Any) -> tuple[Any, ...]:
    """The terms of the indices of a name, by its key."""
    return key if type(key) is tuple else (key,)


def _each(key: Any, known: Mapping[Any, Any]) -> Any:
    """A key with other terms for leaves."""
    terms = tuple(ordered(exchanged(t, known)) for t in _terms(key))
    return terms if type(key) is tuple else terms[0]


def _fixed(base: str, key: Any) -> str:
    """The name of a key that is the same for all arguments, else ""."""
    numbers = [t.value for t in _terms(key) if isinstance(t, NumberLiteral)]
    return base + "_".join(map(str, numbers)) if len(numbers) == len(_terms(key)) else ""


def _padded(carried: Carried | None, sizes: Sequence[Any]) -> list[Any]:
    """Channels, height and width that an iteration leaves, None for those that are not known."""
    known: list[Any] = []
    if carried is not None:
        known = [carried.after.channels, *(carried.after.static or ())]
    return [*known, *[None] * len(sizes)][: len(sizes)]
