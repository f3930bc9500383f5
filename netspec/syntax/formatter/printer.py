"""A document as lines of text."""

from __future__ import annotations

from netspec.lazy_dataclasses import dataclass
from netspec.syntax.formatter.document import (
    Doc,
    DocConcat,
    DocGroup,
    DocLine,
    DocText,
    Either,
    HardLine,
    IfBroken,
    Indent,
    TrailingComment,
)

WIDTH = 104
"""Most columns of a line: the widest that the examples of the language have."""

Item = tuple[int, bool, Doc]
"""Its indentation, whether the group around it is broken, and a document."""


@dataclass(slots=True)
class PrintedLine:
    """A line of the result; `note` is the comment behind its text."""

    indent: int
    text: str
    note: str = ""
    blank: bool = False
    """Whether an empty line stands before it."""

    @property
    def width(self) -> int:
        return self.indent + len(self.text)


def text_of(doc: Doc) -> str:
    """The text of a document; it ends with a line break unless it is empty."""
    rows = _Printer().print(doc)
    _align_notes(rows)
    lines: list[str] = []
    for row in rows:
        if row.blank:
            lines.append("")
        lines.append((" " * row.indent + row.text + row.note).rstrip(" "))
    return "".join(line + "\n" for line in lines)


class _Printer:
    def __init__(self) -> None:
        self.rows: list[PrintedLine] = []
        self.parts: list[str] = []
        self.column = 0
        self.fresh = True
        """Whether the line has no text yet; its indentation may still change."""
        self.indent = 0
        self.blank = False

    def print(self, doc: Doc) -> list[PrintedLine]:
        stack: list[Item] = [(0, True, doc)]
        while stack:
            indent, broken, doc = stack.pop()
            if isinstance(doc, DocText):
                self._write(doc.text)
            elif isinstance(doc, DocConcat):
                stack.extend((indent, broken, part) for part in reversed(doc.parts))
            elif isinstance(doc, DocLine):
                if broken:
                    self._break(indent)
                else:
                    self._write(doc.flat)
            elif isinstance(doc, DocGroup):
                # What is inside an unbroken group fits with it.
                if broken:
                    space = WIDTH - (self.indent if self.fresh else self.column)
                    broken = not _fits(doc, stack, space)
                stack.append((indent, broken, doc.content))
            elif isinstance(doc, Indent):
                stack.append((indent + doc.columns, broken, doc.content))
            elif isinstance(doc, IfBroken):
                if broken:
                    self._write(doc.text)
            elif isinstance(doc, Either):
                wide = broken and indent + doc.columns <= WIDTH
                stack.append((indent, broken, doc.wide if wide else doc.tall))
            elif isinstance(doc, HardLine):
                self._break(indent)
                self.blank |= doc.blank
            elif isinstance(doc, TrailingComment):
                self._note(doc, indent)
        self._break(0)
        return self.rows

    def _write(self, text: str) -> None:
        if self.fresh:
            text = text.lstrip(" ")
            if not text:
                return
            self.column = self.indent
            self.fresh = False
        self.parts.append(text)
        self.column += len(text)

    def _break(self, indent: int, note: str = "") -> None:
        if not self.fresh:
            text = "".join(self.parts).rstrip(" ")
            self.rows.append(PrintedLine(self.indent, text, note, self.blank and bool(self.rows)))
            self.parts.clear()
            self.fresh = True
            self.blank = False
        self.indent = indent

    def _note(self, note: TrailingComment, indent: int) -> None:
        if note.alone or self.fresh:
            self._break(indent)
            self._write(note.text)
            self._break(indent)
        else:
            self._break(indent, note.text)


def _fits(group: DocGroup, rest: list[Item], space: int) -> bool:
    """Whether a group fits on the line, with what follows it up to the next possible break."""
    space -= group.width
    if group.hard or space < 0:
        return False
    position = len(rest)
    stack: list[tuple[bool, Doc]] = []
    while True:
        if not stack:
            if not position:
                return True
            position -= 1
            _, broken, doc = rest[position]
        else:
            broken, doc = stack.pop()
        if isinstance(doc, DocText):
            space -= doc.width
            if space < 0:
                return False
        elif isinstance(doc, DocConcat):
            stack.extend((broken, part) for part in reversed(doc.parts))
        elif isinstance(doc, DocLine):
            if broken:
                return True
            space -= doc.width
        elif isinstance(doc, Either):
            stack.append((broken, doc.tall))
        elif isinstance(doc, DocGroup | Indent):
            stack.append((broken, doc.content))
        elif isinstance(doc, HardLine | TrailingComment):
            return True


def _align_notes(rows: list[PrintedLine]) -> None:
    """Align the comments behind consecutive lines."""
    start = 0
    while start < len(rows):
        end = start + 1
        if rows[start].note:
            while end < len(rows) and _continues_column(rows[start], rows[end]):
                end += 1
            run = rows[start:end]
            column = max(row.width for row in run)
            # Not where a comment would be pushed over the edge.
            if any(
                row.width + 2 + len(row.note) <= WIDTH < column + 2 + len(row.note) for row in run
            ):
                column = 0
            for row in run:
                row.note = " " * (max(column - row.width, 0) + 2) + row.note
        start = end


def _continues_column(first: PrintedLine, row: PrintedLine) -> bool:
    closes = row.text.startswith((")", "]", "}"))
    return bool(row.note) and not row.blank and not closes and row.indent == first.indent
