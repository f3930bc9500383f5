"""docs/backends.md: its backend is installed, its sessions are run, the protocol is all there."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from netspec.codegen.backend import (
    GROUP,
    Backend,
    EmitsFamilies,
    EndsInLogits,
    HasChannelsLast,
    MakesFiles,
    PlansMemory,
    QuantizesFiles,
)

from ..helpers import install_package
from .markdown import DOCS, FencedBlock, Shell, blocks, rewrite

PAGE = DOCS / "backends.md"


@pytest.mark.slow
def test_the_example_is_a_backend(tmp_path: Path, update: bool) -> None:
    found = blocks(PAGE)
    files = {b.words[1]: b.text for b in found if b.words[:1] == ["file"]}
    shell = Shell(tmp_path / "work", tmp_path / "tools")
    points = tomllib.loads(files["pyproject.toml"])["project"]["entry-points"]
    assert list(points) == [GROUP]
    modules = {"netspec_plain": files["netspec_plain.py"]}
    install_package(shell.packages, "netspec-plain", points, modules)
    (shell.folder / "digits.net").write_text(files["digits.net"])
    results = [
        FencedBlock(b.info, shell.session(b.text), b.line) if b.kind == "console" else b
        for b in found
    ]
    if update:
        rewrite(PAGE, results)
    assert [b.text for b in results] == [b.text for b in blocks(PAGE)]
    output = "".join(b.text for b in results)
    assert "Traceback" not in output
    assert "numpy and plain agree" in output


def test_every_member_of_the_protocol_is_explained() -> None:
    rows = set(re.findall(r"^\| `(\w+)", PAGE.read_text(encoding="utf-8"), re.M))
    optional = {
        m
        for p in (
            PlansMemory,
            EmitsFamilies,
            EndsInLogits,
            MakesFiles,
            QuantizesFiles,
            HasChannelsLast,
        )
        for m in (*vars(p), *p.__annotations__)
    }
    members = {*Backend.__annotations__, *vars(Backend), *optional}
    assert rows == {m for m in members if not m.startswith("_")}
