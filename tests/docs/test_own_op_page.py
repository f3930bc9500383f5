"""docs/own-op.md: its package is the one in tests/plugin, its sessions are run, all is listed."""

from __future__ import annotations

import re
import shutil
import tomllib
from pathlib import Path
from typing import get_type_hints

import pytest

from netspec.ops import Op

from ..helpers import install_package
from .markdown import DOCS, ROOT, FencedBlock, Shell, blocks, rewrite

PAGE = DOCS / "own-op.md"
PACKAGE = ROOT / "tests/plugin/package"


@pytest.mark.slow
def test_the_example_is_the_package_that_tests_use(tmp_path: Path, update: bool) -> None:
    shell = Shell(tmp_path / "work", tmp_path / "tools")
    project = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]
    install_package(shell.packages, project["name"], project["entry-points"])
    shutil.copytree(PACKAGE / "netspec_squareplus", shell.packages / "netspec_squareplus")
    results = []
    for block in blocks(PAGE):
        text = block.text
        if block.words[:1] == ["file"]:
            path = PACKAGE / block.words[1]
            text = path.read_text(encoding="utf-8") if path.exists() else text
            if not path.exists():
                (shell.folder / block.words[1]).write_text(text)
        elif block.kind == "console":
            text = shell.session(text)
        results.append(FencedBlock(block.info, text, block.line))
    if update:
        rewrite(PAGE, results)
    assert [b.text for b in results] == [b.text for b in blocks(PAGE)]
    shown = {b.words[1] for b in results if b.words[:1] == ["file"]}
    files = {str(p.relative_to(PACKAGE)) for p in PACKAGE.rglob("*.*") if p.suffix != ".pyc"}
    assert files - shown == {"netspec_squareplus/__init__.py"}
    output = "".join(b.text for b in results if b.kind == "console")
    assert "Traceback" not in output
    assert "torch and numpy agree" in output


def test_every_trait_and_method_is_explained() -> None:
    rows = set(re.findall(r"^\| `(\w+)", PAGE.read_text(encoding="utf-8"), re.M))
    given = {"keyword", "family", "result_names", "with_attributes"}
    own = {name for name in vars(Op) if not name.startswith("_")} - given
    assert rows == own | (get_type_hints(Op).keys() - given)
