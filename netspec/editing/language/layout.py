"""The edits with which the formatter lays out a text, as a whole or some lines of it."""

from __future__ import annotations

import re
from difflib import SequenceMatcher
from typing import NamedTuple

from netspec.diagnostics import SpecError
from netspec.syntax.formatter import format_text

MAX_EXACT = 2_000
"""Most lines whose edits are the fewest that there are."""


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
    if formatted == text:
        return []
    # Lines as editors count them: other signs that Python takes for line breaks may be in comments.
    before, after = _lines(text), _lines(formatted)
    same = next((i for i, (a, b) in enumerate(zip(before, after, strict=False)) if a != b), 0)
    edits = []
    matcher = SequenceMatcher(None, before[same:], after[same:], autojunk=len(before) > MAX_EXACT)
    for tag, a, b, c, d in matcher.get_opcodes():
        first, last = a + same, b + same
        touches = lines is None or (first < lines[1] and max(last, first + 1) > lines[0])
        if tag != "equal" and touches:
            edits.append(LineEdit(first, last, "".join(after[c + same : d + same])))
    return edits


def _lines(text: str) -> list[str]:
    return re.findall(r"[^\n]*\n|[^\n]+\Z", text)
