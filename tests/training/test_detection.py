"""Nets with a `detect` block: boxes decoded and drawn, read, trained on, judged."""

from __future__ import annotations

import json
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from netspec.cli.main import main
from netspec.diagnostics import SpecError
from netspec.ir import Net
from netspec.lazy_dataclasses import replace
from netspec.runtime.boxes import Boxes, anchors_of, decoded, filtered, overlaps
from netspec.runtime.placement import GridAxis
from netspec.training import TrainingOptions, TrainingResult, checkpoint, train
from netspec.training.box_files import IGNORED, MOST_BOXES, viewed
from netspec.training.sampler import Rolls
from netspec.training.tasks import task_of
from netspec.training.tasks.detection import (
    THRESHOLDS,
    BoxDetection,
    average_precisions,
    covered,
    matched,
)
from netspec.training.transforms import Preparation, View

from ..helpers import loaded, net_of
from .drawn import drawings, save_coco, save_kitti
from .samples import recipe

HEAD = 'detect { anchors: [8x10, 20x14]  labels: ["a", "b", "c"] FIELDS }'


def head(fields: str = "") -> Net:
    layers = "conv { filters: 16  kernel: 8  stride: 8 }"
    return net_of(f"net n {{ input x: 3x24x32\n {layers}\n {HEAD.replace('FIELDS', fields)} }}")


# --- boxes ---------------------------------------------------------------------------------------


def iou(a: Any, b: Any) -> float:
    """Of two boxes, by counting on their edges."""
    wide = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    return float(wide * high / max(sum(areas) - wide * high, 1e-12))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_decoding_is_what_the_paper_says(seed: int) -> None:
    """One box after the other, planes in the order of the authors' `_add_interpretation_graph`."""
    net = head()
    rng = np.random.default_rng(seed)
    planes = (2 * rng.standard_normal((16, 3, 4))).astype(np.float32)
    found = decoded(planes, net, anchors_of(net))
    place = 0
    for i in range(3):
        for j in range(4):
            for k, (height, width) in enumerate(((8, 10), (20, 14))):
                scores = [exp(n) for n in planes[3 * k : 3 * k + 3, i, j]]
                best = int(np.argmax(scores))
                confidence = 1 / (1 + exp(-planes[6 + k, i, j]))
                dx, dy, dw, dh = (float(n) for n in planes[8 + 4 * k : 12 + 4 * k, i, j])
                grow = [exp(d) if d <= 1 else exp(1) * d for d in (dw, dh)]
                x, y = (j + 1) * 32 / 5 + width * dx, (i + 1) * 24 / 4 + height * dy
                half = width * grow[0] / 2, height * grow[1] / 2
                box = [
                    *(min(max(x - half[0], 0), 32), min(max(y - half[1], 0), 24)),
                    *(min(max(x + half[0], 0), 32), min(max(y + half[1], 0), 24)),
                ]
                assert found.places[place] == pytest.approx(box, abs=1e-4)
                assert found.classes[place] == best
                score = confidence * scores[best] / sum(scores)
                assert found.scores[place] == pytest.approx(score, rel=1e-5)
                place += 1


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_the_best_boxes_stay(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.integers(0, 20, (30, 2))
    places = np.concatenate([corners, corners + rng.integers(1, 12, (30, 2))], 1).astype(float)
    boxes = Boxes(places, rng.random(30), rng.integers(0, 2, 30))
    stated = head("top: 20  nms: 0.3  threshold: 0.1").detection
    assert stated is not None
    found = filtered(boxes, stated)
    best = [i for i in np.argsort(-boxes.scores) if boxes.scores[i] >= 0.1][:20]
    stays: list[int] = []
    for i in best:
        others = [j for j in stays if boxes.classes[j] == boxes.classes[i]]
        if all(iou(places[i], places[j]) <= 0.3 for j in others):
            stays.append(int(i))
    assert found.scores.tolist() == boxes.scores[stays].tolist()
    assert found.places.tolist() == places[stays].tolist()
    a, b = rng.integers(0, 30, 2)
    assert overlaps(places[a : a + 1], places[b : b + 1])[0, 0] == pytest.approx(
        iou(places[a], places[b])
    )


def test_boxes_of_a_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A net that sees one box, where the picture is bright, at the picture's own size."""
    spec = tmp_path / "n.net"
    spec.write_text(
        "net n { input x: 3x16x16 { scale: 1/255 }\n c: conv { filters: 7  kernel: 8  stride: 8 }\n"
        ' detect { anchors: [8x6]  labels: ["<x>", "b"] } }'
    )
    weight = np.zeros((7, 3, 8, 8), np.float32)
    weight[2] = 1  # the confidence
    bias = np.array([2, 0, -100, 0, 0, 0, 0], np.float32)
    np.savez(tmp_path / "w.npz", **{"c.weight": weight, "c.bias": bias})  # type: ignore[arg-type]
    pixels = np.zeros((32, 64, 3), np.uint8)
    pixels[:16, 32:] = 255  # the cell at the top and right
    Image.fromarray(pixels).save(tmp_path / "p.png")
    command = ["run", str(spec), str(tmp_path / "p.png"), "--weights", str(tmp_path / "w.npz")]
    command += ["--draw", str(tmp_path / "drawn")]
    # The anchor's middle is at a third from the top and two thirds from the left.
    x, y, score = 64 * 2 / 3, 32 / 3, 1 / (1 + exp(-2))
    for backend in ("numpy", "torch"):
        assert main([*command, "--format", "json", "--backend", backend]) == 0
        [found] = json.loads(capsys.readouterr().out)
        [box] = found["boxes"]
        assert (box["class"], box["label"]) == (0, "<x>")
        assert box["score"] == pytest.approx(score, rel=1e-5)
        assert box["box"] == pytest.approx([x - 12, y - 8, x + 12, y + 8], abs=0.01)
        assert json.loads(Path(found["json"]).read_text())["boxes"] == found["boxes"]
    with Image.open(found["picture"]) as picture:
        drawn = np.array(picture)
    assert drawn.shape == pixels.shape
    assert (drawn[15, [round(x - 12), round(x + 12) - 1]] == (128, 0, 0)).all()
    assert (drawn[15, round(x)] == pixels[15, round(x)]).all()
    assert main([*command, "--format", "csv"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "image,class,score,label,left,top,right,bottom"
    assert len(out) == 2
    assert main([*command, "--threshold", "0.9"]) == 0
    assert "<x>" not in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main([*command, "--threshold", "2"])


# --- targets and the loss ------------------------------------------------------------------------


def assigned(boxes: Any, anchors: Any) -> list[int]:
    """The anchors of boxes as `read_batch` of the authors' imdb.py finds them."""
    taken: list[int] = []
    corners = [(x - w / 2, y - h / 2, x + w / 2, y + h / 2) for x, y, w, h in anchors]
    for box in boxes:
        order = sorted(range(len(anchors)), key=lambda i: -iou(box, corners[i]))
        best = next((i for i in order if i not in taken and iou(box, corners[i]) > 0), None)
        if best is None:
            own = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2, box[2] - box[0], box[3] - box[1])
            away = [sum((a - b) ** 2 for a, b in zip(own, c, strict=True)) for c in anchors]
            best = next(
                i for i in sorted(range(len(anchors)), key=away.__getitem__) if i not in taken
            )
        taken.append(best)
    return taken


def some_boxes(rng: np.random.Generator, count: int) -> Any:
    corners = rng.uniform(0, 20, (count, 2))
    places = np.concatenate([corners, corners + rng.uniform(1, 12, (count, 2))], 1)
    return np.concatenate([rng.integers(0, 3, (count, 1)), places], 1)


WHOLE = View(GridAxis(), GridAxis(), (0, 0, 24, 32))


def rows(boxes: Any, net: Net) -> Any:
    return torch.from_numpy(viewed(np.asarray(boxes, float).reshape(-1, 5), WHOLE, anchors_of(net)))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_the_loss_is_that_of_the_paper(seed: int) -> None:
    """Equation 4 of arXiv:1612.01051, anchor by anchor; one picture has no object."""
    net = head("box_loss: 2  object_loss: 3  background_loss: 5  class_loss: 7")
    task = task_of(net)
    assert isinstance(task, BoxDetection)
    rng = np.random.default_rng(seed)
    pictures = [some_boxes(rng, n) for n in (4, 0, 1)]
    planes = rng.standard_normal((3, 16, 3, 4)).astype(np.float32)
    anchors = anchors_of(net)
    wanted = []
    for maps, boxes in zip(planes, pictures, strict=True):
        boxes = np.clip(boxes, 0, [9, 32, 24, 32, 24])
        own = assigned(boxes[:, 1:], anchors)
        loss, background = 0.0, []
        found = decoded(maps, net, anchors)
        for place, (x, y, w, h) in enumerate(anchors):
            i, j, k = place // 8, place // 2 % 4, place % 2
            sure = 1 / (1 + exp(-maps[6 + k, i, j]))
            if place not in own:
                background.append(sure**2)
                continue
            c, *box = boxes[own.index(place)]
            scores = np.exp(maps[3 * k : 3 * k + 3, i, j].astype(float))
            ratio = (box[2] - box[0]) / w, (box[3] - box[1]) / h
            grown = [np.log(r) if r <= exp(1) else r / exp(1) for r in ratio]
            deltas = [((box[0] + box[2]) / 2 - x) / w, ((box[1] + box[3]) / 2 - y) / h, *grown]
            off = sum(
                (d - m) ** 2
                for d, m in zip(deltas, maps[8 + 4 * k : 12 + 4 * k, i, j], strict=True)
            )
            share = iou(found.places[place], box)
            loss += 2 * off + 3 * (share - sure) ** 2 - 7 * np.log(scores[int(c)] / scores.sum())
        wanted.append(loss / max(len(own), 1) + 5 * np.mean(background))
    targets = torch.stack([rows(boxes, net) for boxes in pictures])
    outputs = torch.from_numpy(planes)
    assert float(task.loss(outputs, targets)) == pytest.approx(np.mean(wanted), rel=1e-4)
    # Moves that are wanted decode to the boxes that were given.
    assert targets[0, :4, 5].tolist() == assigned(
        np.clip(pictures[0], 0, [9, 32, 24, 32, 24])[:, 1:], anchors
    )


def test_boxes_move_along_with_pictures() -> None:
    """A bright box in a dark picture is where its target says, however both are changed."""
    net = net_of(
        "net n { input x: 1x40x40 { resize: 60x50 }\n conv { filters: 6  kernel: 8  stride: 8 }\n"
        " detect { anchors: [9x9] }\n train { learning_rate: 1  batch_size: 1  epochs: 1"
        "  random_crop: true  mirror: true  shift: 6 } }"
    )
    preparation = Preparation(net, recipe(net))
    picture = torch.zeros(1, 1, 120, 100)
    picture[..., 40:80, 30:60] = 1
    mirrored = set()
    for seed in range(12):
        rolls = Rolls(seed, np.array([1]))
        x = preparation.pictures(picture, rolls)[0, 0].numpy()
        view = preparation.view((120, 100), rolls)
        [row, *_] = viewed(np.array([[0, 30, 40, 60, 80.0]]), view, anchors_of(net))
        bright = np.argwhere(x > 0.5)
        assert row[0] == 0
        edges = [*bright.min(0)[::-1], *(bright.max(0)[::-1] + 1)]
        assert row[1:5] == pytest.approx(edges, abs=0.51)
        mirrored.add(view.x.factor < 0)
    assert mirrored == {False, True}


def test_boxes_of_which_little_is_seen_do_not_count() -> None:
    view = View(GridAxis(1, -10), GridAxis(1, -10), (0, 0, 20, 20))
    boxes = [[1, 0, 20, 12, 30], [1, 4, 20, 14, 30], [2, 0, 0, 9, 9], [IGNORED, 20, 20, 25, 25]]
    net = head()
    found = viewed(np.array(boxes, float), view, anchors_of(net))
    assert found.shape == (MOST_BOXES, 6)
    assert found[0, :5].tolist() == [1, 0, 10, 4, 20]
    assert sorted(found[1:3, :5].tolist()) == [
        [IGNORED, 0, 10, 2, 20],
        [IGNORED, 10, 10, 15, 15],
    ]
    assert (found[3:, 0] == -1).all()
    assert (found[1:, 5] == -1).all()


# --- figures -------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6))
def test_average_precisions_are_what_counting_gives(seed: int) -> None:
    """Boxes of all pictures, looked at one after the other."""
    rng = np.random.default_rng(seed)
    truth = [some_boxes(rng, int(rng.integers(0, 4))) for _ in range(3)]
    answers = []
    for objects in truth:
        near = objects.repeat(2, 0)
        near[:, 1:] += rng.normal(0, 1, near[:, 1:].shape)
        made = np.concatenate([near, some_boxes(rng, 2)])
        order = rng.permutation(len(made))
        answers.append((made[order], np.sort(rng.random(len(made)))[::-1]))
    counts = np.zeros(3, int)
    parts = []
    for objects, (made, scores) in zip(truth, answers, strict=True):
        counts += np.bincount(objects[:, 0].astype(int), minlength=3)
        right = matched(made[:, 1:], made[:, 0], objects)
        parts.append(np.concatenate([made[:, :1], scores[:, None], right], 1))
    table = np.concatenate(parts)
    found = average_precisions(table[np.argsort(-table[:, 1])], counts)
    for c in range(3):
        for number in (0, 4, 9):
            listed = sorted(
                (-float(s), p, tuple(box[1:]))
                for p, (made, scores) in enumerate(answers)
                for box, s in zip(made, scores, strict=True)
                if box[0] == c
            )
            taken: set[tuple[int, int]] = set()
            points: list[tuple[int, int]] = []
            for _, p, box in listed:
                shares = {
                    i: iou(box, o[1:])
                    for i, o in enumerate(truth[p])
                    if o[0] == c and (p, i) not in taken
                }
                best = max(shares, key=shares.__getitem__, default=None)
                if best is not None and shares[best] >= THRESHOLDS[number]:
                    taken.add((p, best))
                points.append((len(taken), len(points) + 1))
            if not counts[c]:
                assert np.isnan(found[c, number])
                continue
            area, before = 0.0, 0
            for n, (hits, _) in enumerate(points):
                area += (hits - before) / counts[c] * max(h / of for h, of in points[n:])
                before = hits
            assert found[c, number] == pytest.approx(area)


def test_boxes_in_regions_without_labels() -> None:
    places = np.array([[0, 0, 4, 4], [2, 0, 6, 4], [4, 0, 8, 4]], float)
    assert covered(places, np.array([[0, 0, 4, 9.0], [0, 0, 1, 1]])).tolist() == [1, 0.5, 0]
    assert covered(places, np.zeros((0, 4))).tolist() == [0, 0, 0]


# --- training ------------------------------------------------------------------------------------

NET = """
net det(classes = 3, size = 64) {
  input data: [3, size, size] { scale: 1/255  mean: 0.2 }
  default conv { bias: false }
  c1: conv { filters: 16  kernel: 3  stride: 2  pad: 1 } -> batchnorm -> relu
  c2: conv { filters: 32  kernel: 3  stride: 2  pad: 1 } -> batchnorm -> relu
  c3: conv { filters: 48  kernel: 3  stride: 2  pad: 1 } -> batchnorm -> relu
  c4: conv { filters: 48  kernel: 3  pad: 1 } -> batchnorm -> relu
  c5: conv { filters: 48  kernel: 3  pad: 2  dilation: 2 } -> batchnorm -> relu
  convdet: conv {
    filters: 2 * (classes + 5)  kernel: 3  pad: 1  bias: true  init: normal(0.01)
  }
  detect { anchors: [18x18, 28x28] LABELS }
  train { TRAIN }
}
"""
NAMES = 'labels: ["disc", "square", "triangle"]'
FIELDS = (
    "optimizer: adam  learning_rate: 0.005  batch_size: 4  iterations: 4  mirror: true  shift: 4"
)


def detector(fields: str = FIELDS, names: str = "") -> Net:
    return net_of(NET.replace("TRAIN", fields).replace("LABELS", names))


def trained(net: Net, folder: Path, **options: Any) -> TrainingResult:
    given: dict[str, Any] = {
        "data": folder / "data",
        "out": folder / "out",
        "quiet": True,
        "workers": 0,
        **options,
    }
    return train(net, recipe(net), TrainingOptions(**given))


@pytest.mark.slow
def test_it_goes_on_to_the_bit_and_is_judged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    save_kitti(data / "train", drawings(8, 64))
    save_coco(data / "val", drawings(4, 64, 1))
    net = detector()
    result = trained(net, tmp_path, every=2)
    assert result.figure == "mAP"
    lines = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    last = [json.loads(line) for line in lines][-1]
    assert result.accuracy == last["map"]

    real = checkpoint.write_checkpoint

    def stop(*given: Any) -> None:
        real(*given)
        raise KeyboardInterrupt

    monkeypatch.setattr("netspec.training.trainer.write_checkpoint", stop)
    with pytest.raises(KeyboardInterrupt):
        trained(net, tmp_path, every=2, out=tmp_path / "again")
    monkeypatch.undo()
    trained(net, tmp_path, every=2, out=tmp_path / "again", workers=2)
    first, second = ((tmp_path / out / "last.safetensors").read_bytes() for out in ("out", "again"))
    assert first == second

    weights = tmp_path / "out" / "last.safetensors"
    command = ["eval", str(weights), "--weights", str(weights), "--data", str(data)]
    found = {}
    for backend in ("torch", "numpy"):
        assert main([*command, "--backend", backend, "--format", "json"]) == 0
        found[backend] = json.loads(capsys.readouterr().out)
    judged = found["torch"]
    assert (judged["split"], judged["samples"]) == ("val", 4)
    assert judged["boxes"] == sum(len(one.boxes) for one in drawings(4, 64, 1))
    # KITTI's types, in the order of their names, are what the weights know.
    assert [c["name"] for c in judged["classes"]] == ["Disc", "Square", "Triangle"]
    assert judged["loss"] == pytest.approx(last["loss"], rel=1e-4)
    assert judged["map"] == pytest.approx(last["map"])
    assert found["numpy"]["loss"] == pytest.approx(judged["loss"], rel=1e-4)
    assert main([*command, "--picture", str(tmp_path / "pr.svg")]) == 0
    assert "mAP" in capsys.readouterr().out
    assert main([*command, "--format", "csv"]) == 0
    assert capsys.readouterr().out.startswith("name,count,ap,precision,recall\nDisc,")


def test_other_boxes_of_the_data_are_said(tmp_path: Path) -> None:
    """Of KITTI: what is no class, and what nobody labelled."""
    data = tmp_path / "data"
    save_kitti(data, drawings(4, 64))
    more = "Van 0 0 0 1 1 9 9 0 0 0 0 0 0 0\nDontCare -1 -1 -10 3 3 9 9 -1 -1 -1 0 0 0 0\n"
    file = data / "label_2" / "000.txt"
    file.write_text(file.read_text() + more)
    (data / "label_2" / "alone.txt").write_text("")
    net = detector(names=NAMES)
    task = task_of(net)
    found = task.read(data, Preparation(net, recipe(net)), 0.0)
    assert found.classes == ("disc", "square", "triangle")
    assert f"{data}: a box of Van, which is no class of det" in found.left_out
    assert (
        f"{data}: a file of boxes without a picture, such as {file.with_stem('alone')}"
        in found.left_out
    )
    _, targets = found.train.batch([0], None)
    counts = [int((targets[0, :, 0] == n).sum()) for n in (IGNORED, -1)]
    assert counts == [1, MOST_BOXES - 1 - len(drawings(4, 64)[0].boxes)]


def kitti(folder: Path, text: str) -> None:
    save_kitti(folder, drawings(3, 64))
    (folder / "label_2" / "001.txt").write_text(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Disc 0 0 0 1 1 9", "line 1, is no box of KITTI: it has fewer than 8 words"),
        ("\nDisc 0 0 0 1 1 9 x", "001.txt, line 2, is no box of KITTI"),
        ("Disc 0 0 0 9 1 9 8", "9 1 9 8 encloses nothing"),
        ("Disc 0 0 0 1 1 nan 8", "encloses nothing"),
        ("Disc 0 0 0 1 1 80 8", "001.png has a box 1 1 80 8, which is not in its 64x64 pixels"),
        ("Disc 0 0 0 -5 1 8 8", "has a box -5 1 8 8, which is not in its 64x64 pixels"),
        ("Disc 0 0 0 1 1 8 8\n" * 300, "has 300 boxes; 256 are the most"),
    ],
)  # fmt: skip
def test_boxes_of_kitti_that_can_not_be_used(text: str, message: str, tmp_path: Path) -> None:
    kitti(tmp_path / "data", text)
    net = detector("learning_rate: 1e-5  batch_size: 1  iterations: 1", NAMES)
    with pytest.raises(SpecError) as error:
        trained(net, tmp_path)
    [found] = error.value.diagnostics
    assert found.message == f"{tmp_path / 'data'} has a picture that can't be used"
    assert message in found.notes[0]
    assert trained(net, tmp_path, on_bad="skip").iterations == 1


def change(data: Any, kind: str) -> Any:
    if kind == "list":
        return [data]
    if kind == "annotations":
        return {"images": [], "categories": []}
    if kind == "picture":
        data["annotations"][0]["image_id"] = 99
    elif kind == "path":
        data["images"][0]["file_name"] = "../../secret.png"
    elif kind == "id":
        del data["images"][0]["id"]
    elif kind == "bbox":
        data["annotations"][0]["bbox"] = [1, 2, "x", 4]
    elif kind == "category":
        data["annotations"][0]["category_id"] = 7
    elif kind == "missing":
        data["images"][0]["file_name"] = "none.png"
    elif kind == "classes":
        data["categories"].append({"id": 9, "name": "more"})
    return data


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("broken", "instances.json is no JSON"),
        ("deep", "instances.json is no JSON"),
        ("list", "has no list of categories"),
        ("annotations", "has no list of annotations"),
        ("picture", "has a box of a picture 99, which it lacks"),
        ("path", "has a picture '../../secret.png', which is no file in"),
        ("id", "has an entry of images without an id of its own"),
        ("bbox", "has a box of the picture 10 that is none: its bbox has not 4 numbers"),
        ("category", "has a box of the picture 10 that is none: there is no category 7"),
        ("missing", "there is no picture"),
        ("classes", "has 4 classes, but det tells 3 apart"),
    ],
)
def test_boxes_of_coco_that_can_not_be_used(kind: str, message: str, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    save_coco(folder, drawings(2, 64))
    file = folder / "instances.json"
    if kind in ("broken", "deep"):
        file.write_text("{" if kind == "broken" else "[" * 100_000)
    else:
        file.write_text(json.dumps(change(json.loads(file.read_text()), kind)))
    with pytest.raises(SpecError) as error:
        trained(detector("learning_rate: 1e-5  batch_size: 1  iterations: 1"), tmp_path)
    [found] = error.value.diagnostics
    assert found.code == "bad-data"
    assert message in "\n".join((found.message, *found.notes))


def test_folders_as_coco_and_kitti_have_them(tmp_path: Path) -> None:
    """`train2017` with `annotations/instances_train2017.json`; `training/image_2`."""
    coco, kitti_ = tmp_path / "coco", tmp_path / "kitti"
    (coco / "annotations").mkdir(parents=True)
    for number, name in enumerate(("train2017", "val2017")):
        save_coco(tmp_path / name, drawings(3 + number, 64, number))
        (tmp_path / name / "images").rename(coco / name)
        file = coco / "annotations" / f"instances_{name}.json"
        (tmp_path / name / "instances.json").rename(file)
    save_kitti(kitti_ / "training", drawings(3, 64))
    net = detector()
    preparation = Preparation(net, recipe(net))
    found = task_of(net).read(coco, preparation, 0.0)
    assert found.held_out is not None
    assert (len(found.train.labels), len(found.held_out.labels)) == (3, 4)
    assert found.left_out == ()
    other = task_of(net).read(kitti_, preparation, 0.0)
    first, second = (samples.batch([0, 1, 2], None)[1] for samples in (found.train, other.train))
    assert torch.equal(first, second)
    assert task_of(net).read_part(coco, preparation, "val")[0] == "val"


def test_crowds_count_nowhere(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    save_coco(folder, drawings(1, 64))
    file = folder / "instances.json"
    data = json.loads(file.read_text())
    data["annotations"][0]["iscrowd"] = 1
    file.write_text(json.dumps(data))
    net = detector()
    found = task_of(net).read(folder, Preparation(net, recipe(net)), 0.0)
    _, targets = found.train.batch([0], None)
    assert (targets[0, :, 0] == IGNORED).sum() == 1


@pytest.mark.exhaustive
def test_squeezedet_is_trained(tmp_path: Path) -> None:
    """The bundled net on a small input; of KITTI's types it knows cars alone here."""
    save_kitti(tmp_path / "data", drawings(4, 96))
    for file in (tmp_path / "data" / "label_2").iterdir():
        file.write_text(file.read_text().replace("Disc", "Car"))
    net = loaded("squeezedet", height=96, width=96)
    training = replace(recipe(net), batch_size=2, iterations=2)
    result = trained(replace(net, training=training), tmp_path, held_out=0.5)
    assert result.accuracy is not None
    rows = (tmp_path / "out" / "labels.txt").read_text().split()
    assert rows == ["car", "pedestrian", "cyclist"]


@pytest.mark.exhaustive
def test_it_learns(tmp_path: Path) -> None:
    """Shapes whose kinds have colours: more than 80% mAP of drawings that it has not seen."""
    save_kitti(tmp_path / "data" / "train", drawings(200, 64))
    save_coco(tmp_path / "data" / "val", drawings(30, 64, 1))
    net = detector(
        "optimizer: adam  learning_rate: 0.005  schedule: cosine  batch_size: 16  iterations: 120"
        "  mirror: true  shift: 4  clip_norm: 10",
        NAMES,
    )
    result = trained(net, tmp_path, every=60)
    assert result.accuracy is not None
    assert result.accuracy > 0.8
