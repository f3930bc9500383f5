"""Folders of pictures and `.npz` files: what is read, and the errors of those that do not fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from netspec.diagnostics import SpecError
from netspec.ir import Net
from netspec.training.datasets import TrainingData, read
from netspec.training.transforms import Preparation

from ..helpers import net_of
from .samples import recipe

GRAY = "1x4x5"


def net(shape: str = GRAY, classes: int = 3) -> Net:
    return net_of(
        f"net n(classes = {classes}) {{ input data: {shape}\n flatten -> linear {{ units: classes }}\n"
        " train { learning_rate: 1  batch_size: 2  epochs: 1 } }"
    )


def data(
    path: Path, of: Net | None = None, held_out: float = 0.0, skip_bad: bool = False
) -> TrainingData:
    of = of or net()
    return read(path, of, Preparation(of, recipe(of)), held_out, skip_bad)


def refused(match: str, path: Path, of: Net | None = None) -> tuple[str, ...]:
    with pytest.raises(SpecError, match=match) as error:
        data(path, of)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "bad-data"
    return diagnostic.help


def fill(folder: Path, classes: dict[str, int], seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    for name, count in classes.items():
        (folder / name).mkdir(parents=True)
        for i in range(count):
            picture = rng.integers(0, 256, (4, 5), dtype=np.uint8)
            Image.fromarray(picture).save(folder / name / f"{i}.png")


# --- folders -------------------------------------------------------------------------------------


def test_a_folder_for_each_class(tmp_path: Path) -> None:
    fill(tmp_path, {"b": 2, "a10": 3, "a9": 1})
    (tmp_path / "b" / "notes.txt").write_text("no picture")
    (tmp_path / ".hidden").mkdir()
    found = data(tmp_path)
    assert found.classes == ("a9", "a10", "b")
    assert found.train.labels.tolist() == [0, 1, 1, 1, 2, 2]
    assert found.held_out is None
    x = found.train.inputs([1, 5], None)
    assert x.shape == (2, 1, 4, 5)
    for tensor, name in zip(x, ("a10/0.png", "b/1.png"), strict=True):
        np.testing.assert_array_equal(tensor[0].numpy(), np.asarray(Image.open(tmp_path / name)))


@pytest.mark.parametrize("other", ["val", "test", "validation"])
def test_parts_that_the_folder_states(other: str, tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 2, "b": 2, "c": 1})
    fill(tmp_path / other, {"a": 1, "c": 2}, seed=1)
    found = data(tmp_path, held_out=0.5)
    assert found.classes == ("a", "b", "c")
    assert found.train.labels.tolist() == [0, 0, 1, 1, 2]
    assert found.held_out is not None
    assert found.held_out.labels.tolist() == [0, 2, 2]
    assert found.held_out.digest() != found.train.digest()


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    fill(tmp_path, {"train": 2, "bus": 1, "car": 1})
    assert data(tmp_path).classes == ("bus", "car", "train")


def test_a_share_of_each_class_is_held_out(tmp_path: Path) -> None:
    y = np.repeat([0, 1, 2], [10, 20, 30])
    x = np.arange(60, dtype=np.float32)[:, None, None, None] * np.ones((1, 4, 5), dtype=np.float32)
    np.savez(tmp_path / "d.npz", x=x, y=y)
    found = data(tmp_path / "d.npz", held_out=0.2)
    assert found.held_out is not None
    assert np.bincount(found.held_out.labels).tolist() == [2, 4, 6]
    both = []
    for part in (found.train, found.held_out):
        values = part.inputs(range(len(part.labels)), None)[:, 0, 0, 0].int().numpy()
        assert (y[values] == part.labels).all()
        both += values.tolist()
    assert sorted(both) == list(range(60))
    again = data(tmp_path / "d.npz", held_out=0.2)
    assert again.train.digest() == found.train.digest()
    assert data(tmp_path / "d.npz", held_out=0.1).train.digest() != found.train.digest()


def test_folders_that_will_not_do(tmp_path: Path) -> None:
    refused("there is no folder or .npz file", tmp_path / "none")
    refused("has no folders of pictures", tmp_path)
    (tmp_path / "a").mkdir()
    refused("a has no pictures", tmp_path)
    fill(tmp_path, {"b": 1, "c": 1, "d": 1})
    Image.fromarray(np.zeros((4, 5), dtype=np.uint8)).save(tmp_path / "a" / "0.PNG")
    assert refused("has 4 classes, but n tells 3 apart", tmp_path) == ("`--set classes=4`",)
    refused("plain vector can't be trained on pictures", tmp_path, net("20", 4))
    fill(tmp_path / "parts/train", {"a": 1, "b": 1, "c": 1})
    fill(tmp_path / "parts/val", {"a": 1, "x": 1})
    refused("has a class x", tmp_path / "parts")


def shape_of(found: TrainingData) -> list[list[int] | None]:
    parts = (found.train, found.held_out)
    return [None if part is None else np.bincount(part.labels).tolist() for part in parts]


def test_pictures_that_can_t_be_used_are_found_first(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 3, "b": 2, "c": 2})
    whole = (tmp_path / "a/0.png").read_bytes()
    (tmp_path / "a/._0.png").write_bytes(b"what macOS leaves")
    assert shape_of(data(tmp_path)) == [[3, 2, 2], None]
    (tmp_path / "a/1.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "b/1.png").write_bytes(b"")
    Image.fromarray(np.full((4, 5), 0.5, np.float32)).save(tmp_path / "c/1.tif")
    with pytest.raises(SpecError, match="has 3 pictures that can't be used") as error:
        data(tmp_path)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == "bad-data"
    assert "--on-bad skip" in diagnostic.help[0]
    for note, name in zip(diagnostic.notes, ("a/1.png", "b/1.png", "c/1.tif"), strict=True):
        assert str(tmp_path / name) in note
    found = data(tmp_path, skip_bad=True)
    assert shape_of(found) == [[2, 1, 2], None]
    assert found.left_out == diagnostic.notes
    x = found.train.inputs([1], None)[0, 0].numpy()
    np.testing.assert_array_equal(x, np.asarray(Image.open(tmp_path / "a/2.png")))
    (tmp_path / "b/0.png").write_bytes(b"")
    with pytest.raises(SpecError, match="b has no picture that can be used"):
        data(tmp_path, skip_bad=True)


def test_overlong_pictures_are_found_first(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 1, "b": 1, "c": 1})
    Image.fromarray(np.zeros((1, 5000), np.uint8)).save(tmp_path / "c/long.png")
    assert shape_of(data(tmp_path)) == [[1, 1, 2], None]  # scaled to 4x5
    resized = net(f"{GRAY} {{ resize: 6  crop: center }}")
    with pytest.raises(SpecError, match="has a picture that can't be used") as error:
        data(tmp_path, resized)
    assert "100 times" in error.value.diagnostics[0].notes[0]
    x = np.zeros((3, 1, 5000), np.uint8)
    refused("100 times", arrays(tmp_path / "d.npz", x=x, y=np.arange(3)), resized)


def test_16_bits_are_scaled(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 1, "b": 1, "c": 1})
    eight = np.asarray(Image.open(tmp_path / "b/0.png"))
    Image.fromarray(eight.astype(np.uint16) * 257).save(tmp_path / "b/0.png")
    x = data(tmp_path).train.inputs([1], None)[0, 0]
    np.testing.assert_allclose(x.numpy(), eight, rtol=1e-6)
    x16 = np.full((3, 4, 5), 65535, np.uint16)
    help_ = refused("values from 65535 to 65535", arrays(tmp_path / "d.npz", x=x16, y=np.arange(3)))
    assert help_ == ("of 16 bits, divide by 257",)
    scaled = net(f"{GRAY} {{ scale: 1/255 }}")
    unit = arrays(tmp_path / "d.npz", x=np.ones((3, 4, 5), np.float32), y=np.arange(3))
    assert refused("holds values up to 1.0", unit, scaled) == ("multiply by 255",)
    assert shape_of(data(unit)) == [[1, 1, 1], None]


def test_replaced_pictures_are_other_data(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 2, "b": 1, "c": 1})
    before = data(tmp_path).train.digest()
    (tmp_path / "a/0.png").rename(tmp_path / "a/00.png")
    assert data(tmp_path).train.digest() == before  # the order is the same
    Image.fromarray(np.full((4, 5), 7, np.uint8)).save(tmp_path / "a/00.png")
    assert data(tmp_path).train.digest() != before


def test_a_folder_train_alone(tmp_path: Path) -> None:
    fill(tmp_path / "train", {"a": 10, "b": 10, "c": 20})
    found = data(tmp_path, held_out=0.1)
    assert found.classes == ("a", "b", "c")
    assert shape_of(found) == [[9, 9, 18], [1, 1, 2]]
    (tmp_path / "train").rename(tmp_path / "val")
    refused("has val, but no folder train beside it", tmp_path)
    fill(tmp_path / "train", {"a": 1, "b": 1, "c": 1})
    for name in ("a", "b", "c"):
        for file in (tmp_path / "val" / name).iterdir():
            file.unlink()
    refused("val has no picture that can be used", tmp_path)


def test_pictures_below_the_folder_of_a_class(tmp_path: Path) -> None:
    fill(tmp_path, {"a": 1, "b/old": 2, "b/new/red": 1, "b/.thumbnails": 4, "c": 1})
    found = data(tmp_path)
    assert found.classes == ("a", "b", "c")
    assert shape_of(found) == [[1, 3, 1], None]
    x = found.train.inputs([1], None)[0, 0].numpy()
    np.testing.assert_array_equal(x, np.asarray(Image.open(tmp_path / "b/new/red/0.png")))


def test_what_is_not_used_is_said(tmp_path: Path) -> None:
    classes = {"a": 1, "b": 1, "c": 1}
    for part in ("train", "val", "test"):
        fill(tmp_path / part, classes)
    (tmp_path / "train/a/0.png").rename(tmp_path / "train/lost.png")
    fill(tmp_path / "train", {"a/new": 1})
    assert data(tmp_path).left_out == (
        f"{tmp_path / 'test'}: neither trained on nor held out; `netspec eval --split test` reads it",
        f"{tmp_path / 'train'}: a picture in no folder of a class, such as lost.png",
    )
    x, y = np.zeros((3, 4, 5), np.uint8), np.arange(3)
    given = {f"{n}_{part}": a for part in ("train", "val", "test") for n, a in (("x", x), ("y", y))}
    found = data(arrays(tmp_path / "d.npz", **given))
    assert found.left_out == (f"{tmp_path / 'd.npz'}: x_test is neither trained on nor held out",)


# --- arrays --------------------------------------------------------------------------------------


def arrays(path: Path, **given: Any) -> Path:
    np.savez(path, **given)
    return path


@pytest.mark.parametrize(
    ("shape", "x"),
    [
        (GRAY, np.arange(60, dtype=np.uint8).reshape(3, 4, 5)),
        (GRAY, np.arange(60, dtype=np.uint8).reshape(3, 4, 5, 1)),
        (GRAY, np.arange(60, dtype=np.float64).reshape(3, 1, 4, 5)),
        (GRAY, np.arange(60, dtype=np.float32).reshape(3, 4, 5)),
        ("3x4x5", np.arange(180, dtype=np.int64).reshape(3, 4, 5, 3)),
        ("3x4x5", np.arange(180, dtype=np.float32).reshape(3, 3, 4, 5)),
        ("20", np.arange(60, dtype=np.float16).reshape(3, 20)),
        ("20", np.arange(60, dtype=np.int8).reshape(3, 20)),
    ],
)
def test_arrays(shape: str, x: Any, tmp_path: Path) -> None:
    of = net(shape)
    found = data(arrays(tmp_path / "d.npz", x=x, y=np.array([2, 0, 1], dtype=np.uint8)), of)
    wanted = x if x.shape[1:] == of.body.inputs[0].shape else x[..., None] if x.ndim == 3 else x
    if wanted is not x or (x.ndim == 4 and x.shape[1:] != of.body.inputs[0].shape):
        wanted = wanted.transpose(0, 3, 1, 2)
    inputs = found.train.inputs([2, 0], None)
    assert inputs.dtype == torch.float32
    np.testing.assert_array_equal(inputs.numpy(), wanted[[2, 0]].astype(np.float32))
    assert found.train.labels.dtype == np.int64
    assert found.train.labels.tolist() == [2, 0, 1]


def test_parts_that_the_file_states(tmp_path: Path) -> None:
    """The names of Keras's data sets."""
    x = np.zeros((4, 4, 5), dtype=np.uint8)
    y = np.array([0, 1, 2, 0])
    found = data(arrays(tmp_path / "d.npz", x_train=x, y_train=y, x_test=x[:2], y_test=y[:2]))
    assert found.held_out is not None
    assert (len(found.train.labels), len(found.held_out.labels)) == (4, 2)


def test_arrays_that_will_not_do(tmp_path: Path) -> None:
    path = tmp_path / "d.npz"
    x, y = np.zeros((4, 4, 5), dtype=np.uint8), np.array([0, 1, 2, 0])
    refused("no arrays x and y, but a", arrays(path, a=x))
    refused("labels are 3 int64", arrays(path, x=x, y=y[:3]))
    refused("labels are 4 float64", arrays(path, x=x, y=y / 1.0))
    refused("labels are 4x1 int64", arrays(path, x=x, y=y[:, None]))
    refused("no real numbers", arrays(path, x=x.astype(str), y=y))
    refused("not finite", arrays(path, x=x * np.nan, y=y))
    refused("which is no input of 1x4x5", arrays(path, x=np.zeros((4, 4, 5, 3), np.uint8), y=y))
    refused("which is no input of 1x4x5", arrays(path, x=np.zeros((4, 20)), y=y))
    refused("which is no input of 20", arrays(path, x=x, y=y), net("20"))
    assert refused("has 4 classes, but n tells 3 apart", arrays(path, x=x, y=y + 1))
    refused("label -1", arrays(path, x=x, y=y - 1))
    refused("leaves no sample", arrays(path, x=x[:0], y=y[:0]))
    path.write_bytes(b"no zip")
    refused("no sound .npz file", path)
    np.savez(path, x=np.array([{"a": 1}], dtype=object), y=y[:1])
    refused("Python objects", path)
    (tmp_path / "d.csv").write_text("1,2\n")
    refused("neither a folder of pictures nor a .npz file", tmp_path / "d.csv")
