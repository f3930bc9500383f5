"""Modules that PyTorch lacks, a file each; emitted files get copies.

`NumberWriter.support` asks for one; `add_modules` adds files of other packages.
"""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

_added: list[Path] = []


def add_modules(file: Path) -> None:
    """Let the emitters of another package use the classes of a file.

    They may read `torch`, `nn` and `Tensor`. Of classes of one name, the last is taken.
    """
    _added.append(file)
    sources.cache_clear()


@cache
def sources() -> dict[str, str]:
    """The source of each class, by its name, read as text: torch is not imported."""
    found = {}
    for path in [*sorted(Path(__file__).parent.glob("*.py")), *_added]:
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        for node in ast.parse(text).body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                found[node.name] = "\n".join(lines[node.lineno - 1 : node.end_lineno])
    return found
