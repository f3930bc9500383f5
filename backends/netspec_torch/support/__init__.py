"""Modules that PyTorch lacks, a file each; a net's are copied into its file."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path


@cache
def sources() -> dict[str, str]:
    """Each class's source by its name. Read as text: nothing of torch is imported."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef):
                found[node.name] = "\n".join(lines[node.lineno - 1 : node.end_lineno])
    return found
