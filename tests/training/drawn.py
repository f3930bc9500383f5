"""Pictures of shapes whose places are known, drawn at random."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from netspec.weights.array import Array

SHAPES = ("disc", "square", "triangle")


class Drawing(NamedTuple):
    """A picture (H, W, 3), its mask of 1 + the number of the shape, and a box for each shape.

    A box is its shape's number, left, top, right and bottom.
    """

    picture: Array
    mask: Array
    boxes: list[tuple[int, int, int, int, int]]


def drawing(rng: np.random.Generator, size: int, shapes: int = 2, gap: int = 2) -> Drawing:
    """Shapes that don't touch on noise, each kind in a colour of its own, more or less."""
    noise = rng.integers(0, 90, (size // 4, size // 4, 3)).astype(np.uint8)
    picture = Image.fromarray(noise).resize((size, size), Image.Resampling.NEAREST)
    mask = Image.new("L", (size, size))
    boxes: list[tuple[int, int, int, int, int]] = []
    for _ in range(20 * shapes):
        if len(boxes) == shapes:
            break
        kind = int(rng.integers(len(SHAPES)))
        side = int(rng.integers(size // 4, size // 2))
        left, top = (int(n) for n in rng.integers(0, size - side, 2))
        box = (left, top, left + side - 1, top + side - 1)
        if any(
            box[0] <= b[3] + gap
            and b[1] <= box[2] + gap
            and box[1] <= b[4] + gap
            and b[2] <= box[3] + gap
            for b in boxes
        ):
            continue
        color = [int(n) for n in rng.integers(40, 110, 3)]
        color[kind] = int(rng.integers(200, 255))
        for image, fill in ((picture, tuple(color)), (mask, kind + 1)):
            draw = ImageDraw.Draw(image)
            if kind == 0:
                draw.ellipse(box, fill)
            elif kind == 1:
                draw.rectangle(box, fill)
            else:
                draw.polygon([(left, box[3]), (box[2], box[3]), ((left + box[2]) // 2, top)], fill)
        boxes.append((kind, box[0], box[1], box[2] + 1, box[3] + 1))
    return Drawing(np.array(picture), np.array(mask), boxes)


def drawings(count: int, size: int, seed: int = 0) -> list[Drawing]:
    rng = np.random.default_rng(seed)
    return [drawing(rng, size) for _ in range(count)]


def save_masks(folder: Path, found: list[Drawing]) -> None:
    """Write `images` and `masks` into a folder."""
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for i, one in enumerate(found):
        Image.fromarray(one.picture).save(folder / "images" / f"{i:03}.png")
        Image.fromarray(one.mask).save(folder / "masks" / f"{i:03}.png")


def save_kitti(folder: Path, found: list[Drawing]) -> None:
    """Write `image_2` and `label_2` into a folder, with a region that is not labelled."""
    for name in ("image_2", "label_2"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    for i, one in enumerate(found):
        Image.fromarray(one.picture).save(folder / "image_2" / f"{i:03}.png")
        lines = [
            f"{SHAPES[kind].title()} 0.00 0 -1.5 {left} {top} {right} {bottom} 1 1 1 0 0 0 0\n"
            for kind, left, top, right, bottom in one.boxes
        ]
        (folder / "label_2" / f"{i:03}.txt").write_text("".join(lines))


def save_coco(folder: Path, found: list[Drawing]) -> None:
    """Write `images` and `instances.json` into a folder."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    images, annotations = [], []
    for i, one in enumerate(found):
        Image.fromarray(one.picture).save(folder / "images" / f"{i:03}.png")
        images.append({"id": 10 + i, "file_name": f"{i:03}.png"})
        for kind, left, top, right, bottom in one.boxes:
            box = [left, top, right - left, bottom - top]
            annotations.append({"image_id": 10 + i, "category_id": kind + 1, "bbox": box})
    categories = [{"id": i + 1, "name": name} for i, name in enumerate(SHAPES)]
    data = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "instances.json").write_text(json.dumps(data))
