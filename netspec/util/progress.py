"""A progress bar: how much of some work is done, how fast it goes, how long the rest takes."""

from __future__ import annotations

import sys
import time
from typing import TextIO

WIDTH = 20
"""Characters of the bar itself."""
INTERVAL = 0.1
"""Seconds between two drawings."""


def duration(seconds: float) -> str:
    """`1:02:03`, or `2:03` below an hour."""
    whole = max(0, round(seconds))
    hours, minutes, rest = whole // 3600, whole // 60 % 60, whole % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class ProgressBar:
    """A bar on a terminal, one line that is redrawn; without a terminal only the notes are printed.

    `done` of `total` steps are done at the start. With `quiet` nothing is printed.
    """

    def __init__(
        self, total: int, done: int = 0, *, stream: TextIO | None = None, quiet: bool = False
    ) -> None:
        self.total = total
        self.done = self.first = done
        self.stream = sys.stderr if stream is None else stream
        self.quiet = quiet
        self.visible = not quiet and self.stream.isatty()
        self.start = self.drawn = time.monotonic()
        self.idle = 0.0
        self.width = 0

    def rate(self, done: int) -> float:
        """Steps per second up to `done`, pauses left out."""
        spent = time.monotonic() - self.start - self.idle
        return (done - self.first) / spent if spent > 0 else 0.0

    def pause(self, seconds: float) -> None:
        """Leave out time from `rate` that was spent on something else."""
        self.idle += seconds

    def update(self, done: int, text: str = "") -> None:
        """Draw the bar for `done` steps with a text, unless it was drawn just now."""
        self.done = done
        now = time.monotonic()
        if self.visible and (now - self.drawn >= INTERVAL or done >= self.total):
            self.drawn = now
            self._draw(self.line(text, now))

    def line(self, text: str, now: float) -> str:
        """The bar as text, at a time of `time.monotonic`."""
        filled = WIDTH * self.done // self.total
        made = self.done - self.first
        left = (now - self.start) / made * (self.total - self.done) if made else 0.0
        parts = (
            f"{self.done:,}/{self.total:,} [{'#' * filled}{'-' * (WIDTH - filled)}]",
            text,
            f"{duration(left)} left",
        )
        return "  ".join(part for part in parts if part)

    def note(self, text: str) -> None:
        """Print a line that stays, also where there is no terminal."""
        if not self.quiet:
            self._draw("")
            print(text, file=self.stream, flush=True)

    def close(self) -> None:
        """Erase the bar."""
        self._draw("")

    def _draw(self, text: str) -> None:
        if self.visible:
            print(f"\r{text:<{self.width}}\r{text}", end="", file=self.stream, flush=True)
            self.width = len(text)
