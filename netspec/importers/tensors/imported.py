"""A program over tensors as a tree of the language."""

from __future__ import annotations

from netspec.diagnostics import Diagnostics
from netspec.importers.imported import ImportedNet
from netspec.importers.tensors.program import TensorProgram


def imported(program: TensorProgram, diagnostics: Diagnostics) -> ImportedNet | None:
    """The tree of a program; None, and diagnostics, where it can't be expressed."""
    raise NotImplementedError
