"""docs/formatting.md: its examples are sound, and what it calls formatted is."""

from __future__ import annotations

import re
from pathlib import Path

from netspec.syntax.formatter import WIDTH, format_text
from netspec.syntax.formatter.alignment import SPREAD

from ..helpers import net_of

DOCS = Path(__file__).parent.parent.parent / "docs"
PAGE = (DOCS / "formatting.md").read_text(encoding="utf-8")


def blocks(page: str) -> list[str]:
    """The indented blocks of a page that are whole files of the language."""
    found = re.findall(r"(?:^(?: {4}.*)?\n)+", page, re.MULTILINE)
    texts = ("\n".join(line[4:] for line in block.split("\n")).strip() + "\n" for block in found)
    return [text for text in texts if text.startswith(("import ", "net ", "module ", "## "))]


EXAMPLES = blocks(PAGE)


def test_examples() -> None:
    before, after, rows = EXAMPLES
    assert format_text(before) == after
    assert format_text(after) == after
    assert format_text(rows) == rows
    for example in EXAMPLES:
        net_of(example)


def test_the_examples_of_the_language_are_formatted() -> None:
    examples = blocks((DOCS / "language.md").read_text(encoding="utf-8"))
    assert len(examples) >= 4
    for example in examples:
        assert format_text(example) == example


def test_figures() -> None:
    assert f"at most {WIDTH} columns" in PAGE
    assert f"more than {SPREAD} columns" in PAGE
