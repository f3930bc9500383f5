"""netspec convert: what it says it found, what it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import netspec
from netspec.cli.main import main

PROTOTXT = """
name: "small" input: "x" input_shape { dim: 1 dim: 3 dim: 8 dim: 8 } input: "label" input_dim: 1
layer { name: "c" type: "Convolution" bottom: "x" top: "c"
        convolution_param { num_output: 4 kernel_size: 3 } }
layer { name: "r" type: "ReLU" bottom: "c" top: "c" }
layer { name: "spare" type: "TanH" bottom: "c" top: "spare" }
layer { name: "p" type: "Softmax" bottom: "c" top: "p" }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "c" bottom: "label" top: "loss" }
"""
CFG = """
[net]
height=8
width=8
channels=3
""" + "".join(
    f"[convolutional]\nfilters={filters}\nsize=1\nactivation=relu\n" for filters in (4, 4, 4, 4, 4)
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.prototxt").write_text(PROTOTXT)
    Path("row.cfg").write_text(CFG)
    return tmp_path


def test_what_was_found_in_a_prototxt(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "small.prototxt", "-o", "-"]) == 0
    shown = capsys.readouterr()
    assert "\nsmall: 0 modules, 0 loops, 4 layers of 5 nodes; left out: 1 training layer\n" in shown.err  # fmt: skip
    assert shown.out == netspec.convert("small.prototxt").text


def test_what_was_found_in_a_cfg(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", "row.cfg", "--format", "json"]) == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    found = json.loads(shown.out)
    assert Path(found["output"]).read_text().count("for ") == found["loops"] == 1
    assert (found["name"], found["modules"], found["layers"], found["nodes"]) == ("row", 0, 10, 5)
    assert (found["weights"], found["check"], found["left_out"], found["notes"]) == (None, None, {}, [])  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("row.cfg --weights w.npz", "weights convert FILE.weights w.npz --spec row.cfg"),
        ("small.prototxt --check", "weights convert FILE.caffemodel OUT.safetensors"),
        ("row.cfg --format json -o -", "both write to standard output"),
        ("row.cfg --until x", "--until is for a prototxt, and row.cfg is none"),
    ],
)
def test_what_is_refused(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = {*Path().iterdir()}
    assert main(["convert", *arguments.split()]) == 1
    assert message in capsys.readouterr().err
    assert {*Path().iterdir()} == before
