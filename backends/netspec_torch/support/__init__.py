"""Modules that PyTorch lacks, a file each; emitted files get copies."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def sources() -> dict[str, str]:
    """The source of each class, by its name, read as text: torch is not imported."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef):
                found[node.name] = "\n".join(lines[node.lineno - 1 : node.end_lineno])
    return found
