"""Collections of diagnostics, and the one exception that carries them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from netspec.diagnostics.diagnostic import Diagnostic
from netspec.diagnostics.render import text
from netspec.diagnostics.source import Span


class SpecError(Exception):
    """An input that can't be used; `diagnostics` says everything that is wrong with it.

    As text, and so in a traceback, it shows what `netspec check` does: file, line and help.
    """

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__(self.diagnostics)

    def __str__(self) -> str:
        errors = [d for d in self.diagnostics if d.severity == "error"]
        return "\n\n".join(map(text, errors or self.diagnostics))


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
