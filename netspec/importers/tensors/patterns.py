"""Several operations that are one of the vocabulary, such as a sigmoid and its product."""

from __future__ import annotations

from netspec.importers.tensors.program import TensorProgram


def with_patterns(program: TensorProgram) -> TensorProgram:
    """The program with operations that are one of the vocabulary as that one."""
    return program
