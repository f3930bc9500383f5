"""netspec convert: a prototxt, with a solver or without, as the text of a spec."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source
from netspec.importers.caffe.read_options import read_options
from netspec.importers.caffe.read_prototxt import ImportedPrototxt, read
from netspec.importers.caffe.schema import fields_of
from netspec.importers.caffe.solver import SolverRecipe, read_solver, recipe_of
from netspec.importers.caffe.training_facts import multipliers
from netspec.importers.convert import ConvertedSpec, converted_spec
from netspec.importers.spec_tree.spec_text import net_of_tree, spec_text
from netspec.util.recursion import deep_recursion

_FRACTION = fields_of("BatchNormParameter")["moving_average_fraction"].default
OF_TRAINING = {("batchnorm", "momentum"): 1 - Fraction(_FRACTION or 0)}
"""What batch norms without a moving_average_fraction have is of use in training only."""


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
        imported = read(source, options, diagnostics)
        if imported is None:
            return None
        net = net_of_tree(imported.file, left, diagnostics)
        if net is None or diagnostics.failed:
            return None
        recipe = SolverRecipe({}, [])
        if found is not None:
            recipe = recipe_of(found, imported.net)
        notes = [*imported.notes, *recipe.notes]
        if not recipe.settings:
            notes += _notes_on_training(imported)
        text = spec_text(imported.file, net, left, recipe.settings, notes, OF_TRAINING)
        return converted_spec(imported, net, text, notes)


def _notes_on_training(imported: ImportedPrototxt) -> list[str]:
    """A note on rates of single layers, which a spec without a training does not say."""
    lost = {}
    for layer in imported.net.layers:
        rates = [rate for rate, _, _ in multipliers(layer)]
        if layer.type != "BatchNorm" and rates and rates not in ([1], [1, 1], [1, 2]):
            lost[layer.name] = "x".join(f"{float(r):g}" for r in rates)
    if not lost:
        return []
    named = ", ".join(list(lost)[:8]) + (f" and {len(lost) - 8} more" if len(lost) > 8 else "")
    return [f"Left out, since no solver says how the net is trained: lr_mult of {named}."]
