"""`netspec runs`, and what files of trained weights say of themselves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec import __version__
from netspec.cli.main import main
from netspec.weights import write
from netspec.weights.trained import KEY, MOST_READ, story

from ..training.samples import saved

NET = """net small(width = 4) {
  input data: 1x6x6 { scale: 1/255 }
  c: conv { filters: width  kernel: 3 } -> relu
  last: conv { filters: 2  kernel: 1 } -> global_avgpool -> softmax
  train { learning_rate: 0.5  batch_size: 8  iterations: 24 }
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("small.net").write_text(NET)
    saved(Path("data.npz"))
    return tmp_path


def trained(out: str, *options: str) -> None:
    assert main(["train", "small.net", "--data", "data.npz", "-q", "-o", out, *options]) == 0


def shown(capsys: pytest.CaptureFixture[str], *command: str, status: int = 0) -> str:
    capsys.readouterr()
    assert main([*command]) == status
    found = capsys.readouterr()
    return found.out if status == 0 else found.err


@pytest.mark.slow
def test_runs_and_what_their_files_say(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trained("runs/deep/b", "--set", "width=2", "--train", "iterations=12", "--seed", "7")
    trained("runs/a", "--held-out", "0")
    trained("runs/.hidden", "--train", "iterations=8")
    Path("runs/begun").mkdir()
    Path("runs/begun/metrics.jsonl").write_text("")
    found = json.loads(shown(capsys, "runs", "runs", "--format", "json"))
    assert [r["run"] for r in found] == ["runs/a", "runs/begun", "runs/deep/b"]
    first, begun, second = found
    assert (first["net"], first["settings"], first["best"]) == ("small", {}, None)
    assert (first["iteration"], first["iterations"]) == (24, 24)
    assert (begun["net"], begun["iteration"]) == ("", None)
    lines = Path("runs/deep/b/metrics.jsonl").read_text().splitlines()
    rows = [r for r in map(json.loads, lines) if r["kind"] == "held-out"]
    best = max(rows, key=lambda r: (r["accuracy"], -r["loss"]))
    assert second["settings"] == {"width": "2"}
    assert second["figure"] == "accuracy"
    assert second["best"] == pytest.approx(best["accuracy"], abs=1e-6)
    assert second["loss"] == pytest.approx(best["loss"], abs=1e-6)
    assert second["best_iteration"] == best["iteration"]
    text = shown(capsys, "runs", "runs")
    assert "3 runs" in text
    assert "width=2" in text
    assert f"{best['accuracy']:.2%}" in text
    assert "runs/deep/b,small,width=2" in shown(capsys, "runs", "runs", "--format", "csv")
    # The story of one.
    path = "runs/deep/b/best.safetensors"
    about = json.loads(shown(capsys, "weights", "show", path, "--format", "json"))
    said = about["about"]
    assert (said["seed"], said["version"], said["iterations"]) == (7, __version__, 12)
    assert said["train"] == {"learning_rate": 0.5, "batch_size": 8, "iterations": 12}
    assert said["spec"] == NET
    assert {t["name"]: t["shape"] for t in about["tensors"]}["c.weight"] == [2, 1, 3, 3]
    text = shown(capsys, "weights", "show", path)
    assert "batch_size=8" in text
    assert "6 lines" in text
    # A file of it is damaged: the others are listed.
    Path("runs/a/last.safetensors").write_bytes(b"no weights")
    found = json.loads(shown(capsys, "runs", "runs", "--format", "json"))
    assert "no sound .safetensors" in found[0]["problem"]
    assert found[2] == second
    assert "no sound .safetensors" in shown(capsys, "runs", "runs")


@pytest.mark.parametrize(
    "said",
    [
        [],
        {"net": 3, "settings": {"a": 1}, "iteration": "x", "accuracy": "y", "loss": True},
        {"figure": "accuracy", "accuracy": 1e999, "iteration": -1, "iterations": 10**30},
        {"net": "\x1b[31m", "settings": {"\x1b": "\x1b"}, "figure": "\x1b", "classes": ["\x1b"]},
    ],
)
def test_stories_of_anybody(said: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "r"
    run.mkdir()
    array: dict[str, Any] = {"a": np.zeros(1, np.float32)}
    for name in ("best", "last"):
        write(run / f"{name}.safetensors", array, {KEY: json.dumps(said)})
    text = shown(capsys, "runs", str(tmp_path))
    assert "1 run\n" in text
    text += shown(capsys, "weights", "show", str(run / "best.safetensors"))
    assert "\x1b" not in text
    (found,) = json.loads(shown(capsys, "runs", str(tmp_path), "--format", "json"))
    assert found["best"] is None


def test_a_story_without_end_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    text = json.dumps({"net": "x" * MOST_READ})
    write(path, {"a": np.zeros(1, np.float32)}, {KEY: text})
    assert story(path) == {}


def test_where_there_is_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert json.loads(shown(capsys, "runs", str(tmp_path), "--format", "json")) == []
    assert main(["runs", str(tmp_path)]) == 0
    assert "no training has left" in capsys.readouterr().err
    assert "there is no folder" in shown(capsys, "runs", str(tmp_path / "none"), status=1)
