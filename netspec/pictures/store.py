"""Pictures kept decoded in a file, so that they need be decoded once only.

The file has their pixels one after the other, an array that says where each is and what it was,
the reasons why others can't be used, and a hash of these. It is written whole or not at all.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from netspec.lazy_dataclasses import dataclass
from netspec.pictures.cutting import Array
from netspec.util.atomic_write import replacing

MAGIC = b"netspec pictures 1\n"
_END = struct.Struct("<QQQ32s")
ENTRY = np.dtype(
    [
        ("place", "<u8"),
        *((name, "<u4") for name in ("rows", "columns", "height", "width")),
        ("hash", "V32"),
    ]
)
"""Where the pixels are, how many; height and width of the picture in the file, and its hash."""
MOST_OF_DISK = 0.5
"""The share of the free space that pictures are kept in at most."""


@dataclass(frozen=True)
class PictureStore:
    """A file of pictures: an entry for each, no rows for those with a reason in `bad`."""

    path: Path
    entries: Array
    bad: dict[int, str]


def key(files: Iterable[Path], about: Any) -> str:
    """A hash of files, by their paths, sizes and times of change, and of how they are kept."""
    found = hashlib.sha256(json.dumps(about).encode())
    for file in files:
        status = file.stat()
        text = f"{file.absolute()}\0{status.st_size}\0{status.st_mtime_ns}\0"
        found.update(text.encode("utf-8", "surrogateescape"))
    return found.hexdigest()[:32]


def kept(path: Path, count: int, bytes_a_pixel: int) -> PictureStore | None:
    """The store in a file, if it is sound and has so many pictures."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size < len(MAGIC) + _END.size or file.read(len(MAGIC)) != MAGIC:
                return None
            file.seek(size - _END.size)
            start, entries, reasons, digest = _END.unpack(file.read())
            length = entries * ENTRY.itemsize
            if entries != count or start + length + reasons + _END.size != size:
                return None
            file.seek(start)
            index = file.read(length + reasons)
    except OSError:
        return None
    if hashlib.sha256(index).digest() != digest:
        return None
    found = np.frombuffer(index[:length], ENTRY)
    bad = {int(n): str(reason) for n, reason in json.loads(index[length:]).items()}
    wide = found["rows"].astype(np.float64) * found["columns"] * bytes_a_pixel
    return PictureStore(path, found, bad) if (found["place"] + wide <= start).all() else None


class Writer:
    """Takes pictures in their order; `full` where they would take too much of the disk."""

    def __init__(self, file: Any, count: int, room: int) -> None:
        self._file = file
        self._room = room
        self.entries = np.zeros(count, ENTRY)
        self.bad: dict[int, str] = {}
        self.full = False
        self._place = file.write(MAGIC)

    def add(self, number: int, pixels: Array, height: int, width: int, digest: bytes) -> None:
        """The pixels of a picture of this height and width, (rows, columns, channels)."""
        if self._place + pixels.nbytes > self._room:
            self.full = True
        if not self.full:
            rows, columns = pixels.shape[:2]
            self.entries[number] = (self._place, rows, columns, height, width, digest)
            self._place += self._file.write(np.ascontiguousarray(pixels).data)

    def end(self) -> None:
        reasons = json.dumps(self.bad).encode()
        index = self.entries.tobytes() + reasons
        digest = hashlib.sha256(index).digest()
        self._file.write(index)
        self._file.write(_END.pack(self._place, len(self.entries), len(reasons), digest))


class Full(Exception):
    """The pictures need more room than there is."""


@contextmanager
def writing(path: Path, count: int) -> Iterator[Writer]:
    """A writer of so many pictures; at the end of the block the file is there.

    Raises Full, where that is known, and SpecError (unwritable-file).
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    room = int(shutil.disk_usage(path.parent).free * MOST_OF_DISK)
    with replacing(path) as beside, open(beside, "wb") as file:
        writer = Writer(file, count, room)
        yield writer
        if writer.full:
            raise Full
        writer.end()
        file.flush()
        os.fsync(file.fileno())
