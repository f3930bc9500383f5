"""Files of labels, several labels a picture, and what is said of data before it is trained on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

from netspec.cli.main import main
from netspec.diagnostics import SpecError
from netspec.ir import Net
from netspec.training import TrainingOptions, train
from netspec.training.datasets import TrainingData, read, read_part
from netspec.training.distributed import Processes
from netspec.training.tasks import Classification, ManyLabels, task_of
from netspec.training.transforms import Preparation

from ..helpers import net_of
from .samples import recipe


def net(fields: str = "loss: bce", end: str = "sigmoid", classes: int = 3) -> Net:
    return net_of(
        f"net n(classes = {classes}) {{ input data: 1x4x4 {{ scale: 1/255 }}\n"
        f" flatten -> linear {{ units: classes }} -> {end}\n"
        f" train {{ learning_rate: 1  batch_size: 4  iterations: 60  {fields} }} }}"
    )


def pictures(folder: Path, names: dict[str, int]) -> None:
    """Pictures of one shade each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, shade in names.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((4, 4), shade, np.uint8)).save(folder / name)


def data(path: Path, of: Net, held_out: float = 0.0, skip_bad: bool = False) -> TrainingData:
    return task_of(of).read(path, Preparation(of, recipe(of)), held_out, skip_bad)


SHADES = {"a.png": 10, "b.png": 20, "sub/c.png": 30, "d.png": 40}


@pytest.mark.parametrize(
    ("text", "names", "marks"),
    [
        (
            "file,labels\na.png,cat;dog\nb.png,\nsub/c.png, owl10 \nd.png,owl9;dog\n",
            ("cat", "dog", "owl9", "owl10"),
            [[1, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1], [0, 1, 1, 0]],
        ),
        (
            '\ufefffile,"b, c",a\r\na.png,1,0\r\n\r\nsub/c.png,1,1\r\n',
            ("b, c", "a"),
            [[1, 0], [1, 1]],
        ),
    ],
)
def test_files_of_labels(text: str, names: Any, marks: Any, tmp_path: Path) -> None:
    pictures(tmp_path, SHADES)
    (tmp_path / "labels.csv").write_text(text, encoding="utf-8", newline="")
    found = data(tmp_path, net(classes=len(names)))
    assert found.classes == names
    assert found.train.labels.tolist() == marks
    x, y = found.train.batch([1], None)
    assert y.tolist() == [marks[1]]
    shade = 20 if len(marks) == 4 else 30
    torch.testing.assert_close(x, torch.full((1, 1, 4, 4), shade / 255))
    if len(marks) == 2:
        assert found.left_out == (f"{tmp_path}: 2 pictures not in labels.csv, such as b.png",)


def test_one_label_each_is_a_class(tmp_path: Path) -> None:
    pictures(tmp_path / "train", SHADES)
    pictures(tmp_path / "test", {"x.png": 50})
    (tmp_path / "train/labels.csv").write_text("file,label\na.png,dog\nb.png,cat\nd.png,owl\n")
    (tmp_path / "test/labels.csv").write_text("file,label\nx.png,owl\n")
    of = net("", "softmax")
    found = data(tmp_path, of)
    assert found.classes == ("cat", "dog", "owl")
    assert found.train.labels.tolist() == [1, 0, 2]
    assert found.held_out is not None
    assert found.held_out.labels.tolist() == [2]
    part, samples, names = read_part(tmp_path, of, Preparation(of, recipe(of)), "test")
    assert (part, samples.labels.tolist(), names) == ("test", [2], found.classes)
    (tmp_path / "test/labels.csv").write_text("file,label\nx.png,elk\n")
    with pytest.raises(SpecError, match="has a class elk"):
        data(tmp_path, of)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "does not begin with a column file"),
        ("picture,labels\na.png,x\n", "does not begin with a column file"),
        ("file\na.png\n", "does not begin with a column file"),
        ("file,labels\n", "names no pictures"),
        ("file,a,b\na.png,1\n", "line 2: it has 2 cells, and the first line 3"),
        ("file,a,b\na.png,1,yes\n", "line 2: b is 'yes', and not 0 or 1"),
        ("file,a,a\na.png,1,1\n", "two columns of one name"),
        ("file,labels\na.png,x\n./a.png,y\n", "line 3: a.png is there twice"),
        ("file,labels\n../a.png,x\n", "no path of a picture below"),
        ("file,labels\n/etc/passwd,x\n", "no path of a picture below"),
        ("file,labels\nC:a.png,x\n", "no path of a picture below"),
        ("file,labels\nsub\\c.png,x\n", "no path of a picture below"),
        ("file,labels\na\x1b[2J.png,x\n", "characters that are no text"),
        ('file,labels\n"a.png,x\n', "can't be read"),
        ("file,a,\na.png,1,1\n", "has a label that is no text: ''"),
        ('file,labels\na.png,"x\ny"\n', "has a label that is no text"),
        ("file,labels\nnone.png,x;y;z\n", "a picture that can't be used"),
        ("file,labels\na.png,x;y\n", "has 2 labels, but n tells 3 apart"),
    ],
)
def test_files_of_labels_that_will_not_do(text: str, message: str, tmp_path: Path) -> None:
    pictures(tmp_path, SHADES)
    (tmp_path / "labels.csv").write_text(text)
    with pytest.raises(SpecError, match=message) as error:
        data(tmp_path, net())
    assert error.value.diagnostics[0].code == "bad-data"


def test_one_label_where_the_loss_wants_one(tmp_path: Path) -> None:
    pictures(tmp_path, SHADES)
    for labels, message in (
        ("x;y;z", "has 3 labels in .*, and the loss wants one"),
        ("", "no label"),
    ):
        (tmp_path / "labels.csv").write_text(f"file,labels\nb.png,x\na.png,{labels}\n")
        with pytest.raises(SpecError, match=message) as error:
            data(tmp_path, net("", "softmax", 3 if labels else 1))
        assert error.value.diagnostics[0].help == ("`--train loss=bce` takes any number",)


def test_a_binary_cross_entropy_of_each_label() -> None:
    for end in ("sigmoid", "relu"):
        task = task_of(net(end=end))
        assert isinstance(task, ManyLabels)
    outputs = torch.randn(4, 3, generator=torch.manual_seed(0))
    marks = torch.tensor([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]])
    p, y = torch.sigmoid(outputs), marks.float()
    wanted = -(y * p.log() + (1 - y) * (1 - p).log()).mean()
    torch.testing.assert_close(task.loss(outputs, marks), wanted)
    torch.testing.assert_close(task.scores(p, True), outputs)
    tally = task.tally()
    for part in (slice(3), slice(3, 4)):
        tally.add(outputs[part], marks[part])
    tally.gather(Processes())
    found = tally.figures()
    assert found["loss"] == pytest.approx(float(wanted))
    assert found["accuracy"] == pytest.approx(float(((p > 0.5) == (y > 0)).float().mean()))
    assert float(task.hits(outputs, marks)) == pytest.approx(4 * found["accuracy"])
    right = ((p > 0.5) & (y > 0)).sum(0)
    f1 = [float(2 * r / (a + b)) for r, a, b in zip(right, (p > 0.5).sum(0), y.sum(0), strict=True)]
    assert found["f1"] == pytest.approx(np.mean(f1))
    assert [row["count"] for row in found["classes"]] == [2, 2, 2]
    # Classes are labels of which each sample has one.
    torch.testing.assert_close(
        task.loss(outputs, torch.tensor([0, 1, 2, 0])),
        task.loss(outputs, F.one_hot(torch.tensor([0, 1, 2, 0]), 3)),
    )
    with pytest.raises(SpecError, match="ends in a softmax"):
        task_of(net(end="softmax"))


@pytest.mark.slow
def test_labels_are_learnt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Which of three parts of a picture are bright."""
    rng = np.random.default_rng(0)
    y = rng.integers(2, size=(200, 3))
    x = rng.integers(0, 60, (200, 4, 4))
    for part in range(3):
        x[:, part] += 180 * y[:, part, None]
    np.savez(tmp_path / "d.npz", x=x.astype(np.uint8), y=y)
    of = net("loss: bce  mirror: true")
    options = TrainingOptions(tmp_path / "d.npz", tmp_path / "out", every=30)
    result = train(of, recipe(of), options)
    assert result.accuracy is not None
    assert result.accuracy > 0.95
    rows = [json.loads(line) for line in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
    assert {"loss", "f1", "accuracy", "classes"} <= rows[-1].keys()
    said = capsys.readouterr().err
    assert "trained on: 180 samples of 3 labels: class 0" in said
    assert "mean F1" in said
    assert "recall: 0 " in said
    # `eval` finds out from the weights that there may be several labels.
    plain = tmp_path / "n.net"
    plain.write_text(
        "net n(classes = 3) { input data: 1x4x4 { scale: 1/255 }\n"
        " flatten -> linear { units: classes } -> sigmoid }"
    )
    command = ["eval", str(plain), "--weights", str(tmp_path / "out/best.safetensors")]
    command += ["--data", str(tmp_path / "d.npz"), "--format"]
    for backend in ("torch", "numpy"):
        assert main([*command, "json", "--backend", backend]) == 0
        judged = json.loads(capsys.readouterr().out)
        assert judged["samples"] == 200
        assert judged["f1"] > 0.95
        assert judged["loss"] < 0.4
        assert [row["count"] for row in judged["classes"]] == y.sum(0).tolist()
    assert main([*command, "csv"]) == 0
    assert capsys.readouterr().out.startswith("name,count,precision,recall\n0,")
    assert main([*command, "text"]) == 0
    assert "mean F1" in capsys.readouterr().out
    assert main([*command, "text", "--picture", str(tmp_path / "c.svg")]) == 1


# --- what is said of the data --------------------------------------------------------------------


def test_counts_and_what_is_there_twice(tmp_path: Path) -> None:
    of = net("", "softmax")
    train_, val, test = (tmp_path / name for name in ("train", "val", "test"))
    pictures(train_, {f"cat/{i}.png": i for i in range(30)})
    pictures(train_, {f"dog/{i}.png": 100 + i for i in range(9)} | {"owl/x.png": 200})
    pictures(val, {"cat/1.png": 60, "dog/1.png": 61})
    pictures(test, {"cat/0.png": 80})
    found = data(tmp_path, of)
    assert found.remarks == (
        "trained on: 40 samples of 3 classes: cat 30, dog 9, owl 1",
        "warning: cat is 30 times as frequent as owl: `--train sampling=balanced` or "
        "`class_weights=balanced` may help",
        "held out: 2 samples of 3 classes: cat 1, dog 1, owl 0",
        "warning: none of what is held out is owl",
    )
    shutil.copy(train_ / "cat/3.png", train_ / "dog/also.png")
    shutil.copy(train_ / "cat/4.png", val / "cat/2.png")
    shutil.copy(train_ / "dog/5.png", test / "cat/1.png")
    shutil.copy(train_ / "dog/6.png", test / "cat/2.png")
    assert data(tmp_path, of).remarks[-3:] == (
        f"warning: a sample stands in two classes, such as {train_}/cat/3.png and {train_}/dog/also.png",
        f"warning: a sample stands among those trained on and held out: {train_}/cat/4.png and "
        f"{val}/cat/2.png",
        f"warning: 2 samples stand among those trained on and in the test: {train_}/dog/5.png and "
        f"{test}/cat/1.png",
    )


def test_counts_of_arrays(tmp_path: Path) -> None:
    x = np.arange(40 * 16).reshape(40, 4, 4) % 251
    x[39] = x[0]
    y = np.arange(40) % 12
    np.savez(tmp_path / "d.npz", x=x.astype(np.uint8), y=y)
    of = net("", "softmax", 12)
    found = Classification(of).read(tmp_path / "d.npz", Preparation(of, recipe(of)), 0.0)
    assert found.remarks == (
        "trained on: 40 samples of 12 classes, from 3 (class 4) to 4 (class 0)",
        "warning: a sample stands in two classes, such as sample 0 and sample 39",
    )
    half = read(tmp_path / "d.npz", of, Preparation(of, recipe(of)), 0.5)
    assert half.held_out is not None
    assert len(half.held_out.labels) + len(half.train.labels) == 40
