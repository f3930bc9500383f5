"""The statements of one body, of the net or of a module: what both share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netspec.diagnostics.source import Span
from netspec.importers.spec_tree.expressions import field_value
from netspec.importers.structure.attributes import attribute_values, is_default
from netspec.importers.structure.chains import NodeChain
from netspec.importers.structure.graph import GraphValue, Node
from netspec.importers.structure.names import UniqueNames, free_name, identifier
from netspec.importers.structure.parameters import ChannelsOf, Formula, Scaled
from netspec.syntax.ast import (
    Attribute,
    Binary,
    Call,
    Chain,
    Expression,
    Field,
    LayerName,
    LayerStatement,
    Name,
    Number,
    Reference,
    Statement,
    Variable,
)


class BodyWriter:
    """The statements so far, the names that they use, and the value that the last one gave."""

    def __init__(self) -> None:
        self.statements: list[Statement] = []
        self.nodes: list[Node] = []
        """The nodes in the order in which the spec's layers come."""
        self.names = UniqueNames()
        self.name_of: dict[GraphValue, str] = {}
        """The name by which a value is referred to."""
        self.current: GraphValue | None = None

    def chain(
        self,
        chain: NodeChain,
        name: str,
        needed: bool,
        formulas: Sequence[Mapping[str, Formula]],
    ) -> None:
        """Write a chain as one statement, `formulas` for each node.

        It is called `name`, or without a name when it is empty. A chain that has weights, or is
        `needed` by name, gets one in any case.
        """
        head = chain.head
        if not name and (needed or any(n.origins for n in chain.nodes)):
            base = identifier(head.name, head.op)
            name = f"{base}_{head.op}" if base else f"{head.op}_"
        if name:
            name = free_name(name, self.names)
        calls = []
        if chain.repeats is not None:
            inputs = dict(zip(head.inputs, head.places, strict=True))
            taken = tuple(self.reference(v, s) for v, s in inputs.items())
            line = Name(self.name_of[chain.repeats.value], head.span)
            calls.append(Call(line, taken, (), head.span))
        for node, given in zip(chain.nodes, formulas, strict=True) if not calls else ():
            arguments = None
            if node is head and node.inputs != [self.current]:
                arguments = tuple(
                    self.reference(v, s) for v, s in zip(node.inputs, node.places, strict=True)
                )
            fields = self.fields(node, given)
            calls.append(Call(Name(node.op, node.span), arguments, fields, node.span))
        span = head.span
        layer_name = LayerName(Name(name, span), (), span) if name else None
        self.statements.append(LayerStatement(layer_name, Chain(tuple(calls), span), span))
        self.current = chain.value
        self.nodes += chain.nodes
        if name:
            self.name_of[chain.value] = name
            for value in chain.outputs[1:]:
                self.name_of[value] = f"{name}.{value.result}"
            # What the chain calls its further layers.
            self.names.taken |= {f"{name}_{node.op}" for node in chain.nodes[1:]}

    def formula(self, f: Formula, name: str, span: Span) -> Expression:
        """A formula as the expression that is written in the field `name`."""
        if not isinstance(f, Scaled):
            return field_value(f, name, span)
        base: Expression
        if isinstance(f.base, ChannelsOf):
            base = Attribute(self.reference(f.base.value, span), Name("channels", span), span)
        else:
            base = Variable(f.base, span)
        if f.factor == 1:
            return base
        if isinstance(f.factor, str):
            return Binary("*", Variable(f.factor, span), base, span)
        if f.factor < 1:
            return Binary("/", base, Number(1 / f.factor, span), span)
        return Binary("*", Number(f.factor, span), base, span)

    def fields(self, node: Node, formulas: Mapping[str, Formula]) -> tuple[Field, ...]:
        """The fields of a node that need to be written, in the order of the op's declaration."""
        written = []
        for name in attribute_values(node):
            f = formulas[name]
            if not isinstance(f, Scaled) and is_default(node.op, name, f):
                continue
            span = node.settings[name].span if name in node.settings else node.span
            value = self.size_reference(node, span) if name == "size" else None
            value = value or self.formula(f, name, span)
            written.append(Field(Name(name, span), value, span))
        return tuple(written)

    def size_reference(self, node: Node, span: Span) -> Expression | None:
        """The expression `x.shape` for a node's size; None where it is written as a number."""
        return None

    def reference(self, value: GraphValue, span: Span) -> Reference:
        """The name of a value, or of one of several results."""
        base, _, result = self.name_of[value].partition(".")
        if not result:
            return Variable(base, span)
        return Attribute(Variable(base, span), Name(result, span), span)
