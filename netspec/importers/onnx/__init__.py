"""Files of ONNX, opsets 6 to 25, read as programs over tensors.

In:  a .onnx file, perhaps with data beside it; neither is trusted.
Out: a `TensorProgram`, which `importers/tensors` makes a spec of.

model_file      the file as protobuf, its tensors as constants, data in other files
listing         a line for each node, the text that diagnostics show
names           the paths of modules that names of nodes and weights say
values          values while nodes are gone through: tensors with their types
folding         nodes whose inputs are all known, computed
call            one node with its inputs, what rules ask of it and emit
inputs          the sizes of inputs
preparation     how pictures become inputs, as files of netspec's own note it
translate       all nodes in order: functions and branches opened up, each by its rule
rules           the rule of each operator, by subject
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from netspec.diagnostics import Diagnostic, Diagnostics, SpecError
from netspec.importers.imported import ImportedNet


def read(
    path: Path, shapes: Mapping[str, tuple[int, ...]], diagnostics: Diagnostics
) -> ImportedNet | None:
    """The net of a file; None, and diagnostics, where it can't be expressed."""
    try:
        from netspec.importers.onnx.translate import program_of
    except ImportError as error:
        message = f"reading {path.name} needs {error.name or 'onnx'}, which is not installed"
        help_ = ("pip install 'netspec-compiler[onnx]'",)
        diagnostics.add(Diagnostic("missing-package", message, help=help_))
        return None
    from netspec.importers.tensors.imported import imported

    try:
        return imported(program_of(path, shapes), diagnostics)
    except SpecError as error:
        for found in error.diagnostics:
            diagnostics.add(found)
        return None
