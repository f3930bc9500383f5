"""Each diagnostic code has a file of cases: wrong specs, and the text that they must give.

A case file holds parts, each begun by a line `--- kind`:

    --- spec             the text of spec.net (begins a case)
    --- file NAME        a file beside it
    --- set NAME=VALUE   a setting of the net
    --- output           what is shown; `pytest --update` rewrites it
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from netspec.diagnostics import render
from netspec.diagnostics.codes import CODES
from netspec.diagnostics.source import Source
from netspec.driver import check
from netspec.semantic.settings import SettingText
from netspec.util import resources

FOLDER = Path(__file__).parent / "cases"
FILES = sorted(FOLDER.glob("*.case"))
# No errors in the text of a spec; tested with the command that reports them.
NOT_IN_SPECS = {
    "bad-option",
    *("bad-weights", "weights-mismatch", "bad-image", "bad-labels", "unknown-backend"),
    *("unsupported-layer", "ignored-field", "pooled-regions", "shared-weights", "left-out-boxes"),
    "assumed-shape",
    *("bad-names", "bad-data", "bad-checkpoint", "bad-device", "diverged"),
    *("written-out", "no-logits"),
    *("unreadable-file", "unsupported-op", "missing-package", "unwritable-file", "backends-differ"),
}


@dataclass
class Case:
    spec: str
    files: dict[str, str] = field(default_factory=dict)
    settings: dict[str, SettingText] = field(default_factory=dict)
    output: str = ""


def read(path: Path) -> list[Case]:
    cases: list[Case] = []
    for part in re.split(r"^--- ", path.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        kind, _, argument = head.partition(" ")
        if kind == "spec":
            cases.append(Case(body))
        elif kind == "file":
            cases[-1].files[argument] = body
        elif kind == "set":
            name, _, value = argument.partition("=")
            cases[-1].settings[name] = SettingText(value)
        else:
            cases[-1].output = body
    return cases


def write(path: Path, cases: list[Case]) -> None:
    parts = []
    for case in cases:
        parts.append(f"--- spec\n{case.spec}")
        parts += [f"--- file {name}\n{text}" for name, text in case.files.items()]
        parts += [f"--- set {name}={value}\n" for name, value in case.settings.items()]
        parts.append(f"--- output\n{case.output}")
    path.write_text("".join(parts), encoding="utf-8")


def shown(case: Case, folder: Path) -> tuple[str, set[str]]:
    """What a case prints, and the codes in it."""
    for name, text in case.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    found = check(Source("spec.net", case.spec), folder, case.settings).diagnostics
    specs = resources.folder("specs").resolve()
    text = "".join(f"{render.text(d)}\n\n" for d in found)
    text = text.replace(f"{specs}{os.sep}", "<specs>/")
    return text.replace(f"{folder}{os.sep}", ""), {d.code for d in found}


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_case_file(path: Path, tmp_path: Path, update: bool) -> None:
    cases = read(path)
    assert cases
    for i, case in enumerate(cases):
        folder = tmp_path / str(i)
        folder.mkdir()
        output, codes = shown(case, folder.resolve())
        assert path.stem in codes
        if update:
            case.output = output
        assert output == case.output
    if update:
        write(path, cases)


def test_every_code_has_a_case_file() -> None:
    assert {p.stem for p in FILES} == set(CODES) - NOT_IN_SPECS


def test_expected_texts_are_not_empty() -> None:
    for path in FILES:
        assert all(case.output.strip() for case in read(path)), path
