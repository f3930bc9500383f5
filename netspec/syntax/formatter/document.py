"""Documents: text with places where lines may be broken.

After Wadler's "A prettier printer" (2003): a group stays on one line where it fits, and else breaks
at all of its own lines. Comments break what holds them, since nothing can follow one on its line.
"""

from __future__ import annotations

from collections.abc import Iterable


class Doc:
    """A piece of a document.

    `width` is how many columns it takes on one line, `hard` whether it can't be on one line.
    """

    __slots__ = ("hard", "width")

    width: int
    hard: bool


class DocText(Doc):
    """Text without a line break."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text
        self.width = len(text)
        self.hard = False


class DocLine(Doc):
    """A line break where the group around it is broken, else `flat`."""

    __slots__ = ("flat",)

    def __init__(self, flat: str = " ") -> None:
        self.flat = flat
        self.width = len(flat)
        self.hard = False


class HardLine(Doc):
    """A line break, with an empty line where `blank`."""

    __slots__ = ("blank",)

    def __init__(self, blank: bool = False) -> None:
        self.blank = blank
        self.width = 0
        self.hard = True


class TrailingComment(Doc):
    """A comment and the end of its line; `alone`: on a line of its own."""

    __slots__ = ("alone", "text")

    def __init__(self, text: str, alone: bool) -> None:
        self.text = text
        self.alone = alone
        self.width = 0
        self.hard = True


class IfBroken(Doc):
    """Text that is printed only where the group around it is broken."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text
        self.width = 0
        self.hard = False


class DocConcat(Doc):
    """Documents one after the other."""

    __slots__ = ("parts",)

    def __init__(self, parts: Iterable[Doc]) -> None:
        self.parts = tuple(parts)
        self.width = sum(part.width for part in self.parts)
        self.hard = any(part.hard for part in self.parts)


class DocGroup(Doc):
    """A document whose own lines are all broken, or none of them."""

    __slots__ = ("content",)

    def __init__(self, *parts: Doc) -> None:
        self.content = concat(*parts)
        self.width = self.content.width
        self.hard = self.content.hard


class Indent(Doc):
    """Lines inside begin `columns` further right than those around."""

    __slots__ = ("columns", "content")

    def __init__(self, columns: int, *parts: Doc) -> None:
        self.columns = columns
        self.content = concat(*parts)
        self.width = self.content.width
        self.hard = self.content.hard


class Either(Doc):
    """`wide` where the group around it is broken and there are so many `columns`; else `tall`."""

    __slots__ = ("columns", "tall", "wide")

    def __init__(self, wide: Doc, tall: Doc, columns: int) -> None:
        self.wide = wide
        self.tall = tall
        self.columns = columns
        self.width = tall.width
        self.hard = tall.hard


def concat(*parts: Doc) -> Doc:
    """The parts as one document."""
    return parts[0] if len(parts) == 1 else DocConcat(parts)


NOTHING = DocText("")
SPACE = DocText(" ")
