"""Formatting changes nothing but the layout, and a formatted text not at all."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source, Span, plain
from netspec.syntax.ast import File
from netspec.syntax.formatter import WIDTH, format_text
from netspec.syntax.parser import parse, scan

from .texts import NAMES, Layout, RandomText


def tree_of(text: str) -> File:
    diagnostics = Diagnostics()
    file = parse(Source("t", plain(text)), diagnostics)
    assert file is not None, (text, [d.message for d in diagnostics])
    return file


def meaning(node: Any) -> Any:
    """A tree without places."""
    if isinstance(node, tuple):
        return tuple(meaning(n) for n in node)
    if is_dataclass(node):
        values = ((f.name, getattr(node, f.name)) for f in fields(node))
        return (type(node).__name__, *(meaning(v) for n, v in values if not isinstance(v, Span)))
    return node


def check(text: str) -> str:
    """Format a text and assert everything that is true of any formatted text."""
    before = tree_of(text)
    formatted = format_text(text)
    after = tree_of(formatted)
    assert meaning(after.items) == meaning(before.items)
    assert [c.text for c in after.comments] == [c.text for c in before.comments]
    separators = {",", ";"}
    words = [
        [w.text for w in scan(f.source)[0] if w.text not in separators] for f in (before, after)
    ]
    assert words[0] == words[1], "literals and brackets are as their author wrote them"
    assert format_text(formatted) == formatted
    assert "\n\n\n" not in formatted
    assert not formatted.startswith("\n")
    assert not formatted or formatted.endswith("\n")
    assert not formatted.endswith("\n\n")
    for line in plain(formatted).split("\n"):
        assert line == line.rstrip(" ")
        assert not line.startswith("\t")
    return formatted


# Without shrinking, which takes minutes on such texts.
@pytest.mark.slow
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate],
)
@given(st.randoms(use_true_random=False), st.sampled_from([0, 2, 10]))
def test_any_text_keeps_its_tree_and_comments(random: Random, comments: int) -> None:
    formatted = check(Layout(random, comments).text(RandomText(random).file()))
    for line in plain(formatted).split("\n"):
        if "#" not in line:
            # Deep inside, a name may find no place to be broken in front of it.
            assert len(line) <= WIDTH + max(map(len, NAMES))
