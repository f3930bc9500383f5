"""Segmentation: which class each pixel of a picture is of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.diagnostics import spec_error
from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass
from netspec.report import number_format
from netspec.report.columns import Column
from netspec.report.table import Grid
from netspec.runtime.classify import MAX_PIXELS, picture_bytes
from netspec.runtime.masks import IGNORED
from netspec.runtime.placement import output_axes, plane_count, sampled
from netspec.training.datasets import Samples, Subset, TrainingData, Watch, pictures_in
from netspec.training.distributed import Processes
from netspec.training.judgement import percent
from netspec.training.judgement import picture as drawn
from netspec.training.targets import (
    Targeted,
    check_changes,
    class_names,
    holds_masks,
    read_target_part,
    read_targets,
    stems,
)
from netspec.training.tasks.task import Judged, Tally, yields_probabilities
from netspec.training.transforms import Preparation, View
from netspec.weights.array import Array

TINY = 1e-30


class Segmentation:
    """A score a class for each pixel; a target is a mask of class numbers, 255 standing for none.

    The loss is the mean cross entropy of the pixels, 0 for those without a class.
    """

    figure = "miou"
    title = "mIoU"
    step_figure = "accuracy"

    def __init__(self, net: Net) -> None:
        """`net` makes planes (`makes_planes`)."""
        self.net = net
        self.classes = plane_count(net)
        self.weights: Tensor | None = None

    def read(
        self,
        path: Path,
        preparation: Preparation,
        held_out: float,
        skip_bad: bool = False,
        watch: Watch = lambda done, total: None,
    ) -> TrainingData:
        names = class_names(path, self.classes)
        source = MaskFiles(self.net, self.classes)
        check_changes(self.net, "masks")
        data = read_targets(path, source, preparation, names, held_out, skip_bad, watch)
        self.weights = self._class_weights(data.train)
        return data

    def _class_weights(self, samples: Samples) -> Tensor | None:
        """How much each class counts. Raises SpecError (bad-data).

        Balanced are the medians of SegNet's paper (section 4): the median of the classes'
        frequencies by that of each, a frequency being the share of the class among the pixels of
        the pictures that have it.
        """
        stated = self.net.training.class_weights if self.net.training is not None else None
        if stated is None:
            return None
        if stated == "balanced":
            counts = counts_of(samples)
            of = np.maximum(((counts > 0) * counts.sum(1, keepdims=True)).sum(0), 1)
            shares = counts.sum(0) / of
            there = shares > 0
            weights = np.where(there, np.median(shares[there]) / np.where(there, shares, 1), 1)
            return torch.from_numpy(weights.astype(np.float32))
        if len(stated) != self.classes:
            message = f"there are {len(stated):,} class_weights for {self.classes:,} classes"
            raise spec_error("bad-data", message)
        return torch.tensor(stated, dtype=torch.float32)

    def read_part(
        self, path: Path, preparation: Preparation, part: str | None, skip_bad: bool = False
    ) -> tuple[str, Samples, tuple[str, ...]]:
        names = class_names(path, self.classes)
        source = MaskFiles(self.net, self.classes)
        return *read_target_part(path, source, preparation, part, skip_bad), names

    def scores(self, outputs: Tensor, probabilities: bool) -> Tensor:
        """Logits or log-probabilities of shape (N, classes, H, W)."""
        found = outputs.float()
        return found.clamp_min(TINY).log() if probabilities else found

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        smoothing = self.net.training.label_smoothing if self.net.training else 0.0
        scores, classes = pixels(outputs, targets)
        weights = self.weights.to(scores.device) if self.weights is not None else None
        # Divided by all pixels, so that parts of a batch add up to it.
        return F.cross_entropy(
            scores,
            classes,
            weights,
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=smoothing,
        ) / len(classes)

    def hits(self, outputs: Tensor, targets: Tensor) -> Tensor:
        known = targets != IGNORED
        right = ((outputs.argmax(1) == targets) & known).sum((1, 2))
        return (right / known.sum((1, 2)).clamp_min(1)).sum()

    def tally(self) -> Tally:
        return MaskTally(self.classes)

    def remarks(self, figures: Mapping[str, Any]) -> Iterator[str]:
        """Nothing more than the figures."""
        return iter(())

    def judged(
        self, batches: Iterable[tuple[Array, Tensor]], names: Sequence[str], trained: Sequence[str]
    ) -> Judged:
        tally, samples = MaskTally(self.classes), 0
        probabilities = yields_probabilities(self.net)
        for outputs, targets in batches:
            scores = self.scores(torch.from_numpy(np.array(outputs, np.float32)), probabilities)
            tally.add(scores, targets)
            samples += len(targets)
        known = names or (trained if len(trained) == self.classes else ())
        confusion = tuple(tuple(map(int, row)) for row in tally.confusion)
        numbers = tuple(map(str, range(self.classes)))
        figures = tally.figures()
        return MaskJudgement(samples, figures["loss"], tuple(known) or numbers, confusion)


def pixels(outputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Scores (pixels, classes) and classes (pixels) of those of planes.

    In this form the loss is computed the same each time, also on CUDA.
    """
    return outputs.permute(0, 2, 3, 1).flatten(0, 2), targets.flatten().long()


class MaskTally:
    """The sum of the pixels' losses, and how many pixels of each class are taken for each."""

    def __init__(self, classes: int) -> None:
        self.loss = 0.0
        self.confusion = np.zeros((classes, classes), np.int64)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        scores, classes = pixels(outputs, targets)
        loss = F.cross_entropy(scores, classes, ignore_index=IGNORED, reduction="sum")
        self.loss += float(loss.double())
        known, count = classes != IGNORED, len(self.confusion)
        pairs = classes[known] * count + scores.argmax(1)[known]
        found = torch.bincount(pairs, minlength=count * count).cpu().numpy()
        self.confusion += found.reshape(count, count)

    def gather(self, group: Processes) -> None:
        self.loss = sum(group.gather(self.loss))
        self.confusion = sum(group.gather(self.confusion))

    def figures(self) -> dict[str, Any]:
        """`iou` has a number for each class, None for one that is neither there nor answered."""
        counted = int(self.confusion.sum())
        iou = intersections_over_unions(self.confusion)
        known = [value for value in iou if value is not None]
        return {
            "loss": self.loss / max(counted, 1),
            "miou": sum(known) / max(len(known), 1),
            "accuracy": int(np.trace(self.confusion)) / max(counted, 1),
            "iou": iou,
        }


def intersections_over_unions(confusion: Any) -> list[float | None]:
    """Of each class: the pixels that are of it and taken for it, over those that are either."""
    both = np.diag(confusion)
    either = confusion.sum(0) + confusion.sum(1) - both
    return [int(b) / int(e) if e else None for b, e in zip(both, either, strict=True)]


@dataclass(frozen=True)
class MaskJudgement:
    """The pixels of each class, one a row, by the class that they are taken for."""

    samples: int
    loss: float
    names: tuple[str, ...]
    confusion: tuple[tuple[int, ...], ...]

    def classes(self) -> list[dict[str, Any]]:
        """Name, number of pixels, precision, recall and IoU of each class; None for 0 by 0."""
        matrix = np.array(self.confusion)
        rows = []
        for i, iou in enumerate(intersections_over_unions(matrix)):
            right, of, said = int(matrix[i, i]), int(matrix[i].sum()), int(matrix[:, i].sum())
            row = {"name": self.names[i], "count": of}
            rows.append(
                row
                | {
                    "precision": right / said if said else None,
                    "recall": right / of if of else None,
                    "iou": iou,
                }
            )
        return rows

    def data(self) -> dict[str, Any]:
        classes = self.classes()
        known = [row["iou"] for row in classes if row["iou"] is not None]
        pixels = sum(map(sum, self.confusion))
        right = sum(row[i] for i, row in enumerate(self.confusion))
        return {
            "samples": self.samples,
            "pixels": pixels,
            "loss": self.loss,
            "miou": sum(known) / max(len(known), 1),
            "iou": {row["name"]: row["iou"] for row in classes},
            "accuracy": right / max(pixels, 1),
            "classes": classes,
            "confusion": [list(row) for row in self.confusion],
        }

    def grid(self, title: str, summary: Mapping[str, str]) -> Grid:
        found = self.data()
        columns = (
            Column("name", "class", "", left=True),
            Column("count", "pixels", "", show=number_format.count),
            *(
                Column(key, heading, "", show=percent, zero=True)
                for key, heading in (
                    ("iou", "IoU"),
                    ("precision", "precision"),
                    ("recall", "recall"),
                )
            ),
        )
        rows = tuple(tuple(row[c.key] for c in columns) for row in found["classes"])
        figures = (
            ("loss", f"{self.loss:.4f}"),
            ("mIoU", f"{found['miou']:.2%} of {self.samples:,} pictures"),
            ("right pixels", f"{found['accuracy']:.2%} of {found['pixels']:,}"),
            *summary.items(),
        )
        return Grid("", title, columns, rows, summary=figures)

    def csv(self) -> list[list[Any]]:
        rows = zip(self.names, self.confusion, strict=True)
        return [["truth", *self.names], *([name, *row] for name, row in rows)]

    def picture(self, title: str) -> str:
        return drawn(title, self.names, self.confusion)

    def remarks(self) -> list[str]:
        matrix = np.array(self.confusion)
        said = matrix.sum(0)
        if (matrix.sum(1) > 0).sum() > 1 and (said > 0).sum() == 1:
            return [f"{self.names[int(said.argmax())]} is all that is answered"]
        return []


# --- data ----------------------------------------------------------------------------------------


class MaskFile(NamedTuple):
    """A mask: its file, its content's hash, and how many pixels are of each class."""

    file: Path
    content: bytes
    counts: Any


class MaskFiles:
    """Pictures in `images`, and masks of the same names in `masks`."""

    layout = "folders images and masks, of pictures and of masks that are called alike"

    def __init__(self, net: Net, classes: int) -> None:
        self.net, self.classes = net, classes

    def holds(self, folder: Path) -> bool:
        return holds_masks(folder)

    def pairs(self, folder: Path, left_out: list[str]) -> list[tuple[Path, Any]]:
        pictures = pictures_in(folder / "images")
        masks = dict(stems(folder / "masks", pictures_in(folder / "masks")))
        found = []
        for picture in pictures:
            name = picture.relative_to(folder / "images").with_suffix("").as_posix()
            found.append((picture, masks.pop(name, None)))
        if masks:
            first = next(iter(masks.values()))
            count = "a mask" if len(masks) == 1 else f"{len(masks):,} masks"
            left_out.append(f"{folder}: {count} without a picture, such as {first}")
        return found

    def target(self, picture: Path, size: tuple[int, int], known: Any) -> MaskFile:
        if known is None:
            raise spec_error("bad-data", f"{picture} has no mask")
        content = picture_bytes(known)
        mask = decode_mask(content, known)
        if mask.shape != size:
            is_, should = ("x".join(map(str, s)) for s in (mask.shape, size))
            raise spec_error("bad-data", f"the mask {known} is {is_}, and its picture {should}")
        counts = np.bincount(mask.ravel(), minlength=256)
        wrong = np.flatnonzero(counts[self.classes : IGNORED])
        if len(wrong):
            number = self.classes + int(wrong[0])
            message = (
                f"the mask {known} has the class {number}, but {self.net.name} tells "
                f"{self.classes} apart, and 255 stands for none"
            )
            raise spec_error("bad-data", message)
        return MaskFile(known, sha256(content).digest(), counts[: self.classes])

    def samples(
        self, files: Sequence[Path], targets: Sequence[Any], digest: str, preparation: Preparation
    ) -> Masks:
        return Masks(files, targets, digest, preparation, self.net)


class Masks(Targeted):
    """Pictures with masks; a target has the size of the net's planes."""

    def __init__(
        self,
        files: Sequence[Path],
        targets: Sequence[Any],
        content: str,
        preparation: Preparation,
        net: Net,
    ) -> None:
        super().__init__(files, targets, content, preparation)
        self.size = tuple(int(d) for d in net.body.outputs[0].shape[1:])
        self.down, self.across = (axis.back() for axis in output_axes(net))

    def target(self, index: int, view: View) -> Tensor:
        file = self.targets[index].file
        mask = decode_mask(picture_bytes(file), file)
        axes = self.down.then(view.y.back()), self.across.then(view.x.back())
        found = sampled(mask, axes, self.size, IGNORED)
        top, left, bottom, right = view.seen
        rows, columns = (
            axis(np.arange(n) + 0.5)
            for axis, n in zip((self.down, self.across), self.size, strict=True)
        )
        found[(rows < top) | (rows > bottom)] = IGNORED
        found[:, (columns < left) | (columns > right)] = IGNORED
        return torch.from_numpy(found)


def counts_of(samples: Samples) -> Any:
    """How many pixels of each class each picture has, (pictures, classes)."""
    if isinstance(samples, Subset):
        return counts_of(samples.whole)[samples.indices]
    assert isinstance(samples, Masks), "samples of a segmentation have masks"
    return np.stack([target.counts for target in samples.targets])


def decode_mask(content: bytes, file: Path) -> Any:
    """The class numbers of a mask, uint8 of shape (H, W): its grey values, or those of a palette.

    Raises SpecError (bad-data).
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    reason = ""
    try:
        with Image.open(BytesIO(content)) as image:
            if image.width * image.height > MAX_PIXELS:
                reason = f"it has more than {MAX_PIXELS:,} pixels"
            elif image.format == "JPEG":
                reason = "JPEG changes class numbers; PNG keeps them"
            else:
                values = np.asarray(ImageOps.exif_transpose(image))
                if values.ndim == 3 and not (values != values[..., :1]).any():
                    values = values[..., 0]
                if values.ndim != 2:
                    reason = "it has colours, not class numbers as grey values or of a palette"
                elif values.dtype.kind == "f" or values.min() < 0 or values.max() > 255:
                    reason = "its values are no whole numbers from 0 to 255"
                else:
                    return values.astype(np.uint8)
    except UnidentifiedImageError:
        reason = "it is of no format that Pillow knows"
    except Image.DecompressionBombError:
        reason = f"it has more than {MAX_PIXELS:,} pixels"
    except (OSError, ValueError, SyntaxError) as error:
        reason = str(error)
    raise spec_error("bad-data", f"{file} can't be read as a mask: {reason}")
