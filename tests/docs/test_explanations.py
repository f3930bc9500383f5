"""Every diagnostic code is explained; the wrong example has just this error, the fixed none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import netspec
from netspec.diagnostics import Diagnostic
from netspec.diagnostics.codes import CODES, GROUPS
from netspec.diagnostics.source import Source
from netspec.driver import check
from netspec.reference.explanations import explanation, path_of, plain
from netspec.weights import write

from ..helpers import install_package
from .markdown import DOCS, FencedBlock, Shell, blocks, rewrite

FOLDER = DOCS / "diagnostics"
INDEX = FOLDER / "README.md"
HIDDEN = {"missing-package": ["PIL"]}
# What other authors' backends look like to netspec: a module and an entry point.
PLUGINS = """\
from netspec_numpy.backend import NumpyBackend

class Tiny(NumpyBackend):
    name = "tiny"
    emitters = {op: e for op, e in NumpyBackend.emitters.items() if op.keyword != "softmax"}

class Shaky(NumpyBackend):
    name = "shaky"

    def emit(self, net):
        source = super().emit(net)
        assert "RELU)" in source
        return source.replace("RELU)", "None)")
"""
ENTRY_POINTS = {"netspec.backends": {"tiny": "plugins:Tiny", "shaky": "plugins:Shaky"}}


def test_every_code_has_an_explanation_and_no_other() -> None:
    found = {p.stem for p in FOLDER.iterdir() if p != INDEX}
    assert found == set(CODES)
    assert sum(len(g) for g in GROUPS.values()) == len(CODES)


@pytest.mark.parametrize("code", CODES)
def test_form(code: str) -> None:
    text = explanation(code)
    assert text.startswith(f"# {code}\n\n")
    kinds = [b.info for b in blocks(path_of(code)) if b.words[0] != "file"]
    assert kinds in (["net wrong", "net fixed"], ["console wrong", "console fixed"])
    prose = text.split("```")[0].removeprefix(f"# {code}")
    assert len(prose.split()) >= 20
    assert not any(len(line) > 95 for line in prose.splitlines())


def diagnose(spec: str, folder: Path) -> tuple[Diagnostic, ...]:
    return check(Source("spec.net", spec), folder, {}).diagnostics


@pytest.mark.parametrize("code", CODES)
def test_examples_of_specs(code: str, tmp_path: Path) -> None:
    for block in blocks(path_of(code)):
        if block.words[0] == "file":
            (tmp_path / block.words[1]).write_text(block.text)
        elif block.info == "net wrong":
            assert [d.code for d in diagnose(block.text, tmp_path)] == [code]
        elif block.info == "net fixed":
            assert [d.message for d in diagnose(block.text, tmp_path)] == []


SESSIONS = [c for c in CODES if path_of(c).exists() and "```console" in path_of(c).read_text()]


def supply(folder: Path) -> None:
    """Writes what sessions find in their folder: weights of the net small, a picture and labels."""
    net = netspec.load(folder / "small.net")
    weights = {n: np.zeros(t.shape, dtype=np.float32) for n, t in net.tensors.items()}
    write(folder / "small.npz", weights)
    Image.fromarray(np.full((8, 8, 3), 200, dtype=np.uint8)).save(folder / "cat.png")
    (folder / "labels.txt").write_text("cat\ndog\nowl\nfox\n")


@pytest.mark.slow
@pytest.mark.parametrize("code", SESSIONS)
def test_examples_of_sessions(code: str, tmp_path: Path, update: bool) -> None:
    path = path_of(code)
    found = blocks(path)
    shell = Shell(tmp_path / "work", tmp_path / "tools", HIDDEN.get(code, []))
    install_package(shell.packages, "plugins", ENTRY_POINTS, {"plugins": PLUGINS})
    small = next((b.text for b in found if b.info == "net file small.net"), None)
    default = (FOLDER / "bad-image.md").read_text().split("```net file small.net\n")[1]
    (shell.folder / "small.net").write_text(small or default.split("```")[0])
    supply(shell.folder)
    results = []
    for block in found:
        if block.kind == "console":
            output = shell.session(block.text)
            if block.words == ["wrong"]:
                assert f"{CODES[code].severity}[{code}]" in output
                assert output.count("error[") + output.count("warning[") == 1
            else:
                assert "error[" not in output
                assert "warning[" not in output
                assert "Traceback" not in output
            results.append(FencedBlock(block.info, output, block.line))
        else:
            if block.words[0] == "file":
                (shell.folder / block.words[1]).write_text(block.text)
            results.append(block)
    if update:
        rewrite(path, results)
    assert [b.text for b in results] == [b.text for b in blocks(path)]


def index() -> str:
    """The list of all explanations, for who browses the folder."""
    lines = [
        "# Diagnostics",
        "",
        "Every code that netspec reports, with an explanation, a wrong example and its fix.",
        "`netspec explain CODE` shows the same in a terminal. This list is generated.",
    ]
    for group, codes in GROUPS.items():
        lines += ["", f"## {group.capitalize()}", ""]
        for code, c in codes.items():
            severity = " (warning)" if c.severity == "warning" else ""
            lines.append(f"- [{code}]({code}.md): {c.meaning}{severity}")
    return "\n".join(lines) + "\n"


def test_the_list_is_complete(update: bool) -> None:
    if update:
        INDEX.write_text(index(), encoding="utf-8")
    assert INDEX.read_text(encoding="utf-8") == index()


def test_plain_text_names_files() -> None:
    assert plain("```net file a.net\nx\n```\n") == "a.net:\n\n    x\n"


def test_plain_text() -> None:
    markdown = (
        "# a-code\n\nSee [the guide](guide.md).\n\n```net wrong\nnet a {\n\n}\n```\n\nEnd `x`.\n"
    )
    assert plain(markdown) == (
        "a-code\n\nSee the guide.\n\nWrong:\n\n    net a {\n\n    }\n\nEnd `x`.\n"
    )
