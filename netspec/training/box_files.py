"""Boxes of pictures as KITTI and COCO write them."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from netspec.diagnostics import SpecError, spec_error
from netspec.ir import Net
from netspec.runtime.boxes import Array, anchors_of, box_classes, overlaps
from netspec.training.datasets import Samples, pictures_in
from netspec.training.targets import Targeted, stems
from netspec.training.transforms import Preparation, View
from netspec.util.inputs import read_input

MOST_BOXES = 256
"""Most boxes of a picture."""
MOST_BYTES = 2**30
"""Longest file of boxes that is read."""
BEYOND = 1.0
"""So many pixels beyond its picture a box may reach."""
DONT_CARE = "dontcare"
"""What KITTI calls regions whose objects are not labelled."""
SEEN = 0.25
"""The share of a box that must be seen, else it counts neither as there nor as missing."""
PADDING, IGNORED = -1, -2
"""In place of the class: of no box, and of one that counts neither as there nor as missing."""


class NamedBox(NamedTuple):
    """A box as its file has it: left, top, right, bottom; without a name, what is in it is open."""

    name: str
    place: tuple[float, float, float, float]


class BoxTarget(NamedTuple):
    """The boxes of a picture: rows of class, left, top, right and bottom in its pixels."""

    boxes: Array
    content: bytes


class BoxFiles:
    """Pictures in `images` or `image_2`, with `label_2/NAME.txt` (KITTI), or a `.json` (COCO)."""

    layout = (
        "folder images with label_2 beside it, which has a .txt for each picture as KITTI has, or "
        "with a .json beside it as COCO has"
    )

    def __init__(self, net: Net, names: Sequence[str]) -> None:
        """`names` are those of the net's classes, where known; else they are the data's."""
        self.net = net
        self.names = tuple(names)

    def holds(self, folder: Path) -> bool:
        return _pictures(folder) is not None and (
            (folder / "label_2").is_dir() or _json(folder) is not None
        )

    def pairs(self, folder: Path, left_out: list[str]) -> list[tuple[Path, Any]]:
        """Each picture with its boxes, or with the SpecError of its file."""
        pictures = _pictures(folder)
        assert pictures is not None, "the folder holds pictures and boxes"
        if (folder / "label_2").is_dir():
            found, names = _kitti(folder, pictures, left_out)
        else:
            file = _json(folder)
            assert file is not None, "the folder holds pictures and boxes"
            found, names = _coco(file, pictures, left_out)
        if not self.names:
            self.names = names
        count = box_classes(self.net)
        if len(self.names) > count or not self.names:
            message = (
                f"{folder} has {len(names):,} classes, but {self.net.name} tells {count} apart"
            )
            fits = names and any(p.name == "classes" for p in self.net.parameters)
            help_ = (f"`--set classes={len(names)}`",) if fits else ()
            raise spec_error("bad-data", message, help=help_)
        known = {name.lower() for name in self.names} | {DONT_CARE, ""}
        boxes = (b for _, own in found if not isinstance(own, SpecError) for b in own)
        others = Counter(b.name for b in boxes if b.name.lower() not in known)
        for name, number in sorted(others.items()):
            count_ = "a box" if number == 1 else f"{number:,} boxes"
            left_out.append(f"{folder}: {count_} of {name}, which is no class of {self.net.name}")
        return found

    def target(self, picture: Path, size: tuple[int, int], known: Any) -> BoxTarget:
        if isinstance(known, SpecError):
            raise known
        numbers = {name.lower(): i for i, name in enumerate(self.names)}
        numbers |= {DONT_CARE: IGNORED, "": IGNORED}
        height, width = size
        rows = []
        for box in known:
            left, top, right, bottom = box.place
            if min(left, top) < -BEYOND or right > width + BEYOND or bottom > height + BEYOND:
                place = " ".join(f"{n:g}" for n in box.place)
                message = (
                    f"{picture} has a box {place}, which is not in its {width}x{height} pixels"
                )
                raise spec_error("bad-data", message)
            number = numbers.get(box.name.lower())
            if number is not None:
                inside = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
                rows.append((number, *inside))
        if len(rows) > MOST_BOXES:
            message = f"{picture} has {len(rows):,} boxes; {MOST_BOXES} are the most"
            raise spec_error("bad-data", message)
        boxes = np.array(rows, np.float64).reshape(-1, 5)
        return BoxTarget(boxes, boxes.tobytes())

    def samples(
        self, files: Sequence[Path], targets: Sequence[Any], digest: str, preparation: Preparation
    ) -> Samples:
        found = BoxedPictures(files, targets, digest, preparation)
        found.anchors = anchors_of(self.net)
        return found


class BoxedPictures(Targeted):
    """Pictures with boxes; targets as `viewed` gives them."""

    anchors: Array

    def target(self, index: int, view: View) -> Tensor:
        return torch.from_numpy(viewed(self.targets[index].boxes, view, self.anchors))


def viewed(boxes: Array, view: View, anchors: Array) -> Array:
    """The boxes of a picture in its input: float32 (MOST_BOXES, 6), objects first.

    A row is class, left, top, right, bottom and the number of the anchor, -1 for none. What is seen
    of a box is kept; those of which little is seen, or that are of no class, are IGNORED. PADDING
    fills the rest.
    """
    found = np.zeros((MOST_BOXES, 6), np.float32)
    found[:, 0], found[:, 5] = PADDING, -1
    x, y = np.sort(view.x(boxes[:, [1, 3]]), 1), np.sort(view.y(boxes[:, [2, 4]]), 1)
    top, left, bottom, right = view.seen
    wide, high = np.clip(x, left, right), np.clip(y, top, bottom)
    whole, seen = (np.diff(a)[:, 0] * np.diff(b)[:, 0] for a, b in ((x, y), (wide, high)))
    classes = np.where(seen >= SEEN * whole, boxes[:, 0], IGNORED)
    made = np.stack([classes, wide[:, 0], high[:, 0], wide[:, 1], high[:, 1]], 1)[seen > 0]
    made = made[np.argsort(made[:, 0] < 0, kind="stable")]
    found[: len(made), :5] = made
    chosen = responsible(made[made[:, 0] >= 0, 1:], anchors)
    found[: len(chosen), 5] = chosen
    return found


def responsible(boxes: Array, anchors: Array) -> list[int]:
    """The number of the anchor of each box; fewer where there are not enough anchors.

    It is the free one that overlaps the box most, or else is nearest to it, boxes coming one after
    the other, as in the code of SqueezeDet's authors.
    """
    corners = np.concatenate(
        [anchors[:, :2] - anchors[:, 2:] / 2, anchors[:, :2] + anchors[:, 2:] / 2], 1
    )
    chosen: list[int] = []
    free = np.ones(len(anchors), bool)
    for box in boxes[: len(anchors)]:
        shares = np.where(free, overlaps(box[None], corners)[0], -1.0)
        best = int(shares.argmax())
        if shares[best] <= 0:
            middle = np.concatenate([(box[:2] + box[2:]) / 2, box[2:] - box[:2]])
            away = ((anchors - middle) ** 2).sum(1)
            best = int(np.where(free, away, np.inf).argmin())
        free[best] = False
        chosen.append(best)
    return chosen


# --- files ---------------------------------------------------------------------------------------

Found = tuple[list[tuple[Path, Any]], tuple[str, ...]]
"""The pictures with their boxes, and the names of the classes."""


def _pictures(folder: Path) -> Path | None:
    """The folder of the pictures."""
    if _beside(folder).is_file():
        return folder
    return next((folder / n for n in ("images", "image_2") if (folder / n).is_dir()), None)


def _json(folder: Path) -> Path | None:
    """The file of COCO's boxes, where there is one and no other."""
    if _beside(folder).is_file():
        return _beside(folder)
    found = [p for p in folder.glob("*.json") if not p.name.startswith(".") and p.is_file()]
    return found[0] if len(found) == 1 else None


def _beside(folder: Path) -> Path:
    """Where COCO itself has the boxes of a folder of pictures such as `train2017`."""
    return folder.parent / "annotations" / f"instances_{folder.name}.json"


def _kitti(folder: Path, pictures: Path, left_out: list[str]) -> Found:
    files = dict(stems(folder / "label_2", sorted((folder / "label_2").glob("**/*.txt"))))
    found: list[tuple[Path, Any]] = []
    names: set[str] = set()
    for picture in pictures_in(pictures):
        file = files.pop(picture.relative_to(pictures).with_suffix("").as_posix(), None)
        try:
            if file is None:
                raise spec_error("bad-data", f"{picture} has no file of boxes in label_2")
            boxes = kitti_boxes(file)
            names |= {box.name for box in boxes if box.name.lower() != DONT_CARE}
            found.append((picture, boxes))
        except SpecError as error:
            found.append((picture, error))
    if files:
        first = next(iter(files.values()))
        count = "a file of boxes" if len(files) == 1 else f"{len(files):,} files of boxes"
        left_out.append(f"{folder}: {count} without a picture, such as {first}")
    return found, tuple(sorted(names))


def kitti_boxes(file: Path) -> list[NamedBox]:
    """The boxes of a file of KITTI's `label_2`: a line each, of a type, 3 numbers and the box.

    Raises SpecError (bad-data).
    """
    boxes = []
    for number, line in enumerate(_text(file).splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            if len(words) < 8:
                raise ValueError("it has fewer than 8 words")
            boxes.append(NamedBox(words[0], _place([float(w) for w in words[4:8]])))
        except ValueError as error:
            message = f"{file}, line {number}, is no box of KITTI: {error}"
            raise spec_error("bad-data", message) from None
    return boxes


def _place(numbers: Sequence[float]) -> tuple[float, float, float, float]:
    """Left, top, right and bottom. Raises ValueError for those of no box."""
    left, top, right, bottom = numbers
    if not all(map(math.isfinite, numbers)) or right <= left or bottom <= top:
        raise ValueError(f"{' '.join(f'{n:g}' for n in numbers)} encloses nothing")
    return left, top, right, bottom


def _text(file: Path) -> str:
    """A file's text. Raises SpecError (bad-data)."""
    try:
        content = read_input(file, MOST_BYTES + 1)
        if len(content) > MOST_BYTES:
            raise OSError(f"it has more than {MOST_BYTES:,} bytes")
        return content.decode("utf-8")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "it is no UTF-8 text"
        if isinstance(error, OSError) and not error.strerror:
            reason = str(error)
        raise spec_error("bad-data", f"{file} can't be read: {reason}") from None


def _coco(file: Path, pictures: Path, left_out: list[str]) -> Found:
    try:
        data = json.loads(_text(file))
    except (ValueError, RecursionError) as error:
        reason = f": {error}" if isinstance(error, ValueError) else ", it is nested too deeply"
        raise spec_error("bad-data", f"{file} is no JSON{reason}") from None
    categories = {i: str(c.get("name", i)) for i, c in _entries(file, data, "categories").items()}
    images = _entries(file, data, "images")
    boxes: dict[Any, list[NamedBox]] = {key: [] for key in images}
    wrong: dict[Any, SpecError] = {}
    for one in _list(file, data, "annotations"):
        image = one.get("image_id") if isinstance(one, Mapping) else None
        if not isinstance(image, int | str) or image not in images:
            raise spec_error("bad-data", f"{file} has a box of a picture {image!r}, which it lacks")
        try:
            boxes[image].append(_coco_box(one, categories))
        except (ValueError, TypeError) as error:
            message = f"{file} has a box of the picture {image!r} that is none: {error}"
            wrong.setdefault(image, spec_error("bad-data", message))
    found: list[tuple[Path, Any]] = []
    for key, image in sorted(images.items(), key=lambda item: str(item[1].get("file_name"))):
        name = image.get("file_name")
        path = PurePosixPath(name) if isinstance(name, str) else PurePosixPath("..")
        if path.is_absolute() or ".." in path.parts or "\\" in str(name):
            message = f"{file} has a picture {name!r}, which is no file in {pictures}"
            raise spec_error("bad-data", message)
        found.append((pictures / path, wrong.get(key, boxes[key])))
    known = {picture for picture, _ in found}
    others = [p for p in pictures_in(pictures) if p not in known]
    if others:
        count = "a picture" if len(others) == 1 else f"{len(others):,} pictures"
        left_out.append(f"{pictures}: {count} that {file.name} does not name, such as {others[0]}")
    return found, tuple(categories[i] for i in sorted(categories, key=lambda i: (str(type(i)), i)))


def _coco_box(one: Mapping[str, Any], categories: Mapping[Any, str]) -> NamedBox:
    """A box of an annotation. Raises ValueError or TypeError."""
    category, place = one.get("category_id"), one.get("bbox")
    if not isinstance(category, int | str) or category not in categories:
        raise ValueError(f"there is no category {category!r}")
    if not isinstance(place, list) or len(place) != 4:
        raise ValueError("its bbox has not 4 numbers")
    if not all(isinstance(n, int | float) and not isinstance(n, bool) for n in place):
        raise ValueError("its bbox has not 4 numbers")
    left, top, width, height = (float(n) for n in place)
    name = "" if one.get("iscrowd") else categories[category]
    return NamedBox(name, _place([left, top, left + width, top + height]))


def _list(file: Path, data: Any, name: str) -> list[Any]:
    found = data.get(name) if isinstance(data, Mapping) else None
    if not isinstance(found, list):
        message = f"{file} has no list of {name}, as COCO's files of boxes have"
        raise spec_error("bad-data", message)
    return found


def _entries(file: Path, data: Any, name: str) -> dict[Any, Mapping[str, Any]]:
    """The entries of a list by their ids."""
    found: dict[Any, Mapping[str, Any]] = {}
    for one in _list(file, data, name):
        key = one.get("id") if isinstance(one, Mapping) else None
        if not isinstance(key, int | str) or key in found:
            message = f"{file} has an entry of {name} without an id of its own: {str(one)[:80]}"
            raise spec_error("bad-data", message)
        found[key] = one
    return found
