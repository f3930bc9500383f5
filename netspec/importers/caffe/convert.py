"""netspec convert: a prototxt, with a solver or without, as the text of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source
from netspec.importers.caffe.read_options import read_options
from netspec.importers.caffe.read_prototxt import ImportedNet, read
from netspec.importers.caffe.solver import SolverRecipe, read_solver, recipe_of
from netspec.importers.spec_tree.spec_text import net_of_tree, spec_text
from netspec.lazy_dataclasses import dataclass
from netspec.util.recursion import deep_recursion


@dataclass(frozen=True)
class ConvertedSpec:
    """The text of a spec, the name of its net, and notes on what the spec leaves out."""

    text: str
    name: str
    notes: tuple[str, ...]


def convert(
    source: Source,
    settings: Mapping[str, Any],
    diagnostics: Diagnostics,
    solver: Source | None = None,
) -> ConvertedSpec | None:
    """The spec of a prototxt; None, and diagnostics, where it can't be expressed.

    `settings` are constants of the language: how to read the file (`read_options`), and new
    defaults of the net's parameters. With a solver's file, the spec says how the net is trained;
    `source` may be that file where it has the net inside.
    """
    with deep_recursion():
        options, left = read_options(settings, diagnostics)
        found = read_solver(solver, diagnostics) if solver is not None else None
        if diagnostics.failed:
            return None
        inside = found.net_inside if found is not None and solver is source else None
        imported = read(source, options, diagnostics, inside)
        if imported is None:
            return None
        net = net_of_tree(imported.file, left, diagnostics)
        if net is None or diagnostics.failed:
            return None
        recipe = SolverRecipe({}, [])
        if found is not None:
            recipe = recipe_of(found, imported.net)
        notes = [*_notes_on(imported), *recipe.notes]
        text = spec_text(imported.file, net, left, recipe.settings, notes)
        return ConvertedSpec(text, net.name, tuple(notes))


def _notes_on(imported: ImportedNet) -> list[str]:
    """Notes on what the spec leaves out."""
    notes = []
    if imported.dropped:
        named = [f"{layer.name} ({layer.type})" for layer in imported.dropped[:8]]
        more = len(imported.dropped) - len(named)
        listed = ", ".join(named) + (f" and {more} more" if more else "")
        notes.append(f"Left out, since it serves training and measuring: {listed}.")
    for mean in imported.mean_files:
        notes.append(f"Caffe subtracts the mean picture {mean} from the input.")
    if imported.cut:
        layers = ", ".join(f"{layer.name} ({layer.type})" for layer in imported.cut)
        notes.append(f"The net ends in front of {layers}.")
    return notes
