"""From a cfg to a tree of the language."""

from __future__ import annotations

from pathlib import PurePath

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.source import Source
from netspec.importers.darknet.cfg import CfgError, sections_of
from netspec.importers.darknet.order import DarknetOrigin, LayerNumbers
from netspec.importers.darknet.translate import Translated, translate
from netspec.importers.imported import Found, ImportedNet, tensor_origins
from netspec.importers.spec_tree.tree import NetHeading, structured_tree
from netspec.importers.structure.names import identifier
from netspec.importers.structure.simplify import simplify
from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass


@dataclass(frozen=True)
class ImportedCfg(ImportedNet):
    """A cfg as a tree of the language; `blocks` say what a .weights file has, in its order."""

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
    left_out = {"head": len(found.heads), "training section": len(found.dropped)}
    in_file = Found(len(sections) - 1, left_out | found.graph.left_out)
    return ImportedCfg(tree.file, tree.nodes, tuple(_notes(found)), in_file, tuple(found.blocks))


def _notes(found: Translated) -> list[str]:
    """Notes on the sections in front of which the net ends, and on those that only train."""
    notes = []
    for head in found.heads:
        options = [(name, head.options.get(name)) for name in ("classes", "mask", "anchors")]
        kept = "; ".join(f"{name} {given.text}" for name, given in options if given is not None)
        line = f"[{head.name}] in line {head.span.line}"
        notes.append(f"The net ends in front of {line}: {kept}.")
    if found.dropped:
        names = ", ".join(f"[{s.name}]" for s in found.dropped)
        notes.append(f"Left out, since it serves training: {names}.")
    return notes


def origins(imported: ImportedCfg, net: Net) -> dict[str, DarknetOrigin]:
    """Where each tensor of the checked net lies in a .weights file."""
    found: dict[str, DarknetOrigin] = {}
    for layer, name, (number, part) in tensor_origins(imported, net):
        found[f"{layer.weights}.{name}"] = DarknetOrigin(number, part, imported.blocks)
    return found
