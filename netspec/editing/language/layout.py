"""The edits with which the formatter lays out a text, as a whole or some lines of it."""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import NamedTuple

from netspec.diagnostics import SpecError
from netspec.syntax.formatter import format_text


class LineEdit(NamedTuple):
    """Lines from `first` up to `last`, counted from 0, and the text that takes their place."""

    first: int
    last: int
    text: str


def layout(text: str, lines: tuple[int, int] | None = None) -> list[LineEdit]:
    """The edits that lay out a text, or those that touch the lines from one up to another.

    None where the text has syntax errors.
    """
    try:
        formatted = format_text(text)
    except SpecError:
        return []
    before, after = text.splitlines(keepends=True), formatted.splitlines(keepends=True)
    edits = []
    for tag, a, b, c, d in SequenceMatcher(None, before, after, autojunk=False).get_opcodes():
        touches = lines is None or (a < lines[1] and max(b, a + 1) > lines[0])
        if tag != "equal" and touches:
            edits.append(LineEdit(a, b, "".join(after[c:d])))
    return edits
