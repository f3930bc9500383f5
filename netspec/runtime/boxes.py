"""Boxes of a picture: what a net's planes say by its `detect` block, and pictures of that.

Boxes are arrays (N, 4) of left, top, right and bottom, in pixels from the edge.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from netspec.codegen.backend import Backend, load_model
from netspec.ir import Detection, Net
from netspec.lazy_dataclasses import dataclass
from netspec.runtime.classify import prepared
from netspec.runtime.masks import as_rgb, palette, write_png
from netspec.runtime.placement import input_axes
from netspec.util.atomic_write import write_text

Array = np.ndarray[Any, np.dtype[Any]]


class Boxes(NamedTuple):
    """Boxes (N, 4) with the scores and the numbers of their classes, the highest score first."""

    places: Array
    scores: Array
    classes: Array

    def chosen(self, which: Array) -> Boxes:
        """Some of them."""
        return Boxes(self.places[which], self.scores[which], self.classes[which])


def box_classes(net: Net) -> int:
    """The number of classes of a net with a `detect` block."""
    assert net.detection is not None, "the net has a detect block"
    return net.detection.classes(int(net.body.outputs[0].shape[0]))


def anchors_of(net: Net) -> Array:
    """Middle (x, y), width and height of every anchor, (H * W * anchors, 4).

    The middles divide the input evenly, as in the code of SqueezeDet's authors: number i of n is
    at i / (n + 1) of a side, i being counted from 1.
    """
    assert net.detection is not None, "the net has a detect block"
    height, width = (int(d) for d in net.body.inputs[0].shape[1:])
    rows, columns = (int(d) for d in net.body.outputs[0].shape[1:])
    sizes = np.array(net.detection.anchors)
    y = np.arange(1, rows + 1) * height / (rows + 1)
    x = np.arange(1, columns + 1) * width / (columns + 1)
    found = np.empty((rows, columns, len(sizes), 4))
    found[..., 0], found[..., 1] = x[None, :, None], y[:, None, None]
    found[..., 2], found[..., 3] = sizes[:, 1], sizes[:, 0]
    return found.reshape(-1, 4)


def decoded(planes: Array, net: Net, anchors: Array) -> Boxes:
    """All boxes of a picture in its input, from the net's planes (C, H, W).

    By section 3.2 of arXiv:1612.01051: a box is moved by shares of its anchor's size, which grows
    by exponentials; its score is its confidence times the probability of its best class.
    """
    stated, classes = net.detection, box_classes(net)
    assert stated is not None, "the net has a detect block"
    count = len(stated.anchors)
    flat = planes.astype(np.float64).transpose(1, 2, 0)
    scores = flat[..., : count * classes].reshape(-1, classes)
    logits = flat[..., count * classes : count * (classes + 1)].reshape(-1)
    moves = flat[..., count * (classes + 1) :].reshape(-1, 4)
    scores = np.exp(scores - scores.max(1, keepdims=True))
    scores /= scores.sum(1, keepdims=True)
    confidence = 1 / (1 + np.exp(-np.clip(logits, -700, 700)))
    best = scores.argmax(1)
    x = anchors[:, 0] + moves[:, 0] * anchors[:, 2]
    y = anchors[:, 1] + moves[:, 1] * anchors[:, 3]
    wide = anchors[:, 2] * grown(moves[:, 2], stated.clip)
    high = anchors[:, 3] * grown(moves[:, 3], stated.clip)
    height, width = (int(d) for d in net.body.inputs[0].shape[1:])
    places = np.stack(
        [
            np.clip(x - wide / 2, 0, width),
            np.clip(y - high / 2, 0, height),
            np.clip(x + wide / 2, 0, width),
            np.clip(y + high / 2, 0, height),
        ],
        1,
    )
    return Boxes(places, confidence * scores[np.arange(len(best)), best], best)


def grown(x: Array, clip: float | None) -> Array:
    """The exponential, from `clip` on its tangent there."""
    if clip is None:
        return np.exp(np.minimum(x, 80.0))
    found: Array = np.where(x > clip, np.exp(clip) * (x - clip + 1), np.exp(np.minimum(x, clip)))
    return found


def filtered(found: Boxes, stated: Detection) -> Boxes:
    """The boxes that stay: the best of all, and of a class only those that don't overlap."""
    order = np.argsort(-found.scores, kind="stable")
    order = order[found.scores[order] >= stated.threshold][: stated.top]
    best = found.chosen(order)
    stays: list[int] = []
    for i in range(len(best.scores)):
        same = [j for j in stays if best.classes[j] == best.classes[i]]
        if not same or overlaps(best.places[i : i + 1], best.places[same]).max() <= stated.nms:
            stays.append(i)
    return best.chosen(np.array(stays, np.int64))


def overlaps(first: Array, second: Array) -> Array:
    """Intersection over union of each box with each other, (N, M)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    both = np.prod(np.maximum(high - low, 0), 2)
    areas = [np.prod(np.maximum(b[:, 2:] - b[:, :2], 0), 1) for b in (first, second)]
    either = areas[0][:, None] + areas[1] - both
    found: Array = both / np.maximum(either, 1e-12)
    return found


@dataclass(frozen=True)
class BoxAnswer:
    """The boxes of a picture, in its pixels, beside the RGB picture."""

    columns = ("class", "score", "label", "left", "top", "right", "bottom")
    boxes: Boxes
    picture: Any
    labels: Sequence[str] | None

    def rows(self) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = []
        for place, score, c in zip(*self.boxes, strict=True):
            label = self.labels[c] if self.labels else ""
            rows.append((int(c), float(score), label, *(round(float(n), 2) for n in place)))
        return rows

    def data(self) -> dict[str, Any]:
        return {
            "boxes": [
                {"class": c, "score": s, "label": label or None, "box": place}
                for c, s, label, *place in self.rows()
            ]
        }

    def lines(self) -> list[str]:
        return [
            f"{s:8.4f}  {c:4}  {' '.join(f'{n:7.1f}' for n in place)}  {label}"
            for c, s, label, *place in self.rows()
        ]

    def draw(self, folder: Path, name: str) -> dict[str, str]:
        """Write the picture with its boxes, and the boxes as JSON. Raises SpecError."""
        from PIL import Image, ImageDraw

        picture, file = folder / f"{name}.png", folder / f"{name}.json"
        image = Image.fromarray(self.picture.round().astype(np.uint8))
        draw = ImageDraw.Draw(image)
        colors = np.array(palette()).reshape(-1, 3)
        line = max(1, round(min(image.size) / 200))
        for c, score, label, *place in reversed(self.rows()):
            color = tuple(int(n) for n in colors[1 + c % 255])
            text = f"{label or c} {score:.2f}".encode("ascii", "replace").decode()
            left, top, right, bottom = map(round, place)
            if right > left and bottom > top:
                draw.rectangle((left, top, right - 1, bottom - 1), outline=color, width=line)
            at = (left, max(top - 11, 0))
            draw.rectangle(draw.textbbox(at, text), fill=color)
            draw.text(at, text, fill=(255, 255, 255))
        write_png(picture, image)
        write_text(file, f"{json.dumps(self.data(), indent=2)}\n")
        return {"picture": str(picture), "json": str(file)}


class Detector:
    """A net with weights and a `detect` block that finds boxes."""

    def __init__(
        self,
        net: Net,
        backend: Backend,
        weights: Mapping[str, Any],
        labels: Sequence[str] | None = None,
        least: float | None = None,
    ) -> None:
        """`least` is the least score of a box, by default what the block says is shown."""
        assert net.detection is not None, "the net has a detect block"
        self.net, self.backend = net, backend
        self.labels = labels or net.detection.labels or None
        self.least = net.detection.shown if least is None else least
        self.anchors = anchors_of(net)
        self.model = load_model(net, backend)
        backend.set_weights(self.model, weights)

    def __call__(self, path: Path) -> BoxAnswer:
        """The boxes of a picture. Raises SpecError where it can't be read."""
        assert self.net.detection is not None, "the net has a detect block"
        picture, x = prepared(self.net, self.model, self.backend, path)
        planes = self.backend.run(self.model, x)[0][0]
        found = filtered(decoded(planes, self.net, self.anchors), self.net.detection)
        found = found.chosen(np.flatnonzero(found.scores >= self.least))
        height, width = picture.shape[:2]
        down, across = (axis.back() for axis in input_axes(self.net, (height, width)))
        places = found.places
        columns = [np.clip(across(places[:, i]), 0, width) for i in (0, 2)]
        rows = [np.clip(down(places[:, i]), 0, height) for i in (1, 3)]
        there = np.stack([columns[0], rows[0], columns[1], rows[1]], 1)
        return BoxAnswer(Boxes(there, found.scores, found.classes), as_rgb(picture), self.labels)
