"""A brace that is forgotten is the one that is named, in whatever spec."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source
from netspec.syntax.parser import parse, scan
from netspec.util.resources import folder

SPECS = sorted(folder("specs").rglob("*.net"))
FIX = re.compile(r"put a `}` in front of (?:line (\d+)|the `(.*)`)")


def fixed(text: str, help_: str, brace: int) -> str:
    """The text with the brace that the help asks for, behind the place of an open one."""
    found = FIX.fullmatch(help_)
    assert found, help_
    if found[1]:
        lines = text.split("\n")
        return "\n".join([*lines[: int(found[1]) - 1], "}", *lines[int(found[1]) - 1 :]])
    place = re.compile(rf"(?<![\w-]){re.escape(found[2])}").search(text, brace)
    assert place
    return text[: place.start()] + "}" + text[place.start() :]


@pytest.mark.parametrize("path", SPECS, ids=lambda p: p.stem)
def test_the_brace_that_is_not_closed_is_named(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    words, _ = scan(Source("whole", text))
    open_: list[int] = []
    for word in words:
        if word.text == "{":
            open_.append(word.start)
        if word.text != "}":
            continue
        brace = open_.pop()
        lacking = text[: word.start] + text[word.end :]
        diagnostics = Diagnostics()
        assert parse(Source("lacking", lacking), diagnostics) is None
        (error,) = diagnostics
        assert error.span
        if error.message.endswith("the end of the file"):
            # Nothing follows that could tell where it ends.
            assert error.others[0].span.start == brace
            assert not lacking[word.start :].strip()
            continue
        assert error.span.start == brace or _one_line(text, brace, word.start), error
        again = fixed(lacking, error.help[0], error.span.start)
        assert parse(Source("fixed", again), Diagnostics())


def _one_line(text: str, start: int, end: int) -> bool:
    """Braces that are closed on one line have no indentation that tells them apart."""
    return "\n" not in text[start:end]
