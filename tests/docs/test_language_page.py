"""docs/language.md: its table has every op, and every field with its default."""

from __future__ import annotations

import re
from typing import Any

import pytest

from netspec.ops import OPS, REQUIRED, Op, attributes

from .markdown import DOCS

PAGE = (DOCS / "language.md").read_text(encoding="utf-8")
TABLE = PAGE.split("| op | fields (default) |\n| --- | --- |\n")[1].split("\n\n")[0]


def rows() -> dict[str, str]:
    """The fields that the table gives for each op: `a, b · c | x (1) · y` are those of a, b, c."""
    found = {}
    for row in TABLE.splitlines():
        names, fields = (cell.strip() for cell in row.strip("|").split(" | "))
        groups, parts = names.split(" · "), fields.split(" · ")
        assert len(parts) in (1, len(groups)), row
        for i, group in enumerate(groups):
            part = parts[min(i, len(parts) - 1)]
            for name in re.sub(r"\(.*?\)", "", group).split(","):
                found[name.strip()] = part
    return found


def test_the_table_has_every_op_and_no_other() -> None:
    assert rows().keys() == OPS.keys()


@pytest.mark.parametrize("op", OPS.values(), ids=OPS)
def test_fields_and_defaults(op: type[Op]) -> None:
    text = rows()[op.keyword]
    (shared,) = re.findall(r"^Layers with learned numbers(?s:.*?)\n\n", PAGE, re.MULTILINE)
    of_training = [a for a in attributes(op) if a.training]
    assert bool(re.search(rf"\b{op.keyword}\b", shared)) == bool(of_training)
    assert all(re.search(rf"\b{a.name}\b", shared) for a in of_training)
    for a in attributes(op):
        if a.training:
            continue
        assert re.search(rf"\b{a.name}\b", text), f"{a.name} of {op.keyword}"
        default: Any = a.default
        if default is REQUIRED or default is None or isinstance(default, tuple):
            continue
        given = re.search(rf"\b{a.name} \(([^);,]*)", text)
        if given and isinstance(default, (int, float)) and not isinstance(default, bool):
            assert float(given[1]) == default, f"{a.name} of {op.keyword}"
        elif given and isinstance(default, bool):
            assert given[1] == str(default).lower(), f"{a.name} of {op.keyword}"
