"""`netspec eval`: its figures counted one by one, the parts of data, and the command."""

from __future__ import annotations

import json
from math import log
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.cli.main import main
from netspec.training.judgement import BINS, judged
from netspec.weights import read, write
from netspec.weights.trained import metadata

from ..helpers import loaded
from .samples import pictures


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_figures_are_what_counting_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    classes, count = int(rng.integers(2, 9)), int(rng.integers(1, 40))
    found = rng.choice([1.0, 2.0, 5.0], (count, classes))  # with ties
    found /= found.sum(1, keepdims=True)
    labels = rng.integers(classes, size=count)
    result = judged(found, labels)
    ranks = []
    bins: dict[int, list[tuple[float, bool]]] = {}
    matrix = [[0] * classes for _ in range(classes)]
    loss = 0.0
    for row, label in zip(found.tolist(), labels.tolist(), strict=True):
        order = [i for _, i in sorted((-p, i) for i, p in enumerate(row))]
        ranks.append(order.index(label))
        matrix[label][order[0]] += 1
        loss -= log(row[label]) / count
        place = min(int(max(row) * BINS), BINS - 1)
        bins.setdefault(place, []).append((max(row), order[0] == label))
    assert result.loss == pytest.approx(loss)
    assert result.top1 == ranks.count(0) / count
    assert result.top5 == sum(rank < 5 for rank in ranks) / count
    assert [list(row) for row in result.confusion] == matrix
    gaps = [abs(sum(c for c, _ in b) - sum(right for _, right in b)) for b in bins.values()]
    assert result.calibration_error == pytest.approx(sum(gaps) / count)
    for i, row in enumerate(result.classes()):
        said = [matrix[j][i] for j in range(classes)]
        assert row["precision"] == (matrix[i][i] / sum(said) if sum(said) else None)
        assert row["recall"] == (matrix[i][i] / sum(matrix[i]) if sum(matrix[i]) else None)
        assert row["count"] == sum(matrix[i])
    ElementTree.fromstring(result.picture("<&>"))


SPEC = """net tiny(classes = 2) {
  input data: 1x6x6 { scale: 1/255 }
  last: conv { filters: classes  kernel: 6 } -> flatten
  prob: softmax
}
"""


def made(folder: Path) -> None:
    """A net that tells which half of a picture is brighter, and pictures."""
    (folder / "tiny.net").write_text(SPEC)
    weight = np.zeros((2, 1, 6, 6), np.float32)
    weight[0, :, 3:] = weight[1, :, :3] = 1
    write(folder / "w.npz", {"last.weight": weight, "last.bias": np.zeros(2, np.float32)})
    x, y = pictures(30)
    np.savez(folder / "data.npz", x_train=x[:20], y_train=y[:20], x_test=x[20:], y_test=y[20:])


def run(capsys: pytest.CaptureFixture[str], folder: Path, *options: str) -> tuple[int, str, str]:
    command = ["eval", str(folder / "tiny.net"), "--weights", str(folder / "w.npz"), *options]
    return main(command), *capsys.readouterr()


@pytest.mark.parametrize("backend", ["torch", "numpy"])
def test_the_command(backend: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path)
    data = ("--data", str(tmp_path / "data.npz"), "--backend", backend)
    status, out, _ = run(capsys, tmp_path, *data, "--format", "json")
    assert status == 0
    found = json.loads(out)
    assert (found["split"], found["samples"], found["top1"]) == ("test", 10, 1.0)
    assert [sum(row) for row in found["confusion"]] == [c["count"] for c in found["classes"]]
    status, out, _ = run(capsys, tmp_path, *data, "--split", "train", "--format", "csv")
    assert out.startswith("truth,0,1\n0,")
    chart = tmp_path / "c.svg"
    status, out, _ = run(capsys, tmp_path, *data, "--picture", str(chart))
    assert "100.00% of 10" in out
    ElementTree.fromstring(chart.read_text())
    status, _, err = run(capsys, tmp_path, *data, "--split", "val")
    assert status == 1
    assert "it has test, train" in err


def test_folders_and_the_order_of_classes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from PIL import Image

    made(tmp_path)
    x, y = pictures(12)
    for i, (pixels, label) in enumerate(zip(x, y, strict=True)):
        for part in ("train", "test"):
            folder = tmp_path / "data" / part / ("lower", "upper")[label]
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{i}.png")
    for name in (tmp_path / "data" / "test" / "lower").iterdir():
        name.unlink()
    status, out, err = run(capsys, tmp_path, "--data", str(tmp_path / "data"), "--format", "json")
    assert status == 0
    found = json.loads(out)
    assert [c["name"] for c in found["classes"]] == ["lower", "upper"]
    assert found["classes"][0]["recall"] is None
    assert found["classes"][1] == {
        "name": "upper",
        "count": int(y.sum()),
        "precision": 1.0,
        "recall": 1.0,
    }
    assert "all that" not in err  # there is one class alone


def test_one_answer_for_all_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path)
    bias = np.array([0, 1e5], np.float32)
    write(
        tmp_path / "w.npz", {"last.weight": np.zeros((2, 1, 6, 6), np.float32), "last.bias": bias}
    )
    _, out, err = run(capsys, tmp_path, "--data", str(tmp_path / "data.npz"))
    assert "warning: 1 is all that is answered" in err
    assert "0.0%" in out


def test_pictures_that_are_prepared_as_at_the_training(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made(tmp_path)
    arrays = read(tmp_path / "w.npz")
    trained = loaded(tmp_path / "tiny.net")
    write(tmp_path / "w.safetensors", arrays, metadata(trained, [], 1, {}))
    text = (tmp_path / "tiny.net").read_text()
    (tmp_path / "tiny.net").write_text(text.replace("1/255", "1/20  mean: 9"))
    command = ["--data", str(tmp_path / "data.npz"), "--weights", str(tmp_path / "w.safetensors")]
    _, out, err = run(capsys, tmp_path, *command)
    assert "100.00% of 10" in out
    assert "w.safetensors says, which is not as the spec does" in err
