"""Processes that cut pictures into shared memory, batch after batch, ahead of their use."""

from __future__ import annotations

import json
import mmap
import os
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import IO, Any, TypeVar

import numpy as np

from netspec.diagnostics import spec_error
from netspec.pictures.cutting import Array, Form, Job
from netspec.util.interrupt import for_parent_only

AHEAD = 3
"""How many batches are prepared ahead."""
CHUNK = 8
"""Pictures that a process is told at a time."""
RINGS = 2
"""Streams of batches at a time: one of training, one of what is held out."""
POSSIBLE = os.name == "posix"
"""Whether processes can be given the file that is the memory."""

T = TypeVar("T")


class PictureReaders:
    """So many processes, started at once; `close` ends them.

    `largest` is the size of the largest batch, `stored` a file of decoded pictures.
    """

    def __init__(self, count: int, form: Form, largest: int, stored: str | None = None) -> None:
        self.form = form
        self.largest = largest
        self._file = _anonymous_file()
        # Where nothing is written, no memory is used.
        self._file.truncate(max(1, form.size * largest * (AHEAD + 1) * RINGS))
        self.memory = mmap.mmap(self._file.fileno(), 0)
        self._free = list(range(RINGS))
        about = {"form": form, "memory": self._file.fileno(), "stored": stored}
        path = os.pathsep.join(p for p in sys.path if p)
        with for_parent_only():
            self._processes = [
                _Process(json.dumps(about), self._file.fileno(), path) for _ in range(count)
            ]
        self._next = 0

    def stream(self, batches: Iterable[tuple[T, Sequence[Job]]]) -> Iterator[tuple[T, Array]]:
        """The pictures of each batch, (N, height, width, channels), and what came with it.

        They are good until the next batch is asked for. Raises SpecError (bad-image).
        """
        ring = self._free.pop()
        shape = (self.form.height, self.form.width, self.form.channels)
        waiting: deque[tuple[T, Array, list[tuple[_Process, int]]]] = deque()
        try:
            for number, (given, jobs) in enumerate(batches):
                first = (ring * (AHEAD + 1) + number % (AHEAD + 1)) * self.largest
                place = first * self.form.size
                view: Array = np.ndarray((len(jobs), *shape), self.form.dtype, self.memory, place)
                waiting.append((given, view, self._sent(first, jobs)))
                if len(waiting) > AHEAD:
                    yield self._finished(*waiting.popleft())
            while waiting:
                yield self._finished(*waiting.popleft())
        finally:
            self._free.append(ring)

    def _sent(self, first: int, jobs: Sequence[Job]) -> list[tuple[_Process, int]]:
        """Who was told to do the jobs, and which of its answers says that it is done."""
        tickets = []
        for i in range(0, len(jobs), CHUNK):
            process = self._processes[self._next]
            self._next = (self._next + 1) % len(self._processes)
            part = [[first + i + n, job] for n, job in enumerate(jobs[i : i + CHUNK])]
            tickets.append((process, process.tell(part)))
        return tickets

    @staticmethod
    def _finished(given: T, view: Array, tickets: list[tuple[_Process, int]]) -> tuple[T, Array]:
        for process, number in tickets:
            process.wait_for(number)
        return given, view

    def close(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.close()
        self._file.close()


class _Process:
    def __init__(self, about: str, memory: int, path: str) -> None:
        self.told = self.heard = 0
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "netspec.pictures.worker", about],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=(memory,),
            text=True,
            env={**os.environ, "PYTHONPATH": path, "OPENBLAS_NUM_THREADS": "1"},
        )

    def tell(self, jobs: Sequence[Any]) -> int:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(f"{json.dumps(jobs)}\n")
            self._process.stdin.flush()
        except OSError:
            self._ended()
        self.told += 1
        return self.told

    def wait_for(self, number: int) -> None:
        assert self._process.stdout is not None
        while self.heard < number:
            line = self._process.stdout.readline()
            if not line:
                self._ended()
            self.heard += 1
            if line.strip():
                code, message, *help_ = json.loads(line)
                raise spec_error(code, message, help=tuple(help_))

    def _ended(self) -> None:
        status = self._process.wait()
        raise spec_error("bad-data", f"a process that reads pictures has ended ({status})")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with suppress(OSError):  # of what was still to be written
                    pipe.close()


def _anonymous_file() -> IO[bytes]:
    """A file that is gone as soon as nobody has it open; in memory, where the system can."""
    if hasattr(os, "memfd_create"):
        return os.fdopen(os.memfd_create("netspec-pictures"), "w+b")
    return tempfile.TemporaryFile()
