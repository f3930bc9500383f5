"""What is wrong with an input, as plain data; `render.py` gives it its looks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from netspec.codes import CODES
from netspec.source import Span

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Label:
    """A remark on a place that has a part in the fault."""

    span: Span
    text: str


@dataclass(frozen=True)
class Frame:
    """One step of the way into a module: which instance, and where it was made."""

    module: str
    instance: str
    span: Span


@dataclass(frozen=True)
class Diagnostic:
    """One fault: a sentence that stands alone, its place, and what helps.

    `code` is a key of `netspec.codes.CODES`, which also holds its severity.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    others: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()
    trail: tuple[Frame, ...] = ()

    @property
    def severity(self) -> Severity:
        return CODES[self.code].severity


class SpecError(Exception):
    """An input that can't be used; `diagnostics` says everything that is wrong with it."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(d.message for d in self.diagnostics if d.severity == "error"))


MAX_KEPT = 1_000
"""Most diagnostics that are kept of one run."""


class Diagnostics:
    """Collects diagnostics; the same fault at the same place is kept once."""

    def __init__(self) -> None:
        self._found: dict[object, Diagnostic] = {}
        self.failed = False

    def add(self, diagnostic: Diagnostic) -> None:
        failed = self.failed
        self.failed = failed or diagnostic.severity == "error"
        if len(self._found) >= MAX_KEPT and failed == self.failed:
            return
        span = diagnostic.span
        # Without a place only the message tells faults apart.
        place = diagnostic.message if span is None else (id(span.source), span.start, span.end)
        self._found.setdefault((diagnostic.code, place), diagnostic)

    def __iter__(self) -> Iterator[Diagnostic]:
        return iter(self._found.values())

    def __len__(self) -> int:
        return len(self._found)

    def sorted(self) -> tuple[Diagnostic, ...]:
        """By file, then by place; what has no place comes first."""
        names = {d.span.source.name: i for i, d in reversed(list(enumerate(self))) if d.span}

        def key(d: Diagnostic) -> tuple[int, int, int]:
            if d.span is None:
                return (-1, 0, 0)
            return (names[d.span.source.name], d.span.start, d.span.end)

        return tuple(sorted(self, key=key))

    def raise_if_failed(self) -> None:
        if self.failed:
            raise SpecError(self.sorted())
