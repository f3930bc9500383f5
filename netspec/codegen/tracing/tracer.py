"""A template run once with symbols: what each of its layers is made of, for any arguments.

In:  a `Template`, values of its parameters and shapes of its inputs that some use has (the sample).
Out: a `Trace`: the statements with their expressions as terms, every call with its op and the
     channels of its inputs, and where values meet behind branches and loops.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

from netspec.codegen.tracing.branches import BranchTracer
from netspec.codegen.tracing.expressions import is_float
from netspec.codegen.tracing.names import rename_calls
from netspec.codegen.tracing.nodes import (
    CannotTrace,
    Carried,
    ChannelsNode,
    CheckNode,
    Extent,
    ForNode,
    LetNode,
    LineNode,
    Sym,
    Trace,
    TraceNode,
    TraceValue,
    prune,
    variables_of,
)
from netspec.codegen.tracing.numbers import (
    AnyDim,
    ChannelCount,
    constant,
    item_of,
    plain_value,
    sym_of,
)
from netspec.codegen.tracing.template_parts import expressions_in, layer_names_in, lines_in
from netspec.codegen.tracing.values import Items
from netspec.ir.op_value import OpValue
from netspec.ir.template import (
    Binding,
    Branches,
    LayerLine,
    Repetition,
    Requirement,
    ShapeRequirement,
    TemplateInput,
    TemplateOutput,
    TemplateStatement,
)
from netspec.ir.template import walk as walk_statements
from netspec.lazy_dataclasses import dataclass
from netspec.ops import IndexShape, like
from netspec.symbolic.conditions import Compared, ConstantTerm, ListTerm
from netspec.symbolic.expr import ONE, ZERO, Apply, Channels, NumberLiteral, Parameter, ordered
from netspec.symbolic.facts import bounds, facts, lowest, reduced, whole
from netspec.symbolic.terms import (
    FloatParameter,
    Local,
    exchanged,
    folded,
    is_whole,
    leaves,
    length,
)
from netspec.syntax import ast
from netspec.syntax.visitor import walk as walk_tree

MOST_ITERATIONS = 100_000
"""Most iterations that are written in a row for the names of their layers."""


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


class Tracer(BranchTracer):
    """Runs one template. `inner` gives the trace of a module for a use of it."""

    def run(self) -> Trace:
        self.later: list[Requirement | ShapeRequirement] = []
        for p in self.template.parameters:
            value = self.given[p.name]
            if p.name in self.fixed or p.name in self.ops:
                self.terms.scope.names[p.name] = constant(value)
                continue
            leaf = FloatParameter(p.name) if is_float(p, value) else Parameter(p.name)
            self.terms.scope.names[p.name] = sym_of(value, leaf)
        self.statements(self.template.body)
        later, self.later = self.later, []
        for contract in later:
            self.require(contract)
        prune(self.nodes)
        if self.names is not None:
            rename_calls(self.nodes, self.names)
        if self.now.outputs is None:
            assert self.now.current is not None
            self.now.outputs = [("", self.now.current)]
        return Trace(
            self.template,
            self.inputs,
            self.nodes,
            [v for _, v in self.now.outputs],
            [n for n, _ in self.now.outputs],
            dict(self.given),
            self.holders,
            alone=self.alone,
        )

    def statements(self, body: Sequence[TemplateStatement]) -> None:
        for s in body:
            match s:
                case TemplateInput():
                    self.input(s)
                case Binding():
                    self.let(s)
                case LayerLine():
                    self.line(s)
                case Branches():
                    self.branches(s)
                case Repetition():
                    self.loop(s)
                case TemplateOutput():
                    self.output(s)
                case Requirement() | ShapeRequirement():
                    self.require(s)

    def input(self, s: TemplateInput) -> None:
        shape = self.shapes[len(self.inputs)]
        value = TraceValue(s.name, shape)
        channels: Any = Channels(s.name)
        static: list[Any] = [Extent(value, i + 1) for i in range(len(shape) - 1)]
        if self.template.kind == "net" and s.pattern is not None:
            channels, *static = self.sizes_of(s.pattern)
            self.need(Compared(channels, ((">=", ONE),)))
        dims: list[AnyDim] = [ChannelCount(int(shape[0]), channels)]
        dims += [AnyDim(int(d), Extent(value, i + 1)) for i, d in enumerate(shape[1:])]
        value.shape = like(shape, tuple(dims))
        if isinstance(shape, IndexShape):
            rows, columns = (
                AnyDim(int(d), Extent(value, k)) for k, d in zip((3, 4), shape.plane, strict=True)
            )
            value.shape = IndexShape.of(value.shape, (rows, columns))
        value.static = tuple(static)
        if self.template.kind == "module" and s.pattern is not None:
            needed = self.sizes_of(s.pattern)[0]
            if needed is not None:
                self.need(Compared(channels, (("==", needed),)))
        self.inputs.append(value)
        self.now.values[s.name] = self.now.current = value

    def let(self, s: Binding) -> None:
        sym = self.evaluate(s.value)
        divided = self.is_divided(s.name, sym)
        if divided:
            self.need(whole(sym.term))
        if divided or not sym.known or isinstance(sym.value, tuple):
            fraction = isinstance(sym.value, Fraction) and not is_whole(sym.term)
            local = self.local(s.name, fraction and not divided)
            if isinstance(sym.value, tuple) and sym.known:
                # An item of a list of constants is known where its index is.
                self.terms.lists[local] = sym.term
            self.lets[local] = self.constants[local] = sym.term
            self.nodes.append(LetNode(local, sym.term))
            sym = Sym(sym.value, local)
        self.terms.scope.names[s.name] = sym

    def is_divided(self, name: str, sym: Sym) -> bool:
        """Whether a constant is a division that its uses want to come out even."""
        even = isinstance(sym.term, Apply) and sym.term.operator == "/"
        if not even or not all(map(is_whole, sym.term.operands)):
            return False
        inside = [
            e is not outer
            for outer in expressions_in(self.template.body)
            for e in walk_tree(outer)
            if isinstance(e, ast.Variable) and e.name == name
        ]
        return bool(inside) and not any(inside)

    def require(self, s: Requirement | ShapeRequirement) -> None:
        """Have arguments refused that a contract refuses; a later one where it can't be read."""
        try:
            term = self.required(s)
        except CannotTrace:
            self.later.append(s)
            return
        used = set(leaves(term))
        holds = [c for c in facts(term) if reduced(c, self.now.known) is not None]
        if used and holds and not any(map(self.is_size, used)):
            own = s.message if isinstance(s, Requirement) else None
            self.nodes.append(CheckNode(term, own or f"the spec expects {_text(s)}"))
            self.now.known += holds

    def required(self, s: Requirement | ShapeRequirement) -> Any:
        """What a contract asks of arguments and channels. Raises CannotTrace."""
        if isinstance(s, Requirement):
            return self.evaluate(s.condition).term
        value = self.reference(s.subject)
        if value is None:
            raise CannotTrace(f"{s.subject.span.text} is not known")
        channels, *sizes = self.sizes_of(s.pattern)
        if channels is None or any(n is not None for n in sizes):
            return ConstantTerm(True)  # also one of height and width, which `check` knows
        return Compared(value.channels, (("==", channels),))

    def sizes_of(self, pattern: ast.Pattern) -> list[Any]:
        """The terms of a shape; None for what it leaves open."""
        if isinstance(pattern, ast.ShapeLiteral):
            given = [None if d is None else NumberLiteral(Fraction(d)) for d in pattern.dims]
        else:
            items = pattern.items if isinstance(pattern, ast.ListLiteral) else (pattern,)
            open_ = (isinstance(e, ast.Wildcard) for e in items)
            given = [
                None if o else self.evaluate(e).term for o, e in zip(open_, items, strict=True)
            ]
        return given

    def output(self, s: TemplateOutput) -> None:
        made: dict[int, TraceValue] = {}
        calls, _ = self.calls(s.links, None, made) if s.links else ((), None)
        if calls:
            self.nodes.append(LineNode([*calls], calls[-1].outputs[0]))
        self.now.outputs = []
        for o, name in zip(s.values, s.names, strict=True):
            value = self.operand(o, made)
            if not name and isinstance(o, ast.Variable):
                name = o.name
            elif not name and isinstance(o, ast.Attribute):
                name = o.name.text
            elif not name and isinstance(o, ast.Index):
                path = self.indexed(o)
                name = (path and path.fixed) or ""
            self.now.outputs.append((name, value))

    def loop(self, s: Repetition) -> None:
        if (self.has_other_names(s) or self.takes_ops(s)) and self.unrolled(s):
            return
        head = self.head(s)
        variables = variables_of(head.target)
        carried = self._carried(s, head)
        for base, own in layer_names_in(s.body):
            if own and base in self.now.collected:
                self.now.ambiguous.add(self.now.collected[base].value)
        before = self.now
        given = [c.sizes() for c in carried]
        changing = [
            [self.size_local(c.before, c.base, k) for k in range(len(g))]
            for c, g in zip(carried, given, strict=True)
        ]
        names = set(self.locals)
        counts, added = self.now.counts, dict[str, Any]()
        terms: list[list[Any]] = [list(c) for c in changing]
        for _ in range(4):
            self.now = before.copy()
            self.locals = set(names)
            self.numbers.clear()  # they are in nodes that are gone
            begins = self.now.counts = {
                k: self.after(counts.get(k, ZERO), n, head.done)
                for k, n in {**dict.fromkeys(counts, ZERO), **added}.items()
            }
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
            more = {
                k: self.added(begins.get(k, ZERO), n, names) for k, n in self.now.counts.items()
            }
            if settled == terms and more == added:
                break
            terms, added = settled, more
        else:
            raise CannotTrace("sizes that change with their own values")
        node = ForNode(head.target, head.over, head.last, head.step, nodes)
        for p, ts, gs in zip(pairs, terms, given, strict=True):
            if p is None:
                continue
            for t, g, a in zip(ts, gs, _padded(p, ts), strict=True):
                if t != g and a is not None:
                    self.nodes.append(ChannelsNode(t, g))
                    nodes.append(ChannelsNode(t, a))
            node.carried.append(p)
        self.nodes.append(node)
        self.now.counts = {
            k: self.after(counts.get(k, ZERO), n, head.count) for k, n in added.items()
        }
        # What the iterations made may be asked for by its number behind the loop.
        inside = {p.value for p in pairs if p is not None}
        made: dict[str, Items] = {}
        for base, found in self.now.families.items():
            for key, value in found.items() if base not in before.families else ():
                used = {x for t in _terms(key) for x in leaves(t)}
                own_ = [v for v in variables if v in used]
                if value not in inside:
                    made[base] = Items(value, (*self.loops, *(own_ or variables[:1])), _terms(key))
        for p in pairs:
            if p is not None and head.index is not None:
                self.last_items[p.after] = (head.end, p.value)
                if p.after in self.made_by:
                    calls, _ = self.made_by[p.after]
                    self.made_by[p.value] = calls, {head.index: head.end}
        self.now.ambiguous |= {items.value for b, items in made.items() if b in self.now.collected}
        self.now.collected |= made
        self.now.families = {base: dict(found) for base, found in before.families.items()}
        self.now.values = dict(before.values)
        # The value behind the loop is the one that its iterations hand on.
        flow = next((p for c, p in zip(carried, pairs, strict=True) if not c.base), None)
        self.now.current = before.current if flow is None else flow.value
        for c, p in zip(carried, pairs, strict=True):
            if c.base and p is not None and head.index is not None:
                end = _each(c.own, {head.index: head.end})
                self.now.families.setdefault(c.base, {})[end] = p.value
                if _fixed(c.base, end):
                    self.now.values[_fixed(c.base, end)] = p.value
        self.locals -= {v.name for v in variables}
        self.last_of_loop(s, flow)

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
            *(target, first.term, end, step.term, done),
        )

    def _iterated(self, e: ast.Expression, makes_layers: bool) -> Sym:
        """The list that a loop runs over, `enumerate` and `zip` as the text has them.

        A list of lists has a name where the loop makes layers: constructor and `forward` read it.
        """
        if isinstance(e, ast.Function) and e.name.text in ("enumerate", "zip"):
            args = [self._iterated(a, makes_layers) for a in e.arguments]
            return self.terms.paired(e.name.text, args)
        items = self.evaluate(e)
        if makes_layers and items.known and isinstance(items.term, ListTerm):
            if any(isinstance(row, ListTerm) for row in items.term.items):
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
        """What a loop may hand on: what flows, and `cur` of `cur[i]: ...(cur[i - 1])`."""
        found = [CarriedValue("", self.now.current)] if self.now.current is not None else []
        if head.index is None:
            return found
        one_before = {head.index: folded("-", head.index, head.distance)}
        before_first = {head.index: folded("-", head.first, head.distance)}
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
                outer = _each(index, before_first)
                before = self.now.families.get(base, {}).get(outer)
                before = before or self.now.values.get(_fixed(base, outer))
                if before is not None:
                    found.append(CarriedValue(base, before, _each(index, one_before), index))
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


def _text(s: Requirement | ShapeRequirement) -> str:
    """A contract as the spec has it."""
    if isinstance(s, Requirement):
        return s.condition.span.text
    return f"{s.subject.span.text}: {s.pattern.span.text}"


def _padded(carried: Carried | None, sizes: Sequence[Any]) -> list[Any]:
    """Channels, height and width that an iteration leaves, None for those that are not known."""
    known: list[Any] = []
    if carried is not None:
        known = [carried.after.channels, *(carried.after.static or ())]
    return [*known, *[None] * len(sizes)][: len(sizes)]
