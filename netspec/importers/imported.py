"""A file of another tool as a tree of the language, and where its tensors lie there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from netspec.importers.structure.graph import Node
from netspec.ir import FlatLayer, Net
from netspec.lazy_dataclasses import dataclass
from netspec.syntax.ast import File


@dataclass(frozen=True)
class Found:
    """How many nodes a file has, and of how many the spec has no layer, by what they are.

    What they are is a noun, such as `unused node`.
    """

    nodes: int
    left_out: Mapping[str, int]


@dataclass(frozen=True)
class ImportedNet:
    """A net of another tool as a tree of the language, and notes on what that leaves out.

    `nodes` come in the order of the layers of the spec.
    """

    file: File
    nodes: tuple[Node, ...]
    notes: tuple[str, ...]
    found: Found


def tensor_origins(imported: ImportedNet, net: Net) -> Iterator[tuple[FlatLayer, str, Any]]:
    """Each tensor of the checked net that has an origin: its layer, its name there, its origin."""
    for node, layer in zip(imported.nodes, net.layers, strict=True):
        assert node.op == layer.op.keyword, "layers come in the order in which they were written"
        for name in layer.layer.tensors:
            if name in node.origins:
                yield layer, name, node.origins[name]
