"""The statements of a module, or of a net, by the body that its instances share."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction

from netspec.diagnostics.source import Span
from netspec.importers.spec_tree.call_loops import UseLine, with_call_loops
from netspec.importers.spec_tree.expressions import field_value
from netspec.importers.spec_tree.loops import with_loops
from netspec.importers.structure.attributes import is_default
from netspec.importers.structure.graph import Graph, Node
from netspec.importers.structure.names import UniqueNames
from netspec.importers.structure.shared_module import (
    BodyLine,
    BodyStep,
    BranchTest,
    BranchTests,
    Formula,
    HalfOf,
    Multiple,
    OptionalRun,
    SharedModule,
    SharedParameter,
    SlotChannels,
    SlotValue,
    input_refs,
)
from netspec.syntax.ast import (
    Attribute,
    Binary,
    Call,
    Chain,
    Comparison,
    Definition,
    Expression,
    Field,
    If,
    Input,
    LayerName,
    LayerStatement,
    Let,
    Logic,
    Name,
    Number,
    Output,
    Param,
    Reference,
    Result,
    Statement,
    Variable,
)


class SharedWriter:
    """Writes the lines of a body one after the other."""

    def __init__(self, module: SharedModule, inputs: Sequence[str]) -> None:
        self.module = module
        self.body = module.body
        self.statements: list[Statement | UseLine] = []
        self.name_of: dict[SlotValue, str] = {}
        for i, name in enumerate(inputs):
            self.name_of[i - len(inputs), 0] = name
        for line in module.lines:
            self.name_of[line.end - 1, 0] = line.name
            last = self.body.one(line.end - 1)
            for r, result in enumerate(result_names(last)):
                self.name_of[line.end - 1, r] = f"{line.name}.{result}" if r else line.name
        self.lets: dict[Multiple, str] = {}
        self.constants = ["classes", *(p.name for p in module.parameters)]
        self.needed = {ref for f in module.formulas.values() for ref in _refs(f)}
        self._find_needed()

    def _find_needed(self) -> None:
        """The values that need a name, since not only the next statement takes them."""
        for line in self.module.lines:
            taken = self.body.wiring[line.first]
            merged = self._merged(line.first)
            if taken != ((line.first - 1, 0),) or merged:
                self.needed.update(taken)
            if merged is not None and merged.otherwise is not None:
                self.needed.add(merged.otherwise)
        if self.body.results != ((len(self.body.slots) - 1, 0),):
            self.needed.update(self.body.results)
        self.needed |= {(s, 0) for s, r in self.needed if r}

    def _merged(self, slot: int) -> OptionalRun | None:
        """The optional run whose result this slot merges."""
        return next((r for r in self.body.optional if r.merges and r.end == slot), None)

    def write(self) -> list[Statement]:
        """The statements of all lines."""
        lines = {line.first: line for line in self.module.lines}
        s = 0
        while s < len(self.body.slots):
            run = next((r for r in self.body.optional if r.first == s), None)
            if run is None:
                self._line(lines[s], self.body.wiring[s])
                s = lines[s].end
                continue
            outer, self.statements = self.statements, []
            while s < run.end:
                self._line(lines[s], self.body.wiring[s])
                s = lines[s].end
            otherwise: tuple[Statement, ...] = ()
            if run.merges:
                self._line(lines[s], self.body.wiring[s])
            branch, self.statements = self._plain(), []
            if run.merges:
                taken = self.body.wiring[s]
                other = tuple(run.otherwise if r == run.out else r for r in taken)
                self._line(lines[s], [r for r in other if r is not None])
                otherwise, s = self._plain(), lines[s].end
            self.statements = outer
            span = self.body.one(run.first).node.span
            condition = self._condition(self.module.conditions[run.first], span)
            self.statements.append(If(((condition, branch),), otherwise, span))
        return list(self._plain())

    def _plain(self) -> tuple[Statement, ...]:
        return tuple(with_loops(with_call_loops(self.statements, self.constants)))

    def _line(self, line: BodyLine, taken: Sequence[SlotValue]) -> None:
        head = self.body.one(line.first)
        span = head.node.span
        arguments: tuple[Reference, ...] | None = None
        if list(taken) != [(line.first - 1, 0)] or self._merged(line.first):
            arguments = tuple(self.reference(r, span) for r in taken)
        named = line.stated or any((line.end - 1, r) in self.needed for r in range(3))
        if head.module is not None:
            name, usual = head.module.name, frozenset(self._usual(line.first))
            fields = self._fields(line.first, ())
            counts = frozenset(p.name for p in head.module.parameters if p.kind == "count")
            use = UseLine(line.name, line.path, name, arguments, fields, usual, counts, span)
            self.statements.append(use)
            return
        calls = []
        for s in range(line.first, line.end):
            node = self.body.one(s).node
            op = Name(self.module.ops.get(s, node.op), node.span)
            given = arguments if s == line.first else None
            calls.append(Call(op, given, self._fields(s, self._usual(s)), node.span))
        layer_name = LayerName(Name(line.name, span), (), span) if named else None
        self.statements.append(LayerStatement(layer_name, Chain(tuple(calls), span), span))

    def _names(self, slot: int) -> list[str]:
        """The fields that any instance has at a slot."""
        steps = [step for step in self.body.slots[slot] if step is not None]
        return list(dict.fromkeys(name for step in steps for name in step.values()))

    def _usual(self, slot: int) -> list[str]:
        """The fields of a slot that have their defaults."""
        step = self.body.one(slot)
        known = {p.name: p.default for p in step.module.parameters} if step.module else {}
        found = []
        for name in self._names(slot):
            f = self.module.formulas[slot, name]
            if isinstance(f, Multiple | HalfOf):
                continue
            if step.module is None:
                same = is_default(step.node.op, name, f)
            else:
                same = type(known[name]) is type(f) and known[name] == f
            found += [name] if same else []
        return found

    def _fields(self, slot: int, left: Iterable[str]) -> tuple[Field, ...]:
        """The fields of a slot, but for those that are left out."""
        step = self.body.one(slot)
        if slot in self.module.ops:
            return ()
        kinds = {p.name: p.kind for p in step.module.parameters} if step.module else {}
        settings = step.node.settings if step.module is None else {}
        found = []
        for name in self._names(slot):
            if name in left:
                continue
            span = settings[name].span if name in settings else step.node.span
            value = self.size_reference(slot, name, span)
            f = self.module.formulas[slot, name]
            value = value or self.formula(f, kinds.get(name, name), span)
            found.append(Field(Name(name, span), value, span))
        return tuple(found)

    def size_reference(self, slot: int, name: str, span: Span) -> Expression | None:
        """The expression `x.shape` for a node's size; None where it is written as a number."""
        return None

    def formula(self, f: Formula, kind: str, span: Span) -> Expression:
        """A formula as the expression of a field."""
        if isinstance(f, HalfOf):
            return Binary("//", Variable(f.parameter, span), Number(Fraction(2), span), span)
        if not isinstance(f, Multiple):
            return field_value(f, kind, span)
        if f in self.lets:
            return Variable(self.lets[f], span)
        base: Expression
        if isinstance(f.base, SlotChannels):
            base = Attribute(self.reference(f.base.ref, span), Name("channels", span), span)
        else:
            base = Variable(f.base, span)
        if isinstance(f.factor, str):
            return Binary("*", Variable(f.factor, span), base, span)
        if f.factor < 1:
            return Binary("/", base, Number(1 / f.factor, span), span)
        return base if f.factor == 1 else Binary("*", Number(f.factor, span), base, span)

    def reference(self, ref: SlotValue, span: Span) -> Reference:
        """The name of a value, or of one of several results."""
        base, _, result = self.name_of[ref].partition(".")
        if not result:
            return Variable(base, span)
        return Attribute(Variable(base, span), Name(result, span), span)

    def _condition(self, condition: BranchTests, span: Span) -> Expression:
        tests = tuple(self._test(t, span) for t in condition.tests)
        if len(tests) == 1:
            return tests[0]
        return Logic("and" if condition.every else "or", tests, span)

    def _test(self, test: BranchTest, span: Span) -> Expression:
        if test.channels is not None:
            x = (-len(self.body.instances[0].inputs), 0)
            first: Expression = Attribute(self.reference(x, span), Name("channels", span), span)
            value = self.formula(test.channels, "filters", span)
            return Comparison(first, ((test.holds, value),), span)
        first = Variable(test.parameter, span)
        if test.value is None:
            return first
        return Comparison(first, ((test.holds, Number(test.value, span)),), span)

    def output(self, span: Span) -> list[Statement]:
        """What the results are, where they are not what the last statement gives."""
        results = self.body.results
        if results == ((len(self.body.slots) - 1, 0),):
            return []
        values = (self.reference(r, span) for r in results)
        return [Output(tuple(Result(None, v, span) for v in values), span)]


def result_names(step: BodyStep) -> list[str]:
    """What the results of a step are called behind a dot."""
    if step.module is None:
        return [v.result for v in step.outputs]
    module = step.module
    if len(module.body.results) == 1:
        return [""]
    return [line_result(module, ref) for ref in module.body.results]


def line_result(module: SharedModule, ref: SlotValue) -> str:
    """The name of a value of a module as one of its results."""
    return next((line.name for line in module.lines if line.end - 1 == ref[0]), "x")


def definition_of(module: SharedModule) -> Definition:
    """A module with its parameters."""
    span = module.body.one(0).node.span
    inputs = ["x", "y", "z"][: len(module.body.instances[0].inputs)]
    writer = SharedWriter(module, inputs)
    taken = [p.name for p in module.parameters] + [line.name for line in module.lines]
    counts = Counter(
        f for f in module.formulas.values() if isinstance(f, Multiple) and isinstance(f.factor, str)
    )
    names = UniqueNames(taken)
    lets = {f: names.free("hidden") for f, count in counts.items() if count > 1}
    head: list[Statement] = [Input(Name(x, span), None, (), span) for x in inputs]
    head += [Let(Name(n, span), writer.formula(f, "", span), span) for f, n in lets.items()]
    writer.lets = lets
    writer.constants += lets.values()
    body = (*head, *writer.write(), *writer.output(span))
    params = tuple(_param(p, span) for p in module.parameters)
    return Definition("module", Name(module.name, span), params, body, "", span)


def _param(p: SharedParameter, span: Span) -> Param:
    default = None if p.default is None else field_value(p.default, p.kind, span)
    return Param(Name(p.name, span), default, span)


class NetLines(SharedWriter):
    """Writes the lines of a net; sizes that are those of other values are written as such."""

    def __init__(self, net: SharedModule, inputs: Sequence[str], graph: Graph) -> None:
        super().__init__(net, inputs)
        self.sizes: dict[int, SlotValue] = {}
        made = input_refs(self.body.instances[0].inputs)
        for line in net.lines:
            for s in range(line.first, line.end):
                step = self.body.one(s)
                value = graph.current(step.node.size_of) if step.module is None else None
                if value in made:
                    self.sizes[s] = made[value]
                    self.needed.add(made[value])
                end = self.body.one(line.end - 1).outputs[0]
                if step.outputs[0].shape[1:] == end.shape[1:]:
                    made[step.outputs[0]] = (line.end - 1, 0)

    def size_reference(self, slot: int, name: str, span: Span) -> Expression | None:
        if name != "size" or slot not in self.sizes:
            return None
        return Attribute(self.reference(self.sizes[slot], span), Name("shape", span), span)


def nodes_in_order(module: SharedModule, index: int = 0) -> Iterable[Node]:
    """The nodes of an instance in the order of the layers."""
    for slot in module.body.slots:
        step = slot[index]
        if step is None:
            continue
        if step.module is None:
            yield step.node
        else:
            yield from nodes_in_order(step.module, step.index)


def _refs(f: Formula) -> Iterable[SlotValue]:
    if isinstance(f, Multiple) and isinstance(f.base, SlotChannels):
        yield f.base.ref
