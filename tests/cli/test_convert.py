"""netspec convert: what it says it found, what it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.cli.main import main
from netspec.conversion import comparison
from netspec.conversion.originals import Original, original
from netspec.diagnostics.source import Source
from netspec.weights import fresh
from netspec.weights.trained import read_trained, texts_of

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
        ("row.cfg --solver s.prototxt", "--solver is for a prototxt, and row.cfg is none"),
        ("row.cfg --until x", "--until is for a prototxt, and row.cfg is none"),
    ],
)
def test_what_is_refused(arguments: str, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = {*Path().iterdir()}
    assert main(["convert", *arguments.split()]) == 1
    assert message in capsys.readouterr().err
    assert {*Path().iterdir()} == before


OWN = """## A small one.
net own(classes = 3) {
  input data: 3x8x8

  mix:  conv { filters: 4  kernel: 3  pad: 1 } -> relu
  fc:   conv { filters: classes  kernel: 1 } -> global_avgpool
  prob: softmax
}
"""


@pytest.fixture
def model(folder: Path) -> Path:
    """An ONNX file of a net, with weights."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    Path("own.net").write_text(OWN)
    net = netspec.load("own.net")
    netspec.write_weights("own.npz", fresh(net.tensors, 1, varied=True))
    assert main(["compile", "own.net", "--backend", "onnx", "--weights", "own.npz", "-q"]) == 0
    Path("own.net").rename("first.net")
    return Path("own.onnx")


def test_a_model_with_its_weights_checked(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["convert", str(model), "--weights", "w.safetensors", "--check", "--format", "json"]) == 0  # fmt: skip
    found = json.loads(capsys.readouterr().out)
    assert (found["output"], found["weights"]) == ("own.net", "w.safetensors")
    assert (found["check"]["backend"], found["check"]["original"]) == ("numpy", "onnxruntime")
    assert found["check"]["relative"] < 1e-5
    assert netspec.diff("first.net", "own.net").empty
    before, after = (netspec.read_weights(file) for file in ("own.npz", "w.safetensors"))
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[name], after[name]) for name in before)
    # The file of weights knows its spec.
    about = read_trained(Path("w.safetensors"))
    assert (about.net, about.spec) == ("own", Path("own.net").read_text())


def test_python_gives_the_same(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = netspec.convert(model, check=True)
    assert main(["convert", str(model), "--check", "-o", "-"]) == 0
    shown = capsys.readouterr()
    assert shown.out == found.text
    assert found.check is not None
    assert found.check.agrees
    assert f"own: 0 modules, 0 loops, {found.layers} layers of {found.nodes} nodes" in shown.err
    assert "onnxruntime and numpy agree" in shown.err
    net = netspec.load(model)
    assert found.weights.keys() == net.tensors.keys()
    assert texts_of(net.ir) == (found.text, {})


def test_a_difference_is_an_error_behind_the_files(
    model: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def other(source: Source) -> Original:
        own = original(source)
        return own._replace(run=lambda arrays: [1 - x for x in own.run(arrays)])

    monkeypatch.setattr(comparison, "original", other)
    assert main(["convert", str(model), "--check"]) == 1
    assert "error[backends-differ]: the spec, run by numpy, differs by" in capsys.readouterr().err
    assert Path("own.net").exists()


def test_other_commands_show_the_spec_of_a_model(
    model: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["annotate", str(model)]) == 0
    assert "#: 4x8x8" in capsys.readouterr().out
    assert "#: 4x8x8" in netspec.annotate(model, classes=5)
    assert main(["fmt", str(model)]) == 1
    assert "`netspec convert own.onnx` makes a spec of it" in capsys.readouterr().err
    assert main(["annotate", "-w", str(model)]) == 1
    assert "--write changes a file of yours" in capsys.readouterr().err
    assert main(["diff", str(model), str(model)]) == 0
    assert "no difference" in capsys.readouterr().out
    assert main(["table", str(model), "--depth", "0"]) == 0
    assert "127" in capsys.readouterr().out


def test_a_model_brings_its_own_weights(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.random.default_rng(0).standard_normal((2, 3, 8, 8), dtype=np.float32)
    expected = netspec.build("first.net", weights="own.npz")(x)
    np.testing.assert_allclose(netspec.build(model)(x), expected, rtol=1e-5)
    np.testing.assert_allclose(netspec.build(netspec.load(model))(x), expected, rtol=1e-5)
    # Back to ONNX, and from that again.
    assert main(["compile", str(model), "--backend", "onnx", "-o", "again.onnx"]) == 0
    assert "fresh" not in capsys.readouterr().err
    np.testing.assert_allclose(netspec.build("again.onnx")(x), expected, rtol=1e-5)
    pytest.importorskip("PIL.Image").new("RGB", (9, 8), "teal").save("p.png")
    assert main(["run", str(model), "p.png"]) == 0
    shown = capsys.readouterr().out
    assert main(["run", "first.net", "--weights", "own.npz", "p.png"]) == 0
    assert capsys.readouterr().out == shown
