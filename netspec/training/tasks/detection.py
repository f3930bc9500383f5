"""Detection: boxes of the objects in a picture, and the class of each."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from math import exp
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass
from netspec.report import number_format
from netspec.report.chart import COLORS, Panel, Series, chart, linear
from netspec.report.columns import Column
from netspec.report.table import Grid
from netspec.runtime.boxes import anchors_of, box_classes, decoded, filtered, overlaps
from netspec.training.box_files import IGNORED, BoxFiles
from netspec.training.datasets import Samples, TrainingData, Watch
from netspec.training.distributed import Processes
from netspec.training.judgement import percent
from netspec.training.targets import check_changes, class_names, read_target_part, read_targets
from netspec.training.tasks.task import Judged, Tally
from netspec.training.transforms import Preparation
from netspec.weights.array import Array

THRESHOLDS = tuple(n / 100 for n in range(50, 100, 5))
"""Least overlaps of a box with an object that it finds; the first is that of Pascal VOC."""
COVERED = 0.5
"""The share of a box that lies in a region without labels, so that the box counts nowhere."""


class BoxDetection:
    """Boxes by a `detect` block; a target is what `box_files.viewed` gives.

    The loss is SqueezeDet's (arXiv:1612.01051, equation 4), the mean over pictures: squares of
    what the moves of an object's anchor are off, of what its confidence is off from the overlap of
    its box, and of the confidence of all other anchors, and the cross entropy of its class.
    """

    figure = "map"
    title = "mAP"
    step_figure = "overlap"

    def __init__(self, net: Net) -> None:
        assert net.detection is not None, "the net has a detect block"
        self.net, self.stated = net, net.detection
        self.classes = box_classes(net)
        self.anchors = anchors_of(net)

    # --- data ------------------------------------------------------------------------------------

    def _source(self, path: Path) -> BoxFiles:
        names = self.stated.labels or class_names(path, self.classes)
        return BoxFiles(self.net, names)

    def read(
        self,
        path: Path,
        preparation: Preparation,
        held_out: float,
        skip_bad: bool = False,
        watch: Watch = lambda done, total: None,
    ) -> TrainingData:
        check_changes(self.net, "boxes")
        source = self._source(path)
        data = read_targets(path, source, preparation, (), held_out, skip_bad, watch)
        return TrainingData(data.train, data.held_out, source.names, data.left_out)

    def read_part(
        self, path: Path, preparation: Preparation, part: str | None, skip_bad: bool = False
    ) -> tuple[str, Samples, tuple[str, ...]]:
        source = self._source(path)
        name, samples = read_target_part(path, source, preparation, part, skip_bad)
        return name, samples, source.names

    # --- loss ------------------------------------------------------------------------------------

    def scores(self, outputs: Tensor, probabilities: bool) -> Tensor:
        return outputs.float()

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return self._losses(outputs, targets)[0].mean()

    def hits(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The mean overlap of the boxes of a picture's objects; 1 where there are none."""
        return self._losses(outputs, targets)[1].sum()

    def _losses(self, outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The loss of each picture, and the mean overlap of its objects' boxes."""
        stated, count = self.stated, len(self.stated.anchors)
        flat = outputs.permute(0, 2, 3, 1)
        samples, all_anchors = len(flat), len(self.anchors)
        logits = flat[..., : count * self.classes].reshape(samples, all_anchors, self.classes)
        confidence = flat[..., count * self.classes : count * (self.classes + 1)]
        confidence = confidence.reshape(samples, all_anchors).sigmoid()
        moves = flat[..., count * (self.classes + 1) :].reshape(samples, all_anchors, 4)

        boxes, places = targets[..., 1:5], targets[..., 5].clamp_min(0).long()
        own = targets[..., 5] >= 0
        classes = targets[..., 0].clamp_min(0).long()
        boxes = torch.where(own[..., None], boxes, boxes.new_tensor([0.0, 0.0, 1.0, 1.0]))
        anchors = torch.from_numpy(self.anchors).to(outputs)[places]
        moved = moves.gather(1, places[..., None].expand(-1, -1, 4))
        logits = logits.gather(1, places[..., None].expand(-1, -1, self.classes))
        sure = confidence.gather(1, places)
        objects = own.sum(1).clamp_min(1)

        off = (moved - wanted(anchors, boxes, stated.clip)) ** 2
        box_loss = (off.sum(2) * own).sum(1) / objects
        with torch.no_grad():
            sizes = [int(d) for d in self.net.body.inputs[0].shape[1:]]
            overlap = _overlaps(placed(anchors, moved, stated.clip, sizes), boxes) * own
        object_loss = ((overlap - sure) ** 2 * own).sum(1) / objects
        others = torch.ones_like(confidence)
        # Rows of no object stand for the first, which is one where there are any.
        others.scatter_(1, torch.where(own, places, places[:, :1]), 0.0)
        others = torch.where(own.any(1, keepdim=True), others, 1.0)
        background_loss = (confidence**2 * others).sum(1) / others.sum(1).clamp_min(1)
        entropy = F.cross_entropy(logits.transpose(1, 2), classes, reduction="none")
        class_loss = (entropy * own).sum(1) / objects
        losses = (
            stated.box_loss * box_loss
            + stated.object_loss * object_loss
            + stated.background_loss * background_loss
            + stated.class_loss * class_loss
        )
        mean = overlap.sum(1) / objects
        return losses, torch.where(own.any(1), mean, 1.0)

    # --- figures ---------------------------------------------------------------------------------

    def tally(self) -> Tally:
        return BoxTally(self)

    def remarks(self, figures: Mapping[str, Any]) -> Iterator[str]:
        """Nothing more than the figures."""
        return iter(())

    def judged(
        self, batches: Iterable[tuple[Array, Tensor]], names: Sequence[str], trained: Sequence[str]
    ) -> Judged:
        tally = BoxTally(self)
        order = np.arange(self.classes, dtype=np.float32)
        known = {name.lower(): i for i, name in enumerate(trained)}
        if len(trained) == self.classes and all(name.lower() in known for name in names):
            order[: len(names)] = [known[name.lower()] for name in names]
            names = trained
        for outputs, targets in batches:
            classes = targets[..., 0]
            own = torch.from_numpy(order)[classes.clamp_min(0).long()]
            targets[..., 0] = torch.where(classes >= 0, own, classes)
            tally.add(torch.from_numpy(np.array(outputs, np.float32)), targets)
        usual = tuple(map(str, range(self.classes)))
        known_names = tuple(names) if len(names) == self.classes else usual
        return BoxJudgement(
            tally.samples,
            tally.loss / max(tally.samples, 1),
            known_names,
            tuple(int(n) for n in tally.objects),
            tally.answers(),
            self.stated.shown,
        )


def wanted(anchors: Tensor, boxes: Tensor, clip: float | None) -> Tensor:
    """The moves that make boxes of anchors: the inverse of how they are decoded."""
    low, high = boxes[..., :2], boxes[..., 2:]
    sizes = (high - low).clamp_min(1e-3)
    moved = ((low + high) / 2 - anchors[..., :2]) / anchors[..., 2:]
    ratio = sizes / anchors[..., 2:]
    grown = ratio.log()
    if clip is not None:
        grown = torch.where(grown > clip, ratio / exp(clip) + clip - 1, grown)
    return torch.cat([moved, grown], -1)


def placed(anchors: Tensor, moves: Tensor, clip: float | None, size: Sequence[int]) -> Tensor:
    """The boxes that moves make of anchors, cut off at the edges of the input (height, width)."""
    middle = anchors[..., :2] + moves[..., :2] * anchors[..., 2:]
    factors = moves[..., 2:].clamp_max(80.0 if clip is None else clip).exp()
    if clip is not None:
        factors = factors + exp(clip) * (moves[..., 2:] - clip).clamp_min(0)
    half = anchors[..., 2:] * factors / 2
    most = torch.tensor([size[1], size[0]], dtype=anchors.dtype, device=anchors.device)
    corners = [torch.minimum(c.clamp_min(0), most) for c in (middle - half, middle + half)]
    return torch.cat(corners, -1)


def _overlaps(first: Tensor, second: Tensor) -> Tensor:
    """Intersection over union of each box with its other."""
    low = torch.maximum(first[..., :2], second[..., :2])
    high = torch.minimum(first[..., 2:], second[..., 2:])
    both = (high - low).clamp_min(0).prod(-1)
    areas = [(b[..., 2:] - b[..., :2]).clamp_min(0).prod(-1) for b in (first, second)]
    return both / (areas[0] + areas[1] - both).clamp_min(1e-9)


class BoxTally:
    """The losses, the objects of each class, and which boxes of each picture find one.

    A box is a row: its class, its score, and for each of THRESHOLDS whether it finds an object.
    """

    def __init__(self, task: BoxDetection) -> None:
        self.task = task
        self.loss, self.samples = 0.0, 0
        self.objects = np.zeros(task.classes, np.int64)
        self.rows: list[Array] = []

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        task = self.task
        self.loss += float(task._losses(outputs, targets)[0].double().sum())
        self.samples += len(targets)
        for planes, rows in zip(outputs.cpu().numpy(), targets.cpu().numpy(), strict=True):
            found = filtered(decoded(planes, task.net, task.anchors), task.stated)
            objects, ignored = rows[rows[:, 0] >= 0], rows[rows[:, 0] == IGNORED]
            self.objects += np.bincount(objects[:, 0].astype(np.int64), minlength=task.classes)
            right = matched(found.places, found.classes, objects)
            counts = right.any(1) | (covered(found.places, ignored[:, 1:5]) < COVERED)
            made = np.concatenate([found.classes[:, None], found.scores[:, None], right], 1)
            self.rows.append(made[counts])

    def gather(self, group: Processes) -> None:
        self.loss = sum(group.gather(self.loss))
        self.samples = sum(group.gather(self.samples))
        self.objects = sum(group.gather(self.objects))
        self.rows = [row for rows in group.gather(self.rows) for row in rows]

    def answers(self) -> Array:
        """All boxes that count, the highest scores first."""
        empty = np.zeros((0, 2 + len(THRESHOLDS)))
        found = np.concatenate([empty, *self.rows])
        return found[np.lexsort((found[:, 0], -found[:, 1]))]

    def figures(self) -> dict[str, Any]:
        precisions = average_precisions(self.answers(), self.objects)
        return {
            "loss": self.loss / max(self.samples, 1),
            "map": mean(precisions[:, 0]),
            "map_coco": mean(precisions.mean(1)),
        }


def matched(places: Array, classes: Array, objects: Array) -> Array:
    """Which boxes find an object, for each of THRESHOLDS, (N, thresholds).

    The boxes, those of higher scores first, take the object of their class that is free and that
    they overlap most.
    """
    found = np.zeros((len(places), len(THRESHOLDS)), bool)
    shares = overlaps(places, objects[:, 1:5].astype(np.float64))
    shares[classes[:, None] != objects[:, 0]] = -1
    for number, least in enumerate(THRESHOLDS):
        free = np.ones(len(objects), bool)
        for i, row in enumerate(shares):
            own = np.where(free, row, -1.0)
            if own.size and own.max() >= least:
                free[own.argmax()] = False
                found[i, number] = True
    return found


def covered(places: Array, regions: Array) -> Array:
    """The largest share of each box that lies in one of the regions."""
    if not len(regions) or not len(places):
        return np.zeros(len(places))
    low = np.maximum(places[:, None, :2], regions[None, :, :2])
    high = np.minimum(places[:, None, 2:], regions[None, :, 2:])
    both = np.prod(np.maximum(high - low, 0), 2)
    areas = np.prod(places[:, 2:] - places[:, :2], 1)
    shares: Array = (both / np.maximum(areas, 1e-9)[:, None]).max(1)
    return shares


def average_precisions(answers: Array, objects: Array) -> Array:
    """The average precision of each class for each of THRESHOLDS; NaN for one without objects.

    It is the area under precision over recall, a precision being the highest one from its recall
    on, as Pascal VOC has it from 2010 on.
    """
    found = np.full((len(objects), len(THRESHOLDS)), np.nan)
    for c, count in enumerate(objects):
        if not count:
            continue
        own = answers[answers[:, 0] == c][:, 2:]
        for number in range(len(THRESHOLDS)):
            recalls, precisions = curve(own[:, number], int(count))
            steps = np.diff(np.concatenate([[0.0], recalls]))
            found[c, number] = float((steps * precisions).sum())
    return found


def curve(right: Array, objects: int) -> tuple[Array, Array]:
    """Recalls, and the highest precision from each on, of boxes in the order of their scores."""
    hits = np.cumsum(right)
    precisions = hits / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precisions[::-1])[::-1]
    return hits / objects, best


def mean(values: Array) -> float:
    """The mean of those that are numbers; 0 without any."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else 0.0


@dataclass(frozen=True)
class BoxJudgement:
    """The objects of each class, and the boxes that were answered, as `BoxTally.answers` has them.

    Precision and recall are those of the boxes with at least the score `shown`.
    """

    samples: int
    loss: float
    names: tuple[str, ...]
    objects: tuple[int, ...]
    answers: Any
    shown: float

    def classes(self) -> list[dict[str, Any]]:
        """Name, objects, average precision, precision and recall of each class."""
        precisions = average_precisions(self.answers, np.array(self.objects))
        rows = []
        for c, (name, count) in enumerate(zip(self.names, self.objects, strict=True)):
            own = self.answers[(self.answers[:, 0] == c) & (self.answers[:, 1] >= self.shown)]
            right = int(own[:, 2].sum())
            rows.append(
                {
                    "name": name,
                    "count": count,
                    "ap": float(precisions[c, 0]) if count else None,
                    "precision": right / len(own) if len(own) else None,
                    "recall": right / count if count else None,
                }
            )
        return rows

    def data(self) -> dict[str, Any]:
        classes = self.classes()
        precisions = average_precisions(self.answers, np.array(self.objects))
        return {
            "samples": self.samples,
            "boxes": sum(self.objects),
            "loss": self.loss,
            "map": mean(precisions[:, 0]),
            "map_coco": mean(precisions.mean(1)),
            "ap": {row["name"]: row["ap"] for row in classes},
            "classes": classes,
        }

    def grid(self, title: str, summary: Mapping[str, str]) -> Grid:
        found = self.data()
        heads = (("ap", "AP"), ("precision", "precision"), ("recall", "recall"))
        columns = (
            Column("name", "class", "", left=True),
            Column("count", "objects", "", show=number_format.count),
            *(Column(key, heading, "", show=percent, zero=True) for key, heading in heads),
        )
        rows = tuple(tuple(row[c.key] for c in columns) for row in found["classes"])
        figures = (
            ("loss", f"{self.loss:.4f}"),
            ("mAP", f"{found['map']:.2%} of {self.samples:,} pictures, at an overlap of 0.5"),
            ("mAP of COCO", f"{found['map_coco']:.2%}, the mean for 0.5 to 0.95"),
            *summary.items(),
        )
        notes = (f"precision and recall are those of scores from {self.shown:g} on",)
        return Grid("", title, columns, rows, summary=figures, notes=notes)

    def csv(self) -> list[list[Any]]:
        keys = ("name", "count", "ap", "precision", "recall")
        return [list(keys), *([row[k] for k in keys] for row in self.classes())]

    def picture(self, title: str) -> str:
        """Precision over recall of each class."""
        lines = []
        for c, (name, count) in enumerate(zip(self.names, self.objects, strict=True)):
            own = self.answers[self.answers[:, 0] == c][:, 2]
            recalls, precisions = curve(own, max(count, 1))
            points = [
                (100 * float(r), 100 * float(p)) for r, p in zip(recalls, precisions, strict=True)
            ]
            lines.append(Series(name, points, COLORS[c % len(COLORS)], width=1.8))
        axis = linear([0, 100], tight=True)
        panel = Panel(lines, axis, axis, "recall, %", "precision, %")
        return chart(title, [panel], columns=1, width=720, height=400)

    def remarks(self) -> list[str]:
        return [] if len(self.answers) else ["no box is answered at all"]
