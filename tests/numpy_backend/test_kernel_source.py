"""The kernels as text that is copied into emitted files."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from netspec_numpy import kernels
from netspec_numpy.kernel_source import FOLDER, SUBJECTS, with_helpers

SOURCES = {subject: (FOLDER / f"{subject}.py").read_text(encoding="utf-8") for subject in SUBJECTS}
FUNCTIONS = [
    n for s in SOURCES.values() for n in ast.parse(s).body if isinstance(n, ast.FunctionDef)
]


def locals_of(function: ast.FunctionDef) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_functions_can_be_copied(function: ast.FunctionDef) -> None:
    """Each has a docstring, and no variable with the name of a kernel that is copied with it."""
    assert ast.get_docstring(function)
    assert not set(locals_of(function)) & set(with_helpers([function.name]))


def test_the_modules_hold_functions_classes_and_constants_only() -> None:
    kinds = (ast.FunctionDef, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Assign)
    for subject, source in SOURCES.items():
        body = ast.parse(source).body[1:]
        assert all(isinstance(n, kinds) for n in body)
        constants = [ast.unparse(n.targets[0]) for n in body if isinstance(n, ast.Assign)]
        assert all(map(str.isupper, constants)) or subject == "arrays"
        assert max(map(len, source.splitlines())) <= 100
    assert len({f.name for f in FUNCTIONS}) == len(FUNCTIONS)


def test_every_file_of_kernels_is_known() -> None:
    files = {p.stem for p in FOLDER.glob("*.py")} - {"__init__"}
    assert files == set(SUBJECTS)


def test_kernels_are_typed() -> None:
    """All can be called by name, with the types that emitted files rely on."""
    for function in FUNCTIONS:
        kernel: Callable[..., Any] = getattr(kernels, function.name)
        assert "return" in kernel.__annotations__
        arguments = [n for n in ast.walk(function.args) if isinstance(n, ast.arg)]
        assert len(kernel.__annotations__) == len(arguments) + 1
