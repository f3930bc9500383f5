"""netspec's own layout: the coordinates of the items of arranged rows, modules inside each other.

An open module is laid out by itself, then takes part in its surroundings as one box whose ports
are where its wires enter and leave. `page.js` does the same in the browser, where modules open and
close; a test compares the two.

`across` is along the rows and `along` with the flow: x and y downwards, y and x to the right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from netspec.diagram import style
from netspec.diagram.boxes import Box, Sheet
from netspec.diagram.layering import Layering, WireSegment, arrange
from netspec.diagram.scene import (
    Curve,
    DiagramView,
    Direction,
    Placed,
    Point,
    Scene,
    WireLabel,
)
from netspec.lazy_dataclasses import dataclass, field
from netspec.report import number_format

APART, BEND_APART = 22, 12
"""Least space between neighbours of a row, and between them and a wire that passes."""
GAP, BARE_GAP = 26, 14
"""Space between rows, for a label of one line, and where there is none."""
STUB, STUB_END = 13, 8
"""How far wires go straight where one would cross the label beside it: downwards, and to the right
beyond the label's own length."""
MANY = 200
"""More wires than this between two rows cross any label."""
TITLE, PAD = 22, 12
"""Of a frame: above, where its title is, and on the other sides."""
BORDER = 16
"""Around the whole."""
ROUNDS = 14
"""Iterations that improve the coordinates."""


@dataclass
class _Item:
    """A box or bend of a row: its extents, and where on it wires arrive and leave."""

    across: float
    along: float
    inside: _Drawing | None = None
    center: float = 0.0
    start: float = 0.0

    def port(self, part: float, ports: Sequence[float], count: int) -> float:
        """How far from its middle a port is; those of an open module are where its wires are."""
        if self.inside is None:
            return (part - 0.5) * self.across
        return ports[round(part * (count + 1)) - 1] - self.across / 2


@dataclass
class _Drawing:
    """A sheet with places: extents, and the ports' distance from its start across."""

    sheet: Sheet
    plan: Layering
    items: list[_Item]
    bands: list[tuple[float, float]] = field(default_factory=list)
    stubs: list[float] = field(default_factory=list)
    flipped: list[bool] = field(default_factory=list)
    across: float = 0.0
    along: float = 0.0
    inputs: list[float] = field(default_factory=list)
    outputs: list[float] = field(default_factory=list)


def place(view: DiagramView) -> Scene:
    """The scene of a view. The same view has the same places, always."""
    layout = _Layout(view)
    drawing = layout.draw(view.sheet, view.depth, None)
    return _Painter(view.direction).scene(drawing)


class _Layout:
    def __init__(self, view: DiagramView) -> None:
        self.size: Callable[[Box], tuple[float, float]] = view.size()
        self.down = view.direction == "down"
        self.plans: dict[Sheet, Layering] = {}
        self.drawn: dict[tuple[Box | None, int], _Drawing] = {}

    def draw(self, sheet: Sheet, depth: int, frame: Box | None) -> _Drawing:
        """A sheet, inside the frame of its box, with so many levels open."""
        key = frame, depth
        if frame is None or key not in self.drawn:
            self.drawn[key] = self._draw(sheet, depth, frame)
        return self.drawn[key]

    def _draw(self, sheet: Sheet, depth: int, frame: Box | None) -> _Drawing:
        if sheet not in self.plans:
            self.plans[sheet] = arrange(sheet)
        plan = self.plans[sheet]
        items = [self._item(box, depth) for box in sheet.boxes]
        bends = sum(map(len, plan.rows)) - len(items)
        items += [_Item(0.0, 0.0) for _ in range(bends)]
        drawing = _Drawing(sheet, plan, items)
        offsets = _offsets(drawing)
        _across(drawing, offsets)
        self._along(drawing, offsets)
        self._frame(drawing, frame)
        return drawing

    def _item(self, box: Box, depth: int) -> _Item:
        if box.sheet is not None and depth > 1:
            inside = self.draw(box.sheet, depth - 1, box)
            return _Item(inside.across, inside.along, inside)
        width, height = self.size(box)
        return _Item(width, height) if self.down else _Item(height, width)

    def _along(self, drawing: _Drawing, offsets: Sequence[tuple[float, float]]) -> None:
        """Put rows behind each other, with space for labels and for wires that go far across."""
        plan, items = drawing.plan, drawing.items
        row_of = {item: r for r, row in enumerate(plan.rows) for item in row}
        gaps = [float(BARE_GAP)] * len(plan.rows)
        drawing.flipped = self._flipped(drawing, offsets, row_of)
        drawing.stubs = self._stubs(drawing, offsets, row_of)
        for link, (at, to) in zip(plan.links, offsets, strict=True):
            r = row_of[link.source]
            far = abs(items[link.source].center + at - items[link.target].center - to)
            space = (GAP if link.label is not None else BARE_GAP) + min(far * 0.08, 40.0)
            straight = drawing.stubs[r]
            if link.label is not None and not self.down:
                straight = max(straight, _length(link))
            gaps[r] = max(gaps[r], space + straight)
        at_ = 0.0
        for r, row in enumerate(plan.rows):
            size = max((items[i].along for i in row), default=0.0)
            drawing.bands.append((at_, at_ + size))
            for i in row:
                items[i].start = at_ + (size - items[i].along) / 2
            at_ += size + (gaps[r] if r + 1 < len(plan.rows) else 0.0)
        drawing.along = at_

    def _beside(self, a: float, link: WireSegment, flipped: bool) -> tuple[float, float]:
        """What the label of a wire that leaves at `a` takes up of the row's length: to the right of
        it or above, or flipped to the other side."""
        near, far = (4.0, 6 + _length(link)) if self.down else (2.0, 13.0)
        return (a - far, a - near) if flipped == self.down else (a + near, a + far)

    def _flipped(
        self, drawing: _Drawing, offsets: Sequence[tuple[float, float]], row_of: Mapping[int, int]
    ) -> list[bool]:
        """Whether each label is on the other side of its wire, because another leaves beside it."""
        starts: list[list[float]] = [[] for _ in drawing.plan.rows]
        places = []
        for link, (at, _) in zip(drawing.plan.links, offsets, strict=True):
            places.append(drawing.items[link.source].center + at)
            starts[row_of[link.source]].append(places[-1])

        def taken(link: WireSegment, a: float, flipped: bool) -> bool:
            low, high = self._beside(a, link, flipped)
            others = starts[row_of[link.source]]
            return any(low < b < high for b in others[:MANY] if abs(b - a) > 1)

        return [
            link.label is not None and taken(link, a, False) and not taken(link, a, True)
            for link, a in zip(drawing.plan.links, places, strict=True)
        ]

    def _stubs(
        self, drawing: _Drawing, offsets: Sequence[tuple[float, float]], row_of: Mapping[int, int]
    ) -> list[float]:
        """Behind each row, how far its wires go straight: past the labels that they would cross."""
        items, rows = drawing.items, drawing.plan.rows
        labels: list[list[tuple[float, float, float]]] = [[] for _ in rows]
        wires: list[list[tuple[float, float]]] = [[] for _ in rows]
        for link, (at, to), flipped in zip(
            drawing.plan.links, offsets, drawing.flipped, strict=True
        ):
            r, a = row_of[link.source], items[link.source].center + at
            b = items[link.target].center + to
            if abs(b - a) > 1:
                wires[r].append((min(a, b), max(a, b)))
            if link.label is not None:
                stub = STUB if self.down else _length(link) + STUB_END
                labels[r].append((*self._beside(a, link, flipped), stub))
        return [
            max((stub for low, high, stub in row if _crossed(low, high, passing)), default=0.0)
            for row, passing in zip(labels, wires, strict=True)
        ]

    def _frame(self, drawing: _Drawing, frame: Box | None) -> None:
        """Move everything to positive places, with space for the frame around."""
        plan, items = drawing.plan, drawing.items
        low = min((i.center - i.across / 2 for i in items), default=0.0)
        if self.down:
            offsets = _offsets(drawing)
            for link, (at, _), flipped in zip(plan.links, offsets, drawing.flipped, strict=True):
                if flipped:
                    low = min(low, self._beside(items[link.source].center + at, link, True)[0])
        high = max((i.center + i.across / 2 for i in items), default=0.0)
        before, after, along, along_after = map(float, (BORDER,) * 4)
        if frame is not None:
            before, after = (PAD, PAD) if self.down else (TITLE, PAD)
            along, along_after = (TITLE, PAD) if self.down else (PAD, PAD)
        shift = before - low
        drawing.across = high - low + before + after
        if frame is not None and self.down:
            wanted = style.width(title(frame), style.WORDS, bold=True) + 2 * PAD
            if wanted > drawing.across:
                shift += (wanted - drawing.across) / 2
                drawing.across = wanted
        drawing.along += along + along_after
        if frame is not None and not self.down:
            wanted = style.width(title(frame), style.WORDS, bold=True) + 2 * PAD
            along += max(wanted - drawing.along, 0.0) / 2
            drawing.along = max(wanted, drawing.along)
        for item in items:
            item.center += shift
            item.start += along
        drawing.bands = [(a + along, b + along) for a, b in drawing.bands]
        drawing.inputs = [i.center for i in items[plan.first_input : plan.first_output]]
        drawing.outputs = [i.center for i in items[plan.first_output : plan.first_bend]]


def _crossed(low: float, high: float, wires: Sequence[tuple[float, float]]) -> bool:
    """Whether one of the wires passes between, or might: of very many, each is not looked at."""
    return len(wires) > MANY or any(a < high and b > low for a, b in wires)


def _length(link: WireSegment) -> float:
    """The length of the label of a link; 0 without one."""
    return (
        0.0
        if link.label is None
        else style.width(number_format.shape(link.label.shape), style.WORDS)
    )


def title(box: Box) -> str:
    """The title of a frame: the name of the instance, and of the module with its arguments."""
    return f"{box.name}: {', '.join(part.words for part in style.parts(box))}"


# --- places across -------------------------------------------------------------------------------


def _offsets(drawing: _Drawing) -> list[tuple[float, float]]:
    """Of each link, how far from the middles of its two items it leaves and arrives."""
    boxes, items = drawing.sheet.boxes, drawing.items
    found = []
    for link in drawing.plan.links:
        source, target = items[link.source], items[link.target]
        out = source.inside.outputs if source.inside else ()
        into = target.inside.inputs if target.inside else ()
        results = len(boxes[link.source].results) if source.inside else 0
        inputs = len(boxes[link.target].inputs) if target.inside else 0
        found.append((source.port(link.at, out, results), target.port(link.to, into, inputs)))
    return found


def _across(drawing: _Drawing, offsets: Sequence[tuple[float, float]]) -> None:
    """Bring each item to the middle of what it is linked with, as far as its row permits.

    From above and from below alternately, at last from both. A row's places are those of the least
    squares under its order and distances.
    """
    plan, items = drawing.plan, drawing.items
    above: list[list[tuple[int, float, int]]] = [[] for _ in items]
    below: list[list[tuple[int, float, int]]] = [[] for _ in items]
    for link, (at, to) in zip(plan.links, offsets, strict=True):
        above[link.target].append((link.source, at - to, link.weight))
        below[link.source].append((link.target, to - at, link.weight))
    apart = [
        [
            (items[a].across + items[b].across) / 2
            + (BEND_APART if a >= plan.first_bend or b >= plan.first_bend else APART)
            for a, b in pairwise(row)
        ]
        for row in plan.rows
    ]
    for iteration in range(ROUNDS):
        last = iteration >= ROUNDS - 2
        rows = list(zip(plan.rows, apart, strict=True))
        for row, space in rows if iteration % 2 == 0 else rows[::-1]:
            wanted, weights = [], []
            for i in row:
                near = [*above[i], *below[i]]
                if not last:
                    near = (below[i] if iteration % 2 else above[i]) or near
                total = float(sum(w for _, _, w in near))
                if total:
                    wanted.append(sum((items[k].center + d) * w for k, d, w in near) / total)
                else:
                    wanted.append(items[i].center)
                weights.append(max(total, 0.1))
            for i, center in zip(row, _spread(wanted, weights, space), strict=True):
                items[i].center = center
    for _ in range(2):
        _straighten(drawing, offsets, apart)
    if drawing.sheet.inputs == drawing.sheet.outputs == 1:
        # The output is put below the input, so that modules in sequence are in one line.
        items[plan.first_output].center = items[plan.first_input].center


def _straighten(
    drawing: _Drawing, offsets: Sequence[tuple[float, float]], apart: Sequence[Sequence[float]]
) -> None:
    """Put each chain of items onto one line if the neighbours leave space for it.

    A chain goes on where a link weighs more than all others at both of its ends.
    """
    plan, items = drawing.plan, drawing.items
    below, above = [-1] * len(items), [-1] * len(items)
    weights = [0] * len(items), [0] * len(items)
    for n, link in enumerate(plan.links):
        for item, best, most in (
            (link.source, below, weights[0]),
            (link.target, above, weights[1]),
        ):
            if link.weight > most[item]:
                best[item], most[item] = n, link.weight
            elif link.weight == most[item]:
                best[item] = -1
    limits = [(-1, 0.0, -1, 0.0)] * len(items)
    for row, space in zip(plan.rows, apart, strict=True):
        for i, item in enumerate(row):
            left = (row[i - 1], space[i - 1]) if i else (-1, 0.0)
            right = (row[i + 1], space[i]) if i + 1 < len(row) else (-1, 0.0)
            limits[item] = *left, *right
    for row in plan.rows:
        for start in row:
            if above[start] >= 0 and below[plan.links[above[start]].source] == above[start]:
                continue  # in the midst of a chain
            chain = [(start, 0.0)]
            while (n := below[chain[-1][0]]) >= 0 and above[plan.links[n].target] == n:
                at, to = offsets[n]
                chain.append((plan.links[n].target, chain[-1][1] + at - to))
            low, high, total = float("-inf"), float("inf"), 0.0
            for item, offset in chain:
                before, space_before, after, space_after = limits[item]
                if before >= 0:
                    low = max(low, items[before].center + space_before - offset)
                if after >= 0:
                    high = min(high, items[after].center - space_after - offset)
                total += items[item].center - offset
            if len(chain) > 1 and low <= high:
                line = min(max(total / len(chain), low), high)
                for item, offset in chain:
                    items[item].center = line + offset


def _spread(
    wanted: Sequence[float], weights: Sequence[float], space: Sequence[float]
) -> list[float]:
    """Places as near as can be to those wanted, each at least `space` from the next.

    Without the distances this is isotonic regression; neighbours that collide are pooled.
    """
    pools: list[tuple[float, float, int]] = []
    ahead = [0.0]
    for r in space:
        ahead.append(ahead[-1] + r)
    for want, weight, far in zip(wanted, weights, ahead, strict=True):
        pool = ((want - far) * weight, weight, 1)
        while pools and pools[-1][0] / pools[-1][1] >= pool[0] / pool[1]:
            total, heavy, count = pools.pop()
            pool = (total + pool[0], heavy + pool[1], count + pool[2])
        pools.append(pool)
    places = [total / heavy for total, heavy, count in pools for _ in range(count)]
    return [place + far for place, far in zip(places, ahead, strict=True)]


# --- from places to a scene ----------------------------------------------------------------------


class _Painter:
    def __init__(self, direction: Direction) -> None:
        self.down = direction == "down"
        self.frames: list[Placed] = []
        self.boxes: list[Placed] = []
        self.curves: list[Curve] = []
        self.labels: list[WireLabel] = []

    def scene(self, drawing: _Drawing) -> Scene:
        self._paint(drawing, 0.0, 0.0, "", 0)
        width, height = self._point(drawing.across, drawing.along)
        right = max((k.x + style.width(k.text, style.WORDS) for k in self.labels), default=0.0)
        return Scene(
            round(max(width, right + BORDER), 1),
            round(height, 1),
            tuple(self.frames),
            tuple(self.boxes),
            tuple(self.curves),
            tuple(self.labels),
        )

    def _point(self, across: float, along: float) -> Point:
        x, y = (across, along) if self.down else (along, across)
        return round(x, 1), round(y, 1)

    def _paint(
        self, drawing: _Drawing, across: float, along: float, prefix: str, level: int
    ) -> None:
        """Everything of a drawing whose start is at (across, along)."""
        for box, item in zip(drawing.sheet.boxes, drawing.items, strict=False):
            corner = across + item.center - item.across / 2, along + item.start
            placed = Placed(
                box, prefix, *self._point(*corner), *self._point(item.across, item.along), level
            )
            if item.inside is None:
                self.boxes.append(placed)
            else:
                self.frames.append(placed)
                self._paint(item.inside, *corner, f"{prefix}{box.name}.", level + 1)
        plan = drawing.plan
        row_of = {item: r for r, row in enumerate(plan.rows) for item in row}
        for link, (at, to), flipped in zip(
            plan.links, _offsets(drawing), drawing.flipped, strict=True
        ):
            source, target = drawing.items[link.source], drawing.items[link.target]
            r = row_of[link.source]
            leaves, arrives = drawing.bands[r][1] + along, drawing.bands[r + 1][0] + along
            # A bend goes through its row, an input comes from the frame, an output goes to it.
            bent = plan.first_bend <= link.source or link.source >= plan.first_input
            leaves += drawing.stubs[r]
            begin = drawing.bands[r][1] + along if bent else along + source.start + source.along
            if plan.first_input <= link.source < plan.first_output:
                begin = along
            end = along + target.start
            if link.target >= plan.first_bend:
                end = drawing.bands[r + 1][1] + along
            elif link.target >= plan.first_output:
                end = along + drawing.along
            a, b = across + source.center + at, across + target.center + to
            head = link.target < plan.first_input and target.inside is None
            points = _curve(a, begin, leaves, b, arrives, end)
            self.curves.append(Curve(tuple(self._point(*p) for p in points), link.indices, head))
            if link.label is not None:
                text = number_format.shape(link.label.shape)
                x, y = self._point(a, begin)
                if self.down:
                    x += -5 - _length(link) if flipped else 5
                    self.labels.append(WireLabel(round(x, 1), y + 9, text))
                else:
                    self.labels.append(WireLabel(x + 6, y + (7 if flipped else -7), text))


def _curve(
    a: float, begin: float, leaves: float, b: float, arrives: float, end: float
) -> list[Point]:
    """Straight to the end of the row, in a curve to the next one, and straight on."""
    middle = (leaves + arrives) / 2
    points = [(a, begin)]
    if begin != leaves:
        points += [(a, begin), (a, leaves), (a, leaves)]
    points += [(a, middle), (b, middle), (b, arrives)]
    if arrives != end:
        points += [(b, arrives), (b, end), (b, end)]
    return points
