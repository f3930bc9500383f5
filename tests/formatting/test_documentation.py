"""docs/formatting.md: its examples are sound, and what it calls formatted is."""

from __future__ import annotations

import re
from pathlib import Path

from netspec.formatting import WIDTH, format_text
from netspec.formatting.alignment import SPREAD

from ..helpers import net_of

PAGE = (Path(__file__).parent.parent.parent / "docs" / "formatting.md").read_text(encoding="utf-8")
BLOCKS = [
    "\n".join(line[4:] for line in block.split("\n")).strip() + "\n"
    for block in re.findall(r"(?:^(?: {4}.*)?\n)+", PAGE, re.MULTILINE)
]
EXAMPLES = [block for block in BLOCKS if block.startswith(("import ", "net "))]


def test_examples() -> None:
    before, after, rows = EXAMPLES
    assert format_text(before) == after
    assert format_text(after) == after
    assert format_text(rows) == rows
    for example in EXAMPLES:
        net_of(example)


def test_figures() -> None:
    assert f"at most {WIDTH} columns" in PAGE
    assert f"more than {SPREAD} columns" in PAGE
