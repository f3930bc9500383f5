"""The weights that are shipped to try things on: small, right, the same in both backends."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.util.resources import folder
from netspec.weights import check, read
from netspec.weights.npz_file import read_npz

pytestmark = pytest.mark.slow

FOLDER = Path(__file__).parent.parent.parent / "examples" / "digits"
WEIGHTS = folder("specs") / "squeezenet_digits.safetensors"


def script() -> Any:
    spec = importlib.util.spec_from_file_location("digits", FOLDER / "digits.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("ratio", "share"), [(0.125, 0.1), (0.5, 0.5), (1, 0.9)])
def test_the_net_of_the_sweep(ratio: float, share: float) -> None:
    net = netspec.load(FOLDER / "fires.net", SR=ratio, pct3x3=share)
    params, channels = 16 * 10, 16
    for e in (32, 64):
        squeeze, wide = round(ratio * e), round(share * e)
        params += squeeze * (channels + 1) + (e - wide) * (squeeze + 1) + wide * (9 * squeeze + 1)
        channels = e
    assert net.params == params + 10 * (channels + 1)


def test_they_are_small_and_of_the_bundled_net() -> None:
    assert WEIGHTS.stat().st_size < 200_000
    net = netspec.load("squeezenet_digits")
    assert check(read(WEIGHTS), net.tensors, WEIGHTS.name, net.name)


def test_both_backends_reach_the_same_accuracy_on_what_was_held_out() -> None:
    """The whole set in one batch; the emitted files one by one, as `digits.py` does, are alike."""
    net = netspec.load("squeezenet_digits")
    held_out = read_npz(FOLDER / "held_out.npz")
    x, y = held_out["x_test"], held_out["y_test"]
    assert x.shape == (359, 8, 8)
    model = netspec.build(net, "numpy")
    inputs = np.concatenate([model.preprocess(picture) for picture in x])
    from netspec.codegen.backend import get

    hits = []
    for name in ("torch", "numpy"):
        backend = get(name)
        scores = backend.run(netspec.build(net, name, WEIGHTS), inputs)[0]
        hits.append(scores.reshape(len(y), -1).argmax(1) == y)
    np.testing.assert_array_equal(hits[0], hits[1])
    assert hits[0].mean() >= 0.98


@pytest.mark.parametrize("digit", [3, 6, 8])
def test_run_knows_the_pictures(digit: int) -> None:
    command = ["run", "squeezenet_digits", "--format", "json"]  # with the weights that come along
    command.append(str(FOLDER / f"{digit}.png"))
    done = subprocess.run(
        [sys.executable, "-m", "netspec", *command], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    assert found["classes"][0]["class"] == digit


def test_a_fifth_of_each_digit_is_held_out() -> None:
    y = np.repeat(np.arange(10), 20)
    x = np.arange(200)[:, None, None] * np.ones((1, 8, 8))
    parts = script().split(x, y)
    assert np.bincount(parts["y_test"]).tolist() == [4] * 10
    both = np.concatenate([parts["x_train"], parts["x_test"]])[:, 0, 0]
    assert sorted(both) == list(range(200))


def test_what_is_shipped_is_scikit_learns() -> None:
    pytest.importorskip("sklearn")
    digits = script()
    parts = digits.split(*digits.digits())
    held_out = read_npz(FOLDER / "held_out.npz")
    np.testing.assert_array_equal(parts["x_test"], held_out["x_test"])
    np.testing.assert_array_equal(parts["y_test"], held_out["y_test"])
