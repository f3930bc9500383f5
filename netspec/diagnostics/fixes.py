"""Help that can be carried out: lines of help with the edits of the text that do what they say."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from netspec.diagnostics.source import Span


class Edit(NamedTuple):
    """Text to put in place of a span; an empty span is a place to insert it."""

    span: Span
    text: str


class Fix(str):
    """A line of help, and the edits that do what it says."""

    edits: tuple[Edit, ...]

    def __new__(cls, title: str, *edits: Edit) -> Fix:
        self = super().__new__(cls, title)
        self.edits = edits
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:  # SpecErrors come from other processes
        return (str(self), *self.edits)


class Replacement(str):
    """A line of help that has another word for one at the place of its diagnostic."""

    word: str
    instead: str

    def __new__(cls, title: str, word: str, instead: str) -> Replacement:
        self = super().__new__(cls, title)
        self.word, self.instead = word, instead
        return self

    def __getnewargs__(self) -> tuple[Any, ...]:
        return (str(self), self.word, self.instead)

    def at(self, place: Span) -> Fix | None:
        """The fix where the word is all that stands there."""
        if place.text == self.word:
            return Fix(f"write `{self.instead}`", Edit(place, self.instead))
        if place.text == f'"{self.word}"':
            return Fix(f"write `{self.instead}`", Edit(place, f'"{self.instead}"'))
        return None


def fixes_of(help: Iterable[str], place: Span | None) -> tuple[Fix, ...]:
    """The fixes among the lines of help of a diagnostic that stands at a place."""
    found: list[Fix] = []
    for line in help:
        if isinstance(line, Replacement):
            fix = line.at(place) if place is not None else None
        else:
            fix = line if isinstance(line, Fix) and line.edits else None
        found += [fix] if fix is not None else []
    return tuple(found)


def edited(text: str, edits: Iterable[Edit]) -> str | None:
    """The text after edits of it, which are made at once; None where two of them overlap."""
    pieces: list[str] = []
    end = 0
    for edit in sorted(edits, key=lambda e: (e.span.start, e.span.end)):
        if edit.span.start < end:
            return None
        pieces += [text[end : edit.span.start], edit.text]
        end = edit.span.end
    return "".join([*pieces, text[end:]])
