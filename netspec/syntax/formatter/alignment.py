"""Columns in consecutive lines: how many spaces to add behind each part."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from netspec.syntax.formatter.pieces import FieldPieces, LayerPieces
from netspec.syntax.formatter.printer import WIDTH

SPREAD = 16
"""Most columns by which aligned parts may differ in width; wider gaps would be hard to read."""


def pads(widths: Sequence[int]) -> list[int]:
    """The spaces to add behind parts of these widths, so that what follows them is aligned.

    Parts are taken together as long as their widths differ by at most SPREAD.
    """
    result: list[int] = []
    start = 0
    while start < len(widths):
        end = start
        least = most = widths[start]
        while end < len(widths):
            width = widths[end]
            if max(most, width) - min(least, width) > SPREAD:
                break
            least, most = min(least, width), max(most, width)
            end += 1
        result += (most - width for width in widths[start:end])
        start = end
    return result


def align(rows: Sequence[LayerPieces], indent: int) -> None:
    """Align consecutive layers, all with names or all without, by setting their `pad`.

    Ops begin in one column, and so do the fields of calls of one op that begin in the same column,
    as far as they have the same names and literal values. Layers that take several lines are
    aligned by their names only.
    """
    for row, pad in zip(rows, pads([row.lead for row in rows]), strict=True):
        row.pad = pad
    single = [row for row in rows if not row.hard and indent + row.width <= WIDTH]
    # The column at which the current link begins, for each row.
    columns = [row.lead for row in single]
    depth = 0
    while single:
        groups: defaultdict[object, list[tuple[LayerPieces, FieldPieces]]] = defaultdict(list)
        for row, column in zip(single, columns, strict=True):
            link = row.links[depth]
            if link.fields:
                groups[column, link.op, link.head.width].append((row, link.fields))
        for group in groups.values():
            _align_fields(group, indent)
        columns = [
            column + row.links[depth].width + 1
            for row, column in zip(single, columns, strict=True)
            if depth + 1 < len(row.links)
        ]
        single = [row for row in single if depth + 1 < len(row.links)]
        depth += 1


def _align_fields(group: Sequence[tuple[LayerPieces, FieldPieces]], indent: int) -> None:
    """Align fields of one name that come behind fields of the same names."""
    position = 0
    # Calls whose fields agree so far, in name and place.
    groups = [list(group)]
    while groups:
        cells: defaultdict[object, list[tuple[LayerPieces, FieldPieces]]] = defaultdict(list)
        for number, together in enumerate(groups):
            for row, fields in together:
                items = fields.items[position : position + 2]
                if len(items) == 2 and items[0].literal:
                    cells[number, items[0].key, items[1].key].append((row, fields))
        groups = []
        for together in cells.values():
            items = [fields.items[position] for _, fields in together]
            for item, pad in zip(items, pads([item.width for item in items]), strict=True):
                item.pad = pad
            if any(indent + row.width > WIDTH for row, _ in together):
                for item in items:
                    item.pad = 0
            by_width: defaultdict[int, list[tuple[LayerPieces, FieldPieces]]] = defaultdict(list)
            for row, fields in together:
                item = fields.items[position]
                by_width[item.width + item.pad].append((row, fields))
            groups += (rest for rest in by_width.values() if len(rest) > 1)
        position += 1
