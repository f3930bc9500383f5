"""A graph with its modules as a tree of the language, whose places are in the prototxt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from netspec.diagnostics.source import Source, Span
from netspec.importers.caffe.attributes import COUNTS, is_default, values
from netspec.importers.caffe.fillers import constant_node
from netspec.importers.caffe.graph import (
    Constant,
    DataInput,
    FieldValue,
    Graph,
    GraphValue,
    Node,
)
from netspec.importers.caffe.lines import NodeChain
from netspec.importers.caffe.names import (
    UniqueNames,
    behind,
    identifier,
    long_stem,
    short_name,
    stem,
)
from netspec.importers.caffe.parameters import (
    ChannelsOf,
    Condition,
    Formula,
    Formulas,
    ModulePlan,
    Scaled,
    condition,
    fitted,
    plan_of,
)
from netspec.importers.caffe.structure import (
    ModuleInstance,
    ModuleInstances,
    label,
    line_signature,
    signature,
)
from netspec.ops import OPS
from netspec.syntax.ast import (
    Attribute,
    Binary,
    Call,
    Chain,
    Comparison,
    Definition,
    Expression,
    Field,
    For,
    Function,
    If,
    Input,
    LayerName,
    LayerStatement,
    ListLiteral,
    Logic,
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
from netspec.syntax.ast import Constant as ConstantNode

LOOP = 4
"""From how many equal instances on a loop is written."""
_PAIRS = {"kernel", "size"}
"""Fields that are written as `3x3`."""


@dataclass
class FoundModule:
    """A module: its name, its instances, how its fields are written, and the names of its lines.

    The first instance is the one that is written; it has all lines that any has. `lines` are those
    that all have. `branch` says when an instance has a line on its shortcut, or none.
    """

    name: str
    kind: str
    parts: list[ModuleInstance]
    lines: list[NodeChain]
    plan: ModulePlan
    names: dict[NodeChain, str]
    shortcut: Formulas | None = None
    branch: Condition | None = None


@dataclass
class Tree:
    """The definitions, and the nodes in the order in which the spec's layers come."""

    items: list[Definition]
    nodes: list[Node]


class TreeWriter:
    """Writes one net. `classes` is the name of the parameter for the filters of `last`."""

    def __init__(self, source: Source, graph: Graph, name: str, doc: str) -> None:
        self.source = source
        self.graph = graph
        self.name = name
        self.doc = doc
        self.everywhere = Span(source, 0, 0)

    def tree(
        self, lines: Sequence[NodeChain], groups: Sequence[ModuleInstances], last: Node | None
    ) -> Tree:
        modules = self._modules(groups)
        body = _StatementWriter(self, modules)
        in_order = sorted(modules, key=lambda m: min(p.first for p in m.parts))
        definitions = [self.definition(m) for m in in_order]
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

    def _modules(self, groups: Sequence[ModuleInstances]) -> list[FoundModule]:
        names = UniqueNames([*OPS, "net", "module", "import", self.name])
        modules = []
        stems = Counter(stem([label(p) for p in group.parts]) for group in groups)
        for group in sorted(groups, key=lambda g: -len(g.parts)):
            labels = [label(p) for p in group.parts]
            wanted = stem(labels)
            if stems[wanted] > 1:
                longer = long_stem(labels)
                wanted = longer if len(longer) > len(wanted) else wanted
            if wanted in OPS or not identifier(wanted, "block"):
                wanted = _character(group.parts[0])
            elif wanted in names.taken:
                wanted = f"{wanted}_{_character(group.parts[0])}"
            for one in _fitting(group):
                name = names.free(identifier(wanted, "block"))
                modules.append(_module_of(name, one))
        return modules

    def definition(self, module: FoundModule) -> Definition:
        body = _StatementWriter(self, [])
        statements = body.module(module)
        span = module.parts[0].lines[0].head.span
        params = tuple(
            Param(
                Name(p.name, span),
                None if p.default is None else self.constant(p.default, p.name, span),
                span,
            )
            for p in module.plan.parameters
        )
        return Definition("module", Name(module.name, span), params, tuple(statements), "", span)

    # --- expressions -----------------------------------------------------------------------------

    def constant(self, value: Constant, name: str, span: Span) -> Expression:
        """A constant as an author would write it in the field `name`."""
        if isinstance(value, bool | str):
            return constant_node(value, span)
        if isinstance(value, Fraction):
            return self.number(value, span)
        whole = all(v.denominator == 1 and v >= 0 for v in value)
        if len(value) == 2 and value[0] == value[1] and name not in _PAIRS:
            return self.number(value[0], span)
        if len(value) == 2 and whole and max(value) < 10**9 and name != "parts":
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

    def formula(self, f: Formula, name: str, span: Span, body: _StatementWriter) -> Expression:
        if not isinstance(f, Scaled):
            return self.constant(f, name, span)
        base: Expression
        if isinstance(f.base, ChannelsOf):
            base = Attribute(body.reference(f.base.value, span), Name("channels", span), span)
        else:
            base = Variable(f.base, span)
        if f.factor == 1:
            return base
        if isinstance(f.factor, str):
            return Binary("*", Variable(f.factor, span), base, span)
        if f.factor < 1:
            return Binary("/", base, Number(1 / f.factor, span), span)
        return Binary("*", Number(f.factor, span), base, span)

    def fields(
        self, node: Node, formulas: Mapping[str, Formula], body: _StatementWriter
    ) -> tuple[Field, ...]:
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
class _StatementWriter:
    """The statements of the net or of one module."""

    writer: TreeWriter
    modules: list[FoundModule]
    classes: tuple[Node, str] | None = None
    nodes: list[Node] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    names: UniqueNames = field(default_factory=UniqueNames)
    called: dict[GraphValue, str] = field(default_factory=dict)
    current: GraphValue | None = None

    # --- the net ---------------------------------------------------------------------------------

    def net(self, lines: Sequence[NodeChain]) -> list[Statement]:
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
        self, lines: Sequence[NodeChain], at: dict[int, tuple[FoundModule, ModuleInstance]]
    ) -> set[GraphValue]:
        """The values that are referred to by name, since they do not just flow into the next."""
        graph = self.writer.graph
        needed: set[GraphValue] = set()
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

    def _input_value(self, setting: FieldValue) -> Expression:
        if isinstance(setting.value, tuple):
            items = tuple(self.writer.number(v, setting.span) for v in setting.value)
            return ListLiteral(items, setting.span)
        return self.writer.constant(setting.value, "", setting.span)

    # --- modules ---------------------------------------------------------------------------------

    def module(self, module: FoundModule) -> list[Statement]:
        part = module.parts[0]
        span = part.lines[0].head.span
        self.names.taken |= {p.name for p in module.plan.parameters}
        for i, value in enumerate(part.inputs):
            name = self.names.free("x" if len(part.inputs) == 1 else "xyz"[i])
            self.called[value] = name
            self.statements.append(Input(Name(name, span), None, (), span))
            self.current = value
        referred = _referred(module)
        for line, formulas in zip(module.lines, module.plan.lines, strict=True):
            if line is part.join and module.branch is not None:
                self._branches(module, line)
                continue
            last = line is module.lines[-1] and module.branch is None
            joins = last and not any(n.blobs for n in line.nodes) and len(line.inputs) > 1
            needed = line.value in referred
            steps = not needed and _only_steps(line)
            shown = "" if steps or (joins and not needed) else module.names[line]
            self._line(line, shown, needed, _by_node(formulas, line))
        if module.kind == "adding" and part.join is not None:
            self._branches(module, part.join)
        if part.output is not self.current:
            self.statements.append(Output((self.reference(part.output, span),), span))
        self.statements = _with_loops(self.statements)
        return self.statements

    def _branches(self, module: FoundModule, join: NodeChain) -> None:
        """The `if` around a shortcut, or around adding one at all."""
        part, branch = module.parts[0], module.branch
        assert branch is not None, "only a module with a branch has lines that not all have"
        span, x = join.head.span, part.inputs[0]
        outer, main = (
            self.statements,
            next(v for v in join.inputs if v in self.called and v is not x),
        )
        branches: list[tuple[Statement, ...]] = []
        for short in (part.shortcut, None):
            self.statements = []
            value = x
            if short is not None:
                assert module.shortcut is not None, "a shortcut has formulas"
                self._line(short, module.names[short], True, _by_node(module.shortcut, short))
                value = short.value
            first, second = (value, main) if join.inputs[1] is main else (main, value)
            arguments = (self.reference(first, span), self.reference(second, span))
            add = Call(Name("add", span), arguments, (), span)
            self.statements.append(LayerStatement(None, Chain((add,), span), span))
            branches.append(tuple(self.statements))
        self.statements = outer
        condition = self._condition(module, branch, span)
        otherwise = branches[1] if module.kind == "projecting" else ()
        self.statements.append(If(((condition, branches[0]),), otherwise, span))
        if len(join.nodes) > 1:
            calls = tuple(
                Call(Name(n.op, n.span), None, self.writer.fields(n, values(n), self), n.span)
                for n in join.nodes[1:]
            )
            self.statements.append(LayerStatement(None, Chain(calls, span), span))
        self.current = join.value

    def _condition(self, module: FoundModule, branch: Condition, span: Span) -> Expression:
        if branch.flag:
            return Variable(branch.flag, span)
        w, x = self.writer, module.parts[0].inputs[0]
        assert branch.channels is not None, "without a flag, channels are compared"
        differs, joined = ("!=", "or") if module.kind == "projecting" else ("==", "and")
        channels = Attribute(self.reference(x, span), Name("channels", span), span)
        count = w.formula(branch.channels, "filters", span, self)
        shapes = Comparison(channels, ((differs, count),), span)
        if not branch.stride:
            return shapes
        one = Number(Fraction(1), span)
        strides = Comparison(Variable(branch.stride, span), ((differs, one),), span)
        return Logic("or" if joined == "or" else "and", (strides, shapes), span)

    def _instance(self, module: FoundModule, part: ModuleInstance) -> None:
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
        self.statements.append(LayerStatement(layer_name, Chain((call,), span), span))
        self.called[part.output] = name
        self.current = part.output
        order = part.lines
        if module.branch is not None:
            extra = [line for line in (part.shortcut, part.join) if line is not None]
            order = [*part.body, *extra]
        self.nodes += [n for line in order for n in line.nodes]

    # --- lines -----------------------------------------------------------------------------------

    def _line(
        self,
        line: NodeChain,
        wanted: str,
        needed: bool,
        formulas: Sequence[Mapping[str, Formula]] | None,
    ) -> None:
        w, head = self.writer, line.head
        own = bool(wanted) and not _only_steps(line)
        name = ""
        # In a module every line has a name that fits.
        text = identifier(wanted, head.op) if own or formulas is not None else ""
        if text or needed or any(n.blobs for n in line.nodes):
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
            given: Mapping[str, Formula] = values(node) if formulas is None else formulas[j]
            if self.classes is not None and node is self.classes[0]:
                given = {**given, self.classes[1]: Scaled("classes")}
            fields = w.fields(node, given, self)
            calls.append(Call(Name(node.op, node.span), arguments, fields, node.span))
        span = head.span
        layer_name = LayerName(Name(name, span), (), span) if name else None
        self.statements.append(LayerStatement(layer_name, Chain(tuple(calls), span), span))
        if name:
            self.called[line.value] = name
            for value in line.outputs[1:]:
                self.called[value] = f"{name}.{value.result}"
        self.current = line.value
        if name:
            # What the chain calls its further layers.
            self.names.taken |= {f"{name}_{node.op}" for node in line.nodes[1:]}
        self.nodes += line.nodes

    def _free(self, wanted: str, op: str) -> str:
        """A free name that no nameless layer gets by itself, such as `relu_1`."""
        match = re.fullmatch(r"([a-z0-9_]+?)_\d+", wanted)
        if match and match[1] in OPS:
            wanted = f"{wanted}_"
        return self.names.free(wanted)

    def reference(self, value: GraphValue, span: Span) -> Reference:
        """The name of a value, or of one of several results."""
        base, _, result = self.called[value].partition(".")
        if not result:
            return Variable(base, span)
        return Attribute(Variable(base, span), Name(result, span), span)


def _fitting(group: ModuleInstances) -> list[ModuleInstances]:
    """The group; where its shortcuts can't be said in terms of the rest, those of one kind each."""
    if group.kind != "projecting":
        return [group]
    shortcuts = {line_signature(p.shortcut) for p in group.parts if p.shortcut is not None}
    if len(shortcuts) == 1 and _module_of("", group).shortcut is not None:
        return [group]
    by_shape: dict[object, list[ModuleInstance]] = {}
    for part in group.parts:
        by_shape.setdefault(signature(part, part.lines, part.output), []).append(part)
    return [ModuleInstances(parts) for parts in by_shape.values() if len(parts) > 1]


def _module_of(name: str, group: ModuleInstances) -> FoundModule:
    """A module with its plan; the first of its parts becomes one that has all lines."""
    full = max(group.parts, key=lambda p: (len(p.lines), -p.first))
    parts = [full, *(p for p in group.parts if p is not full)]
    bodies = [_body(p, group.kind) for p in parts]
    names = _line_names(parts, bodies)
    if full.shortcut is not None and group.kind == "projecting":
        called = [behind(p.shortcut.head.name, label(p)) for p in parts if p.shortcut is not None]
        text = identifier(called[0], "conv") if called.count(called[0]) * 2 > len(called) else ""
        taken = UniqueNames([*names.values(), "x"])
        names[full.shortcut] = taken.free(text or "shortcut")
    plan = plan_of(parts, bodies, list(names.values()))
    module = FoundModule(name, group.kind, parts, bodies[0], plan, names)
    if group.kind == "projecting":
        which = [i for i, p in enumerate(parts) if p.shortcut is not None]
        shortcuts = [s for p in parts if (s := p.shortcut) is not None]
        assert full.shortcut is not None, "the fullest part has the shortcut"
        module.shortcut = fitted(plan, full.shortcut, shortcuts, which)
        filters = next(
            (f for (j, n), f in (module.shortcut or {}).items() if j == 0 and n == "filters"), None
        )
        changed = [p.shortcut is not None for p in parts]
        module.branch = condition(plan, parts, changed, filters, "project", True, names.values())
    elif group.kind == "adding":
        weighted = [i for i, line in enumerate(bodies[0]) if line.head.op == "conv"]
        filters = plan.lines[weighted[-1]][0, "filters"] if weighted else None
        changed = [p.join is None for p in parts]
        module.branch = condition(plan, parts, changed, filters, "residual", False, names.values())
    return module


def _body(part: ModuleInstance, kind: str) -> list[NodeChain]:
    """The lines that all instances of the module have."""
    if kind == "equal":
        return part.lines
    joins = [part.join] if part.join is not None and kind == "projecting" else []
    return [*part.body, *joins]


def _by_node(formulas: Formulas, line: NodeChain) -> list[dict[str, Formula]]:
    return [{name: formulas[j, name] for name in values(n)} for j, n in enumerate(line.nodes)]


def _referred(module: FoundModule) -> set[GraphValue]:
    """The values of the written instance that do not just flow into the next line."""
    part = module.parts[0]
    referred: set[GraphValue] = set()
    current = part.inputs[-1]
    for line in module.lines:
        if line.inputs != [current]:
            referred.update(line.inputs)
        current = line.value
    if part.join is not None:
        referred.update(part.join.inputs)
    if part.output is not current:
        referred.add(part.output)
    formulas = [f for line in module.plan.lines for f in line.values()]
    formulas += (module.shortcut or {}).values()
    for f in formulas:
        if isinstance(f, Scaled) and isinstance(f.base, ChannelsOf):
            referred.add(f.base.value)
    return referred | {v.node.value for v in referred if v.node is not None}


def _line_names(
    parts: Sequence[ModuleInstance], bodies: Sequence[Sequence[NodeChain]]
) -> dict[NodeChain, str]:
    """What the lines of a module are called: what is left of their names without the instance's."""
    names = UniqueNames(["x"])
    wanted: list[str] = []
    for i, line in enumerate(bodies[0]):
        heads = [body[i].head.name for body in bodies]
        choices = [behind(h, label(p)) for h, p in zip(heads, parts, strict=True)]
        best = max(choices, key=choices.count)
        agreed = choices.count(best) * 2 > len(choices) and not _only_steps(line)
        wanted.append(identifier(best, line.head.op) if agreed else "")
    nameless = [short_name(b.head.op) for b, w in zip(bodies[0], wanted, strict=True) if not w]
    given: Counter[str] = Counter()
    found: dict[NodeChain, str] = {}
    for line, text in zip(bodies[0], wanted, strict=True):
        if not text:
            text = short_name(line.head.op)
            given[text] += 1
            text += str(given[text]) if nameless.count(text) > 1 else ""
        found[line] = names.free(text)
    return found


def _only_steps(line: NodeChain) -> bool:
    """Whether a line is only on the way to a layer's value, such as the flatten of a linear."""
    return all(n.part and not n.blobs for n in line.nodes)


def _character(part: ModuleInstance) -> str:
    """What a part without a name of its own is, by its convolutions and its last join."""
    convolutions = [line.head for line in part.lines if line.head.op == "conv"]
    joins = [line for line in part.lines if len(line.inputs) > 1]
    depthwise = any(values(n).get("groups") == "depthwise" for n in convolutions)
    if depthwise and len(convolutions) == 2:
        return "separable"
    if depthwise and len(convolutions) == 3:
        return "inverted_residual"
    if not joins:
        ops = {node.op for line in part.lines for node in line.nodes}
        return "pyramid_level" if {"avgpool", "upsample"} <= ops else "block"
    if joins[-1].head.op == "concat":
        return "dense_layer" if part.inputs[0] in joins[-1].inputs else "branches"
    return {"add": "residual", "mul": "gate"}.get(joins[-1].head.op, "block")


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
    if not isinstance(statement, LayerStatement) or statement.name is None:
        return None
    call = statement.chain.calls[0]
    if call.arguments is not None:
        return None
    match = re.fullmatch(r"(.*?[A-Za-z_])([1-9]\d{0,4}|0)", statement.name.base.text)
    return (match[1], int(match[2])) if match else None


def _equal(a: Statement, b: Statement) -> bool:
    if not (isinstance(a, LayerStatement) and isinstance(b, LayerStatement)):
        return False
    return list(map(_plain, a.chain.calls)) == list(map(_plain, b.chain.calls))


def _plain(call: Call) -> object:
    return call.op.text, [(f.name.text, _value(f.value)) for f in call.fields]


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
        case Function():
            return (e.name.text, *map(_value, e.arguments))
        case _:
            return id(e)


def _loop(statement: Statement, base: str, first: int, last: int) -> For:
    assert isinstance(statement, LayerStatement)
    span = statement.span
    name = LayerName(Name(base, span), (Variable("i", span),), span)
    body = LayerStatement(name, statement.chain, span)
    start, end = Number(Fraction(first), span), Number(Fraction(last), span)
    return For(Name("i", span), start, end, (body,), span)


__all__ = ["FoundModule", "Tree", "TreeWriter"]
