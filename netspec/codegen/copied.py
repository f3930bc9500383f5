"""Functions and classes that emitted files get copies of, read as text."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

CHECKS = Path(__file__).parent / "checks.py"
"""The checks of arguments, which classes of all libraries call."""


def definitions(files: Iterable[Path]) -> dict[str, str]:
    """The source of each function and class of files, by its name; of one name, the last."""
    found = {}
    for path in files:
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                found[node.name] = "\n".join(lines[node.lineno - 1 : node.end_lineno])
    return found
