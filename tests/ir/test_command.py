"""`netspec ir`: which net it prints, and which options it refuses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from netspec.cli.main import main
from netspec.ir import Net
from netspec.ir.names import NameMap
from netspec.ir.printer import text as blocks
from netspec.ir.program_text import program_text
from netspec.passes.registry import PASSES

from ..helpers import loaded


def printed_text(net: Net) -> str:
    return program_text(net) + blocks(net)


SPEC = """
net tiny(classes = 3) {
  input data: 4
  head: linear { units: classes } -> relu
  prob: softmax
}
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "tiny.net"
    path.write_text(SPEC)
    (tmp_path / "tiny.other.names").write_text("head -> a.0\n")
    return str(path)


def test_it_prints_the_net_with_its_settings(spec: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ir", spec, "--set", "classes=5"]) == 0
    printed = capsys.readouterr().out
    assert printed == printed_text(loaded(spec, classes=5))
    assert "head: 5<classes> = linear(data) { units: 5<classes> }" in printed


@pytest.mark.parametrize("name", PASSES)
def test_it_prints_the_net_after_each_pass(
    spec: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ["--names", "other"] if name == "rename" else []
    assert main(["ir", spec, "--after", name, *names]) == 0
    after = PASSES[name](loaded(spec), NameMap({"head": "a.0"}))
    printed = capsys.readouterr().out
    assert printed == printed_text(after)
    assert printed != printed_text(loaded(spec))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--after", "expose_activation"],
            "there is no pass expose_activation.*did you mean `expose_activations`",
        ),
        (["--after", "x"], "there is no pass x.*there are `rename`, `expose_act"),
        (["--after", "rename"], "the pass rename needs --names"),
        (["--names", "other"], "--names is for the pass rename"),
        (["--after", "expose_activations", "--names", "other"], "--names is for the pass rename"),
        (["--after", "rename", "--names", "mine"], "no file of the names.*did you mean|known are"),
    ],
)
def test_options_that_make_no_sense(
    spec: str, options: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["ir", spec, *options]) == 1
    output = capsys.readouterr()
    assert not output.out
    assert re.search(message, output.err, re.S)


def test_the_help_names_every_pass(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["ir", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert all(name in words for name in PASSES)
