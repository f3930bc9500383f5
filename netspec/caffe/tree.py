"""A graph with its modules as a tree of the language, whose places are in the prototxt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from netspec.caffe.attributes import COUNTS, is_default, values
from netspec.caffe.graph import Constant, DataInput, Graph, Node, Setting, Value
from netspec.caffe.lines import Line
from netspec.caffe.names import Names, behind, identifier, stem
from netspec.caffe.parameters import ChannelsOf, Formula, Plan, Scaled, plan_of
from netspec.caffe.structure import Part, label
from netspec.ops import OPS
from netspec.source import Source, Span
from netspec.syntax import (
    Attribute,
    Binary,
    Call,
    Chain,
    Constant as ConstantNode,
    Definition,
    Expression,
    Field,
    For,
    Input,
    Layer,
    LayerName,
    ListLiteral,
    Name,
    Number,
    Output,
    Param,
    Reference,
    ShapeLiteral,
    Statement,
    String,
    Unary,
    Variable,
)

LOOP = 4
"""From how many equal instances on a loop is written."""
_PAIRS = {"kernel", "size"}
"""Fields that are written as `3x3`."""


@dataclass
class Module:
    """A module: its name, its instances, how its fields are written, and the names of its lines."""

    name: str
    parts: list[Part]
    plan: Plan
    line_names: list[str]


@dataclass
class Tree:
    """The definitions, and the nodes in the order in which the spec's layers come."""

    items: list[Definition]
    nodes: list[Node]


class Writer:
    """Writes one net. `classes` is the name of the parameter for the filters of `last`."""

    def __init__(self, source: Source, graph: Graph, name: str, doc: str) -> None:
        self.source = source
        self.graph = graph
        self.name = name
        self.doc = doc
        self.everywhere = Span(source, 0, 0)

    def tree(
        self, lines: Sequence[Line], groups: Sequence[list[Part]], last: Node | None
    ) -> Tree:
        modules = self._modules(groups)
        body = _Body(self, modules)
        definitions = [self._module(m) for m in sorted(modules, key=lambda m: m.parts[0].first)]
        count = None
        if last is not None:
            count = next(n for n in values(last) if n in COUNTS)
            body.classes = (last, count)
        statements = body.net(lines)
        params: tuple[Param, ...] = ()
        if last is not None and count is not None:
            number = self.constant(values(last)[count], count, last.span)
            params = (Param(Name("classes", last.span), number, last.span),)
        net = Definition(
            "net", Name(self.name, self.everywhere), params, tuple(statements), self.doc,
            self.everywhere,
        )  # fmt: skip
        return Tree([*definitions, net], body.nodes)

    def _modules(self, groups: Sequence[list[Part]]) -> list[Module]:
        names = Names([*OPS, "net", "module", "import", self.name])
        modules = []
        for parts in sorted(groups, key=lambda g: -len(g)):
            wanted = stem([label(p) for p in parts])
            if wanted in names.taken or not identifier(wanted, "block"):
                kind = _character(parts[0])
                wanted = f"{wanted}_{kind}" if wanted else kind
            line_names = _line_names(parts)
            plan = plan_of(parts, line_names)
            modules.append(Module(names.free(identifier(wanted, "block")), parts, plan, line_names))
        return modules

    def _module(self, module: Module) -> Definition:
        part = module.parts[0]
        body = _Body(self, [])
        statements = body.module(module)
        span = part.lines[0].head.span
        params = tuple(
            Param(
                Name(p.name, span),
                None if p.default is None else self.constant(p.default, p.name, span),
                span,
            )
            for p in sorted(module.plan.parameters, key=lambda p: p.default is not None)
        )
        return Definition("module", Name(module.name, span), params, tuple(statements), "", span)

    # --- expressions -----------------------------------------------------------------------------

    def constant(self, value: Constant, name: str, span: Span) -> Expression:
        """A constant as an author would write it in the field `name`."""
        if isinstance(value, bool):
            return ConstantNode(value, span)
        if isinstance(value, str):
            return Variable(value, span)
        if isinstance(value, Fraction):
            return self.number(value, span)
        whole = all(v.denominator == 1 and v >= 0 for v in value)
        if len(value) == 2 and value[0] == value[1] and name not in _PAIRS:
            return self.number(value[0], span)
        if len(value) == 2 and whole and max(value) < 10**9:
            return ShapeLiteral(tuple(int(v) for v in value), span)
        return ListLiteral(tuple(self.number(v, span) for v in value), span)

    def number(self, value: Fraction, span: Span) -> Expression:
        """A number; one that has no end as a decimal is a fraction."""
        if value < 0:
            return Unary("-", self.number(-value, span), span)
        rest = value.denominator
        for prime in (2, 5):
            while rest % prime == 0:
                rest //= prime
        if rest != 1:
            top, bottom = Fraction(value.numerator), Fraction(value.denominator)
            return Binary("/", Number(top, span), Number(bottom, span), span)
        return Number(value, span)

    def formula(self, f: Formula, name: str, span: Span, body: _Body) -> Expression:
        if not isinstance(f, Scaled):
            return self.constant(f, name, span)
        base: Expression
        if isinstance(f.base, ChannelsOf):
            base = Attribute(body.reference(f.base.value, span), Name("channels", span), span)
        else:
            base = Variable(f.base, span)
        if f.factor == 1:
            return base
        return Binary("*", Number(Fraction(f.factor), span), base, span)

    def fields(self, node: Node, formulas: dict[str, Formula], body: _Body) -> tuple[Field, ...]:
        """The fields of a node that need to be written, in the order of the op's declaration."""
        written = []
        for name in values(node):
            f = formulas[name]
            if not isinstance(f, Scaled) and is_default(node.op, name, f):
                continue
            span = node.settings[name].span if name in node.settings else node.span
            value = self.formula(f, name, span, body)
            written.append(Field(Name(name, span), value, span))
        return tuple(written)


@dataclass
class _Body:
    """The statements of the net or of one module."""

    writer: Writer
    modules: list[Module]
    classes: tuple[Node, str] | None = None
    nodes: list[Node] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    names: Names = field(default_factory=Names)
    called: dict[Value, str] = field(default_factory=dict)
    current: Value | None = None

    # --- the net ---------------------------------------------------------------------------------

    def net(self, lines: Sequence[Line]) -> list[Statement]:
        graph = self.writer.graph
        for given in graph.inputs:
            self._input(given)
        at = {p.first: (m, p) for m in self.modules for p in m.parts}
        uses = self._needed_names(lines, at)
        self.names.taken |= {"classes"} if self.classes else set()
        i = 0
        while i < len(lines):
            if i in at:
                module, part = at[i]
                self._instance(module, part)
                i = part.end
                continue
            self._line(lines[i], lines[i].head.name, lines[i].value in uses, None)
            i += 1
        if graph.outputs != [self.current]:
            span = self.writer.everywhere
            outputs = tuple(self.reference(v, span) for v in graph.outputs)
            self.statements.append(Output(outputs, span))
        self.statements = _with_loops(self.statements)
        return self.statements

    def _needed_names(
        self, lines: Sequence[Line], at: dict[int, tuple[Module, Part]]
    ) -> set[Value]:
        """The values that are referred to by name, since they do not just flow into the next."""
        graph = self.writer.graph
        needed: set[Value] = set()
        current = graph.inputs[-1].value if graph.inputs else None
        i = 0
        while i < len(lines):
            if i in at:
                _, part = at[i]
                inputs, output, i = part.inputs, part.output, part.end
            else:
                inputs, output, i = lines[i].inputs, lines[i].value, i + 1
            if inputs != [current]:
                needed.update(inputs)
            current = output
        if graph.outputs != [current]:
            needed.update(graph.outputs)
        # A result beside the first is reached through the name of the first.
        return needed | {v.node.value for v in needed if v.node is not None}

    def _input(self, given: DataInput) -> None:
        w = self.writer
        name = self.names.free(identifier(given.name, "data") or "data")
        self.called[given.value] = name
        self.current = given.value
        dims = tuple(given.value.shape)
        pattern = (
            ShapeLiteral(dims, given.span)
            if len(dims) > 1
            else Number(Fraction(dims[0]), given.span)
        )
        fields = tuple(
            Field(Name(n, s.span), self._input_value(s), s.span) for n, s in given.settings.items()
        )
        self.statements.append(Input(Name(name, given.span), pattern, fields, given.span))

    def _input_value(self, setting: Setting) -> Expression:
        if isinstance(setting.value, tuple):
            items = tuple(self.writer.number(v, setting.span) for v in setting.value)
            return ListLiteral(items, setting.span)
        return self.writer.constant(setting.value, "", setting.span)

    # --- modules ---------------------------------------------------------------------------------

    def module(self, module: Module) -> list[Statement]:
        part = module.parts[0]
        self.names.taken |= {p.name for p in module.plan.parameters}
        for i, value in enumerate(part.inputs):
            name = self.names.free("x" if len(part.inputs) == 1 else "xyz"[i])
            span = part.lines[0].head.span
            self.called[value] = name
            self.statements.append(Input(Name(name, span), None, (), span))
            self.current = value
        referred = _referred(part)
        for i, line in enumerate(part.lines):
            for f in module.plan.formulas.values():
                if isinstance(f, Scaled) and isinstance(f.base, ChannelsOf):
                    referred.add(f.base.value)
            formulas = [
                {name: module.plan.formulas[i, j, name] for name in values(node)}
                for j, node in enumerate(line.nodes)
            ]
            name = module.line_names[i]
            last = i == len(part.lines) - 1
            joins = last and not any(n.blobs for n in line.nodes) and len(line.inputs) > 1
            shown = "" if joins and line.value not in referred else name
            self._line(line, shown, line.value in referred, formulas, record=False)
        if part.output is not self.current:
            span = part.lines[-1].head.span
            self.statements.append(Output((self.reference(part.output, span),), span))
        return self.statements

    def _instance(self, module: Module, part: Part) -> None:
        w = self.writer
        span = part.lines[0].head.span
        name = self._free(identifier(label(part), "block") or module.name, module.name)
        arguments = None
        if part.inputs != [self.current]:
            arguments = tuple(self.reference(v, span) for v in part.inputs)
        index = module.parts.index(part)
        fields = tuple(
            Field(Name(p.name, span), w.constant(p.given[index], p.name, span), span)
            for p in module.plan.parameters
            if p.default is None or p.given[index] != p.default
        )
        call = Call(Name(module.name, span), arguments, fields, span)
        layer_name = LayerName(Name(name, part.lines[0].head.span), (), span)
        self.statements.append(Layer(layer_name, Chain((call,), span), span))
        self.called[part.output] = name
        self.current = part.output
        self.nodes += [n for line in part.lines for n in line.nodes]

    # --- lines -----------------------------------------------------------------------------------

    def _line(
        self,
        line: Line,
        wanted: str,
        needed: bool,
        formulas: list[dict[str, Formula]] | None,
        record: bool = True,
    ) -> None:
        w, head = self.writer, line.head
        own = bool(wanted) and not (head.part and not any(n.blobs for n in line.nodes))
        name = ""
        if own or needed or any(n.blobs for n in line.nodes):
            text = identifier(wanted, head.op) if own else ""
            if not text:
                base = identifier(wanted or head.name, head.op)
                text = f"{base}_{head.op}" if base else f"{head.op}_"
            name = self._free(text, head.op)
        calls = []
        for j, node in enumerate(line.nodes):
            arguments = None
            if j == 0 and node.inputs != [self.current]:
                arguments = tuple(
                    self.reference(v, s) for v, s in zip(node.inputs, node.places, strict=True)
                )
            given: dict[str, Formula] = dict(values(node)) if formulas is None else formulas[j]
            if self.classes is not None and node is self.classes[0]:
                given = {**given, self.classes[1]: Scaled("classes")}
            fields = w.fields(node, given, self)
            calls.append(Call(Name(node.op, node.span), arguments, fields, node.span))
        span = head.span
        layer_name = LayerName(Name(name, span), (), span) if name else None
        self.statements.append(Layer(layer_name, Chain(tuple(calls), span), span))
        if name:
            self.called[line.value] = name
            for value in line.outputs[1:]:
                self.called[value] = f"{name}.{value.result}"
        self.current = line.value
        if name:
            # What the chain calls its further layers.
            self.names.taken |= {f"{name}_{node.op}" for node in line.nodes[1:]}
        if record:
            self.nodes += line.nodes

    def _free(self, wanted: str, op: str) -> str:
        """A free name that no nameless layer gets by itself, such as `relu_1`."""
        match = re.fullmatch(r"([a-z0-9_]+?)_\d+", wanted)
        if match and match[1] in OPS:
            wanted = f"{wanted}_"
        return self.names.free(wanted)

    def reference(self, value: Value, span: Span) -> Reference:
        """The name of a value, or of one of several results."""
        base, _, result = self.called[value].partition(".")
        if not result:
            return Variable(base, span)
        return Attribute(Variable(base, span), Name(result, span), span)


def _referred(part: Part) -> set[Value]:
    """The values inside a part that do not just flow into the next line."""
    referred: set[Value] = set()
    current = part.inputs[-1]
    for line in part.lines:
        if line.inputs != [current]:
            referred.update(line.inputs)
        current = line.value
    if part.output is not current:
        referred.add(part.output)
    return referred | {v.node.value for v in referred if v.node is not None}


def _line_names(parts: Sequence[Part]) -> list[str]:
    """What the lines of a module are called: what is left of their names without the instance's."""
    names = Names(["x"])
    found = []
    for i, line in enumerate(parts[0].lines):
        choices = [behind(p.lines[i].head.name, label(p)) for p in parts]
        best = max(choices, key=choices.count)
        agreed = choices.count(best) * 2 > len(choices)
        same = best == parts[0].lines[i].head.name and not agreed
        text = identifier(best, line.head.op) if agreed and not same else ""
        found.append(names.free(text or identifier(line.head.op, line.head.op)))
    return found


def _character(part: Part) -> str:
    """What a part without a name of its own is: how its branches come together."""
    joins = [line.head.op for line in part.lines if len(line.inputs) > 1]
    if not joins:
        return "block"
    return {"add": "residual", "concat": "branches"}.get(joins[-1], "block")


def _with_loops(statements: list[Statement]) -> list[Statement]:
    """Runs of equal instances with names that count up become loops."""
    result: list[Statement] = []
    i = 0
    while i < len(statements):
        end = i
        start = _counted(statements[i])
        while start and end < len(statements):
            other = _counted(statements[end])
            if other is None or other[0] != start[0] or other[1] != start[1] + end - i:
                break
            if not _equal(statements[i], statements[end]):
                break
            end += 1
        if start and end - i >= LOOP:
            result.append(_loop(statements[i], start[0], start[1], start[1] + end - i - 1))
            i = end
        else:
            result.append(statements[i])
            i += 1
    return result


def _counted(statement: Statement) -> tuple[str, int] | None:
    """The name of an instance without its last number, and that number."""
    if not isinstance(statement, Layer) or statement.name is None:
        return None
    call = statement.chain.calls[0]
    if call.op.text in OPS or call.arguments is not None:
        return None
    match = re.fullmatch(r"(.*?[A-Za-z_])([1-9]\d{0,4}|0)", statement.name.base.text)
    return (match[1], int(match[2])) if match else None


def _equal(a: Statement, b: Statement) -> bool:
    if not (isinstance(a, Layer) and isinstance(b, Layer)):
        return False
    first, second = a.chain.calls[0], b.chain.calls[0]
    return first.op.text == second.op.text and _plain(first) == _plain(second)


def _plain(call: Call) -> list[object]:
    return [(f.name.text, _value(f.value)) for f in call.fields]


def _value(e: Expression) -> object:
    match e:
        case Number() | ConstantNode() | String():
            return e.value
        case ShapeLiteral():
            return e.dims
        case ListLiteral():
            return tuple(_value(item) for item in e.items)
        case Unary():
            return (e.operator, _value(e.operand))
        case Binary():
            return (e.operator, _value(e.left), _value(e.right))
        case Variable():
            return e.name
        case _:
            return id(e)


def _loop(statement: Statement, base: str, first: int, last: int) -> For:
    assert isinstance(statement, Layer)
    span = statement.span
    name = LayerName(Name(base, span), (Variable("i", span),), span)
    body = Layer(name, statement.chain, span)
    start, end = Number(Fraction(first), span), Number(Fraction(last), span)
    return For(Name("i", span), start, end, (body,), span)


__all__ = ["Module", "Tree", "Writer"]
