"""The structure of a layered drawing (Sugiyama, Tagawa and Toda 1981): rows, and order in them.

Neither depends on sizes, so that each sheet is arranged once, whatever of it is open. Everything
follows the direction of flow: each wire goes from a row to a later one, and where it passes rows,
it has a bend in each. All wires of one result share their bends, so that a value that is used
again and again (DenseNet) is one line with branches.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from netspec.diagram.boxes import (
    OUTSIDE,
    Box,
    End,
    Sheet,
    Wire,
)
from netspec.ir import Value
from netspec.ops import IndexShape

SWEEPS = 8
"""How often the order of all rows is improved."""


class WireSegment(NamedTuple):
    """A piece of a wire, from an item of a row to one of the next; at which part of their width.

    `weight` is how much it wants to be straight. `label` is the value whose shape is written at it.
    """

    source: int
    at: float
    target: int
    to: float
    weight: int
    indices: bool
    label: Value | None


class Layering(NamedTuple):
    """Rows of items: boxes by their number, then the inputs, outputs and bends of the sheet.

    `first_input` and so on are the numbers at which these begin.
    """

    rows: tuple[tuple[int, ...], ...]
    links: tuple[WireSegment, ...]
    first_input: int
    first_output: int
    first_bend: int


def port(count: int, index: int, indices: bool) -> float:
    """Where along the width of a box one of its ports is."""
    return 0.85 if indices else (index + 1) / (count + 1)


def entry(box: Box, index: int) -> float:
    """Where an input of a box arrives; those of a layer all in its middle, but for indices."""
    if box.sheet is not None:
        return port(len(box.inputs), index, False)
    return port(1, 0, isinstance(box.inputs[index].shape, IndexShape))


def leave(box: Box, index: int) -> float:
    """Where a result of a box leaves."""
    if box.sheet is not None:
        return port(len(box.results), index, False)
    plain = [k for k, v in enumerate(box.results) if not isinstance(v.shape, IndexShape)]
    indices = index not in plain
    return port(len(plain), 0 if indices else plain.index(index), indices)


def arrange(sheet: Sheet) -> Layering:
    """Rows and their order, with few crossings. The same for the same sheet, always."""
    count = len(sheet.boxes)
    first_output = count + sheet.inputs
    first_bend = first_output + sheet.outputs
    ranks = _ranks(sheet)
    rows: list[list[int]] = [[] for _ in range(max(ranks, default=0) + 1)]
    for item, rank in enumerate(ranks):
        rows[rank].append(item)

    links: list[WireSegment] = []
    trunks: dict[End, list[int]] = {}
    bends = first_bend
    drawn: set[tuple[int, int, float]] = set()
    for wire in sheet.wires:
        box, index = wire.source
        first = count + index if box == OUTSIDE else box
        at = 0.5 if box == OUTSIDE else leave(sheet.boxes[box], index)
        trunk = trunks.setdefault(wire.source, [first])
        box, index = wire.target
        last = first_output + index if box == OUTSIDE else box
        to = 0.5 if box == OUTSIDE else entry(sheet.boxes[box], index)
        label = wire.value if wire.source in sheet.labels else None
        while ranks[first] + len(trunk) < ranks[last]:
            links.append(_link(trunk, len(trunk) - 1, at, bends, 0.5, wire, label, (1, 8)))
            rows[ranks[first] + len(trunk)].append(bends)
            trunk.append(bends)
            bends += 1
        step = ranks[last] - ranks[first] - 1
        if (trunk[step], last, to) not in drawn:
            drawn.add((trunk[step], last, to))
            links.append(_link(trunk, step, at, last, to, wire, label, (6, 1)))
    plan = _once_labelled(links)
    ordered = _ordered(rows, plan, bends)
    return Layering(tuple(map(tuple, ordered)), tuple(plan), count, first_output, first_bend)


def _link(
    trunk: Sequence[int],
    step: int,
    at: float,
    target: int,
    to: float,
    wire: Wire,
    label: Value | None,
    weights: tuple[int, int],
) -> WireSegment:
    """A link from an item of a trunk: from its first, which has the label, or from a bend."""
    if step:
        return WireSegment(trunk[step], 0.5, target, to, weights[1], wire.indices, None)
    return WireSegment(trunk[0], at, target, to, weights[0], wire.indices, label)


def _once_labelled(links: Sequence[WireSegment]) -> list[WireSegment]:
    """The links, each value's shape at one only."""
    seen: set[Value] = set()
    found = []
    for link in links:
        if link.label is not None and link.label in seen:
            link = link._replace(label=None)
        elif link.label is not None:
            seen.add(link.label)
        found.append(link)
    return found


def _ranks(sheet: Sheet) -> list[int]:
    """The row of each box, input and output: as early as wires permit.

    A box without inputs is in the row before its first use, outputs of a module in the last row.
    """
    count = len(sheet.boxes)
    ranks = [0] * count
    fed: set[int] = set()
    takers: dict[int, list[int]] = {}
    # Boxes are in order of execution, so wires that end in earlier ones are counted by then.
    for wire in sorted(sheet.wires, key=lambda w: w.target[0]):
        source, target = wire.source[0], wire.target[0]
        if target == OUTSIDE:
            continue
        fed.add(target)
        if source == OUTSIDE:
            ranks[target] = max(ranks[target], 1)
        else:
            ranks[target] = max(ranks[target], ranks[source] + 1)
            takers.setdefault(source, []).append(target)
    for box in range(count):
        if box not in fed and box in takers:
            ranks[box] = min(ranks[t] for t in takers[box]) - 1
    last = max([0, *ranks]) + 1
    return ranks + [0] * sheet.inputs + [last] * sheet.outputs


# --- order ---------------------------------------------------------------------------------------

_Near = Mapping[int, Sequence[tuple[int, float]]]
"""Of an item, those that it is linked with in the next or previous row, and where on them."""


def _ordered(rows: list[list[int]], links: Sequence[WireSegment], items: int) -> list[list[int]]:
    """Each row in an order with few crossings, alternately from above and below (barycentres)."""
    above: dict[int, list[tuple[int, float]]] = {}
    below: dict[int, list[tuple[int, float]]] = {}
    row_of = {item: r for r, row in enumerate(rows) for item in row}
    between: list[list[WireSegment]] = [[] for _ in rows]
    for link in links:
        above.setdefault(link.target, []).append((link.source, link.at))
        below.setdefault(link.source, []).append((link.target, link.to))
        between[row_of[link.source]].append(link)
    if all(len(row) < 2 for row in rows):
        return rows
    place = [0.0] * items
    best, least = rows, _crossings(rows, between, place)
    current = [list(row) for row in rows]
    for sweep in range(SWEEPS):
        if not least:
            break
        down = sweep % 2 == 0
        for row in current if down else current[::-1]:
            _sort(row, above if down else below, place)
        crossings = _crossings(current, between, place)
        if crossings < least:
            best, least = [list(row) for row in current], crossings
    return best


def _sort(row: list[int], near: _Near, place: list[float]) -> None:
    """Order a row by the middle of what each item is linked with; others keep their place."""
    wanted = {}
    for i, item in enumerate(row):
        around = near.get(item)
        wanted[item] = sum(place[k] + at for k, at in around) / len(around) if around else i + 0.5
    row.sort(key=wanted.__getitem__)
    for i, item in enumerate(row):
        place[item] = float(i)


def _crossings(
    rows: Sequence[Sequence[int]], between: Sequence[Sequence[WireSegment]], place: list[float]
) -> int:
    """How many pairs of links cross; `place` is brought up to date."""
    for row in rows:
        for i, item in enumerate(row):
            place[item] = float(i)
    total = 0
    for links in between:
        ends: list[float] = []
        for _, end in sorted((place[k.source] + k.at, place[k.target] + k.to) for k in links):
            total += len(ends) - bisect_right(ends, end)
            insort(ends, end)
    return total
