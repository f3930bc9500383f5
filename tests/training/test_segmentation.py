"""Nets that make planes of classes: masks read, changed along with pictures, trained on, judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from netspec.cli.main import main
from netspec.diagnostics import SpecError
from netspec.ir import Net
from netspec.lazy_dataclasses import replace
from netspec.runtime.masks import palette
from netspec.runtime.placement import output_axes, sampled
from netspec.training import TrainingOptions, TrainingResult, checkpoint, train
from netspec.training.sampler import Rolls
from netspec.training.tasks import task_of
from netspec.training.tasks.segmentation import MaskFile, Masks, MaskTally, Segmentation
from netspec.training.transforms import Preparation
from netspec.weights.trained import read_trained

from ..helpers import loaded, net_of
from .drawn import drawings, save_masks
from .samples import recipe

NET = """
net planes(classes = 4, size = 32) {
  input data: [3, size, size] { scale: 1/255  mean: 0.2 }
  a: conv { filters: 16  kernel: 3  pad: 1 } -> batchnorm -> relu
  b: conv { filters: 24  kernel: 3  stride: 2  pad: 1 } -> batchnorm -> relu
  c: conv { filters: 24  kernel: 3  pad: 2  dilation: 2 } -> batchnorm -> relu
  d: conv { filters: 24  kernel: 3  pad: 4  dilation: 4 } -> batchnorm -> relu
  e: upsample { scale: 2  mode: nearest }
  f: concat(a, e)
  g: conv(f) { filters: 16  kernel: 3  pad: 1 } -> batchnorm -> relu
  last: conv { filters: classes  kernel: 1 }
  prob: softmax
  train { TRAIN }
}
"""
FIELDS = (
    "optimizer: adam  learning_rate: 0.01  batch_size: 4  iterations: 6  mirror: true  shift: 3"
)


def planes(fields: str = FIELDS, **arguments: Any) -> Net:
    return net_of(NET.replace("TRAIN", fields), arguments)


def trained(net: Net, folder: Path, **options: Any) -> TrainingResult:
    given: dict[str, Any] = {
        "data": folder / "data",
        "out": folder / "out",
        "quiet": True,
        "workers": 0,
        **options,
    }
    return train(net, recipe(net), TrainingOptions(**given))


# --- places --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("layers", "size"),
    [
        ("conv { filters: 2  kernel: 1 }", 12),
        ("conv { filters: 2  kernel: 3 }", 10),
        ("conv { filters: 2  kernel: 4  stride: 4 }", 3),
        ("conv { filters: 2  kernel: 1 } -> upsample { scale: 2  mode: nearest }", 24),
    ],
)
def test_planes_lie_in_the_input(layers: str, size: int) -> None:
    """What a net says of a pixel is at its place, whatever the size of its planes."""
    net = net_of(f"net n {{ input x: 3x12x12\n {layers} }}")
    down, across = output_axes(net)
    plane = np.arange(size * size, dtype=np.uint8).reshape(size, size)
    found = sampled(plane, (down, across), (12, 12), 255)
    for i in range(12):
        for j in range(12):
            if size == 10:  # without pads, the outermost pixels have no answer
                inner = 1 <= i < 11 and 1 <= j < 11
                wanted = plane[i - 1, j - 1] if inner else 255
            else:
                wanted = plane[(2 * i + 1) * size // 24, (2 * j + 1) * size // 24]
            assert found[i, j] == wanted


def test_pixels_beyond_a_crop_have_no_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A picture of 20x40 whose middle square is the input; white is class 1, drawn as in VOC."""
    spec = tmp_path / "n.net"
    spec.write_text(
        "net n { input x: 3x10x10 { scale: 1/255  resize: 10  crop: center }\n"
        " c: conv { filters: 2  kernel: 1 } }"
    )
    weight = np.zeros((2, 3, 1, 1), np.float32)
    weight[1] = 1
    np.savez(
        tmp_path / "w.npz",
        **{"c.weight": weight, "c.bias": np.array([1.5, 0], np.float32)},  # type: ignore[arg-type]
    )
    pixels = np.zeros((20, 40, 3), np.uint8)
    pixels[:, 24:] = 255
    Image.fromarray(pixels).save(tmp_path / "p.png")
    (tmp_path / "labels.txt").write_text("dark\nbright\n")
    command = ["run", str(spec), str(tmp_path / "p.png"), "--weights", str(tmp_path / "w.npz")]
    command += ["--draw", str(tmp_path / "drawn"), "--labels", str(tmp_path / "labels.txt")]
    for backend in ("numpy", "torch"):
        assert main([*command, "--format", "json", "--backend", backend]) == 0
        [found] = json.loads(capsys.readouterr().out)
        with Image.open(found["mask"]) as mask:
            assert mask.mode == "P"
            values = np.array(mask)
            colors = np.array(mask.convert("RGB"))
        assert values.shape == (20, 40)
        assert (values[:, :10] == 255).all()
        assert (values[:, 30:] == 255).all()
        assert (values[:, 10:24] == 0).all()
        assert (values[:, 24:30] == 1).all()
        assert [(c["class"], c["label"], c["share"]) for c in found["classes"]] == [
            (0, "dark", 0.35),
            (1, "bright", 0.15),
        ]
        assert (colors[5, 25] == (128, 0, 0)).all()  # the first class of PASCAL VOC
        with Image.open(found["overlay"]) as overlay:
            drawn = np.array(overlay)
        assert (drawn[:, :10] == pixels[:, :10]).all()
        assert (drawn[5, 25] == (192, 128, 128)).all()
    assert main(command) == 0
    assert "35.00%     0  dark" in capsys.readouterr().out
    assert main(["run", "squeezenet_digits", str(tmp_path / "p.png"), "--draw", "x"]) == 1
    assert "nothing to draw" in capsys.readouterr().err


def test_colours_are_those_of_voc() -> None:
    """As VOCdevkit's VOClabelcolormap lists them."""
    colors = np.array(palette()).reshape(-1, 3)
    assert colors[[0, 1, 2, 3, 4, 15, 20]].tolist() == [
        [0, 0, 0],
        [128, 0, 0],
        [0, 128, 0],
        [128, 128, 0],
        [0, 0, 128],
        [192, 128, 128],
        [0, 64, 128],
    ]
    assert len({tuple(c) for c in colors.tolist()}) == 256


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pictures")


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.booleans())
def test_targets_move_along_with_pictures(folder: Path, seed: int, mirror: bool, cut: bool) -> None:
    """A picture that is its own mask still is when both are changed, but for its seams."""
    changes = f"mirror: {str(mirror).lower()}  shift: 3" + ("  resized_crop: 0.5" if cut else "")
    net = net_of(
        "net n { input x: 1x16x16 { resize: 24x20 }\n conv { filters: 9  kernel: 1 }\n"
        f" train {{ learning_rate: 1  batch_size: 1  epochs: 1  random_crop: {str(not cut).lower()}"
        f"  {changes} }} }}"
    )
    rng = np.random.default_rng(seed)
    picture = rng.integers(1, 9, (5, 4)).repeat(12, 0).repeat(15, 1).astype(np.uint8)
    rolls = Rolls(seed, np.array([3]))
    Image.fromarray(picture).save(folder / "p.png")
    preparation = Preparation(net, recipe(net))
    samples = Masks([folder / "p.png"], [MaskFile(folder / "p.png", b"", 0)], "", preparation, net)
    inputs, masks = samples.batch([0], rolls)
    x, mask = inputs[0, 0].numpy(), masks[0].numpy()
    mask[mask == 255] = 0
    inner = np.ones((16, 16), bool)
    for down in (-1, 0, 1):
        for across in (-1, 0, 1):
            inner &= np.roll(mask, (down, across), (0, 1)) == mask
    inner[[0, -1]] = inner[:, [0, -1]] = False
    assert inner.any()
    assert np.abs(x - mask)[inner].max() < 1e-3


# --- figures -------------------------------------------------------------------------------------


def test_the_loss_and_the_figures_by_hand() -> None:
    net = planes(f"{FIELDS}  class_weights: [1, 2, 0.5, 4]", size=4)
    task = task_of(net)
    assert isinstance(task, Segmentation)
    task.weights = torch.tensor([1, 2, 0.5, 4])
    rng = np.random.default_rng(0)
    scores = torch.from_numpy(rng.standard_normal((3, 4, 4, 4)).astype(np.float32))
    masks = rng.choice([0, 1, 2, 255], (3, 4, 4)).astype(np.uint8)
    losses, right, pairs = [], [], []
    for n, i, j in np.ndindex(3, 4, 4):
        truth = int(masks[n, i, j])
        if truth == 255:
            losses.append(0.0)
            continue
        logs = F.log_softmax(scores[n, :, i, j], 0)
        losses.append(-float(logs[truth]) * (1, 2, 0.5, 4)[truth])
        pairs.append((truth, int(scores[n, :, i, j].argmax()), -float(logs[truth])))
        right.append(pairs[-1][0] == pairs[-1][1])
    targets = torch.from_numpy(masks)
    assert float(task.loss(scores, targets)) == pytest.approx(np.mean(losses), rel=1e-5)
    tally = MaskTally(4)
    for n in range(3):
        tally.add(scores[n : n + 1], targets[n : n + 1])
    found = tally.figures()
    assert found["loss"] == pytest.approx(np.mean([loss for *_, loss in pairs]), rel=1e-5)
    assert found["accuracy"] == pytest.approx(np.mean(right))
    for c in range(4):
        both = sum(t == a == c for t, a, _ in pairs)
        either = sum(c in (t, a) for t, a, _ in pairs)
        assert found["iou"][c] == (pytest.approx(both / either) if either else None)
    assert found["miou"] == pytest.approx(np.mean([v for v in found["iou"] if v is not None]))


def test_balanced_weights_are_median_frequencies(tmp_path: Path) -> None:
    """Class 0: 12 of 16 pixels, 1: 4 of 16, 2: 8 of 16 in the picture that it is in, 3 nowhere."""
    for name, values in (("a", [0] * 8), ("b", [0] * 4 + [1] * 4)):
        for kind in ("images", "masks"):
            folder = tmp_path / kind
            folder.mkdir(exist_ok=True)
            Image.fromarray(np.array(values, np.uint8).reshape(2, 4)).save(folder / f"{name}.png")
    Image.fromarray(np.full((2, 4), 2, np.uint8)).save(tmp_path / "images" / "c.png")
    Image.fromarray(np.array([[2] * 4, [255] * 4], np.uint8)).save(tmp_path / "masks" / "c.png")
    net = planes(f"{FIELDS}  class_weights: balanced", size=4)
    task = task_of(net)
    assert isinstance(task, Segmentation)
    task.read(tmp_path, Preparation(net, recipe(net)), 0.0)
    assert task.weights is not None
    # Frequencies 12/16, 4/8 and 4/4 (what has no class is not counted), their median 3/4.
    assert task.weights.tolist() == pytest.approx([1, 1.5, 0.75, 1])


# --- training ------------------------------------------------------------------------------------


@pytest.mark.slow
def test_it_goes_on_to_the_bit_and_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    save_masks(data / "train", drawings(10, 32))
    save_masks(data / "test", drawings(5, 32, 1))
    (data / "labels.txt").write_text("ground\ndisc\nsquare\ntriangle\n")
    net = planes()
    result = trained(net, tmp_path, every=3)
    assert result.figure == "mIoU"
    rows = [
        json.loads(line)
        for line in (tmp_path / "out" / "metrics.jsonl").read_text().split("\n")
        if line
    ]
    assert [r["iteration"] for r in rows if r["kind"] == "held-out"] == [3, 6]
    assert result.accuracy == rows[-1]["miou"]
    assert "mIoU, %" in (tmp_path / "out" / "curve.svg").read_text()

    # Stopped after the first checkpoint, and gone on with threads.
    real = checkpoint.write_checkpoint

    def stop(*given: Any) -> None:
        real(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr("netspec.training.trainer.write_checkpoint", stop)
    with pytest.raises(KeyboardInterrupt):
        trained(net, tmp_path, every=3, out=tmp_path / "again")
    monkeypatch.undo()
    trained(net, tmp_path, every=3, out=tmp_path / "again", workers=2)
    for name in ("last.safetensors", "best.safetensors"):
        first, second = ((tmp_path / out / name).read_bytes() for out in ("out", "again"))
        assert first == second

    weights = tmp_path / "out" / "last.safetensors"
    assert read_trained(weights).classes == ("ground", "disc", "square", "triangle")
    found = {}
    for backend in ("torch", "numpy"):
        command = ["eval", str(weights), "--weights", str(weights), "--data", str(data)]
        assert main([*command, "--backend", backend, "--format", "json"]) == 0
        found[backend] = json.loads(capsys.readouterr().out)
    judged = found["torch"]
    assert (judged["split"], judged["samples"], judged["pixels"]) == ("test", 5, 5 * 32 * 32)
    # What is held out while training is `test` too, where there is no `val`.
    assert judged["miou"] == pytest.approx(rows[-1]["miou"])
    assert judged["loss"] == pytest.approx(rows[-1]["loss"], rel=1e-4)
    assert list(judged["iou"]) == ["ground", "disc", "square", "triangle"]
    assert list(judged["iou"].values()) == pytest.approx(rows[-1]["iou"])
    assert found["numpy"]["loss"] == pytest.approx(judged["loss"], rel=1e-4)
    assert [sum(row) for row in judged["confusion"]] == [c["count"] for c in judged["classes"]]
    command += ["--picture", str(tmp_path / "c.svg")]
    assert main(command) == 0
    assert "mIoU" in capsys.readouterr().out
    assert main([*command, "--split", "val"]) == 1
    assert "it has test, train" in capsys.readouterr().err
    assert (
        main(["run", str(weights), str(data / "test" / "images"), "--draw", str(tmp_path / "d")])
        == 0
    )
    assert "ground" in capsys.readouterr().out
    assert {p.name for p in (tmp_path / "d").glob("*.png")} == {
        f"{i:03}{end}.png" for i in range(5) for end in ("", ".overlay")
    }


def damage(folder: Path, kind: str) -> None:
    mask = folder / "masks" / "001.png"
    if kind == "missing":
        mask.unlink()
    elif kind == "size":
        Image.fromarray(np.zeros((32, 31), np.uint8)).save(mask)
    elif kind == "range":
        Image.fromarray(np.full((32, 32), 4, np.uint8)).save(mask)
    elif kind == "colours":
        Image.fromarray(np.arange(32 * 32 * 3, dtype=np.uint8).reshape(32, 32, 3)).save(mask)
    elif kind == "jpeg":
        mask.unlink()
        Image.fromarray(np.zeros((32, 32), np.uint8)).save(mask.with_suffix(".jpg"))
    elif kind == "text":
        mask.write_text("no picture")
    elif kind == "truncated":
        mask.write_bytes(mask.read_bytes()[:60])
    elif kind == "16 bits":
        Image.fromarray(np.full((32, 32), 300, np.uint16)).save(mask)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("missing", "images/001.png has no mask"),
        ("size", "the mask {}/masks/001.png is 32x31, and its picture 32x32"),
        ("range", "the mask {}/masks/001.png has the class 4, but planes tells 4 apart"),
        ("colours", "001.png can't be read as a mask: it has colours"),
        ("jpeg", "001.jpg can't be read as a mask: JPEG changes class numbers"),
        ("text", "001.png can't be read as a mask: it is of no format"),
        ("truncated", "001.png can't be read as a mask: "),
        ("16 bits", "001.png can't be read as a mask: its values are no whole numbers"),
    ],
)
def test_masks_that_can_not_be_used(kind: str, message: str, tmp_path: Path) -> None:
    data = tmp_path / "data"
    save_masks(data, drawings(4, 32))
    damage(data, kind)
    net = planes("learning_rate: 0.1  batch_size: 1  iterations: 1")
    with pytest.raises(SpecError) as error:
        trained(net, tmp_path)
    [found] = error.value.diagnostics
    assert found.message == f"{data} has a picture that can't be used"
    assert message.format(data) in found.notes[0]
    assert trained(net, tmp_path, on_bad="skip").iterations == 1


def test_folders_that_can_not_be_used(tmp_path: Path) -> None:
    net = planes("learning_rate: 0.1  batch_size: 1  iterations: 1")

    def message(**options: Any) -> str:
        with pytest.raises(SpecError) as error:
            trained(net, tmp_path, **options)
        return error.value.diagnostics[0].message

    assert "there is no folder" in message()
    (tmp_path / "data" / "cat").mkdir(parents=True)
    assert "no folders images and masks" in message()
    save_masks(tmp_path / "data" / "val", drawings(1, 32))
    assert "no folder train beside it" in message()
    save_masks(tmp_path / "data" / "train", [])
    assert "has no pictures" in message()
    whole = net_of(
        "net n { input x: 3x32x32\n conv { filters: 2  kernel: 1 } -> global_avgpool\n"
        " train { learning_rate: 1  batch_size: 1  epochs: 1 } }"
    )
    with pytest.raises(SpecError, match="n has no planes of classes"):
        trained(whole, tmp_path)
    turned = planes("learning_rate: 0.1  batch_size: 1  iterations: 1  rotate: 10")
    with pytest.raises(SpecError, match="rotate turns pictures"):
        trained(turned, tmp_path)


@pytest.mark.parametrize("spec", ["segnet", "enet", "unet", "deeplabv3_resnet50"])
def test_bundled_nets_make_masks(spec: str) -> None:
    net = loaded(spec)
    task = task_of(net)
    assert isinstance(task, Segmentation)
    assert task.classes == {p.name: p.value for p in net.parameters}["classes"]
    assert not isinstance(task_of(loaded("resnet18")), Segmentation)


@pytest.mark.slow
def test_a_bundled_net_is_trained(tmp_path: Path) -> None:
    save_masks(tmp_path / "data", drawings(6, 40))
    net = loaded("enet", classes=4, height=32, width=32)
    training = replace(recipe(net), batch_size=2, iterations=2, epochs=None)
    result = trained(replace(net, training=training), tmp_path, held_out=0.4)
    assert result.accuracy is not None


@pytest.mark.exhaustive
def test_it_learns(tmp_path: Path) -> None:
    """Shapes whose kinds have colours: more than 90% mIoU of drawings that it has not seen."""
    save_masks(tmp_path / "data" / "train", drawings(200, 32))
    save_masks(tmp_path / "data" / "val", drawings(40, 32, 1))
    net = planes(
        "optimizer: adam  learning_rate: 0.01  schedule: cosine  batch_size: 16  iterations: 120"
        "  mirror: true  class_weights: balanced"
    )
    result = trained(net, tmp_path, every=60)
    assert result.accuracy is not None
    assert result.accuracy > 0.9
