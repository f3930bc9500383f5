"""A drawing with all coordinates, ready for any format. Lengths are in px, y goes down."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

from netspec.diagram.boxes import Box, Sheet

Direction = Literal["down", "right"]
Cost = Literal["macs", "params"]
Point = tuple[float, float]


class DiagramOptions(NamedTuple):
    """Options of a diagram; without a depth, as deep as stays readable."""

    depth: int | None = None
    direction: Direction = "down"
    cost: Cost = "macs"
    layout: Literal["own", "dot"] = "own"


class Placed(NamedTuple):
    """A box, or the frame of an open module, with the path of the module around it (`fire2.`)."""

    box: Box
    prefix: str
    x: float
    y: float
    width: float
    height: float
    level: int
    """How many frames are around it."""


class Curve(NamedTuple):
    """A wire: a point, then three for each cubic piece. `head` puts an arrow at its end."""

    points: tuple[Point, ...]
    indices: bool
    head: bool


class WireLabel(NamedTuple):
    """A text beside a wire: its left end, and the middle of its height."""

    x: float
    y: float
    text: str


class Scene(NamedTuple):
    """Everything that is drawn, frames from the outside in."""

    width: float
    height: float
    frames: tuple[Placed, ...]
    boxes: tuple[Placed, ...]
    curves: tuple[Curve, ...]
    labels: tuple[WireLabel, ...]


class DiagramView(NamedTuple):
    """What of a sheet is drawn, and how.

    `depth` 1 draws modules as boxes, 2 opens those of the net, and so on. Boxes are the wider the
    greater their `cost` is.
    """

    sheet: Sheet
    depth: int
    direction: Direction
    cost: Cost

    def costs(self, box: Box) -> int:
        return box.macs if self.cost == "macs" else box.params

    def boxes(self) -> list[Box]:
        """The boxes that are drawn, each once for each block that has it."""
        found: list[Box] = []
        seen: set[tuple[Sheet, int]] = set()

        def visit(sheet: Sheet, depth: int) -> None:
            if (sheet, depth) in seen:
                return
            seen.add((sheet, depth))
            for box in sheet.boxes:
                if box.sheet is not None and depth > 1:
                    visit(box.sheet, depth - 1)
                else:
                    found.append(box)

        visit(self.sheet, self.depth)
        return found

    def size(self) -> Callable[[Box], tuple[float, float]]:
        """Width and height of a box that is drawn."""
        from netspec.diagram import style

        boxes = self.boxes()
        base = style.base_width(boxes)
        most = self.most(boxes)

        def size(box: Box) -> tuple[float, float]:
            if box.end:
                return round(style.natural(box)) + 4.0, style.PILL
            grown = style.GROWTH * self.costs(box) / most if most else 0.0
            return round(base + grown), style.height(box)

        return size

    def most(self, boxes: list[Box] | None = None) -> int:
        """The greatest cost of a box that is drawn."""
        drawn = self.boxes() if boxes is None else boxes
        return max((self.costs(box) for box in drawn if not box.end), default=0)
