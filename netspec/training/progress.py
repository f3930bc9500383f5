"""What a person sees while a net is trained."""

from __future__ import annotations

import sys
import time
from typing import TextIO

WIDTH = 20
"""Characters of the bar."""
PAUSE = 0.1
"""Seconds between two looks of the bar."""


def duration(seconds: float) -> str:
    """`1:02:03`, or `2:03` below an hour."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Progress:
    """A bar where the stream is a terminal, else nothing but the notes."""

    def __init__(
        self, total: int, done: int, batch: int, stream: TextIO | None = None, quiet: bool = False
    ) -> None:
        self.total = total
        self.batch = batch
        self.stream = sys.stderr if stream is None else stream
        self.quiet = quiet
        self.shows = not quiet and self.stream.isatty()
        self.start = self.shown = time.monotonic()
        self.first = done
        self.idle = 0.0
        self.width = 0

    def speed(self, done: int) -> float:
        """Images per second since the start, evaluations left out."""
        spent = time.monotonic() - self.start - self.idle
        return (done - self.first) * self.batch / spent if spent > 0 else 0.0

    def pause(self, seconds: float) -> None:
        """Time that went into something else."""
        self.idle += seconds

    def update(self, done: int, loss: float, accuracy: float) -> None:
        now = time.monotonic()
        if not self.shows or (now - self.shown < PAUSE and done < self.total):
            return
        self.shown = now
        self._line(self.line(done, loss, accuracy, now))

    def line(self, done: int, loss: float, accuracy: float, now: float) -> str:
        filled = WIDTH * done // self.total
        spent = now - self.start
        made = done - self.first
        left = spent / made * (self.total - done) if made else 0.0
        return (
            f"{done:,}/{self.total:,} [{'#' * filled}{'-' * (WIDTH - filled)}] "
            f"loss {loss:.4f}  accuracy {accuracy:.1%}  "
            f"{self.speed(done):,.0f} images/s  {duration(left)} left"
        )

    def note(self, text: str) -> None:
        """A line that stays."""
        if self.quiet:
            return
        self._line("")
        print(text, file=self.stream, flush=True)

    def close(self) -> None:
        self._line("")

    def _line(self, text: str) -> None:
        if self.shows:
            print(f"\r{text:<{self.width}}\r{text}", end="", file=self.stream, flush=True)
            self.width = len(text)
