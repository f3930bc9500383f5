"""Carries out the fixes that diagnostics offer, where that is safe."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.fixes import Fix, edited
from netspec.diagnostics.source import Source
from netspec.lazy_dataclasses import dataclass

MAX_FIXES = 1_000
"""Most fixes that are carried out in one text."""


@dataclass(frozen=True)
class Fixed:
    """A text, what was fixed in it as diagnostic and fix, and the diagnostics that are left."""

    text: str
    fixed: tuple[tuple[Diagnostic, Fix], ...]
    left: tuple[Diagnostic, ...]


def fixed(text: str, check: Callable[[str], Sequence[Diagnostic]]) -> Fixed:
    """A text after all fixes that are safe.

    `check` gives the diagnostics of a text. A fix is safe if it is the only one that a diagnostic
    offers, edits this text alone, and the diagnostic is gone behind it without another error in
    its place.
    """
    found = list(check(text))
    done: list[tuple[Diagnostic, Fix]] = []
    refused: set[tuple[str, str, str]] = set()
    while len(done) < MAX_FIXES:
        for d in found:
            key = (d.code, d.message, d.span.text if d.span else "")
            if len(d.fixes) != 1 or key in refused:
                continue
            (fix,) = d.fixes
            result = with_fix(text, d, fix)
            after = list(check(result)) if result is not None else None
            if result is None or after is None or not _is_better(d, fix, found, after):
                refused.add(key)
                continue
            done.append((d, fix))
            text, found = result, after
            break
        else:
            break
    return Fixed(text, tuple(done), tuple(found))


def with_fix(text: str, d: Diagnostic, fix: Fix) -> str | None:
    """The text in which a diagnostic stands, after its fix; None where that edits other texts."""
    source: Source | None = d.span.source if d.span is not None else None
    if source is None or source.text != text:
        return None
    if any(edit.span.source is not source for edit in fix.edits):
        return None
    return edited(text, fix.edits)


def _is_better(
    d: Diagnostic, fix: Fix, before: Sequence[Diagnostic], after: Sequence[Diagnostic]
) -> bool:
    """Whether a diagnostic is gone, and no error came for it.

    Names and shapes are looked at only where the syntax is sound, so that the fix of a syntax error
    may bring up others that were there already.
    """
    assert d.span is not None, "with_fix found a place"
    start = d.span.start
    start += sum(
        len(edit.text) - (edit.span.end - edit.span.start)
        for edit in fix.edits
        if edit.span.end <= start
    )
    same = (x.span for x in after if (x.code, x.message) == (d.code, d.message))
    if any(span is not None and span.start == start for span in same):
        return False

    line = d.span.source.text.count("\n", 0, d.span.start) + 1

    def errors(found: Sequence[Diagnostic]) -> int:
        of_interest = {"syntax"} if d.code == "syntax" else {x.code for x in found}
        return sum(x.severity == "error" and x.code in of_interest for x in found)

    # The fields of an op are looked at where it is known: what is wrong with them was hidden.
    hidden = sum(
        x.severity == "error" and x.span is not None and x.span.line == line and x is not d
        for x in (after if d.code == "unknown-op" else ())
    )
    return errors(after) - hidden <= errors(before)
