"""From a cfg to a tree of the language."""

from __future__ import annotations

from pathlib import PurePath

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.source import Source
from netspec.importers.darknet.cfg import CfgError, CfgSection, sections_of
from netspec.importers.darknet.order import DarknetOrigin, LayerNumbers
from netspec.importers.darknet.translate import Translated, translate
from netspec.importers.spec_tree.tree import NetHeading, SpecTree, structured_tree
from netspec.importers.structure.graph import Node
from netspec.importers.structure.names import identifier
from netspec.importers.structure.simplify import simplify
from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass
from netspec.syntax.ast import File


@dataclass(frozen=True)
class ImportedCfg:
    """A cfg as a tree of the language; `nodes` come in the order of the layers of the spec.

    `heads` are the sections in front of which the net ends, `dropped` those that only train;
    `blocks` say what a .weights file has, in its order.
    """

    file: File
    nodes: tuple[Node, ...]
    heads: tuple[CfgSection, ...]
    dropped: tuple[CfgSection, ...]
    blocks: tuple[LayerNumbers, ...]


def read(source: Source, diagnostics: Diagnostics) -> ImportedCfg | None:
    """The tree of a cfg; None, and diagnostics, where it can't be expressed."""
    sections = sections_of(source, diagnostics)
    if diagnostics.failed:
        return None
    if not sections[1:]:
        diagnostics.add(Diagnostic("no-net", f"{source.name} has no layers"))
        return None
    try:
        found = translate(sections)
    except CfgError as error:
        diagnostics.add(error.diagnostic)
        return None
    simplify(found.graph)
    if not found.graph.nodes:
        diagnostics.add(Diagnostic("missing-value", f"{source.name} computes nothing"))
        return None
    path = PurePath(source.name)
    heading = NetHeading(identifier(path.stem, "net") or "net_", f"From {path.name}.", source)
    tree = structured_tree(found.graph, heading, classifies=not found.heads)
    return _imported(tree, found)


def _imported(tree: SpecTree, found: Translated) -> ImportedCfg:
    heads, dropped = tuple(found.heads), tuple(found.dropped)
    return ImportedCfg(tree.file, tree.nodes, heads, dropped, tuple(found.blocks))


def origins(imported: ImportedCfg, net: Net) -> dict[str, DarknetOrigin]:
    """Where each tensor of the checked net lies in a .weights file."""
    found: dict[str, DarknetOrigin] = {}
    for node, layer in zip(imported.nodes, net.layers, strict=True):
        assert node.op == layer.op.keyword, "layers come in the order in which they were written"
        for name in layer.layer.tensors:
            if name in node.origins:
                number, part = node.origins[name]
                found[f"{layer.weights}.{name}"] = DarknetOrigin(number, part, imported.blocks)
    return found
