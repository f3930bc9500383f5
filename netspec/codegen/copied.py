"""Functions and classes that emitted files get copies of, read as text."""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Mapping
from itertools import pairwise
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


def with_callees(names: Iterable[str], sources: Mapping[str, str]) -> list[str]:
    """The sources of these names, and of all that they call, in the order of `sources`."""
    wanted, pending = set(), [*names]
    while pending:
        name = pending.pop()
        if name in sources and name not in wanted:
            wanted.add(name)
            pending += names_in(sources[name])
    return [source for name, source in sources.items() if name in wanted]


def names_in(code: str) -> set[str]:
    """The names in code, but for those in strings and those of attributes."""
    tokens = tokenize.generate_tokens(io.StringIO(code).readline)
    words = ["", *(t.string for t in tokens if t.type in (tokenize.NAME, tokenize.OP))]
    return {word for before, word in pairwise(words) if before != "." and word.isidentifier()}
