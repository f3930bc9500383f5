"""The parts of a layer that may be aligned with those of the layers around it."""

from __future__ import annotations

from netspec.lazy_dataclasses import dataclass
from netspec.syntax.formatter.document import Doc


@dataclass(slots=True)
class FieldItem:
    """`name: value`."""

    key: str
    name: Doc
    """The name with the colon behind."""
    value: Doc
    literal: bool
    """Whether the value is a number or another literal; only these make columns."""
    starts_row: bool
    """Whether the text has it on another line than the field before it."""
    comments: Doc
    """The comments behind it."""
    pad: int = 0
    """Spaces to add behind it, so that the next field is aligned with that of another layer."""

    @property
    def width(self) -> int:
        return self.name.width + 1 + self.value.width

    @property
    def hard(self) -> bool:
        return self.name.hard or self.value.hard or self.comments.hard


@dataclass(slots=True)
class FieldPieces:
    """`{ fields }`."""

    opener: Doc
    comments: Doc
    """The comments right behind the opening brace."""
    items: list[FieldItem]
    closer: Doc

    @property
    def width(self) -> int:
        inside = sum(item.width + item.pad + 2 for item in self.items)
        return 2 + inside if self.items else 3

    @property
    def hard(self) -> bool:
        return self.comments.hard or any(item.hard for item in self.items)


@dataclass(slots=True)
class ChainLink:
    """One call of a chain."""

    comments: Doc
    """The comments in front of it, and of its arrow where there is one."""
    head: Doc
    """The arrow, where there is one, the op and its inputs."""
    op: str
    bare: bool
    """Whether it is an op without inputs and fields."""
    fields: FieldPieces | None

    @property
    def width(self) -> int:
        return self.head.width + (1 + self.fields.width if self.fields else 0)

    @property
    def hard(self) -> bool:
        inside = self.fields is not None and self.fields.hard
        return self.comments.hard or self.head.hard or inside


@dataclass(slots=True)
class LayerPieces:
    """A layer: its name with the colon behind, and its chain."""

    name: Doc | None
    links: list[ChainLink]
    pad: int = 0
    """Spaces to add behind the name, so that the op is aligned with that of another layer."""

    @property
    def lead(self) -> int:
        """The columns in front of the chain."""
        return self.name.width + 1 + self.pad if self.name else 0

    @property
    def width(self) -> int:
        return self.lead + sum(link.width for link in self.links) + len(self.links) - 1

    @property
    def hard(self) -> bool:
        named = self.name is not None and self.name.hard
        return named or any(link.hard for link in self.links)
