"""The text that is written of a tree is read as that tree."""

from __future__ import annotations

from pathlib import Path

import pytest

from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source
from netspec.syntax.ast import Name, Number, String, Variable
from netspec.syntax.parser import parse
from netspec.syntax.unparse import unparse
from netspec.syntax.visitor import walk
from netspec.util.resources import folder

PATHS = sorted(folder("specs").glob("**/*.net"))


def nodes(text: str) -> tuple[str, list[object]]:
    """The text of a text's tree, and its nodes: their kinds, names and values."""
    file = parse(Source("t", text), Diagnostics())
    assert file is not None
    found: list[object] = []
    for node in walk(*file.items):
        match node:
            case Name():
                found.append(node.text)
            case Variable():
                found.append(node.name)
            case Number() | String():
                found.append(node.value)
            case _:
                found.append(type(node))
    return unparse(file.items), found


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_bundled_specs(path: Path) -> None:
    text, found = nodes(path.read_text(encoding="utf-8"))
    assert nodes(text) == (text, found)
