"""What is wrong with an input, as plain data; `render.py` makes text of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from netspec.diagnostics.codes import CODES
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


class SpecError(Exception):
    """An input that can't be used; `diagnostics` says everything that is wrong with it."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(d.message for d in self.diagnostics if d.severity == "error"))


def spec_error(
    code: str,
    message: str,
    span: Span | None = None,
    *,
    help: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> SpecError:
    """The error of one diagnostic, to be raised: `raise spec_error("bad-option", "...")`."""
    return SpecError([Diagnostic(code, message, span, help=help, notes=notes)])


MAX_KEPT = 1_000
"""Most diagnostics that are kept of one run."""


class Diagnostics:
    """Collects diagnostics; the same error at the same place is kept once."""

    def __init__(self, begun: Iterable[Diagnostic] = ()) -> None:
        self._found: dict[object, Diagnostic] = {}
        self.failed = False
        for diagnostic in begun:
            self.add(diagnostic)

    def add(self, diagnostic: Diagnostic) -> None:
        failed = self.failed
        self.failed = failed or diagnostic.severity == "error"
        if len(self._found) >= MAX_KEPT and failed == self.failed:
            return
        self._found.setdefault(diagnostic.identity, diagnostic)

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
