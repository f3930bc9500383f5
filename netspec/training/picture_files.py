"""Samples that are pictures in files: looked at once, then cut out as they are needed."""

from __future__ import annotations

import hashlib
import mmap
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from netspec.diagnostics import SpecError
from netspec.lazy_dataclasses import dataclass, replace
from netspec.pictures import store
from netspec.pictures.cutting import Form, Job, cut, decoded, done, on
from netspec.runtime.classify import picture_bytes
from netspec.training import augment
from netspec.training.sampler import Array, Rolls
from netspec.training.transforms import Preparation, to_device

Watch = Callable[[int, int], None]
"""What is told how many of how many pictures have been looked at."""
LOOKED_AHEAD = 64
"""Most pictures that wait to be written to the store."""


class Pictures:
    """Pictures in files, or in a store of decoded ones, with their classes.

    `entries` are those of `store.ENTRY`. `labels` are classes (N,), or (N, classes) of 0 and 1.
    """

    parallel = True

    def __init__(
        self,
        files: Sequence[Path],
        entries: Array,
        labels: Array,
        preparation: Preparation,
        form: Form,
        stored: Path | None = None,
    ) -> None:
        self.files = files
        self.entries = entries
        self.labels = labels
        self.preparation = preparation
        self.form = form
        self.stored = stored
        self.device = torch.device("cpu")
        self._map: mmap.mmap | None = None

    def place(self, device: torch.device) -> None:
        self.device = device

    def jobs(self, indices: Sequence[int], rolls: Rolls | None) -> list[Job]:
        """What of which picture becomes the input of each sample."""
        chosen = self.entries[np.asarray(indices)]
        sizes = np.stack([chosen["height"], chosen["width"]], 1).astype(np.int64)
        boxes = self.preparation.boxes(sizes, rolls).tolist()
        mirror = [False] * len(chosen)
        if rolls is not None and self.preparation.training.mirror:
            mirror = augment.flips(rolls).tolist()
        found = []
        for index, entry, (height, width), box, flip in zip(
            indices, chosen, sizes.tolist(), boxes, mirror, strict=True
        ):
            scale = self.preparation.reduction(height, width)
            if self.stored is None:
                # What is not changed is judged as the model's own `preprocess` makes it.
                scale = scale if rolls is not None else 1
                found.append(Job(str(self.files[index]), 0, scale, height, width, tuple(box), flip))
                continue
            rows, columns = int(entry["rows"]), int(entry["columns"])
            by = scale if self.preparation.keeps_whole else 0
            place = on(tuple(box), height, width, rows, columns, by)
            found.append(Job("", int(entry["place"]), 1, rows, columns, place, flip))
        return found

    def made(self, pixels: Array, rolls: Rolls | None) -> Tensor:
        """Inputs of what the jobs gave, (N, height, width, channels)."""
        x = to_device(torch.from_numpy(pixels), self.device).permute(0, 3, 1, 2)
        return self.preparation.finished(x, rolls, mirror=False)

    def inputs(self, indices: Sequence[int], rolls: Rolls | None) -> Tensor:
        if self.stored is not None and self._map is None:
            with open(self.stored, "rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        pixels = [done(job, self.form, self._map) for job in self.jobs(indices, rolls)]
        return self.made(np.stack(pixels), rolls)

    def targets(self, indices: Sequence[int]) -> Tensor:
        return torch.from_numpy(self.labels[np.asarray(indices)])

    def batch(self, indices: Sequence[int], rolls: Rolls | None) -> tuple[Tensor, Tensor]:
        return self.inputs(indices, rolls), self.targets(indices)

    def digest(self) -> str:
        found = hashlib.sha256(self.entries["hash"].tobytes())
        found.update(hashlib.sha256(self.labels.tobytes()).digest())
        return found.hexdigest()[:16]


@dataclass(frozen=True)
class Looked:
    """What is known of files: entries of `store.ENTRY`, and for the number of each that can't be
    used the reason. `stored` is the file where the others are kept, `unkept` why they are not."""

    entries: Array
    bad: dict[int, str]
    form: Form
    stored: Path | None
    unkept: str = ""


class _Found(NamedTuple):
    digest: bytes
    height: int
    width: int
    deep: bool
    reason: str
    kept: Array | None


class _Deep(Exception):
    """A picture has more than 8 bits, which a store of bytes can't keep."""


def look_at(files: Sequence[Path], preparation: Preparation, watch: Watch) -> Looked:
    """Decode all files once, and keep them where the preparation says so.

    Raises SpecError where Pillow is missing.
    """
    folder = preparation.keep
    if folder is None:
        return _looked(files, preparation, watch, None, False)
    about = [store.MAGIC.decode(), preparation.kept_as]
    try:
        path = folder / f"{store.key(files, about)}.pictures"
    except OSError:  # of a file that is gone: looking at it says so
        return _looked(files, preparation, watch, None, False)
    for deep in (False, True):
        own = path.with_stem(f"{path.stem}-deep") if deep else path
        form = _form(preparation, deep)
        found = store.kept(own, len(files), form.size // (form.height * form.width))
        if found is not None:
            watch(len(files), len(files))
            return Looked(found.entries, found.bad, form, own)
    for deep in (False, True):
        own = path.with_stem(f"{path.stem}-deep") if deep else path
        try:
            return _looked(files, preparation, watch, own, deep)
        except _Deep:
            continue
        except store.Full:
            break
    message = f"{folder}: decoded pictures, which would take more than half of the free space"
    return replace(_looked(files, preparation, watch, None, False), unkept=message)


def _form(preparation: Preparation, deep: bool) -> Form:
    channels, height, width = preparation.shape
    return Form(height, width, channels, deep)


def _looked(
    files: Sequence[Path], preparation: Preparation, watch: Watch, path: Path | None, deep: bool
) -> Looked:
    """Raises _Deep and store.Full where pictures can't be kept at `path`."""
    form = _form(preparation, deep)
    entries = np.zeros(len(files), store.ENTRY)
    bad: dict[int, str] = {}
    writing: AbstractContextManager[store.Writer | None] = nullcontext(None)
    if path is not None:
        writing = store.writing(path, len(files))
    keep = form if path is not None else None
    examine = partial(_examine, preparation=preparation, keep=keep)
    with writing as writer, ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for number, found in enumerate(_in_order(pool, examine, files)):
            entries[number] = (0, 0, 0, found.height, found.width, found.digest)
            if found.reason:
                bad[number] = found.reason
            if found.deep and not deep:
                if writer is not None:
                    raise _Deep
                form = _form(preparation, True)
            if writer is not None:
                writer.bad = bad
                if found.kept is not None:
                    writer.add(number, found.kept, found.height, found.width, found.digest)
                if writer.full:
                    raise store.Full
            watch(number + 1, len(files))
    return Looked(entries if writer is None else writer.entries, bad, form, path)


def _examine(file: Path, preparation: Preparation, keep: Form | None) -> _Found:
    try:
        content = picture_bytes(file)
        gray = preparation.shape[0] == 1
        height, width, deep, image = decoded(content, file, gray, preparation.reduction)
        size = preparation.size(height, width)
        kept = None
        if keep is not None and (keep.deep or not deep):
            rows, columns = size
            if preparation.keeps_whole:
                rows, columns = image.height, image.width
            whole = (0.0, 0.0, float(image.height), float(image.width))
            kept = np.ascontiguousarray(cut(image, whole, Form(rows, columns, *keep[2:])))
        return _Found(hashlib.sha256(content).digest(), height, width, deep, "", kept)
    except SpecError as error:
        if error.diagnostics[0].code != "bad-image":
            raise  # of Pillow that is not there
        reason = error.diagnostics[0].message
    except ValueError as error:
        reason = f"{file} can't be made an input: {error}"
    return _Found(b"", 0, 0, False, reason, None)


def _in_order(
    pool: ThreadPoolExecutor, function: Callable[[Path], _Found], files: Iterable[Path]
) -> Iterator[_Found]:
    """What a function gives for each, computed in threads, but not far ahead."""
    waiting: deque[Future[_Found]] = deque()
    try:
        for file in files:
            waiting.append(pool.submit(function, file))
            if len(waiting) > LOOKED_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for future in waiting:
            future.cancel()
