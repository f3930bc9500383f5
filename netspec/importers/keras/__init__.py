"""Keras's files of models, read as specs: `.keras`, and Keras 2's `.h5`.

In:  a file: its config (JSON), and where its weights lie. Keras itself is never imported, and
     nothing in a file is run.
Out: a `TensorProgram` (`importers/tensors`), of which the net is made like those of other tools.

stored       the file: its config as JSON, its weights where they are asked for
config       the models and layers of a config, its two forms as one
translate    the layers as operations, one after the other, channels in front
layers       a rule for each class of layers
name_groups  modules in names without dots
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.importers.imported import ImportedNet
from netspec.importers.keras.config import model_of
from netspec.importers.keras.error import KerasError
from netspec.importers.keras.layers import rule_of
from netspec.importers.keras.name_groups import automatic_names, other_names
from netspec.importers.keras.stored import opened
from netspec.importers.keras.translate import translate
from netspec.importers.tensors.imported import imported
from netspec.syntax.ast import Definition
from netspec.syntax.formatter import format_text
from netspec.syntax.unparse import unparse


def read(
    path: Path, shapes: Mapping[str, tuple[int, ...]], diagnostics: Diagnostics
) -> ImportedNet | None:
    """The tree of a model; None, and diagnostics, where it can't be expressed."""
    try:
        file = opened(path)
        model = model_of(file)
        program = translate(model, file, shapes, rule_of)
    except KerasError as error:
        diagnostics.add(Diagnostic(error.code, error.message, error.span, help=error.help))
        return None
    found = imported(program, diagnostics)
    if found is None:
        return None
    # Modules by names, or by what repeats: the shorter text says more of the net.
    others = other_names(program, automatic_names(model))
    nets = [found, *(imported(other, Diagnostics()) for other in others)]
    return min((net for net in nets if net is not None), key=_lines)


def _lines(net: ImportedNet) -> int:
    """How many lines the text of a net has."""
    definitions = [item for item in net.file.items if isinstance(item, Definition)]
    return len(format_text(unparse(definitions, ())).splitlines())
