"""Other names and other formats on the command line: compile --names, weights convert, run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import netspec
from netspec.weights import NameMaps, fresh, read, write

from ..helpers import loaded

pytestmark = pytest.mark.slow


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "netspec", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


NET = loaded("squeezenet1_1", classes=3)
SPEC = ("squeezenet1_1", "--set", "classes=3")
KEYS = NameMaps(NET, "squeezenet1_1").renamed("torchvision").keys
WEIGHTS = fresh(NET.tensors, 1, varied=True)


def state(weights: dict[str, Any]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array.copy()) for name, array in weights.items()}


@pytest.fixture(scope="module")
def official(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as torchvision's would be."""
    path = tmp_path_factory.mktemp("weights") / "official.pth"
    torch.save(state({KEYS[name]: array for name, array in WEIGHTS.items()}), path)
    return path


def same(path: Path, weights: dict[str, Any]) -> None:
    found = read(path)
    assert set(found) == set(weights)
    for name, array in weights.items():
        np.testing.assert_array_equal(found[name], array)


def test_compile_prints_both_names_and_official_weights_load(
    official: Path, tmp_path: Path
) -> None:
    done = run("compile", *SPEC, "--names", "torchvision", "-o", tmp_path / "m.py")
    assert done.returncode == 0, done.stderr
    assert [tuple(line.split()) for line in done.stdout.splitlines()] == list(KEYS.items())
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec((tmp_path / "m.py").read_text(), namespace)
    model = namespace["SqueezeNet1_1"]()
    model.load_state_dict(torch.load(official, weights_only=True))
    own: Any = netspec.build(NET, "torch", WEIGHTS)
    x = torch.randn(1, 3, 64, 64)
    torch.testing.assert_close(model.eval()(x), own.eval()(x))
    done = run("compile", *SPEC, "--names", "torchvision", "-o", "-")
    assert done.stdout == (tmp_path / "m.py").read_text()
    assert "features.0.weight" in done.stderr


def test_there_and_back(official: Path, tmp_path: Path) -> None:
    ours, theirs = tmp_path / "ours.npz", tmp_path / "theirs.pt"
    done = run("weights", "convert", official, ours, "--spec", *SPEC)
    assert (done.returncode, done.stdout) == (0, "52 tensors: 52 by names of torchvision\n")
    same(ours, WEIGHTS)
    done = run("weights", "convert", ours, theirs, "--spec", *SPEC, "--names", "torchvision")
    assert (done.returncode, done.stdout) == (0, "")
    same(theirs, {KEYS[name]: array for name, array in WEIGHTS.items()})
    assert list(torch.load(theirs, weights_only=True)) == list(KEYS.values())
    # Formats without a net, and the file is as it was.
    assert run("weights", "convert", theirs, tmp_path / "t.safetensors").returncode == 0
    same(tmp_path / "t.safetensors", read(theirs))


def test_a_dry_run_shows_what_would_become_what(official: Path, tmp_path: Path) -> None:
    done = run("weights", "convert", official, tmp_path / "o.npz", "--spec", *SPEC, "--dry-run")
    assert done.returncode == 0
    assert not (tmp_path / "o.npz").exists()
    rows = [line.split(maxsplit=3) for line in done.stdout.splitlines()]
    assert rows[0] == ["features.0.weight", "conv1.weight", "64x3x3x3", "names of torchvision"]
    assert [(b, a) for a, b, *_ in rows] == list(KEYS.items())


def test_position_and_partial(tmp_path: Path) -> None:
    owners = {n.rpartition(".")[0]: i for i, n in enumerate(WEIGHTS)}
    odd = {
        f"layers.{owners[n.rpartition('.')[0]]}.{n.rpartition('.')[2]}": a
        for n, a in WEIGHTS.items()
    }
    write(tmp_path / "odd.npz", odd)
    done = run("weights", "convert", tmp_path / "odd.npz", tmp_path / "o.npz", "--spec", *SPEC)
    assert done.stdout == "52 tensors: 52 by position\n", done.stderr
    same(tmp_path / "o.npz", WEIGHTS)
    ten = ("squeezenet1_1", "--set", "classes=10")
    convert = ("weights", "convert", tmp_path / "odd.npz", tmp_path / "ten.npz", "--spec", *ten)
    assert run(*convert).returncode == 1
    done = run(*convert, "--partial", "conv10")
    assert done.stdout.splitlines() == [
        "52 tensors: 50 by position, 2 fresh",
        "fresh: conv10.weight",
        "fresh: conv10.bias",
    ]
    found = read(tmp_path / "ten.npz")
    assert found["conv10.weight"].shape[0] == 10
    np.testing.assert_array_equal(found["conv1.weight"], WEIGHTS["conv1.weight"])
    write(tmp_path / "odd.safetensors", odd)
    done = run(
        "weights", "convert", tmp_path / "odd.safetensors", tmp_path / "o.npz", "--spec", *SPEC
    )
    assert done.returncode == 1
    assert "is ambiguous" in done.stderr


def test_a_file_of_names_settles_it(tmp_path: Path) -> None:
    spec = tmp_path / "mine.net"
    spec.write_text(
        "net mine { input data: 3x4x4\n a: conv { filters: 3 kernel: 1 }\n"
        " b: conv { filters: 3 kernel: 1 } }"
    )
    weights = fresh(loaded(spec).tensors, 1, varied=True)
    swapped = {{"a": "two", "b": "one"}[n[0]] + n[1:]: a for n, a in weights.items()}
    write(tmp_path / "w.safetensors", swapped)
    convert = ("weights", "convert", tmp_path / "w.safetensors", tmp_path / "o.npz", "--spec", spec)
    assert run(*convert).returncode == 1
    (tmp_path / "m.names").write_text("a -> two\nb -> one\n")
    done = run(*convert, "--from", tmp_path / "m.names")
    assert done.returncode == 0, done.stderr
    same(tmp_path / "o.npz", weights)
    # Beside the spec it is found without being named, also by other commands.
    (tmp_path / "mine.theirs.names").write_text("a -> two\nb -> one\n")
    assert run(*convert).stdout == "4 tensors: 4 by names of theirs\n"
    assert run("verify", spec, "--weights", tmp_path / "w.safetensors").returncode == 0


def test_names_need_a_net(tmp_path: Path) -> None:
    write(tmp_path / "w.npz", WEIGHTS)
    done = run(
        "weights", "convert", tmp_path / "w.npz", tmp_path / "o.npz", "--names", "torchvision"
    )
    assert done.returncode == 1
    assert "need the spec of the net" in done.stderr
    done = run("compile", "squeezenet_micro", "--names", "torchvision")
    assert done.returncode == 1
    assert "bad-names" in done.stderr
    assert "`efficientnet_b0`" in done.stderr
