"""Graphs of no tool in particular, built by hand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from netspec.diagnostics.source import Source, Span
from netspec.importers.structure.graph import DataInput, FieldValue, Graph, GraphValue, Node
from netspec.ops import IndexShape

SOURCE = Source("model.bin", "")
NOWHERE = Span(SOURCE, 0, 0)


class GraphMaker:
    """Adds nodes with the shapes that their ops compute."""

    def __init__(self, *shape: int) -> None:
        self.x = GraphValue(None, shape)
        self.graph = Graph([DataInput(self.x, "data", NOWHERE, {})], [], [])

    def add(self, op: str, name: str, *inputs: GraphValue, **fields: Any) -> GraphValue:
        settings = {
            n: FieldValue(Fraction(v) if type(v) is int else v, NOWHERE) for n, v in fields.items()
        }
        node = Node(op, list(inputs), settings, name, NOWHERE, [NOWHERE for _ in inputs])
        bound = node.bound()
        shapes = bound.outputs([v.shape for v in inputs])
        names = ["", *bound.result_names[1:]]
        node.outputs = [
            GraphValue(node, tuple(map(int, shape)), name)
            for shape, name in zip(shapes, names, strict=False)
            if not isinstance(shape, IndexShape)
        ]
        if op == "conv":
            node.origins = {"weight": name}
        self.graph.nodes.append(node)
        return node.value

    def done(self, *outputs: GraphValue) -> Graph:
        self.graph.outputs = list(outputs)
        return self.graph
