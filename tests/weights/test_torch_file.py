"""`.pt` and `.pth` files: what is read of them, and what is not."""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from netspec.diagnostics import SpecError
from netspec.weights import fresh, read, write

from .samples import WANTED

WEIGHTS = fresh(WANTED, varied=True)
STATE = {name: torch.from_numpy(array) for name, array in WEIGHTS.items()}


def saved(path: Path, data: Any, **options: Any) -> Path:
    torch.save(data, path, **options)
    return path


def same(path: Path) -> None:
    found = read(path)
    assert list(found) == list(WEIGHTS)
    for name, array in found.items():
        np.testing.assert_array_equal(array, WEIGHTS[name])
        assert array.flags.writeable


def refused(path: Path, match: str) -> None:
    with pytest.raises(SpecError, match=match) as error:
        read(path)
    assert [d.code for d in error.value.diagnostics] == ["bad-weights"]


@pytest.mark.parametrize("suffix", [".pt", ".pth"])
def test_there_and_back(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"w{suffix}"
    write(path, WEIGHTS)
    same(path)
    loaded = torch.load(path, weights_only=True)
    assert list(loaded) == list(WEIGHTS)
    assert all(torch.equal(loaded[name], STATE[name]) for name in STATE)
    other = tmp_path / f"another_name{suffix}"
    write(other, WEIGHTS)
    assert other.read_bytes() == path.read_bytes()


def test_all_that_state_dicts_come_in(tmp_path: Path) -> None:
    parameters = {n: torch.nn.Parameter(t) for n, t in STATE.items()}
    same(saved(tmp_path / "parameters.pt", parameters))
    same(saved(tmp_path / "old.pth", STATE, _use_new_zipfile_serialization=False))
    same(saved(tmp_path / "nested.pt", {"epoch": 3, "lr": [0.1], "state_dict": STATE}))
    same(saved(tmp_path / "parallel.pt", {f"module.{n}": t for n, t in STATE.items()}))
    half = {n: t.bfloat16() for n, t in STATE.items()}
    for name, array in read(saved(tmp_path / "b.pt", half)).items():
        assert array.dtype == np.float32
        np.testing.assert_array_equal(array, half[name].float().numpy())
    views = {"a": STATE["a.weight"].permute(3, 2, 1, 0), "b": STATE["a.weight"][0, 0]}
    for name, array in read(saved(tmp_path / "views.pt", views)).items():
        np.testing.assert_array_equal(array, views[name].numpy())


class Evil:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("ran"),))


def test_no_code_of_a_file_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    refused(saved(tmp_path / "evil.pt", {"a": Evil()}), "no sound PyTorch file")
    (tmp_path / "plain.pt").write_bytes(pickle.dumps(Evil()))
    refused(tmp_path / "plain.pt", "no sound PyTorch file")
    refused(saved(tmp_path / "model.pt", torch.nn.Linear(2, 3)), "no sound PyTorch file")
    assert not (tmp_path / "ran").exists()


def test_what_is_no_state_dict(tmp_path: Path) -> None:
    path = tmp_path / "w.pt"
    refused(path, "there is no weight file")
    refused(saved(path, [STATE["a.bias"]]), "no dict of tensors")
    refused(saved(path, {"a": 3}), "no dict of tensors")
    refused(saved(path, {3: STATE}), "no dict of tensors")
    refused(saved(path, {"model": STATE, "ema": STATE}), "several dicts of tensors.*`model`, `ema`")
    refused(saved(path, {"a": torch.ones(2, 2).to_sparse()}), "sparse or quantized")
    refused(saved(path, {"a": torch.ones(2).to(torch.float8_e5m2)}), "as float8_e5m2")


def test_broken_files(tmp_path: Path) -> None:
    path = saved(tmp_path / "w.pt", STATE)
    whole = path.read_bytes()
    for cut in (0, 1, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:cut])
        refused(path, "no sound PyTorch file")
    path.write_bytes(b"x" * 300)
    refused(path, "no sound PyTorch file")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.npy", b"")
    refused(path, "no sound PyTorch file")


def test_without_torch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path / "w.pt", STATE)
    monkeypatch.setitem(__import__("sys").modules, "torch", None)
    with pytest.raises(SpecError, match="needs torch") as error:
        read(path)
    assert error.value.diagnostics[0].help == ("pip install torch",)
