"""Pictures whose targets move along with them, as masks and boxes do: reading, random changes."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from netspec.diagnostics import SpecError, spec_error
from netspec.ir import Net
from netspec.runtime.classify import decode, picture_bytes, read_labels, read_picture
from netspec.training.datasets import (
    HELD_OUT,
    MOST_NAMED,
    TRAIN,
    Samples,
    TrainingData,
    Watch,
    digest,
    held_out_of,
    planes,
)
from netspec.training.sampler import Rolls
from netspec.training.transforms import Preparation, View

LABELS = "labels.txt"
"""The names of the classes, one a line, beside the folders of the data."""


class PictureTarget(Protocol):
    """What a picture is labelled with. `content` is what its file says of it, for hashes."""

    @property
    def content(self) -> bytes: ...


class TargetSource(Protocol):
    """How targets lie beside pictures."""

    layout: str
    """The folders and files of it, in words."""

    def holds(self, folder: Path) -> bool:
        """Whether a folder has pictures with such targets."""
        ...

    def pairs(self, folder: Path, left_out: list[str]) -> list[tuple[Path, Any]]:
        """The pictures of a folder in order, and what is known of their targets.

        What is there and not used gets a line in `left_out`. Raises SpecError (bad-data).
        """
        ...

    def target(self, picture: Path, size: tuple[int, int], known: Any) -> PictureTarget:
        """The target of a picture of this height and width. Raises SpecError (bad-data)."""
        ...

    def samples(
        self, files: Sequence[Path], targets: Sequence[Any], digest: str, preparation: Preparation
    ) -> Samples:
        """Samples of pictures and their targets."""
        ...


# --- reading -------------------------------------------------------------------------------------


def read_targets(
    path: Path,
    source: TargetSource,
    preparation: Preparation,
    classes: Sequence[str],
    held_out: float,
    skip_bad: bool = False,
    watch: Watch = lambda done, total: None,
) -> TrainingData:
    """The data of a folder, as `datasets.read` gives that of folders of classes.

    `classes` are their names, where known. Raises SpecError (bad-data).
    """
    parts = _parts(path, source)
    left_out: list[str] = []
    if "" not in parts and TRAIN not in parts:
        message = f"{path} has {', '.join(parts)}, but no folder {TRAIN} beside it"
        raise spec_error("bad-data", message)
    chosen = [name for name in ("", TRAIN, *HELD_OUT) if name in parts][:2]
    left_out += [f"{parts[n]}: neither trained on nor held out" for n in parts if n not in chosen]
    read = [
        _samples(parts[name], source, preparation, skip_bad, watch, left_out) for name in chosen
    ]
    data = TrainingData(
        read[0], read[1] if len(read) > 1 else None, tuple(classes), tuple(left_out)
    )
    return held_out_of(data, path, held_out)


def read_target_part(
    path: Path,
    source: TargetSource,
    preparation: Preparation,
    part: str | None,
    skip_bad: bool = False,
) -> tuple[str, Samples]:
    """One part of the data and its name, chosen as `datasets.read_part` does."""
    parts = _parts(path, source)
    known = [name for name in (*HELD_OUT[::-1], TRAIN) if name in parts]
    if part is not None and part not in known:
        help_ = (f"it has {', '.join(known)}",) if known else ("it has no parts",)
        raise spec_error("bad-data", f"{path} has no part {part}", help=help_)
    chosen = part or (known[0] if known else "")
    samples = _samples(parts[chosen], source, preparation, skip_bad, lambda *_: None, [])
    return chosen or "all", samples


def class_names(path: Path, count: int) -> tuple[str, ...]:
    """The names of the classes that stand beside the data; none where they do not.

    Raises SpecError (bad-labels).
    """
    file = path / LABELS
    return tuple(read_labels(file, count)[:count]) if file.is_file() else ()


def _parts(path: Path, source: TargetSource) -> dict[str, Path]:
    """The folders with pictures and targets by the names of their parts; `path` itself by none."""
    if not path.exists():
        raise spec_error("bad-data", f"there is no folder {path}")
    if not path.is_dir():
        raise spec_error("bad-data", f"{path} is no folder", help=(f"it has {source.layout}",))
    if source.holds(path):
        return {"": path}
    parts: dict[str, Path] = {}
    for name in (TRAIN, *HELD_OUT):
        # COCO has train2017, KITTI training.
        others = sorted(path.glob(f"{name}[0-9]*")) + [path / "training"] * (name == TRAIN)
        held = [folder for folder in (path / name, *others) if source.holds(folder)]
        if held:
            parts[name] = held[0]
    if not parts:
        message = f"{path} has nothing to train on: no {source.layout}"
        help_ = (f"put them into it, or into {TRAIN}, val and test in it",)
        raise spec_error("bad-data", message, help=help_)
    return parts


def _samples(
    folder: Path,
    source: TargetSource,
    preparation: Preparation,
    skip_bad: bool,
    watch: Watch,
    left_out: list[str],
) -> Samples:
    """The samples of a folder; what can't be used is an error, or joins `left_out`."""
    pairs = source.pairs(folder, left_out)
    if not pairs:
        raise spec_error("bad-data", f"{folder} has no pictures", help=(f"{source.layout}",))
    gray = preparation.shape[0] == 1

    def examine(pair: tuple[Path, Any]) -> tuple[PictureTarget | None, bytes, str]:
        picture, known = pair
        try:
            content = picture_bytes(picture)
            height, width = decode(content, picture, gray).shape[:2]
            preparation.size(height, width)
            found = source.target(picture, (height, width), known)
        except SpecError as error:
            if error.diagnostics[0].code not in ("bad-image", "bad-data"):
                raise  # of Pillow that is not there
            return None, b"", error.diagnostics[0].message
        except ValueError as error:
            return None, b"", f"{picture} can't be made an input: {error}"
        return found, hashlib.sha256(content).digest() + found.content, ""

    files, targets, contents, bad = [], [], [], []
    with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as pool:
        for done, (target, content, reason) in enumerate(pool.map(examine, pairs), 1):
            if target is None:
                bad.append(reason)
            else:
                files.append(pairs[done - 1][0])
                targets.append(target)
                contents.append(content)
            watch(done, len(pairs))
    rest = len(bad) - MOST_NAMED
    notes = (*bad[:MOST_NAMED], *([f"and {rest:,} more"] if rest > 0 else []))
    if bad and not skip_bad:
        count = "a picture" if len(bad) == 1 else f"{len(bad):,} pictures"
        message = f"{folder} has {count} that can't be used"
        help_ = ("fix or remove what is named, or leave it out with `--on-bad skip`",)
        raise spec_error("bad-data", message, notes=notes, help=help_)
    if not files:
        raise spec_error("bad-data", f"{folder} has no picture that can be used", notes=notes)
    left_out += bad
    return source.samples(files, targets, digest(*contents), preparation)


# --- samples -------------------------------------------------------------------------------------


class Targeted:
    """Pictures in files with targets; a subclass makes a tensor of a target that lies somewhere."""

    parallel = True

    def __init__(
        self, files: Sequence[Path], targets: Sequence[Any], content: str, preparation: Preparation
    ) -> None:
        self.files, self.targets, self.content = files, targets, content
        self.preparation = preparation
        self.labels = np.zeros(len(files), np.int64)

    def place(self, device: torch.device) -> None:
        return

    def target(self, index: int, view: View) -> Tensor:
        """The target of a sample whose picture lies so in the input."""
        raise NotImplementedError

    def inputs(self, indices: Sequence[int], rolls: Rolls | None) -> Tensor:
        return self.batch(indices, rolls)[0]

    def batch(self, indices: Sequence[int], rolls: Rolls | None) -> tuple[Tensor, Tensor]:
        gray = self.preparation.shape[0] == 1
        inputs, targets = [], []
        for position, index in enumerate(indices):
            own = None if rolls is None else rolls[position : position + 1]
            pixels = np.array(read_picture(self.files[index], gray))
            inputs.append(self.preparation.pictures(planes(torch.from_numpy(pixels[None])), own))
            view = self.preparation.view((pixels.shape[0], pixels.shape[1]), own)
            targets.append(self.target(index, view))
        return torch.cat(inputs), torch.stack(targets)

    def digest(self) -> str:
        return self.content


def holds_masks(folder: Path) -> bool:
    """Whether a folder has pictures with masks."""
    return (folder / "images").is_dir() and (folder / "masks").is_dir()


def refuse_masks(path: Path, net: Net) -> None:
    """Raise SpecError (bad-data) for masks, given to a net that is about whole pictures."""
    if any(map(holds_masks, (path, *(path / name for name in (TRAIN, *HELD_OUT))))):
        message = f"{path} has masks, but {net.name} has no planes of classes, only one score each"
        raise spec_error("bad-data", message)


def check_changes(net: Net, what: str) -> None:
    """Raise SpecError (bad-data) for changes of a recipe that targets can't follow."""
    training = net.training
    if training is None:
        return
    if training.loss == "bce":
        raise spec_error("bad-data", f"`loss: bce` is for labels of whole pictures, not for {what}")
    given = [name for name in ("rotate", "randaugment") if getattr(training, name)]
    if given:
        message = f"{given[0]} turns pictures, which {what} don't follow"
        help_ = (f"leave out {given[0]}, or `--train {given[0]}=0`",) if given == ["rotate"] else ()
        raise spec_error("bad-data", message, help=help_)


def stems(folder: Path, files: Sequence[Path]) -> Mapping[str, Path]:
    """Files by their paths within a folder, without their endings; the first of equal ones."""
    found: dict[str, Path] = {}
    for file in files:
        found.setdefault(file.relative_to(folder).with_suffix("").as_posix(), file)
    return found
