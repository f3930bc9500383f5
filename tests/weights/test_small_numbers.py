"""float16 and int8 weights: how far they are from what they stand for, and files of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.cli.main import main
from netspec.weights import fresh, read, weights_for, write
from netspec.weights.small_numbers import converted, restored

from ..helpers import loaded

NET = loaded("squeezenet_digits")


def test_int8_is_within_half_a_step_of_each_channel() -> None:
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((6, 4, 3, 3)) * 10.0 ** np.arange(-3, 3).reshape(-1, 1, 1, 1)
    arrays = {"a.weight": weight.astype(np.float32), "a.bias": np.ones(6, np.float32)}
    arrays["b.weight"] = np.zeros((2, 3), np.float32)
    small = converted(arrays, "int8")
    assert small["a.weight"].dtype == np.int8
    found = restored(small)
    assert list(found) == list(arrays)
    np.testing.assert_array_equal(found["a.bias"], arrays["a.bias"])
    np.testing.assert_array_equal(found["b.weight"], arrays["b.weight"])
    steps = np.abs(arrays["a.weight"]).reshape(6, -1).max(1) / 127
    off = np.abs(found["a.weight"] - arrays["a.weight"]).reshape(6, -1).max(1)
    assert (off <= 0.5001 * steps).all()


def test_float16_has_a_largest_number() -> None:
    found = converted({"a": np.array([1e9, -1e9, 0.5], np.float32)}, "float16")["a"]
    np.testing.assert_array_equal(found.astype(np.float32), [65504, -65504, 0.5])


@pytest.mark.parametrize("to", ["float16", "int8"])
@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_files(to: str, suffix: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arrays = fresh(NET.tensors, 0, varied=True)
    write(tmp_path / "w.npz", arrays)
    small = tmp_path / f"s{suffix}"
    command = ["weights", "convert", tmp_path / "w.npz", small, "--to", to]
    assert main([str(a) for a in command]) == 0
    assert {a.dtype.name for n, a in read(small).items() if n.endswith("weight")} == {to}
    found = weights_for(NET, "squeezenet_digits", str(small)).arrays
    model = netspec.build(NET, weights=small)
    for name, array in arrays.items():
        np.testing.assert_allclose(found[name], array, atol=0.01 * np.abs(array).max())
        np.testing.assert_array_equal(model.weights[name], found[name])
    command = ["verify", "squeezenet_digits", "--weights", small, "--against", tmp_path / "w.npz"]
    assert main([str(a) for a in command]) == 0
    assert "prob differs by" in capsys.readouterr().out
    target = str(tmp_path / "w.pt")
    assert main(["weights", "convert", str(tmp_path / "w.npz"), target, "--to", to]) == 1
