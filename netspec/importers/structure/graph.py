"""A net as a flat list of nodes: ops of the language with their fields, inputs and places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import prod
from typing import Any

from netspec.diagnostics.source import Span
from netspec.lazy_dataclasses import dataclass, field
from netspec.ops import OPS, IndexShape, Op, Shape, attributes
from netspec.symbolic.expr import Num

ConstantValue = Fraction | bool | str | tuple[Fraction, ...]
"""A field's value: a number, `true` or `false`, a bare word, or several numbers."""


@dataclass(frozen=True)
class FieldValue:
    """The value of a field, and where the imported file says so."""

    value: ConstantValue
    span: Span


@dataclass(eq=False)
class GraphValue:
    """A result of a node, or a data input (`node` is None).

    `result` is the result's name where it is not the node's first.
    """

    node: Node | None = field(repr=False)
    shape: Shape
    result: str = ""


@dataclass(eq=False)
class Node:
    """One use of an op, for the layer called `name` in the imported file.

    One layer may become several nodes; `is_step` is set for those that are only a step towards its
    result.
    """

    op: str
    inputs: list[GraphValue]
    settings: dict[str, FieldValue]
    name: str
    span: Span
    places: list[Span]
    """Where the imported file names each input."""
    in_place: bool = False
    """Whether its layer overwrites its input in the imported file."""
    is_step: bool = False
    pools_all: bool = False
    """Whether it pools over its whole input, whatever the size."""
    origins: dict[str, Any] = field(default_factory=dict)
    """Where the numbers of each tensor lie, in the importer's own terms."""
    outputs: list[GraphValue] = field(default_factory=list)
    size_of: GraphValue | None = None
    """The value from which its `size` is taken."""
    shares: Node | None = None
    """The earlier node whose weights it has."""

    @property
    def value(self) -> GraphValue:
        """The first result."""
        return self.outputs[0]

    def infer_outputs(self) -> None:
        """Make the results, of the shapes that the op says. Raises as `bound` does."""
        op = self.bound()
        shapes = op.outputs([v.shape for v in self.inputs])
        plain = [s if isinstance(s, IndexShape) else tuple(int(d) for d in s) for s in shapes]
        several = len(plain) > 1
        self.outputs = [
            GraphValue(self, shape, name if several and i else "")
            for i, (shape, name) in enumerate(zip(plain, op.result_names, strict=True))
        ]

    @property
    def most_elements(self) -> int:
        """How many numbers the largest result has."""
        return max(prod(v.shape) for v in self.outputs)

    def bound(self) -> Op:
        """The op for its inputs' shapes. Raises AttributeTypeError and ShapeError."""
        declared = {a.name: a.kind for a in attributes(OPS[self.op])}
        values = {n: declared[n].convert(as_constant(s.value)) for n, s in self.settings.items()}
        return OPS[self.op](**values).bind([v.shape for v in self.inputs])


@dataclass
class DataInput:
    """A data input: its value, its name in the imported file, and its fields."""

    value: GraphValue
    name: str
    span: Span
    settings: dict[str, FieldValue]


@dataclass
class Graph:
    """A net. Nodes are in order: each takes only inputs and results of earlier nodes.

    With `modules`, names are paths such as `layer1.0.conv1` of modules inside each other.
    """

    inputs: list[DataInput]
    nodes: list[Node]
    outputs: list[GraphValue]
    replaced: dict[GraphValue, GraphValue] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)
    """How many nodes were removed since they compute nothing of use, by what they are."""
    modules: Mapping[str, str] | None = None
    """The class of each module of the original, by its path, as far as that is known."""

    def current(self, value: GraphValue | None) -> GraphValue | None:
        """What a value was replaced by; itself where it was not."""
        while value in self.replaced:
            value = self.replaced[value]
        return value

    def uses(self) -> dict[GraphValue, list[Node]]:
        """The nodes that take each value."""
        found: dict[GraphValue, list[Node]] = {}
        for node in self.nodes:
            for value in dict.fromkeys(node.inputs):
                found.setdefault(value, []).append(node)
        return found

    def replace_value(
        self, old: GraphValue, new: GraphValue, uses: dict[GraphValue, list[Node]]
    ) -> None:
        """Replace a value wherever it is taken, and keep `uses` (of `self.uses()`) up to date."""
        self.replaced[old] = new
        for node in uses.pop(old, []):
            node.inputs = [new if v is old else v for v in node.inputs]
            uses.setdefault(new, []).append(node)
        self.outputs = [new if v is old else v for v in self.outputs]

    def remove(self, nodes: Iterable[Node]) -> None:
        """Remove nodes that nothing uses any more."""
        gone = set(map(id, nodes))
        self.nodes = [n for n in self.nodes if id(n) not in gone]


def as_constant(value: ConstantValue) -> Any:
    """A field's value as a constant of the language."""
    if isinstance(value, tuple):
        return tuple(Num(v) for v in value)
    called = bracketed(value) if isinstance(value, str) else None
    if called is not None:
        word, inner = called
        return word, *(Num(i) if isinstance(i, Fraction) else i for i in inner)
    return Num(value) if isinstance(value, Fraction) else value


def bracketed(value: str) -> tuple[str, list[str | Fraction]] | None:
    """`uniform(0, 1)` as a word and what stands in its brackets; None without brackets."""
    word, bracket, inside = value.removesuffix(")").partition("(")
    if not bracket:
        return None
    return word, [i if i.isidentifier() else Fraction(i) for i in inside.split(", ")]
