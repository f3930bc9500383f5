"""The statements of a net."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

from netspec.diagnostics.source import Span
from netspec.importers.spec_tree.body_writer import BodyWriter
from netspec.importers.spec_tree.expressions import field_value, number
from netspec.importers.spec_tree.loops import with_loops
from netspec.importers.structure.attributes import COUNTS, attribute_values
from netspec.importers.structure.chains import NodeChain
from netspec.importers.structure.graph import DataInput, FieldValue, Graph, GraphValue, Node
from netspec.importers.structure.instances import ModuleInstance
from netspec.importers.structure.names import UniqueNames, free_name, identifier
from netspec.importers.structure.parameters import Formula, Scaled
from netspec.importers.structure.planned_modules import PlannedModule
from netspec.ops import OPS
from netspec.syntax.ast import (
    Attribute,
    Call,
    Chain,
    Expression,
    Field,
    Input,
    LayerName,
    LayerStatement,
    ListLiteral,
    Name,
    Number,
    Output,
    Result,
    ShapeLiteral,
    Statement,
)


class NetWriter(BodyWriter):
    """Writes a net: its inputs, its chains, and instances of its modules.

    `classes` is the node whose filters or units are the net's parameter `classes`, if there is one.
    """

    def __init__(
        self, graph: Graph, modules: Sequence[PlannedModule], classes: Node | None, file: Span
    ) -> None:
        super().__init__()
        self.graph = graph
        self.classes = classes
        self.file = file
        self.instances = {i.first: (m, i) for m in modules for i in m.instances}
        """By the index of its first chain."""
        self.ends: dict[GraphValue, GraphValue] = {}
        """The value of the chain that a value is in."""

    def net(self, chains: Sequence[NodeChain]) -> list[Statement]:
        """The statements of the net that consists of these chains."""
        for given, statement in zip(self.graph.inputs, net_inputs(self.graph), strict=True):
            self.names.taken.add(statement.name.text)
            self.name_of[given.value] = statement.name.text
            self.current = given.value
            self.statements.append(statement)
        self.ends = {n.value: chain.value for chain in chains for n in chain.nodes}
        needed = self._needed_names(chains)
        used_again = {c.repeats.value for c in chains if c.repeats is not None}
        callables = {*OPS, *(m.name for m, _ in self.instances.values())}
        if self.classes is not None:
            self.names.taken.add("classes")
        i = 0
        while i < len(chains):
            if i in self.instances:
                module, instance = self.instances[i]
                self._instance(module, instance)
                i = instance.end
                continue
            chain = chains[i]
            name = "" if chain.only_steps else identifier(chain.head.name, chain.head.op)
            if chain.value in used_again and name in callables:
                name += "_"  # else a call of it would be one of the op or module
            formulas = [self._formulas(node) for node in chain.nodes]
            self.chain(chain, name, chain.value in needed, formulas)
            i += 1
        if self.graph.outputs != [self.current]:
            results = tuple(self._result(i, v) for i, v in enumerate(self.graph.outputs))
            self.statements.append(Output(results, self.file))
        return with_loops(self.statements)

    def _result(self, place: int, value: GraphValue) -> Result:
        """A result of the net; one that it gives before gets a name of its own."""
        reference = self.reference(value, self.file)
        if value not in self.graph.outputs[:place]:
            return Result(None, reference, self.file)
        base = self.name_of[value].replace(".", "_")
        return Result(Name(self.names.free(base), self.file), reference, self.file)

    def _formulas(self, node: Node) -> Mapping[str, Formula]:
        found = attribute_values(node)
        if node is not self.classes:
            return found
        return {name: Scaled("classes") if name in COUNTS else v for name, v in found.items()}

    def size_reference(self, node: Node, span: Span) -> Expression | None:
        value = self._size_source(node)
        if value is None or value not in self.name_of or len(value.shape) != 3:
            return None
        return Attribute(self.reference(value, span), Name("shape", span), span)

    def _size_source(self, node: Node) -> GraphValue | None:
        """The value of a chain, or input, that has the size which a node takes from a value."""
        value = self.graph.current(node.size_of)
        end = self.ends.get(value) if value is not None else None
        return end if end is not None and value and end.shape[1:] == value.shape[1:] else value

    def _needed_names(self, chains: Sequence[NodeChain]) -> set[GraphValue]:
        """The values that need a name, since not only the next statement takes them."""
        graph = self.graph
        needed: set[GraphValue] = set()
        current = graph.inputs[-1].value if graph.inputs else None
        i = 0
        while i < len(chains):
            if i in self.instances:
                _, instance = self.instances[i]
                inputs, output, i = instance.inputs, instance.output, instance.end
                # Of several results, the first is called by its name as well.
                needed.update(instance.outputs if len(instance.outputs) > 1 else ())
            else:
                needed.update(chains[i].inputs if chains[i].repeats is not None else ())
                sizes = (self._size_source(n) for n in chains[i].nodes)
                needed.update(v for v in sizes if v is not None)
                inputs, output, i = chains[i].inputs, chains[i].value, i + 1
            if inputs != [current]:
                needed.update(inputs)
            current = output
        if graph.outputs != [current]:
            needed.update(graph.outputs)
        # A result beside the first is reached through the name of the first.
        return needed | {v.node.value for v in needed if v.node is not None}

    def _instance(self, module: PlannedModule, instance: ModuleInstance) -> None:
        span = instance.chains[0].head.span
        name = free_name(identifier(instance.label, "block") or module.name, self.names)
        arguments = None
        if instance.inputs != [self.current]:
            arguments = tuple(self.reference(v, span) for v in instance.inputs)
        index = module.instances.index(instance)
        fields = tuple(
            Field(Name(p.name, span), field_value(p.given[index], p.name, span), span)
            for p in module.plan.parameters
            if p.default is None or p.given[index] != p.default
        )
        call = Call(Name(module.name, span), arguments, fields, span)
        layer_name = LayerName(Name(name, instance.chains[0].head.span), (), span)
        self.statements.append(LayerStatement(layer_name, Chain((call,), span), span))
        self.name_of[instance.output] = name
        for value, result in zip(instance.outputs, module.results, strict=False):
            self.name_of[value] = f"{name}.{result}"
        self.current = instance.output
        order = instance.chains
        if module.branch is not None:
            extra = [chain for chain in (instance.shortcut, instance.merge) if chain is not None]
            order = [*instance.body, *extra]
        self.nodes += [n for chain in order for n in chain.nodes]


def net_inputs(graph: Graph) -> list[Input]:
    """The inputs of a net, each with a name of its own."""
    names = UniqueNames()
    return [_input(g, names.free(identifier(g.name, "data") or "data")) for g in graph.inputs]


def _input(given: DataInput, name: str) -> Input:
    span, dims = given.span, tuple(given.value.shape)
    pattern = ShapeLiteral(dims, span) if len(dims) > 1 else Number(Fraction(dims[0]), span)
    fields = tuple(
        Field(Name(n, s.span), _input_value(s), s.span) for n, s in given.settings.items()
    )
    return Input(Name(name, span), pattern, fields, span)


def _input_value(setting: FieldValue) -> Expression:
    if isinstance(setting.value, tuple):
        items = tuple(number(v, setting.span) for v in setting.value)
        return ListLiteral(items, setting.span)
    return field_value(setting.value, "", setting.span)
