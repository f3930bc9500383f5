"""Reading files: which ones a command has read, and pipes that nobody writes to."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_inputs: set[tuple[int, int]] | None = None
"""The files that the command at hand has read, by device and number; None where none runs."""


@contextmanager
def protected_inputs() -> Iterator[None]:
    """What is read in the block, as `note_input` is told, is not to be replaced in it."""
    global _inputs
    before, _inputs = _inputs, set()
    try:
        yield
    finally:
        _inputs = before


def note_input(file: Path | int) -> None:
    """Remember a file that is read, by its path or descriptor."""
    if _inputs is not None:
        status = os.stat(file)
        _inputs.add((status.st_dev, status.st_ino))


def is_input(path: Path) -> bool:
    """Whether a path leads to a file that the command at hand has read."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):
        return False
    return _inputs is not None and (status.st_dev, status.st_ino) in _inputs


def read_input(path: Path, most: int = -1) -> bytes:
    """The content of a file, or of a pipe that somebody writes to; at most so many bytes.

    Raises OSError, and ValueError for what is no path.
    """
    with open(path, "rb", buffering=0, opener=_without_waiting) as file:
        note_input(file.fileno())
        first: bytes | None = b""
        if stat.S_ISFIFO(os.fstat(file.fileno()).st_mode):
            first = file.read(1)  # None where somebody is about to write
            if first == b"":
                raise OSError(errno.EPIPE, "it is a pipe that nobody writes to")
            os.set_blocking(file.fileno(), True)
        parts = [first or b""]
        while most < 0 or sum(map(len, parts)) < most:
            part = file.read(1 << 20)
            if not part:
                break
            parts.append(part)
    whole = b"".join(parts)
    return whole if most < 0 else whole[:most]


def _without_waiting(path: str, flags: int) -> int:
    """Open a file; opening a pipe would wait for its writer."""
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
