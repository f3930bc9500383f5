"""The words and comments of a text, in order.

The formatter takes the structure from the tree and the spelling from here. Words and comments keep
their order, except that comments in front of an attached word (`,`, `:`, opening brackets) come
behind it.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import NamedTuple

from netspec.diagnostics.source import Span
from netspec.lazy_dataclasses import replace
from netspec.syntax.ast import Comment, File
from netspec.syntax.formatter.document import (
    NOTHING,
    Doc,
    DocConcat,
    DocLine,
    DocText,
    TrailingComment,
)


class Reader:
    """Goes through the words of a file, and keeps a list of those that were taken."""

    def __init__(self, file: File, words: list[Span]) -> None:
        self.source = file.source
        self.taken: list[str] = []
        """The words taken so far; those left out are separators that are not needed."""
        self._words = words
        self._next = 0
        self._comments = file.comments
        self._starts = [comment.span.start for comment in file.comments]
        self._comment = 0
        self._end = 0
        """Where the last word or comment ended."""

    @property
    def start(self) -> int:
        """The offset of the next word; at the end of the text, its length."""
        if self._next < len(self._words):
            return self._words[self._next].start
        return len(self.source.text)

    @property
    def on_new_line(self) -> bool:
        """Whether there is a line break between the last word and the next."""
        before = self._words[self._next - 1].end if self._next else 0
        return "\n" in self.source.text[before : self.start]

    def at(self, *words: str) -> bool:
        """Whether the next word is one of these."""
        return self._next < len(self._words) and self._words[self._next].text in words

    def has_comment(self, span: Span) -> bool:
        """Whether there is a comment inside a place."""
        position = bisect_left(self._starts, span.start)
        return position < len(self._starts) and self._starts[position] < span.end

    def word(self) -> Doc:
        """The next word, with the comments in front of it."""
        comments = self.comments()
        word = self.attached()
        return word if comments is NOTHING else DocConcat((comments, word))

    def attached(self) -> DocText:
        """The next word, right behind the last; the comments in front of it come behind it."""
        word = self._words[self._next]
        self._next += 1
        self._end = max(self._end, word.end)
        text = word.text
        self.taken.append(text)
        return DocText(text)

    def drop(self, *words: str) -> None:
        """Leave out the next word if it is one of these."""
        if self.at(*words):
            self._end = max(self._end, self._words[self._next].end)
            self._next += 1

    def comments(self) -> Doc:
        """The comments in front of the next word."""
        notes = [TrailingComment(c.text, c.alone) for c in self._pending()]
        return DocConcat(notes) if notes else NOTHING

    def line(self, flat: str = " ") -> Doc:
        """The comments in front of the next word, and a line behind them."""
        comments = self.comments()
        return DocLine(flat) if comments is NOTHING else DocConcat((comments, DocLine(flat)))

    def gap(self) -> Gap:
        """The comments and empty lines between the last statement and the next."""
        notes = []
        for comment in self._pending():
            notes.append(
                (TrailingComment(comment.text, comment.alone), self._is_blank(comment.span))
            )
            self._end = max(self._end, comment.span.end)
        after = Span(self.source, self.start, self.start)
        return Gap(tuple(notes), self._is_blank(after))

    def _is_blank(self, before: Span) -> bool:
        return self.source.text.count("\n", self._end, before.start) > 1

    def _pending(self) -> list[Comment]:
        pending: list[Comment] = []
        start = self.start
        while self._comment < len(self._comments):
            comment = self._comments[self._comment]
            if comment.span.start > start:
                break
            if pending:
                # It comes behind another comment, which ends its line.
                comment = replace(comment, alone=True)
            pending.append(comment)
            self._comment += 1
        return pending


class Gap(NamedTuple):
    """The comments and empty lines in front of a statement."""

    notes: tuple[tuple[TrailingComment, bool], ...]
    """Comments, each with whether an empty line stands before it."""
    blank: bool
    """Whether an empty line stands right before the statement."""
