"""Columns: what stands below each other in lines that follow each other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from netspec.formatting.pieces import Fields, Row
from netspec.formatting.printer import WIDTH

SPREAD = 16
"""Most columns by which what lines up may differ in width; a wider gap would tear lines apart."""


def pads(widths: Sequence[int]) -> list[int]:
    """The spaces behind each, for what follows to begin in one column as far as SPREAD permits."""
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


def align(rows: Sequence[Row], indent: int) -> None:
    """Line up layers that follow each other, all with names or all without.

    Ops stand below each other, and fields do where the same op with the same fields begins in the
    same column. Layers that take several lines line up by their names only.
    """
    for row, pad in zip(rows, pads([row.lead for row in rows]), strict=True):
        row.pad = pad
    single = [row for row in rows if not row.hard and indent + row.width <= WIDTH]
    # Where the link at hand begins, for each row.
    columns = [row.lead for row in single]
    depth = 0
    while single:
        groups: defaultdict[object, list[tuple[Row, Fields]]] = defaultdict(list)
        for row, column in zip(single, columns, strict=True):
            link = row.links[depth]
            if link.fields and len(link.fields.items) > 1:
                names = tuple(item.key for item in link.fields.items)
                groups[column, link.op, link.head.width, names].append((row, link.fields))
        for group in groups.values():
            if len(group) > 1:
                _align_fields(group, indent)
        columns = [
            column + row.links[depth].width + 1
            for row, column in zip(single, columns, strict=True)
            if depth + 1 < len(row.links)
        ]
        single = [row for row in single if depth + 1 < len(row.links)]
        depth += 1


def _align_fields(group: Sequence[tuple[Row, Fields]], indent: int) -> None:
    for cells in list(zip(*(fields.items for _, fields in group), strict=True))[:-1]:
        widths = [cell.width for cell in cells]
        if max(widths) - min(widths) > SPREAD:
            break
        for cell, width in zip(cells, widths, strict=True):
            cell.pad = max(widths) - width
    if any(indent + row.width > WIDTH for row, _ in group):
        for _, fields in group:
            for item in fields.items:
                item.pad = 0
