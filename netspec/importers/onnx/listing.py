"""A line for each node of a file: the text that places of diagnostics are in."""

from __future__ import annotations

import re

from netspec.diagnostics.source import Source, Span

MOST = 120
"""Most characters of a name that are shown."""


class Listing:
    """A text that grows by lines; `source` has all of it once `finish` was called."""

    def __init__(self, name: str) -> None:
        self.source = Source(name, "")
        self._lines: list[str] = []
        self._length = 0

    def add(self, line: str) -> Span:
        """Add a line, and give its place."""
        start, end = self._length, self._length + len(line)
        self._lines.append(line)
        self._length = end + 1
        return Span(self.source, start, end)

    def finish(self) -> None:
        """Give the source its text."""
        self.source.text = "".join(f"{line}\n" for line in self._lines)


def shown(name: str) -> str:
    """A name of the file as it is shown: without control characters, and not at any length."""
    kept = re.sub(r"[^!-~\u00a1-\uffff]", "?", name)
    return kept if len(kept) <= MOST else f"{kept[: MOST - 3]}..."


def dimensions(shape: tuple[int, ...], batch: int) -> str:
    """A shape as `Nx64x112x112`, where N is the batch."""
    words = [str(n) for n in shape]
    if shape and shape[0] == batch:
        words[0] = "N"
    return "x".join(words) or "1"
