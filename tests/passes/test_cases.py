"""Passes by case files: a spec, a pass, and the IR before and after it.

A file in `cases` begins with what it shows. Its parts follow, each under a line of its own:
`=== spec`, `=== rename` (or another pass; the names for `rename` stand in this part), `=== before`
and `=== after`. `pytest --update` rewrites the last two.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netspec.ir.names import NameMap
from netspec.ir.printer import text
from netspec.passes.registry import PASSES

from ..helpers import net_of

CASES = sorted((Path(__file__).parent / "cases").glob("*.txt"))


def parts_of(file: Path) -> dict[str, str]:
    """The parts of a case file by the words of their headings; what it shows is that of ''."""
    shown, *rest = re.split(r"^=== (.*)\n", file.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return {"": shown, **dict(zip(rest[::2], rest[1::2], strict=True))}


def names_of(part: str) -> NameMap:
    """`ours -> theirs` lines, those behind `[module]` for every use of a module."""
    paths: dict[str, str] = {}
    modules: dict[str, dict[str, str]] = {}
    rules = paths
    for line in part.splitlines():
        if section := re.fullmatch(r"\[(\w+)\]", line):
            rules = modules.setdefault(section[1], {})
        elif line:
            old, new = line.split(" -> ")
            rules[old] = new
    return NameMap(paths, modules)


@pytest.mark.parametrize("file", CASES, ids=lambda p: p.stem)
def test_case(file: Path, update: bool) -> None:
    parts = parts_of(file)
    (name,) = parts.keys() & PASSES.keys()
    net = net_of(parts["spec"])
    found = {
        **{part: parts[part] for part in ("", "spec", name)},
        "before": f"{text(net)}\n",
        "after": text(PASSES[name](net, names_of(parts[name]))),
    }
    if update:
        whole = "".join(f"=== {part}\n{t}" if part else t for part, t in found.items())
        file.write_text(whole, encoding="utf-8")
    assert list(parts) == list(found)
    assert parts == found or update
    unchanged = found["before"] == f"{found['after']}\n"
    assert unchanged == ("Nothing changes" in parts[""])


def test_every_pass_has_cases() -> None:
    assert {name for name in PASSES for file in CASES if file.stem.startswith(f"{name}_")} == {
        *PASSES
    }


def test_every_case_says_what_it_shows() -> None:
    for file in CASES:
        parts = parts_of(file)
        assert parts[""].strip(), file.name
        assert [n for n in PASSES if n in parts and file.stem.startswith(f"{n}_")], file.name
