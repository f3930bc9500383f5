"""What is wrong with an input, as plain data; `render.py` makes text of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from netspec.diagnostics.codes import CODES
from netspec.diagnostics.fixes import Fix, fixes_of
from netspec.diagnostics.source import Span
from netspec.lazy_dataclasses import dataclass

Severity = Literal["error", "warning"]


@dataclass(frozen=True)
class Label:
    """A note on a place that has a part in the error."""

    span: Span
    text: str


@dataclass(frozen=True)
class Frame:
    """One step of the way into a module: which instance, and where it was made.

    `loops` are the variables of the loops around that place: `i = 3`, the outermost first.
    """

    module: str
    instance: str
    span: Span
    loops: tuple[str, ...] = ()

    def __str__(self) -> str:
        place = f"{self.span.source.name}:{self.span.line}"
        text = f"in {self.module}, instantiated as {self.instance} at {place}"
        return ", ".join((text, *self.loops))


@dataclass(frozen=True)
class Diagnostic:
    """One error: a sentence that stands alone, its place, and what helps.

    `code` is a key of `codes.CODES`, which also holds its severity. `loops` and `backtrace`,
    outermost first, say how the place was reached, `also` where the same error recurs.
    """

    code: str
    message: str
    span: Span | None = None
    label: str = ""
    others: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()
    backtrace: tuple[Frame, ...] = ()
    loops: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    @property
    def severity(self) -> Severity:
        return CODES[self.code].severity

    @property
    def fixes(self) -> tuple[Fix, ...]:
        """The lines of help that edits of the text carry out."""
        return fixes_of(self.help, self.span)

    @property
    def identity(self) -> object:
        """Equal for the same error at the same place."""
        span = self.span
        # Without a place only the message tells errors apart.
        place = self.message if span is None else (id(span.source), span.start, span.end)
        return self.code, place

    @property
    def context(self) -> tuple[str, ...]:
        """Iterations and instances that led to the place, innermost first, and further places."""
        iterations = (f"where {', '.join(self.loops)}",) if self.loops else ()
        return (*iterations, *map(str, reversed(self.backtrace)), *self.also)


MAX_LINES = 5
"""Most lines that a diagnostic lists."""


def also_in_lines(lines: Iterable[int]) -> tuple[str, ...]:
    """For `Diagnostic.also`: the lines of the same error's further places, one entry a place."""
    lines = list(lines)
    different = list(dict.fromkeys(lines))
    if not lines:
        return ()
    listed = ", ".join(map(str, different[:MAX_LINES]))
    if len(different) > MAX_LINES:
        listed += f" and {len(different) - MAX_LINES:,} more"
    plural = "s" * (len(different) > 1)
    return (f"{len(lines) + 1:,} times in all, also in line{plural} {listed}",)
