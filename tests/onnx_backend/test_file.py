"""What `netspec compile --backend onnx` writes: options, metadata, faults."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from netspec_onnx import model as model_module

import netspec
from netspec.cli.main import main
from netspec.codegen.backend import get, model_files
from netspec.diagnostics import SpecError
from netspec.weights import fresh, write
from tests.backends.nets import net_of, smaller

from .helpers import check_shapes, dims, file_of, numpy_results, parsed, run

NET = """
net small(classes = 4) {
  input data: 3x8x9 { channels: bgr  scale: 1/255  mean: [0.4, 0.5, 0.6]  std: [0.2, 0.3, 0.1] }
  conv1: conv { filters: 4  kernel: 3 } -> batchnorm -> relu
  fc: conv { filters: classes  kernel: 1 } -> global_avgpool
  prob: softmax
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.net").write_text(NET)
    return tmp_path


def compiled(*options: str, file: str = "out.onnx") -> onnx.ModelProto:
    assert main(["compile", "small.net", "--backend", "onnx", "-o", file, *options]) == 0
    return parsed(Path(file).read_bytes())


def properties(model: onnx.ModelProto) -> dict[str, str]:
    return {p.key: p.value for p in model.metadata_props}


def test_weights_come_from_the_file(folder: Path) -> None:
    net = netspec.load("small.net").ir
    write(Path("w.npz"), fresh(net.tensors, 1, varied=True))
    compiled("--weights", "w.npz")
    x = [np.random.default_rng(0).standard_normal((2, 3, 8, 9), dtype=np.float32)]
    (result,) = run(Path("out.onnx").read_bytes(), x)
    np.testing.assert_allclose(result, numpy_results(net, x)[0], rtol=1e-5)
    built = netspec.build("small.net", backend="onnx", weights="w.npz")
    np.testing.assert_allclose(built(*x), result, rtol=1e-6)


def test_fresh_weights_are_those_of_build(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = np.ones((1, 3, 8, 9), np.float32)
    compiled()
    assert "fresh" in capsys.readouterr().err
    (result,) = run(Path("out.onnx").read_bytes(), [x])
    np.testing.assert_allclose(netspec.build("small.net", backend="onnx")(x), result)


def test_the_file_is_named_by_the_net(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["compile", "small.net", "--backend", "onnx"]
    assert main(command) == 0
    assert main(command) == 0  # what netspec wrote may be replaced
    Path("small.onnx").write_text("mine")
    assert main(command) == 1
    assert "netspec did not write it" in capsys.readouterr().err
    assert main([*command, "-o", "small.net"]) == 1
    assert Path("small.net").read_text() == NET
    for folder_ in (".", "..", "/"):
        assert main([*command, "-o", folder_]) == 1
        assert "it is no regular file" in capsys.readouterr().err


def test_metadata(folder: Path) -> None:
    Path("labels").write_text("a\nb's\n{c}\n\\d\n")
    found = properties(compiled("--labels", "labels", "--set", "classes=4"))
    assert found["netspec.spec"] == NET
    assert found["netspec.version"] == netspec.__version__
    assert json.loads(found["netspec.settings"]) == {"classes": "4"}
    assert ast.literal_eval(found["names"]) == {0: "a", 1: "b's", 2: "{c}", 3: "\\d"}
    said = json.loads(found["netspec.preprocessing"])
    assert said["mean"] == [0.4, 0.5, 0.6]
    assert found["Image.BitmapPixelFormat"] == "Bgr8"
    prepared = properties(compiled("--preprocess"))
    assert prepared["Image.BitmapPixelFormat"] == "Rgb8"
    assert prepared["Image.NominalPixelRange"] == "NominalRange_0_255"
    assert json.loads(prepared["netspec.preprocessing"])["mean"] == [0.0]


def test_preprocess_takes_pictures(folder: Path) -> None:
    """The graph does what `preprocess` of the NumPy model does to a picture of the right size."""
    net = netspec.load("small.net").ir
    image = np.random.default_rng(1).integers(0, 256, (8, 9, 3), dtype=np.uint8)
    x = netspec.build("small.net").preprocess(image)
    wanted = numpy_results(net, [x])[0]
    picture = image.transpose(2, 0, 1)[None].astype(np.float32)
    (found,) = run(file_of(net, preprocess=True), [picture])
    np.testing.assert_allclose(found, wanted, rtol=1e-4)


@pytest.mark.parametrize("spec", ["squeezenet_digits", "shufflenet_v2"])
def test_float16(spec: str) -> None:
    net = smaller(spec)
    model = parsed(file_of(net, float16=True))
    check_shapes(model)
    kinds = {t.data_type for t in model.graph.initializer if "/" not in t.name}
    assert kinds == {onnx.TensorProto.FLOAT16}
    x = [np.random.default_rng(0).random((1, *net.body.inputs[0].shape), np.float32)]
    (found,), wanted = run(model.SerializeToString(), x), numpy_results(net, x)[0]
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=0.02 * np.abs(wanted).max())


def test_names_of_a_library(folder: Path) -> None:
    Path("small.theirs.names").write_text("conv1 -> features.0\nconv1_batchnorm -> features.1\n")
    net = netspec.load("small.net").ir
    write(Path("w.npz"), fresh(net.tensors, 1, varied=True))
    compiled("--weights", "w.npz")
    model = compiled("--weights", "w.npz", "--names", "theirs", file="theirs.onnx")
    assert "features.0.weight" in {t.name for t in model.graph.initializer}
    x = [np.ones((1, 3, 8, 9), np.float32)]
    first, second = (run(Path(f).read_bytes(), x)[0] for f in ("out.onnx", "theirs.onnx"))
    np.testing.assert_array_equal(first, second)


def test_int8(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = pytest.importorskip("PIL.Image")
    pictures = folder / "pictures"
    pictures.mkdir()
    draw = np.random.default_rng(0)
    for i in range(6):
        pixels = draw.integers(0, 256, (8, 9, 3), dtype=np.uint8)
        image.fromarray(pixels).save(pictures / f"{i}.png")
    options = ("--int8", "--calibrate", "pictures")
    model = compiled(*options, "--preprocess")
    printed = capsys.readouterr().out
    assert "of 6 pictures" in printed
    assert "MB in float32" in printed
    assert {t.data_type for t in model.graph.initializer} > {onnx.TensorProto.INT8}
    assert properties(model)["netspec.spec"] == NET
    assert dims(model.graph.input[0])[0] == "batch"
    assert main(["compile", "small.net", "--backend", "onnx", "--int8"]) == 1
    assert main(["compile", "small.net", "--backend", "onnx", "--float16", *options]) == 1
    assert "don't go together" in capsys.readouterr().err


def test_options_that_do_not_fit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compile", "small.net", "--weights", "w.npz"]) == 1
    assert "the torch backend takes no --weights" in capsys.readouterr().err
    assert main(["compile", "small.net", "--backend", "onnx", "--opset", "12"]) == 1
    assert "opset 12 is none of 17 to 22" in capsys.readouterr().err
    assert not Path("small.onnx").exists()


def test_weights_that_float16_can_not_hold() -> None:
    net = net_of(NET)
    huge = {name: array * 1e6 for name, array in fresh(net.tensors, 1, varied=True).items()}
    with pytest.raises(SpecError, match=r"conv1.weight has values beyond 65504"):
        model_files(net, get("onnx"), huge, "n.onnx", float16=True)


def test_weights_of_more_than_a_file_can_hold(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those go into a file beside; ONNX's checker and ONNX Runtime read them there."""
    command = ["compile", "small.net", "--backend", "onnx"]
    compiled()
    x = np.random.default_rng(0).random((2, 3, 8, 9), np.float32)
    (wanted,) = run(Path("out.onnx").read_bytes(), [x])
    monkeypatch.setattr(model_module, "MOST_BYTES", 500)
    for options in [(), ("--float16",), ("--functions",)]:
        assert main([*command, *options]) == 0
        assert os.path.getsize("small.onnx") < os.path.getsize("small.onnx.data")
        onnx.checker.check_model("small.onnx", full_check=True)
        opened = onnxruntime.InferenceSession("small.onnx")
        (found,) = opened.run(None, {"data": x})
        np.testing.assert_allclose(found, wanted, rtol=0.01 if options == ("--float16",) else 1e-6)
    places = [
        {e.key: e.value for e in t.external_data}
        for t in onnx.load("small.onnx", load_external_data=False).graph.initializer
        if "/" not in t.name
    ]
    assert {p["location"] for p in places} == {"small.onnx.data"}
    assert all(int(p["offset"]) % 4096 == 0 for p in places)
    np.testing.assert_allclose(netspec.build("small.net", backend="onnx")(x), wanted, rtol=1e-6)
    capsys.readouterr()
    assert main([*command, "-o", "-"]) == 1
    assert "can't go to standard output" in capsys.readouterr().err
    Path("small.onnx").unlink()
    assert main(command) == 1
    assert "small.onnx.data" in capsys.readouterr().err
    image = pytest.importorskip("PIL.Image")
    image.fromarray(np.zeros((8, 9, 3), np.uint8)).save("black.png")
    assert main([*command, "--int8", "--calibrate", "."]) == 1
    assert "--int8 takes nets of up to 2 GiB of weights" in capsys.readouterr().err


def test_text_has_no_weights() -> None:
    text = netspec.compile("squeezenet1_0", backend="onnx")
    assert len(text) < 30_000
    assert '"fire2.squeeze" = Conv <' in text
    assert "float[16,96,1,1]" in text


def test_probabilities_are_read_by_run(capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    image.fromarray(np.zeros((8, 8), np.uint8)).save("black.png")
    results: list[Any] = []
    for backend in ("numpy", "onnx"):
        options = ["--backend", backend, "--format", "json"]
        assert main(["run", "squeezenet_digits", "black.png", *options]) == 0
        results.append(json.loads(capsys.readouterr().out)[0]["classes"])
    for ours, theirs in zip(*results, strict=True):
        assert ours["class"] == theirs["class"]
        assert abs(ours["score"] - theirs["score"]) < 1e-5


def test_a_package_that_is_missing_is_named(tmp_path: Path) -> None:
    (tmp_path / "onnx.py").write_text("raise ModuleNotFoundError('no onnx', name='onnx')")
    command = [sys.executable, "-m", "netspec", "compile", "squeezenet_digits", "--backend", "onnx"]
    path = os.pathsep.join((str(tmp_path), os.environ.get("PYTHONPATH", "")))
    environment = os.environ | {"PYTHONPATH": path}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "the onnx backend needs onnx, which is not installed" in done.stderr
