"""`forward` of a class: a line for each line of the template, its branches and its loops.

Lines are joined where that reads well, and each value gets a variable. A variable is given to a
value only where nothing reads any more what it holds, so that names are a matter of taste:

    x = F.relu(self.conv1(x), inplace=True)      what flows on is x,
    out = self.bn2(self.conv2(x))                or out, where x is read once more;
    squeeze = F.relu(self.squeeze(x))            what several lines read has the spec's name.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain, count
from typing import Any

from netspec.codegen.identifiers import Identifiers, is_variable
from netspec.codegen.python_source import (
    WIDTH,
    Alternatives,
    FunctionCall,
    Infix,
    Source,
    Verbatim,
    call,
    tuple_of,
)
from netspec.codegen.tracing.nodes import (
    Call,
    Carried,
    ChainCall,
    ChannelsNode,
    Extent,
    ForNode,
    IfNode,
    InstanceCall,
    LineNode,
    OpCall,
    Phi,
    PredictChoice,
    Prediction,
    Trace,
    TraceNode,
    TraceValue,
    calls_in,
)
from netspec.codegen.writing.constructor import Emissions, Tests, changed
from netspec.codegen.writing.readers import Readers
from netspec.codegen.writing.spelling import WrittenCall
from netspec.codegen.writing.statements import (
    Line,
    Refusal,
    Statement,
    common_end,
    if_statement,
    walk,
)
from netspec.codegen.writing.terms import Asked, Terms
from netspec.lazy_dataclasses import replace
from netspec.ops.merging import Add
from netspec.symbolic.conditions import Combined, negated
from netspec.symbolic.terms import decided, leaves

Step = Call | IfNode | ForNode | ChannelsNode


class Forward:
    """Writes `forward` and `predict` of one class.

    `emit` writes a layer again, when variables are known. `comments` are texts for layers, by
    their names, `taken` names that no variable may have.
    """

    def __init__(
        self,
        trace: Trace,
        terms: Terms,
        emissions: Emissions,
        readers: Readers,
        tests: Tests,
        emit: Callable[[Call], tuple[WrittenCall, Asked]],
        comments: Mapping[str, str],
        taken: Sequence[str],
    ) -> None:
        self.trace, self.terms = trace, terms
        self.library = terms.spelling.library
        self.emissions, self.readers, self.tests, self.emit = emissions, readers, tests, emit
        self.comments = comments
        counts = [*terms.counters, *trace.counted]
        self.taken = {*taken, "self", "block", "layer", *(v.name for v in counts)}
        self.made = {c.name.fixed for c in emissions if c.name is not None and c.kept is None}
        paths = [c.attribute for c, (written, _) in emissions.items() if written.constructor]
        self.counted = {x for p in paths if p for s in p.indices for x in leaves(s.term)}
        """What names of layers are made of."""
        names = Identifiers(self.taken)
        packed = self.library.packs and trace.template.kind == "net" and len(trace.inputs) > 1
        self.arguments = [names.identifier("inputs")] if packed else []
        self.parameters = [names.identifier(v.name) for v in trace.inputs]
        self.variables = dict(zip(trace.inputs, self.parameters, strict=True))
        self.wishes: dict[TraceValue, str] = {}
        """The variables of what a value becomes behind a branch or an iteration."""
        self.inlined: dict[TraceValue, Call] = {}
        """The calls that are written inside of others, by their results."""
        self.outer: dict[Call, Call] = {}
        self.steps: dict[int, list[Step]] = {}
        """What is written of each list of nodes, by its id."""
        self.dies: dict[Call, set[TraceValue]] = {}
        """The values that a step is the last to read."""
        self.entered: dict[Step, list[set[TraceValue]]] = {}
        """The values that are read in each body of a step, or behind it."""
        self.behind: dict[Step, set[TraceValue]] = {}
        self.shown = ""
        """The size that a comment said last."""
        terms.variable = self.variable
        self.find_steps(trace.nodes)
        self.live(trace.nodes, set(trace.outputs))
        body = self.body(trace.nodes, set(self.parameters))
        taken_apart = [Line(Verbatim(self.arguments[0]), tuple(self.parameters))] if packed else []
        self.statements = [*taken_apart, *self.dicts(), *self.returning(body)]
        self.arguments = self.arguments or self.parameters
        """What `forward` and `predict` take."""

    # --- lines within lines ---

    def find_steps(self, nodes: Sequence[TraceNode]) -> None:
        """What is written of nodes: the calls that are not written inside of others."""
        steps: list[Step] = []
        for node in nodes:
            match node:
                case LineNode(calls=calls):
                    made: list[Call] = []
                    ends = (n for n, c in enumerate(calls) if n and self.repeats_its_input(c))
                    first = calls[: next(ends, len(calls))]
                    for c in filter(self.readers.written.__contains__, calls):
                        self.join(c, first, made, steps)
                        made.append(c)
                    steps += made
                case IfNode() | ForNode():
                    for body in node.bodies:
                        self.find_steps(body)
                    if any(self.steps[id(body)] for body in node.bodies) or any(
                        m.value in self.readers.of for m in node.meets
                    ):
                        steps.append(node)
                case ChannelsNode(local) if local in self.trace.counted and local in self.counted:
                    steps.append(node)
        self.steps[id(nodes)] = steps

    def join(self, c: Call, line: Sequence[Call], made: list[Call], steps: list[Step]) -> None:
        """Write steps before a call inside of it: those of its line, others where it reads well."""
        if self.repeats_its_input(c):
            return
        inner: list[Any] = [d for d in made if self.readers.alone(d, c)]
        made[:] = [d for d in made if d not in inner]
        while c is line[0] and steps and self.is_joined(steps[-1], line, c):
            inner.append(steps.pop())
            if len(c.inputs) == 1:
                break
        for d in inner:
            self.inlined[d.outputs[0]], self.outer[d] = d, c

    def is_joined(self, first: Step, line: Sequence[Call], consumer: Call) -> bool:
        """Whether a step is written inside of the next line."""
        if not isinstance(first, Call) or not isinstance(consumer, OpCall):
            return False
        if not self.readers.alone(first, consumer):
            return False
        if len(consumer.inputs) == 1:
            if self.depth(first) >= 3 or not self.reads_well(first, line, consumer):
                return False  # more brackets than a reader counts
        elif not self.is_bare(first):
            return False
        length = len(self.expression(first).flat())
        return length + sum(len(c.name.base if c.name else "") + 12 for c in line) <= 80

    def is_bare(self, c: Call) -> bool:
        """Whether a step is the call of a module on variables: `self.conv1(x)`."""
        path = c.attribute
        plain = path is not None and path.fixed is not None and bool(self.reached(c))
        return plain and not any(v in self.inlined for v in c.inputs)

    def reads_well(self, first: Call, line: Sequence[Call], consumer: OpCall) -> bool:
        """Whether a step is better written inside of the line behind it."""
        ends = isinstance(first, OpCall) and first.bound.activation
        if self.emissions[consumer][0].wraps:
            return not (ends and len(line) > 1)
        if len(self.terms.lines[first]) > 1 or ends:
            return False
        if isinstance(first, OpCall):
            if first.bound.training_only or consumer.bound.yields_probabilities:
                return True
            if not self.is_bare(first):
                return False
        return len(line) == 1 and not self.reached(consumer)

    def with_marks(self, c: Call) -> str:
        """The source of a call, with \x000\x01 for its first input and so on."""
        marks = [Verbatim(f"\x00{n}\x01") for n in range(len(c.inputs))]
        return self.emissions[c][0].call("", list(marks)).flat()

    def repeats_its_input(self, c: Call) -> bool:
        """Whether the code of a call names an input twice, which would be computed twice."""
        source = self.with_marks(c)
        repeated = any(source.count(f"\x00{n}\x01") > 1 for n in range(len(c.inputs)))
        return bool(self.emissions[c][0].one_size) or repeated

    def stands_alone(self, n: int, c: Call) -> bool:
        """Whether an operator needs no brackets as an input: as an argument, or first of a sum."""
        return bool(re.search(rf"^\x00{n}\x01( \+ |$)|[(,] ?\x00{n}\x01[,)]", self.with_marks(c)))

    def depth(self, c: Call) -> int:
        """How many lines are written inside each other at the beginning of a step."""
        inner = [self.inlined[v] for v in c.inputs if v in self.inlined]
        lines = self.terms.lines
        return max((self.depth(d) + (lines[d] is not lines[c]) for d in inner), default=1)

    def expression(self, c: Call) -> Source:
        inputs: list[Source] = []
        fresh = False
        written, asked = self.emissions[c]
        for n, v in enumerate(c.inputs):
            inner = self.inlined.get(v)
            source = Verbatim(self.variable(v)) if inner is None else self.expression(inner)
            if isinstance(source, Infix) and not self.stands_alone(n, c):
                source = Verbatim(f"({source.flat()})")
            inputs.append(source)
            fresh = inner is not None and self.emissions[inner][0].fresh
        if asked.sizes:
            written, _ = self.emit(c)
        return written.call(self.reached(c), inputs, fresh and len(inputs) == 1)

    def reached(self, c: Call) -> str:
        """The module of a call; "" where it has none."""
        path = c.attribute
        if self.emissions[c][0].constructor is None or path is None:
            return ""
        if path.fixed is not None and c.kept is not None and path.fixed not in self.made:
            return f'getattr(self, "{path.fixed}")'  # of an iteration
        if path.fixed is not None:
            return self.terms.spelling.reached(path.fixed)
        return f"getattr(self, {self.terms.path(path, self.terms.in_forward)})"

    # --- which values are read once more ---

    def reads(self, c: Call) -> set[TraceValue]:
        """The values whose variables a step names."""
        found: set[TraceValue] = set()
        for v in self.readers.before(c):
            found |= self.reads(self.inlined[v]) if v in self.inlined else own([v])
        return found

    def live(self, nodes: Sequence[TraceNode], live: set[TraceValue]) -> set[TraceValue]:
        """The values that are read in nodes, or behind them (`live`), and not made in them."""
        live = set(live)
        for step in reversed(self.steps[id(nodes)]):
            if isinstance(step, ChannelsNode):
                continue
            if isinstance(step, Call):
                live -= {*step.outputs}
                reads = self.reads(step)
                self.dies[step] = reads - live
                live |= reads
                continue
            self.behind[step] = set(live)
            values = {m.value for m in step.meets if m.value in self.readers.of}
            live -= values
            planes = set(self.terms.planes(step))
            if isinstance(step, IfNode):
                phis = [p for p in step.phis if p.value in values]
                self.entered[step] = [
                    self.live(body, live | own(p.sources[n] for p in phis))
                    for n, body in enumerate(step.bodies)
                ]
                live = planes.union(*self.entered[step])
            else:
                carried = [k for k in step.carried if k.value in values]
                for _ in range(2):  # what an iteration reads is read behind the one before
                    inside = self.live(step.body, live | own(k.after for k in carried))
                    live |= inside - values
                self.entered[step] = [inside | live]
                live |= own(k.before for k in carried) | planes
        return live

    # --- names ---

    def variable(self, v: TraceValue) -> str:
        if v.item_of is not None:
            return self.terms.item(*v.item_of, "items")
        return self.variables.get(v, "x")

    def names(self, values: Iterable[TraceValue]) -> set[str]:
        return {self.variables[v].partition("[")[0] for v in values if v in self.variables}

    def choose(self, v: TraceValue, busy: set[str], *before: TraceValue | None) -> str:
        """A variable for a value that is not busy, if it can be that of one that it was before."""
        known = [self.variables.get(s) for s in before if s is not None]
        wishes = [self.wishes.get(v), *(n for n in known if n in ("x", "out"))]
        name = next(n for n in chain(wishes, self.wanted(v)) if n and n not in busy)
        busy.add(name)
        self.variables[v] = name
        return name

    def wanted(self, v: TraceValue) -> Iterator[str]:
        """Names for a variable, the best first: x and out for what flows on, else the spec's."""
        for _ in range(4):  # a value that only becomes another bears the name of that
            match self.readers.of.get(v):
                case [Phi() | Carried() as met]:
                    v = met.value
        name = self.plain(self.readers.name(v))
        if not self.keeps_name(v):
            before = self.variables.get(self.beginning(v) or v, "")
            yield from (before, "x", "out") if before in ("x", "out") else ("x", "out")
        yield name
        yield from (f"{name}{n}" for n in count(2))

    def keeps_name(self, v: TraceValue) -> bool:
        """Whether a value reads better under the name that the spec gives it.

        That are those that several lines read, or a line that reads others beside it. It is not so
        in `x + out`, where one is made of the other.
        """
        made = self.readers.calls.get(v)
        if made is not None and (v is not made.outputs[0] or self.readers.is_part(v)):
            return True
        if not v.name or v.flows or v in self.trace.inputs:
            return False
        readers = [r for r in self.readers.of.get(v, ()) if isinstance(r, Call)]
        # A further result, such as indices, comes along with what it is read beside.
        made_of = self.readers.calls
        others = {w for r in readers for w in r.inputs if w.item_of is None}
        others -= {w for w in others if w in made_of and w is not made_of[w].outputs[0]}
        others -= {v, *self.inlined, *self.trace.inputs}
        of = self.readers.is_made_of
        apart = [w for w in others if not of(v, w) and not of(w, v)]
        lines = {self.step_of(r) for r in readers}
        if len(lines) > 1:
            return len(lines) > 2 or len(apart) == len(others)
        return any(w.name for w in apart)

    def beginning(self, v: TraceValue) -> TraceValue | None:
        """The one value that the step begins with which makes a value."""
        made = self.readers.calls.get(v)
        while made is not None and len(made.inputs) == 1:
            v = made.inputs[0]
            if v not in self.inlined:
                return v
            made = self.inlined[v]
        return None

    def step_of(self, c: Call) -> Call:
        """The call that a call is written in."""
        while c in self.outer:
            c = self.outer[c]
        return c

    def plain(self, name: str) -> str:
        legal = is_variable(name) and not hasattr(builtins, name)
        return name if legal and name not in self.taken else "x"

    # --- statements ---

    def body(self, nodes: Sequence[TraceNode], busy: set[str]) -> list[Statement]:
        """The statements of nodes. `busy` are the variables of values that are read once more."""
        result: list[Statement] = []
        for step in self.steps[id(nodes)]:
            if isinstance(step, Call):
                result += self.line(step, busy)
            elif isinstance(step, ChannelsNode):
                result += changed(step, self.terms, lambda t: Verbatim(self.terms.in_forward(t)))
            else:
                result += self.branches(step) if isinstance(step, IfNode) else self.loop(step)
                busy = self.names(self.behind[step])
        return result

    def copies(self, pairs: Iterable[tuple[TraceValue, TraceValue | None]]) -> list[Statement]:
        """The line that gives variables what they are from now on."""
        names = [(self.variables[v], self.variable(s)) for v, s in pairs if s is not None]
        names = [(a, b) for a, b in names if a != b]
        line = Line(Verbatim(", ".join(b for _, b in names)), tuple(a for a, _ in names))
        return [line] if names else []

    def branches(self, node: IfNode) -> list[Statement]:
        phis = [p for p in node.phis if p.value in self.readers.of]
        busy = self.names(self.behind[node])
        for p in phis:
            self.choose(p.value, busy, *p.sources)
        bodies: list[list[Statement]] = []
        copied: list[list[Statement]] = []
        for n, inner in enumerate(node.bodies):
            self.wishes |= {s: self.variables[p.value] for p in phis if (s := p.sources[n])}
            body = self.body(inner, self.names(self.entered[node][n]))
            copied.append(self.copies((p.value, p.sources[n]) for p in phis))
            bodies.append([*body, *copied[-1]])
        after = common_end(bodies)
        # Where copies are all of a branch, they may as well stand before the `if`.
        before: list[Statement] = []
        for n in (0, 1) if len(bodies) == 2 else (len(bodies) - 1,):
            others = {v for k, e in enumerate(self.entered[node]) if k != n for v in e}
            read = self.names(others.union(self.terms.planes(node)))
            targets = {t for line in copied[n] for t in line.sets}
            if bodies[n] == copied[n] and targets.isdisjoint(read):
                before, bodies[n] = bodies[n], []
                break
        if not any(bodies):
            return [*before, *after]
        if len(bodies) == len(node.cases) + 1 and not any(bodies[:-1]):
            # All that is done is done where no condition is met.
            tests, bodies = [self.test(node, len(node.cases))], bodies[-1:]
        else:
            tests = [self.test(node, n) for n in range(len(node.cases))]
        branches = if_statement(tests, bodies)
        return [*before, branches, *after]

    def loop(self, node: ForNode) -> list[Statement]:
        carried = [k for k in node.carried if k.value in self.readers.of]
        (inside,) = self.entered[node]
        busy = self.names(inside)
        for k in carried:
            self.choose(k.value, busy, k.before)
            self.wishes[k.after] = self.variables[k.value]
        before = self.copies((k.value, k.before) for k in carried)
        body = self.body(node.body, self.names(inside))
        body += self.copies((k.value, k.after) for k in carried)
        return [*before, *([self.terms.looped(node, body, self.terms.in_forward)] if body else [])]

    def line(self, c: Call, busy: set[str]) -> list[Statement]:
        source, collected = self.expression(c), self.readers.collected
        size = [Verbatim(self.library.plane(self.variable(v))) for v in c.inputs[:1]]
        sized = [v for v in c.outputs if (v, "sizes") in self.terms.items]
        lines: list[Statement] = [*self.size_checks(c)]
        lines += [Line(size[0], (self.item(v, "sizes"),)) for v in sized]
        busy -= self.names(self.dies[c])
        outputs = c.outputs if self.readers.several(c) else c.outputs[:1]
        targets = [
            self.choose(v, busy)
            if v in self.readers.of
            else self.item(v, "items")
            if v in collected
            else "_"
            for v in outputs
        ]
        if isinstance(source, FunctionCall) and source.tail == "[:]":
            # As many parts as arguments say: each is asked for where it is read.
            parts = next(n for n in (f"parts{k or ''}" for k in count()) if n not in busy)
            busy.add(parts)
            self.variables |= {v: f"{parts}[{n}]" for n, v in enumerate(outputs)}
            source, targets = replace(source, tail=""), [parts]
        if source.flat() != ", ".join(targets):
            lines.append(Line(source, tuple(targets), comment=self.shape_comment(c)))
        both = [v for v in outputs if v in collected and v in self.readers.of]
        return lines + [Line(Verbatim(self.variables[v]), (self.item(v, "items"),)) for v in both]

    def item(self, v: TraceValue, what: str) -> str:
        """Where a value of this iteration is kept, or its size."""
        if v.item_like is not None:
            return self.terms.item(*v.item_like, what)
        name = self.readers.calls[v].name
        return self.terms.item(v, [s.term for s in name.indices] if name else (), what)

    def dicts(self) -> Iterator[Statement]:
        """The dicts that hold values of each iteration."""
        for (v, what), name in self.terms.items.items():
            path = self.readers.calls[v].name
            key = "int" if path and len(path.indices) == 1 else "tuple[int, ...]"
            kind = self.library.sizes if what == "sizes" else "Tensor"
            yield Line(Verbatim("{}"), (name,), annotation=f"dict[{key}, {kind}]")

    def size_checks(self, c: Call) -> Iterator[Statement]:
        """What refuses sizes for which the layers of a step are not made."""
        for v in c.inputs:
            if v in self.inlined:
                yield from self.size_checks(self.inlined[v])
        one_size = self.emissions[c][0].one_size
        if one_size:
            first, wanted = c, self.reached(c)
            while isinstance(first, ChainCall):
                first, wanted = first.calls[0], f"{wanted}[0]"
            if isinstance(first, InstanceCall):
                wanted = self.terms.features(c.inputs[0])
            else:
                wanted += f".{one_size}"
            given = f"{self.variable(c.inputs[0])}.shape[1]"
            message = f"made for {{{wanted}}} features, got {{{given}}}"
            for v in only_input(self.trace):
                sides = [self.terms.resolved(Extent(v, axis)) for axis in (1, 2)]
                sources = map(self.terms.in_forward, sides)
                own_ = "x".join(s if s.isdecimal() else f"{{{s}}}" for s in sources)
                rows, columns = (self.library.side(self.variable(v), axis) for axis in (1, 2))
                message = f"made for {own_}, got {{{rows}}}x{{{columns}}}"
            quote = "'" if '"' in message else '"'
            yield Refusal(f"{given} != {wanted}", f"f{quote}{message}{quote}")

    def shape_comment(self, c: Call) -> str:
        while isinstance(c, ChainCall):
            c = c.calls[-1]
        name = c.name.fixed if c.name is not None else None
        text = self.comments.get(name or "", "")
        before, self.shown = self.shown, text or self.shown
        return text if text != before else ""

    def test(self, node: IfNode, index: int) -> str:
        """The condition of a branch; behind the last that has one, that it is not met."""
        if node in self.tests:
            name, first = self.tests[node]
            return f"self.{name} is {'not ' if first == (index == 0) else ''}None"
        last = index == len(node.cases)
        condition = node.cases[0][0] if last else node.cases[index][0]
        if last:
            others = tuple(negated(c) for c, _ in node.cases)
            condition = others[0] if len(others) == 1 else Combined("and", others)
        return self.terms.in_forward(condition, self.condition_name(node))

    def condition_name(self, node: IfNode) -> str:
        """What the attribute is called that keeps a condition: by what its branch does."""
        body = next(filter(None, node.bodies), [])
        calls = list(calls_in(body))
        made = {v for c in calls for v in c.outputs}
        if any(
            isinstance(c, OpCall) and isinstance(c.bound, Add) and not made.issuperset(c.inputs)
            for c in calls
        ):
            return "use_residual"
        named = (n.value.name for n in body if isinstance(n, LineNode) and not n.value.flows)
        name = next(filter(str.isidentifier, named), "")
        return f"use_{name}" if name else ""

    # --- results ---

    @property
    def result_type(self) -> str:
        """The type of what `forward` returns."""
        n = len(self.trace.outputs)
        several = "tuple[Tensor, ...]" if n > 6 else f"tuple[{', '.join(['Tensor'] * n)}]"
        either = "Tensor | " if self.trace.alone is not None else ""
        return "Tensor" if n == 1 else either + several

    def returning(self, body: list[Statement]) -> list[Statement]:
        """The statements with a `return` at the end, and a type for what a module gave."""
        names = [self.variable(v) for v in self.trace.outputs]
        last = body[-1] if body else None
        alone = self.trace.alone
        if isinstance(last, Line) and [*last.targets] == names[:1] == names:
            body.pop()
            if self.is_typed(last.source):
                return [*body, Line(last.source, word="return")]
            # A name that stands nowhere else, since it is declared here.
            (output,) = self.trace.outputs
            own_name = self.plain(output.name if output.name and not output.flows else "result")
            wanted = ("logits" if any(self.trace.predictions) else own_name, "result", "y", "value")
            taken = {*self.variables.values(), "x"} - ({*names} - {"x"})
            numbered = (f"result{n}" for n in count(2))
            names = [next(n for n in chain(wanted, numbered) if n not in taken)]
            body.append(Line(last.source, (names[0],), annotation="Tensor"))
        else:
            given = [
                s for s in [*walk(body)][::-1] if isinstance(s, Line) and names[0] in s.targets
            ]
            untyped = self.library.typed != ("",) and any(
                s.source.flat().startswith(("self.", "getattr(")) for s in given
            )
            single = len(names) == 1 or alone is not None
            if single and names[0] not in self.parameters and untyped:
                if len(given[0].targets) == 1:
                    given[0].annotation = "Tensor"
        if alone is not None:
            first = returned([Verbatim(names[0])])
            body = [*body, if_statement([self.terms.in_forward(alone)], [[first]])]
        return [*body, returned([Verbatim(n) for n in names])]

    def predict(self) -> list[Statement]:
        """The statements of `predict`, which makes the net's outputs of those of `forward`."""
        predictions = self.trace.predictions
        model: Source = call("self", *self.arguments)
        names = Identifiers(("self", *self.arguments))
        alone: list[Statement] = []
        if self.trace.alone is not None:
            results = names.identifier("results")
            only = Line(self.predicted(predictions[0], Verbatim(results)), word="return")
            is_alone = if_statement([self.library.single.format(results)], [[only]])
            alone = [Line(model, (results,)), is_alone]
            model = Verbatim(results)
        if alone or (len(predictions) > 1 and any(predictions)):
            targets = [names.identifier(self.plain(n or "x")) for n in self.trace.output_names]
            pairs = zip(predictions, targets, strict=True)
            sources = [self.predicted(p, Verbatim(n)) for p, n in pairs]
            return [*alone, Line(model, tuple(targets)), returned(sources)]
        result = self.predicted(predictions[0], model)
        typed = self.result_type == "Tensor" and self.is_typed(result)
        if isinstance(result, FunctionCall) and typed:
            return [Line(result, word="return")]
        several = len(predictions) > 1
        name = "results" if several else "out" if "x" in self.arguments else "x"
        name = names.identifier(name)
        result = self.predicted(predictions[0], Verbatim(name))
        first = Line(model, (name,), annotation=self.result_type)
        return [first, Line(result, word="return")]

    def is_typed(self, source: Source) -> bool:
        """Whether type checkers know that an expression is a Tensor, whatever its inputs are."""
        return str(source.flat()).startswith(self.library.typed)

    def predicted(self, p: Prediction, value: Source) -> Source:
        match p:
            case OpCall():
                written, asked = self.emit(p)
                self.terms.supports.update(asked.supports)
                made = written.constructor
                return written.call(made.flat() if made is not None else "", [value])
            case PredictChoice(condition, then, otherwise) if decided(condition) is not None:
                return self.predicted(then if decided(condition) else otherwise, value)
            case PredictChoice(condition, then, otherwise):
                a, b = (self.predicted(x, value).flat() for x in (then, otherwise))
                a = f"({a})" if isinstance(then, PredictChoice) else a
                return Alternatives((a, f"if {self.terms.in_forward(condition)}", f"else {b}"))
        return value


def returned(sources: Sequence[Source]) -> Line:
    """The statement that returns results, in a line where they fit."""
    flat = ", ".join(s.flat() for s in sources)
    return Line(Verbatim(flat) if len(flat) + 15 <= WIDTH else tuple_of(sources), word="return")


def only_input(trace: Trace) -> list[TraceValue]:
    """The input of a net that has one: its size is what an error speaks of."""
    return trace.inputs if trace.template.kind == "net" and len(trace.inputs) == 1 else []


def own(values: Iterable[TraceValue | None]) -> set[TraceValue]:
    """Those that have a variable of their own."""
    return {v for v in values if v is not None and v.item_of is None}
