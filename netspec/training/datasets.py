"""What a net is trained on: pictures in folders, or arrays of a `.npz` file. No pickle is read."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from netspec.diagnostics import SpecError, spec_error
from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass
from netspec.runtime.classify import (
    PICTURES,
    class_count,
    is_picture,
    pictures,
)
from netspec.training import label_files
from netspec.training.picture_files import Pictures, look_at
from netspec.training.picture_files import Watch as Watch
from netspec.training.sampler import Rolls
from netspec.training.transforms import Preparation, to_device
from netspec.weights.npz_file import read_npz

Array = np.ndarray[Any, np.dtype[Any]]

TRAIN = "train"
HELD_OUT = ("val", "valid", "validation", "test")
"""Names of the parts of a data set, as folders and behind `x_` in a `.npz` file."""
MOST_OF_MEMORY = 0.4
"""The share of a device's free memory that data may live in."""
MOST_NAMED = 8
"""How many unusable pictures an error names."""


class Samples(Protocol):
    """Samples with their targets. `parallel`: whether preparing them is worth threads.

    `labels` has the class of each, 0 where a target is no class.
    """

    labels: Array
    parallel: bool

    def place(self, device: torch.device) -> None:
        """Be told on which device samples are used, to live there if they can."""
        ...

    def inputs(self, indices: Sequence[int], rolls: Rolls | None) -> Tensor:
        """Float32 inputs of shape (N, ...); changed at random where there are numbers for it."""
        ...

    def batch(self, indices: Sequence[int], rolls: Rolls | None) -> tuple[Tensor, Tensor]:
        """Inputs as `inputs` gives them, and their targets, changed along with them."""
        ...

    def digest(self) -> str:
        """A hash of the data, different for other data."""
        ...


@dataclass(frozen=True)
class TrainingData:
    """`held_out` is None where all samples are trained on. `classes` are names, where known.

    `left_out` says what is there and not used, a line each; `test` are pictures that are kept for a
    test, `remarks` what is to be said of the data.
    """

    train: Samples
    held_out: Samples | None
    classes: tuple[str, ...]
    left_out: tuple[str, ...] = ()
    test: tuple[Path, ...] = ()
    remarks: tuple[str, ...] = ()


class Labelled:
    """Samples whose targets are their classes, or (N, classes) of 0 and 1."""

    labels: Array

    def place(self, device: torch.device) -> None:
        return

    def inputs(self, indices: Sequence[int], rolls: Rolls | None) -> Tensor:
        raise NotImplementedError

    def batch(self, indices: Sequence[int], rolls: Rolls | None) -> tuple[Tensor, Tensor]:
        return self.inputs(indices, rolls), torch.from_numpy(self.labels[np.asarray(indices)])


class Arrays(Labelled):
    """Arrays in memory. `raw` ones are pictures (N, H, W) or (N, H, W, C), values 0 to 255.

    Where they fit into the memory of the device, they live there.
    """

    parallel = False

    def __init__(self, x: Array, labels: Array, raw: bool, preparation: Preparation) -> None:
        self.x = x
        self.labels = labels
        self.raw = raw
        self.preparation = preparation
        kind = np.uint8 if raw and x.dtype.kind in "iu" else np.float32
        self.tensor = torch.from_numpy(np.array(x, kind, copy=None, order="C"))
        self.targets = torch.from_numpy(labels)
        self.device = self.tensor.device

    def place(self, device: torch.device) -> None:
        self.device = device
        if device.type == "cuda" and self.tensor.device != device:
            free, _ = torch.cuda.mem_get_info(device)
            if self.tensor.nbytes <= free * MOST_OF_MEMORY:
                self.tensor, self.targets = self.tensor.to(device), self.targets.to(device)

    def inputs(self, indices: Sequence[int], rolls: Rolls | None) -> Tensor:
        if self.tensor.device.type == "cpu":
            chosen = self.tensor.numpy()[np.asarray(indices, np.int64)]
            x = to_device(torch.from_numpy(chosen), self.device)
        else:
            x = self.tensor.index_select(0, torch.as_tensor(indices, device=self.device))
        if self.raw:
            return self.preparation.pictures(planes(x), rolls)
        return self.preparation.inputs(x, rolls)

    def batch(self, indices: Sequence[int], rolls: Rolls | None) -> tuple[Tensor, Tensor]:
        places = torch.as_tensor(indices, device=self.targets.device)
        return self.inputs(indices, rolls), self.targets.index_select(0, places)

    def digest(self) -> str:
        return digest(np.ascontiguousarray(self.x).tobytes(), self.labels.tobytes())


class Subset:
    """Some of the samples."""

    def __init__(self, whole: Samples, indices: Array) -> None:
        self.whole = whole
        self.indices = indices
        self.labels = whole.labels[indices]
        self.parallel = whole.parallel

    def place(self, device: torch.device) -> None:
        self.whole.place(device)

    def inputs(self, indices: Sequence[int], rolls: Rolls | None) -> Tensor:
        return self.whole.inputs(self.indices[np.asarray(indices)].tolist(), rolls)

    def batch(self, indices: Sequence[int], rolls: Rolls | None) -> tuple[Tensor, Tensor]:
        return self.whole.batch(self.indices[np.asarray(indices)].tolist(), rolls)

    def digest(self) -> str:
        return digest(self.whole.digest().encode(), self.indices.tobytes())


def in_files(samples: Samples) -> Pictures | None:
    """The pictures in files that samples are, or are some of."""
    whole = samples.whole if isinstance(samples, Subset) else samples
    return whole if isinstance(whole, Pictures) else None


def whole_indices(samples: Samples, indices: Sequence[int]) -> list[int]:
    """Numbers of samples as those of what they are some of."""
    chosen = np.asarray(indices)
    found: list[int] = (samples.indices[chosen] if isinstance(samples, Subset) else chosen).tolist()
    return found


def planes(x: Tensor) -> Tensor:
    """(N, H, W) or (N, H, W, C) as (N, C, H, W)."""
    return x[:, None] if x.ndim == 3 else x.permute(0, 3, 1, 2)


def digest(*parts: bytes) -> str:
    found = hashlib.sha256()
    for part in parts:
        found.update(hashlib.sha256(part).digest())
    return found.hexdigest()[:16]


def digest_of(arrays: Mapping[str, Array]) -> str:
    """A hash of arrays by name."""
    parts = [part for n, a in arrays.items() for part in (n.encode(), a.tobytes())]
    return digest(*parts) if parts else "fresh"


# --- reading -------------------------------------------------------------------------------------


def read(
    path: Path,
    net: Net,
    preparation: Preparation,
    held_out: float,
    skip_bad: bool = False,
    watch: Watch = lambda done, total: None,
) -> TrainingData:
    """The data of a folder or a `.npz` file; `held_out` is the share that is not trained on where
    the data does not say which samples those are.

    All pictures are read once, so that none ends a training that has begun: those that can't be
    used are an error, or left out with `skip_bad`. Raises SpecError (bad-data) for data that is
    not there, not sound, or not for this net.
    """
    if path.is_dir():
        data = _folder(path, preparation, skip_bad, watch)
    elif path.suffix == ".npz":
        data = _npz(path, preparation)
    else:
        raise _no_data(path)
    _check_classes(path, data, net)
    return held_out_of(data, path, held_out)


def held_out_of(data: TrainingData, path: Path, share: float) -> TrainingData:
    """The data with a share of it held out, where no part of it is. Raises SpecError (bad-data)."""
    if data.held_out is None and share:
        data = split(data, share)
    if not len(data.train.labels):
        raise spec_error("bad-data", f"{path} leaves no sample to train on")
    return data


def read_part(
    path: Path,
    net: Net,
    preparation: Preparation,
    part: str | None,
    skip_bad: bool = False,
    watch: Watch = lambda done, total: None,
) -> tuple[str, Samples, tuple[str, ...]]:
    """One part of the data, its name, and the names of the classes where they are known.

    Without a name the last of `test`, a part that training holds out, or all there is. Classes are
    those of the part `train` where there is one. Raises SpecError (bad-data).
    """
    if path.is_dir():
        known = {p.name: p for p in path.iterdir() if p.is_dir()}
        parts = [name for name in (*HELD_OUT[::-1], TRAIN) if name in known]
        parts = [name for name in parts if _holds_samples(known[name])]
        chosen = _chosen(path, part, parts)
        folder = known[chosen] if chosen else path
        classes = _names(known[TRAIN] if TRAIN in parts else folder)
        data = _read_folders(path, [folder], classes, preparation, skip_bad, watch, every=False)
        found = TrainingData(data[0], None, tuple(classes))
    elif path.suffix == ".npz":
        arrays = _npz_arrays(path)
        parts = [name for name in (*HELD_OUT[::-1], TRAIN) if f"x_{name}" in arrays]
        chosen = _chosen(path, part, parts)
        suffix = f"_{chosen}" if chosen else ""
        found = TrainingData(_labelled(path, arrays, suffix, preparation), None, ())
    else:
        raise _no_data(path)
    _check_classes(path, found, net)
    return chosen or "all", found.train, found.classes


def _chosen(path: Path, part: str | None, parts: Sequence[str]) -> str:
    """The part that is meant, empty for all of data without parts."""
    if part is None:
        return parts[0] if parts else ""
    if part not in parts:
        help_ = (f"it has {', '.join(parts)}",) if parts else ("it has no parts",)
        raise spec_error("bad-data", f"{path} has no part {part}", help=help_)
    return part


def _no_data(path: Path) -> SpecError:
    if not path.exists():
        return spec_error("bad-data", f"there is no folder or .npz file {path}")
    message = f"{path} is neither a folder of pictures nor a .npz file of arrays"
    return spec_error("bad-data", message)


def _folder(path: Path, preparation: Preparation, skip_bad: bool, watch: Watch) -> TrainingData:
    """`path/class/picture`, or `path/train/class/picture` and perhaps `path/val/class/picture`."""
    if len(preparation.shape) != 3:
        raise spec_error(
            "bad-data", "a net whose input is a plain vector can't be trained on pictures"
        )
    parts = _parts(path)
    classes = _names(parts[0])
    if not classes:
        raise spec_error(
            "bad-data",
            f"{parts[0]} has no folders of pictures",
            help=(
                "a folder for each class, pictures in it: `DATA/cat/1.png`, `DATA/dog/2.png`",
                f"or a file {label_files.NAME} with the labels of pictures",
            ),
        )
    left_out = list(_unused(path, parts))
    found = _read_folders(path, parts, classes, preparation, skip_bad, watch, left_out)
    held_out = found[1] if len(found) > 1 else None
    test = path / "test"
    kept = tuple(pictures_in(test)) if parts[0] != path and test not in parts else ()
    return TrainingData(found[0], held_out, tuple(classes), tuple(left_out), kept)


def _listed(
    folder: Path, classes: Sequence[str], preparation: Preparation
) -> tuple[list[Path], Array]:
    """The pictures of a part and their labels."""
    if not (folder / label_files.NAME).is_file():
        own = [pictures_in(folder / name) for name in classes]
        labels = np.repeat(np.arange(len(classes)), [len(files) for files in own])
        return [file for files in own for file in files], labels
    found = label_files.read_labels(folder, classes)
    many = preparation.training.loss == "bce"
    return list(found.files), found.marks if many else label_files.one_each(folder, found)


def _read_folders(
    path: Path,
    parts: Sequence[Path],
    classes: Sequence[str],
    preparation: Preparation,
    skip_bad: bool,
    watch: Watch,
    left_out: list[str] | None = None,
    every: bool = True,
) -> list[Pictures]:
    """The pictures of parts, each with folders of classes or a file of labels; what can't be used
    joins `left_out`.

    With `every`, the first part must have each class of which it has a folder.
    """
    listed = []
    for number, part in enumerate(parts):
        for unknown in sorted(set(_names(part)) - set(classes)):
            raise spec_error(
                "bad-data", f"{part} has a class {unknown}, which {parts[0]} does not have"
            )
        listed.append(_listed(part, classes, preparation))
        counts = _counts(listed[-1][1], len(classes))
        if number == 0 and every and not (part / label_files.NAME).is_file() and 0 in counts:
            known = " ".join(sorted(PICTURES))
            raise spec_error(
                "bad-data",
                f"{part / classes[counts.index(0)]} has no pictures",
                help=(f"pictures are files of {known}",),
            )
    files = [file for own, _ in listed for file in own]
    looked = look_at(files, preparation, watch)
    bad = [looked.bad[number] for number in sorted(looked.bad)]
    if bad and not skip_bad:
        rest = len(bad) - MOST_NAMED
        notes = (*bad[:MOST_NAMED], *([f"and {rest:,} more"] if rest > 0 else []))
        count = "a picture" if len(bad) == 1 else f"{len(bad):,} pictures"
        raise spec_error(
            "bad-data",
            f"{path} has {count} that can't be used",
            notes=notes,
            help=("fix or remove what is named, or leave it out with `--on-bad skip`",),
        )
    if left_out is not None:
        left_out += [*bad, *([looked.unkept] if looked.unkept else [])]
    found: list[Pictures] = []
    first = 0
    for part, (own, labels) in zip(parts, listed, strict=True):
        kept = np.array([i for i in range(len(own)) if first + i not in looked.bad], np.int64)
        labels = labels[kept]
        missing = [] if found else [c for c, n in enumerate(_counts(labels, len(classes))) if not n]
        if every and missing and not (part / label_files.NAME).is_file():
            raise spec_error(
                "bad-data",
                f"{part / classes[missing[0]]} has no picture that can be used",
                notes=tuple(bad),
            )
        if not len(labels):
            raise spec_error(
                "bad-data", f"{part} has no picture that can be used", notes=tuple(bad)
            )
        entries = looked.entries[first + kept]
        own_files = [own[i] for i in kept]
        found.append(Pictures(own_files, entries, labels, preparation, looked.form, looked.stored))
        first += len(own)
    return found


def _counts(labels: Array, classes: int) -> list[int]:
    """How many samples are of each class, or have each label."""
    if labels.ndim == 2:
        found: list[int] = labels.sum(0, dtype=np.int64).tolist()
    else:
        found = np.bincount(labels, minlength=classes).tolist()
    return found


def _parts(path: Path) -> list[Path]:
    """The folders of what is trained on and, where there is one, of what is held out."""
    if (path / label_files.NAME).is_file():
        return [path]
    inside = {p.name: p for p in path.iterdir() if p.is_dir()}
    held_out = [inside[name] for name in HELD_OUT if name in inside]
    # A class may be called train or test: then there are pictures in it.
    holds_classes = {name for name, p in inside.items() if _holds_samples(p)}
    if TRAIN in inside and (held_out or TRAIN in holds_classes):
        return [inside[TRAIN], *held_out[:1]]
    if held_out and set(_classes(path)) <= set(HELD_OUT) & holds_classes:
        message = f"{path} has {held_out[0].name}, but no folder {TRAIN} beside it"
        raise spec_error("bad-data", message)
    return [path]


def _holds_samples(folder: Path) -> bool:
    """Whether a folder, perhaps a part of the data, has folders of classes or a file of labels."""
    if (folder / label_files.NAME).is_file():
        return True
    return bool(_classes(folder)) and not _loose(folder)


def _names(part: Path) -> list[str]:
    """The names of the classes, or of the labels, of a part of the data."""
    if (part / label_files.NAME).is_file():
        return list(label_files.read_labels(part).names)
    return _classes(part)


def _unused(path: Path, parts: Sequence[Path]) -> Iterator[str]:
    """A line for each folder beside the parts, and for pictures beside the folders of classes."""
    if parts[0] != path:
        for name in _classes(path):
            if path / name not in parts:
                use = "; `netspec eval --split test` reads it" if name == "test" else ""
                yield f"{path / name}: neither trained on nor held out{use}"
    for folder in dict.fromkeys((path, *parts)):
        if (folder / label_files.NAME).is_file():
            named = set(label_files.read_labels(folder).files)
            if other := [file for file in pictures_in(folder) if file not in named]:
                count = "a picture" if len(other) == 1 else f"{len(other):,} pictures"
                yield f"{folder}: {count} not in {label_files.NAME}, such as {other[0].name}"
        elif loose := _loose(folder):
            count = "a picture" if len(loose) == 1 else f"{len(loose):,} pictures"
            yield f"{folder}: {count} in no folder of a class, such as {loose[0]}"


def _loose(folder: Path) -> list[str]:
    """The names of the pictures that lie in a folder itself."""
    return sorted(p.name for p in folder.iterdir() if is_picture(p.name) and p.is_file())


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder and below, in order; hidden ones left out."""
    try:
        return sorted(Path(p) for p in pictures([str(folder)])) if folder.is_dir() else []
    except SpecError:  # none there
        return []


def _classes(path: Path) -> list[str]:
    """The folders in a folder, numbers in them counted: 2 before 10."""
    found = [p.name for p in path.iterdir() if p.is_dir() and not p.name.startswith(".")]
    return label_files.in_order(found)


def _npz(path: Path, preparation: Preparation) -> TrainingData:
    """`x` and `y`, or `x_train` and `y_train` with perhaps `x_test` and `y_test`."""
    arrays = _npz_arrays(path)
    parts = [f"_{name}" for name in (TRAIN, *HELD_OUT) if f"x_{name}" in arrays]
    if "_train" not in parts:
        parts = [""]
    found = [_labelled(path, arrays, part, preparation) for part in parts[:2]]
    unused = tuple(f"{path}: x{part} is neither trained on nor held out" for part in parts[2:])
    return TrainingData(found[0], found[1] if len(found) > 1 else None, (), unused)


def _npz_arrays(path: Path) -> dict[str, Array]:
    try:
        return read_npz(path)
    except SpecError as error:
        message = error.diagnostics[0].message.replace("weight file", "file")
        raise spec_error("bad-data", message) from None


def _labelled(
    path: Path, arrays: Mapping[str, Array], part: str, preparation: Preparation
) -> Samples:
    """The samples of the arrays `x` and `y` with this end of their names."""
    x, y = arrays.get(f"x{part}"), arrays.get(f"y{part}")
    if x is None or y is None:
        names = ", ".join(sorted(arrays)[:8]) or "nothing"
        raise spec_error(
            "bad-data",
            f"{path} has no arrays x{part} and y{part}, but {names}",
            help=("inputs are called x and labels y, or x_train, y_train, x_test and y_test",),
        )
    return _arrays(f"{path}: x{part}", x, y, preparation)


def _arrays(what: str, x: Array, y: Array, preparation: Preparation) -> Arrays:
    shape = preparation.shape
    if x.dtype.kind not in "fiu":
        raise spec_error("bad-data", f"{what} holds no real numbers, but {x.dtype}")
    many = preparation.training.loss == "bce" and y.ndim == 2 and y.dtype.kind in "biu"
    if many and y.shape[1] and y.size and not 0 <= y.min() <= y.max() <= 1:
        raise spec_error("bad-data", f"{what} has labels other than 0 and 1, one a column")
    if (not many and (y.ndim != 1 or y.dtype.kind not in "iu")) or len(x) != len(y):
        raise spec_error(
            "bad-data",
            f"{what} has the shape {_text(x.shape)}, and its labels are {_text(y.shape)} {y.dtype}",
            help=("labels are whole numbers from 0, one for each sample",),
        )
    if x.dtype.kind == "f" and not np.isfinite(x).all():
        raise spec_error("bad-data", f"{what} has elements that are not finite")
    channels = 1 if x.ndim == 3 else x.shape[-1]
    prepared = x.shape[1:] == shape and (x.dtype.kind == "f" or len(shape) == 1)
    if not prepared and (len(shape) != 3 or x.ndim not in (3, 4) or channels != shape[0]):
        pictures = f", or pictures of (N, H, W{f', {shape[0]}' if shape[0] > 1 else ''})"
        raise spec_error(
            "bad-data",
            f"{what} has the shape {_text(x.shape)} and holds {x.dtype}, which is no input of "
            f"{_text(shape)}",
            help=(
                f"give floats of (N, {', '.join(map(str, shape))})"
                + (f"{pictures} with values 0 to 255" if len(shape) == 3 else ""),
            ),
        )
    if not prepared:
        _check_pictures(what, x, preparation)
    labels = y.astype(np.uint8 if many else np.int64)
    return Arrays(x, labels, not prepared, preparation)


def _check_pictures(what: str, x: Array, preparation: Preparation) -> None:
    """Raise SpecError for arrays of pictures whose values or sizes are not those of pictures."""
    low, high = (x.min(), x.max()) if x.size else (0, 0)
    if not 0 <= low <= high <= 255:
        raise spec_error(
            "bad-data",
            f"{what} holds values from {low} to {high}, but those of pictures are 0 to 255",
            help=("of 16 bits, divide by 257",) if x.dtype.name == "uint16" else (),
        )
    if x.dtype.kind == "f" and 0 < high <= 1 and preparation.how.scale < 1:
        raise spec_error(
            "bad-data",
            f"{what} holds values up to {high}, and the spec scales pictures of 0 to 255",
            help=("multiply by 255",),
        )
    try:
        preparation.size(x.shape[1], x.shape[2])
    except ValueError as error:
        raise spec_error("bad-data", f"{what} has pictures of which {error}") from None


def _check_classes(path: Path, data: TrainingData, net: Net) -> None:
    count = class_count(net)
    labels = [data.train.labels] + ([data.held_out.labels] if data.held_out is not None else [])
    if labels[0].ndim == 2:
        found = labels[0].shape[1]
        if found != count:
            help_ = (f"`--set classes={found}`",) if _has_classes(net) else ()
            message = f"{path} has {found:,} labels, but {net.name} tells {count:,} apart"
            raise spec_error("bad-data", message, help=help_)
        return
    highest = max((int(part.max()) for part in labels if len(part)), default=-1)
    lowest = min((int(part.min()) for part in labels if len(part)), default=0)
    found = len(data.classes) or highest + 1
    if lowest < 0:
        raise spec_error("bad-data", f"{path} has the label {lowest}; labels count from 0")
    if found > count or (data.classes and found != count):
        help_ = (f"`--set classes={found}`",) if _has_classes(net) else ()
        message = f"{path} has {found:,} classes, but {net.name} tells {count:,} apart"
        raise spec_error("bad-data", message, help=help_)


def _has_classes(net: Net) -> bool:
    return any(p.name == "classes" for p in net.parameters)


def split(data: TrainingData, share: float) -> TrainingData:
    """A share of each class held out, the same whatever the seed of the training is."""
    labels = data.train.labels
    rng = np.random.default_rng(0)
    held = np.zeros(len(labels), dtype=bool)
    groups = (
        [np.arange(len(labels))]
        if labels.ndim == 2
        else [np.flatnonzero(labels == label) for label in np.unique(labels)]
    )
    for group in groups:
        own = rng.permutation(group)
        held[own[: round(share * len(own))]] = True
    if not held.any():
        return data
    return TrainingData(
        Subset(data.train, np.flatnonzero(~held)),
        Subset(data.train, np.flatnonzero(held)),
        data.classes,
        data.left_out,
        data.test,
    )


def _text(shape: Sequence[int]) -> str:
    return "x".join(str(int(d)) for d in shape) or "a single number"
