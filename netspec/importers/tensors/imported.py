"""A program over tensors as a tree of the language."""

from __future__ import annotations

from pathlib import PurePath

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.importers.imported import Found, ImportedNet
from netspec.importers.spec_tree.tree import NetHeading, structured_tree
from netspec.importers.structure.names import identifier
from netspec.importers.structure.sharing import not_shared, settle_sharing
from netspec.importers.structure.simplify import simplify
from netspec.importers.tensors.patterns import with_patterns
from netspec.importers.tensors.program import TensorProgram
from netspec.importers.tensors.translate import translate
from netspec.importers.tensors.translation import TranslationError


def imported(program: TensorProgram, diagnostics: Diagnostics) -> ImportedNet | None:
    """The tree of a program; None, and diagnostics, where it can't be expressed."""
    try:
        graph = translate(with_patterns(program))
    except TranslationError as error:
        diagnostics.add(error.diagnostic)
        return None
    simplify(graph)
    for one in settle_sharing(graph):
        diagnostics.add(not_shared(one))
    file = PurePath(program.source.name).name
    if not graph.nodes or not graph.inputs:
        diagnostics.add(Diagnostic("missing-value", f"{file} computes nothing of an input"))
        return None
    heading = NetHeading(identifier(program.name, "net") or "net_", f"From {file}.", program.source)
    classifies = all(len(v.shape) == 1 for v in graph.outputs)
    tree = structured_tree(graph, heading, classifies)
    in_file = Found(program.nodes or len(program.operations), program.left_out + graph.left_out)
    return ImportedNet(tree.file, tree.nodes, tuple(program.notes), in_file)
