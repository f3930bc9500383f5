"""From a `.pt2` file, or a module, to a tree of the language."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.importers.imported import ImportedNet
from netspec.importers.tensors.imported import imported
from netspec.importers.tensors.program import TensorProgram
from netspec.importers.torch.exported import Exported, ModelError
from netspec.importers.torch.program import PlaceError, tensor_program
from netspec.importers.torch.schema import exported
from netspec.syntax.model_source import ModuleSource


def read(
    path: Path, shapes: Mapping[str, tuple[int, ...]], diagnostics: Diagnostics
) -> ImportedNet | None:
    """The net of a `.pt2` file; None, and diagnostics, where it can't be read or expressed.

    `shapes` are those of inputs by name, "" for any; they have to be the file's.
    """
    try:
        found = exported(path)
        _compare(found, shapes)
    except ModelError as error:
        diagnostics.add(Diagnostic(error.code, f"{path} {error}", help=error.help))
        return None
    program = program_of(found, diagnostics)
    return imported(program, diagnostics) if program is not None else None


def read_module(
    source: ModuleSource, shapes: Mapping[str, tuple[int, ...]], diagnostics: Diagnostics
) -> ImportedNet | None:
    """The net of a module of PyTorch in `eval` mode, traced on examples of its inputs.

    Where the source has none they are of `shapes`, by the names of the arguments of `forward`, ""
    for the first. None, and diagnostics, where it can't be traced or expressed.
    """
    from netspec.importers.torch.traced import examples, traced

    name = source.name
    try:
        source.examples = source.examples or examples(source.module, shapes)
        found = traced(source.module, source.examples, name.rpartition(":")[2])
        found.path = source.path
    except ModelError as error:
        diagnostics.add(Diagnostic(error.code, f"{name} {error}", help=error.help))
        return None
    program = program_of(found, diagnostics)
    return imported(program, diagnostics) if program is not None else None


def program_of(found: Exported, diagnostics: Diagnostics) -> TensorProgram | None:
    """The operations of an exported program; None, and a diagnostic, where it makes no sense."""
    try:
        return tensor_program(found)
    except ModelError as error:
        diagnostics.add(Diagnostic(error.code, f"{found.path} {error}", help=error.help))
    except PlaceError as error:
        diagnostics.add(Diagnostic("unsupported-layer", str(error), error.span))
    return None


def _compare(found: Exported, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse shapes of inputs that the program was not exported for. Raises ModelError."""
    for name, wanted in shapes.items():
        named = [name] if name else found.inputs
        for one in named:
            known = found.types.get(one) if one in found.inputs else None
            if known is None:
                has = ", ".join(found.inputs)
                raise ModelError(f"has no input {one}: it has {has}", code="bad-option")
            if known.shape[1:] != wanted:
                text = ["x".join(map(str, s)) for s in (known.shape[1:], wanted)]
                message = f"was exported for an input of {text[0]}, and not of {text[1]}"
                raise ModelError(message, "export it with such an example", code="bad-option")
