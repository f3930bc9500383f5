"""Weights of emitted Keras models, written by Keras, come back to the net."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.cli.main import main
from netspec.codegen.backend import emit, get, load_model
from netspec.weights import fresh, read, write
from tests.backends.nets import net_of

from .helpers import OF_KERAS

pytestmark = [pytest.mark.slow, OF_KERAS]
SPEC = """
module fire(s) {
  input x
  a: conv(x) { filters: s  kernel: 1 } -> batchnorm -> prelu
  squeeze: conv(x) { filters: s  kernel: 3  pad: 1  bias: false } -> batchnorm { affine: false } -> scale
  output concat(a, squeeze)
}
module reduce(s) {
  input x
  conv { filters: s  kernel: 1 } -> scale { bias: false }
}
net small {
  input data: 3x8x8
  for i in 1..2 { unit[i]: fire { s: 2 } }
  z: reduce { s: 3 }
  call: conv_transpose { filters: 3  kernel: 2 } -> shift -> layernorm -> groupnorm { groups: 3 }
  wide: conv { filters: 3  kernel: 3  pad: 1 } -> instancenorm { affine: true }
  weighted: conv { filters: 6  kernel: 3  groups: depthwise }
  p: parameter { shape: 6x1x1 }
  m: mul(weighted, p)
  rows: parameter { shape: 6x7x7 }
  r: add(m, rows)
  flatten
  class: linear { units: 4 } -> prelu { shared: true } -> scale
}
"""


@pytest.fixture
def spec(tmp_path: Path) -> str:
    path = tmp_path / "small.net"
    path.write_text(SPEC)
    return str(path)


def test_a_round_trip(spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By either file of Keras, and by the names of the model; attributes behind `layers` too."""
    pytest.importorskip("keras", reason="keras is not installed")
    net = net_of(SPEC)
    weights = fresh(net.tensors, 1, varied=True)
    backend = get("keras")
    model: Any = load_model(net, backend)
    backend.set_weights(model, weights)
    model.save_weights(tmp_path / "m.weights.h5")
    model.save(tmp_path / "m.keras")
    named = {n: np.asarray(w) for n, w in model.named_weights().items()}
    write(tmp_path / "named.npz", named)
    for name in ("m.weights.h5", "m.keras", "named.npz"):
        out = tmp_path / f"{name}.safetensors"
        command = ["weights", "convert", str(tmp_path / name), str(out), "--spec", spec]
        assert main([*command, "--from", "keras"]) == 0
        found = read(out)
        assert set(found) == set(weights)
        for key, array in weights.items():
            np.testing.assert_array_equal(found[key], array)
    command = ["weights", "convert", str(tmp_path / "m.keras"), "--spec", spec, "--from", "keras"]
    assert main([*command, "--dry-run"]) == 0
    assert "layers/fire_1/squeeze/vars/0" in capsys.readouterr().out


def test_weights_of_another_net(
    spec: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("keras", reason="keras is not installed")
    other = SPEC.replace("linear { units: 4 }", "linear { units: 5 }")
    model: Any = load_model(net_of(other), get("keras"))
    model.save_weights(tmp_path / "m.weights.h5")
    out = tmp_path / "out.npz"
    command = ["weights", "convert", str(tmp_path / "m.weights.h5"), str(out), "--spec", spec]
    assert main([*command, "--from", "keras"]) == 1
    assert "class.weight" in capsys.readouterr().err
    assert not out.exists()
    assert main(["table", str(tmp_path / "m.weights.h5")]) == 1
    assert "--from keras" in capsys.readouterr().err


def test_a_missing_keras(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "keras", None)
    assert emit(net_of(SPEC), get("keras"))
    assert main(["verify", "squeezenet1_1", "--backend", "keras", "--backend", "numpy"]) == 1
    assert "pip install 'netspec-compiler[keras]'" in capsys.readouterr().err


def test_files_that_are_no_weights(
    spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Damaged, and where h5py is missing."""
    import sys

    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    path = tmp_path / "m.weights.h5"
    command = ["weights", "convert", str(path), str(tmp_path / "o.npz"), "--spec", spec]
    command += ["--from", "keras"]
    path.write_bytes(b"\x89HDF\r\n\x1a\n and no more")
    assert main(command) == 1
    assert "m.weights.h5 is no sound file of Keras" in capsys.readouterr().err
    with h5py.File(path, "w") as file:
        file["call_/vars/0"] = h5py.ExternalLink("/etc/passwd", "/x")
    assert main(command) == 1
    assert "is a link, which is not followed" in capsys.readouterr().err
    with h5py.File(path, "w") as file:
        file.create_dataset("call_/vars/0", (1 << 20, 1 << 20), "f4", chunks=(64, 64))
    assert main(command) == 1
    assert "more than it can" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert main(command) == 1
    assert "netspec-compiler[hdf5]" in capsys.readouterr().err
