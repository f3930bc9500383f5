"""Pictures in files: cut out by whatever number of processes, kept decoded, as Pillow does it."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import netspec
from netspec.cli.main import main
from netspec.diagnostics import SpecError
from netspec.ir import Net
from netspec.lazy_dataclasses import replace
from netspec.pictures import store
from netspec.pictures.readers import PictureReaders
from netspec.training import TrainingOptions, picture_files, train
from netspec.training.datasets import read
from netspec.training.loader import Loader
from netspec.training.picture_files import Pictures
from netspec.training.sampler import Draws, Rolls, Sampler
from netspec.training.trainer import _Run
from netspec.training.transforms import Preparation

from ..helpers import net_of
from .samples import recipe

LEAST = "learning_rate: 1  batch_size: 4  epochs: 1"


def net(fields: str = "", picture: str = "3x20x24 { resize: 30  scale: 1/255 }") -> Net:
    return net_of(
        f"net n {{ input data: {picture}\n flatten -> linear {{ units: 2 }}\n"
        f" train {{ {LEAST}  {fields} }} }}"
    )


def smooth(rng: np.random.Generator, height: int, width: int) -> Image.Image:
    small = Image.fromarray(rng.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    return small.resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eleven JPEGs of several sizes in two classes, one of them turned by EXIF, and a PNG."""
    rng = np.random.default_rng(0)
    for i in range(12):
        picture = smooth(rng, *((60, 90), (250, 180), (33, 40))[i % 3])
        own = tmp_path / "data" / "ab"[i % 2]
        own.mkdir(parents=True, exist_ok=True)
        exif = Image.Exif()
        if i == 4:
            exif[0x0112] = 6
        picture.save(own / f"{i:02}.{'png' if i == 7 else 'jpg'}", quality=95, exif=exif)
    return tmp_path / "data"


def pictures(folder: Path, of: Net, keep: Path | None = None) -> Pictures:
    found = read(folder, of, Preparation(of, recipe(of), keep), 0.0).train
    assert isinstance(found, Pictures)
    return found


def changed(count: int, seed: int = 0) -> Rolls:
    return Rolls(seed, np.arange(count))


FIELDS = ["", "random_crop: true  mirror: true", "resized_crop: 0.2  brightness: 0.3"]


def test_unchanged_as_the_model_prepares_them(folder: Path) -> None:
    """Bytes are rounded once in each direction."""
    of = net()
    model: Any = netspec.build(of, "torch")
    found = pictures(folder, of)
    x = found.inputs(range(12), None)
    for file, own in zip(found.files, x, strict=True):
        with Image.open(file) as image:
            from PIL import ImageOps

            wanted = model.preprocess(ImageOps.exif_transpose(image))[0]
        assert (own - wanted).abs().max() <= 1.6 / 255


def test_a_crop_is_a_part_of_the_resized_picture(folder: Path) -> None:
    of = net("random_crop: true", "3x20x24 { resize: 30 }")
    found = pictures(folder, of)
    rolls = changed(12)
    x = found.inputs(range(12), rolls)
    boxes = found.preparation.boxes(
        np.stack([found.entries["height"], found.entries["width"]], 1).astype(int), rolls
    )
    for file, own, box in zip(found.files, x, boxes, strict=True):
        with Image.open(file) as image:
            from PIL import ImageOps

            turned = ImageOps.exif_transpose(image).convert("RGB")
        scale = min(turned.size) / 30
        top, left, bottom, right = box / scale
        assert (bottom - top, right - left) == pytest.approx((20, 24), abs=0.3)
        size = round(turned.width / scale), round(turned.height / scale)
        whole = np.asarray(turned.resize(size, Image.Resampling.BILINEAR)).astype(float)
        cut = whole[round(top) : round(top) + 20, round(left) : round(left) + 24]
        # The large ones were decoded at a half of their size.
        assert np.abs(own.permute(1, 2, 0).numpy() - cut).mean() < 2


@pytest.mark.slow
@pytest.mark.parametrize("fields", FIELDS)
def test_processes_do_not_matter(fields: str, folder: Path, tmp_path: Path) -> None:
    of = net(fields)
    for keep in (None, tmp_path / "kept")[: 1 if "random_crop" in fields else 2]:
        found = pictures(folder, of, keep)
        order = Sampler(12, 5, 0)
        draws = [order.draws(i) for i in range(6)]
        results = []
        for workers in (0, 2):
            loader = Loader(found, 3, workers, largest=5)
            try:
                batches = loader.training(iter(draws))
                own = [next(batches) for _ in range(2)]
                # What is held out comes in between.
                plain = [*loader.beside(found).plain([range(5)] * 5)]
                results.append([*own, *batches, *plain])
            finally:
                loader.close()
        for other in results[1:]:
            for (x, y), (x_other, y_other) in zip(results[0], other, strict=True):
                assert torch.equal(x, x_other)
                assert torch.equal(y, y_other)
        # A sample's changes are its own, whatever it shares a batch with.
        alone = found.inputs(draws[2].samples[3:4].tolist(), Rolls(3, draws[2].places[3:4]))
        assert torch.equal(alone[0], results[0][2][0][3])


@pytest.mark.parametrize("fields", FIELDS)
def test_kept_pictures_are_not_decoded_again(
    fields: str, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of, keep = net(fields), tmp_path / "kept"
    (folder / "a/bad.png").write_bytes(b"no picture")
    wanted = read(folder, of, Preparation(of, recipe(of)), 0.0, skip_bad=True)
    first = read(folder, of, Preparation(of, recipe(of), keep), 0.0, skip_bad=True)
    monkeypatch.setattr(picture_files, "picture_bytes", None)
    again = read(folder, of, Preparation(of, recipe(of), keep), 0.0, skip_bad=True)
    assert first.left_out == again.left_out == wanted.left_out
    assert "bad.png" in first.left_out[0]
    assert first.train.digest() == again.train.digest() == wanted.train.digest()
    for rolls in (None, changed(12)):
        x = again.train.inputs(range(12), rolls)
        assert torch.equal(first.train.inputs(range(12), rolls), x)
        uncached = wanted.train.inputs(range(12), rolls)
        assert (x - uncached).abs().mean() < 2 / 255
        assert torch.equal(
            x[:3], again.train.inputs(range(3), None if rolls is None else rolls[:3])
        )
    monkeypatch.undo()
    # Other content, and damage, are noticed.
    assert len(list(keep.iterdir())) == 1
    smooth(np.random.default_rng(9), 50, 50).save(folder / "a/00.jpg")
    other = read(folder, of, Preparation(of, recipe(of), keep), 0.0, skip_bad=True)
    assert other.train.digest() != first.train.digest()
    assert len(list(keep.iterdir())) == 2
    for file in keep.iterdir():
        damaged = bytearray(file.read_bytes())
        damaged[-60] ^= 1
        file.write_bytes(damaged)
    again = read(folder, of, Preparation(of, recipe(of), keep), 0.0, skip_bad=True)
    assert torch.equal(again.train.inputs(range(12), None), other.train.inputs(range(12), None))
    for content in (b"", b"netspec pictures 1\n", b"x" * 200):
        file.write_bytes(content)
        assert store.kept(file, 13, 3) is None


def test_a_store_takes_half_of_the_free_space(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "MOST_OF_DISK", 1e-12)
    of = net()
    data = read(folder, of, Preparation(of, recipe(of), tmp_path / "kept"), 0.0)
    assert not list((tmp_path / "kept").iterdir())
    assert data.train.inputs([0], None).shape == (1, 3, 20, 24)
    assert "more than half of the free space" in data.left_out[0]


@pytest.mark.slow
def test_16_bits_are_kept_and_cut(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 60 * 80).reshape(60, 80).astype(np.uint16)
    for name in ("a", "b"):
        (tmp_path / "data" / name).mkdir(parents=True)
        Image.fromarray(ramp).save(tmp_path / "data" / name / "deep.png")
        smooth(np.random.default_rng(0), 60, 80).save(tmp_path / "data" / name / "plain.png")
    of = net("", "3x30x40")
    wanted = pictures(tmp_path / "data", of)
    assert wanted.form.deep
    kept = pictures(tmp_path / "data", of, tmp_path / "kept")
    x = wanted.inputs(range(4), None)
    model: Any = netspec.build(of, "torch")
    torch.testing.assert_close(x[0], model.preprocess(ramp)[0], rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(kept.inputs(range(4), None), x, rtol=1e-4, atol=1e-2)
    loader = Loader(kept, 0, 1, largest=4)
    try:
        ((batch, _),) = loader.plain([range(4)])
        assert torch.equal(batch, kept.inputs(range(4), None))
    finally:
        loader.close()


@pytest.mark.slow
@pytest.mark.slow
def test_a_training_goes_on_with_the_same_changes(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted, with another number of processes, it ends with the same bits."""
    fields = (
        "resized_crop: 0.3  mirror: true  randaugment: [1, 9]  erase: 0.5  mixup: 0.3  cutmix: 1"
        "  sampling: balanced  brightness: 0.2"
    )
    of = net(fields.replace("epochs: 1", ""))
    training = replace(recipe(of), epochs=None, iterations=8, learning_rate=0.01)
    (folder / "a/more.jpg").write_bytes((folder / "a/00.jpg").read_bytes())

    def run(name: str, **more: Any) -> bytes:
        options = TrainingOptions(folder, tmp_path / name, every=3, quiet=True, **more)
        train(of, training, options)
        return (tmp_path / name / "last.safetensors").read_bytes()

    whole = run("whole", workers=0)
    measure = _Run._measure
    with monkeypatch.context() as patch:

        def interrupted(self: Any) -> None:
            measure(self)
            if self.done == 5:
                raise KeyboardInterrupt

        patch.setattr(_Run, "_measure", interrupted)
        with pytest.raises(KeyboardInterrupt):
            run("parts", workers=2)
    assert run("parts", workers=1) == whole
    kept = run("kept", workers=0, cache=tmp_path / "kept-pictures")
    assert run("kept-again", workers=2, cache=tmp_path / "kept-pictures") == kept


@pytest.mark.slow
def test_the_options_of_the_command(
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    spec = tmp_path / "n.net"
    spec.write_text(
        "net n { input data: 3x20x24 { resize: 30  scale: 1/255 }\n flatten -> linear { units: 2 }\n"
        f" train {{ {LEAST} }} }}"
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    command = ["train", str(spec), "--data", str(folder), "--held-out", "30%", "--out"]
    assert main([*command, str(tmp_path / "a"), "--cache", "--workers", "1"]) == 0
    said = capsys.readouterr().err
    assert "trained on: 8 samples of 2 classes: a 4, b 4" in said
    assert "recall: a " in said
    assert len(list((tmp_path / "home/netspec/pictures").iterdir())) == 1
    own = ["--cache", str(tmp_path / "own"), "--workers", "0"]
    assert main([*command, str(tmp_path / "b"), *own]) == 0
    assert len(list((tmp_path / "own").iterdir())) == 1
    for name in ("last.safetensors", "best.safetensors"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert main([*command, str(tmp_path / "b"), "--workers", "0"]) == 1  # without the cache
    assert "cache was True" in capsys.readouterr().err


def test_what_would_start_other_programs_is_no_picture(folder: Path) -> None:
    text = "%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\n"
    (folder / "a/x.png").write_text(text)
    with pytest.raises(SpecError, match="can't be used") as error:
        pictures(folder, net())
    assert "no format that Pillow knows" in error.value.diagnostics[0].notes[0]


@pytest.mark.slow
def test_what_goes_wrong_in_a_process_is_said(folder: Path) -> None:
    found = pictures(folder, net())
    loader = Loader(found, 0, 2, largest=12)
    try:
        smooth(np.random.default_rng(1), 9, 9).save(found.files[0])
        with pytest.raises(SpecError, match="is another picture than when it was looked at"):
            next(loader.plain([range(12)]))
        found.files[0].unlink()
        with pytest.raises(SpecError, match="there is no picture"):
            next(loader.plain([range(12)]))
        assert loader.readers is not None
        for process in loader.readers._processes:
            os.kill(process._process.pid, signal.SIGKILL)
        with pytest.raises(SpecError, match="a process that reads pictures has ended"):
            next(loader.plain([range(1, 12)]))
    finally:
        loader.close()


def test_large_pictures_are_decoded_smaller() -> None:
    of = net("", "3x20x24 { resize: 30 }")
    plain = Preparation(of, recipe(of))
    assert [plain.reduction(*size) for size in ((59, 90), (60, 60), (90, 130), (125, 800))] == [
        *(1, 1, 1, 2)
    ]
    assert [plain.reduction(*size) for size in ((240, 400), (480, 480), (9000, 8000))] == [4, 8, 8]
    cut = net("resized_crop: 0.1")
    assert Preparation(cut, recipe(cut)).reduction(100, 2000) == 2  # twice the input's 24


@pytest.mark.slow
def test_readers_hold_their_batches(folder: Path) -> None:
    """A batch that was given stays until the next is asked for."""
    found = pictures(folder, net())
    readers = PictureReaders(2, found.form, 4)
    try:
        batches = [((i,), found.jobs([i % 12] * 4, None)) for i in range(12)]
        for (i,), pixels in readers.stream(iter(batches)):
            np.testing.assert_array_equal(found.made(pixels, None), found.inputs([i] * 4, None))
    finally:
        readers.close()


def test_draws_are_of_places() -> None:
    draws = Draws(np.arange(4), np.array([3, 1, 0, 2]))
    assert len(draws[1:3]) == 2
    assert draws[1:3].samples.tolist() == [1, 0]
