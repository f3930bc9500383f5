"""Charts as SVG: panels with axes, lines and dots, and a legend below each.

Written without a drawing library. Attributes of elements, no style sheet: not every program that
takes SVG reads one.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import floor, log10

from netspec.lazy_dataclasses import dataclass

LEFT, RIGHT, TOP, BOTTOM = 62, 18, 40, 48
"""Margins of a panel in pixels; the axes are inside them."""
TITLE_HEIGHT = 30
LEGEND_LINE = 14
"""Height of a line of a legend, which is below its panel, where no point can be."""
NARROW = 26
"""Most characters of a legend's entries that are put in two columns."""
MOST_TICKS = 10
"""Most ticks of a horizontal axis that are drawn."""
# Okabe and Ito 2008: colours that people with any kind of colour vision can tell apart.
COLORS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7"),
    *("#e69f00", "#56b4e9", "#6a3d9a", "#555555"),
)
TEXT = 'font-family="system-ui, sans-serif" font-size="11" fill="#222"'
TITLE = 'font-size="13" font-weight="600"'
GRID, AXIS = 'stroke="#ddd"', 'stroke="#444"'

XY = tuple[float, float]


@dataclass(frozen=True)
class AxisScale:
    """An axis from `low` to `high`, with the values that are marked and their texts."""

    low: float
    high: float
    ticks: tuple[tuple[float, str], ...]

    def share(self, value: float) -> float:
        """How far a value is from low (0) to high (1)."""
        return (value - self.low) / (self.high - self.low)


def linear(values: Sequence[float], zero: bool = False, tight: bool = False) -> AxisScale:
    """A scale that holds all values, from 0 to 1 where there are none, with about five round ticks.

    `zero` begins it at 0 or below; `tight` ends it at the values, else at the ticks around them.
    """
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    if zero:
        low = min(low, 0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / 5
    power = 10.0 ** floor(log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first = floor(low / step + 1e-9)
    last = -floor(-high / step + 1e-9)
    ticks = tuple((i * step, f"{i * step:,.10g}") for i in range(first, last + 1))
    if not tight:
        return AxisScale(first * step, last * step, ticks)
    inside = tuple(t for t in ticks if low - step * 1e-9 <= t[0] <= high + step * 1e-9)
    return AxisScale(low, high, inside)


def categories(names: Sequence[str]) -> AxisScale:
    """A scale with the names at 0, 1, 2, ..."""
    ticks = tuple((float(i), name) for i, name in enumerate(names))
    return AxisScale(-0.5, max(len(names), 1) - 0.5, ticks)


@dataclass(frozen=True)
class Series:
    """Points of one colour, joined by a line unless `joined` is false.

    `dots` is the radius of a dot at each point, in pixels; 0 draws none, but for a lone point.
    `tooltips` are shown by a browser at each point, `labels` beside it where they are not empty.
    A series without a name is not in the legend.
    """

    name: str
    points: Sequence[XY]
    color: str
    joined: bool = True
    dots: float = 0.0
    opacity: float = 1.0
    width: float = 1.0
    tooltips: Sequence[str] = ()
    labels: Sequence[str] = ()


@dataclass(frozen=True)
class Panel:
    """Series over two axes. `note` is a line of words in the legend."""

    series: Sequence[Series]
    x: AxisScale
    y: AxisScale
    x_label: str
    y_label: str
    note: str = ""

    @property
    def legend_lines(self) -> int:
        """Lines of text that the legend takes."""
        entries = self.entries
        return -(-len(entries) // _columns(entries)) + bool(self.note)

    @property
    def entries(self) -> list[Series]:
        """The series that are in the legend."""
        return [series for series in self.series if series.name]


def chart(
    title: str, panels: Sequence[Panel], *, columns: int, width: int = 380, height: int = 330
) -> str:
    """The text of an SVG file: a title, and under it the panels, row by row.

    A panel is so many pixels wide and, without its legend, so many high.
    """
    columns = max(min(columns, len(panels)), 1)
    parts = []
    bottom = TITLE_HEIGHT
    for start in range(0, len(panels), columns):
        row = panels[start : start + columns]
        for i, panel in enumerate(row):
            parts += [f'<g transform="translate({i * width} {bottom})">']
            parts += [*_panel(panel, width, height), "</g>"]
        bottom += height + LEGEND_LINE * max(panel.legend_lines for panel in row)
    if not panels:
        bottom += height
    size = f'viewBox="0 0 {width * columns} {bottom}" width="{width * columns}" height="{bottom}"'
    start_ = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" {TEXT}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width * columns}" height="{bottom}" fill="#fff"/>',
        f'<text {TITLE} x="{LEFT}" y="22">{escape(title)}</text>',
    ]
    return "\n".join([*start_, *parts, "</svg>"]) + "\n"


def _panel(panel: Panel, width: int, height: int) -> list[str]:
    def at(point: XY) -> XY:
        x, y = panel.x.share(point[0]), panel.y.share(point[1])
        right, bottom = width - RIGHT, height - BOTTOM
        return round(LEFT + x * (right - LEFT), 1), round(bottom + y * (TOP - bottom), 1)

    parts = _axes(panel, width, height)
    for series in panel.series:
        places = [at(point) for point in series.points]
        parts += _series(series, places)
        parts += _labels(series, places, width, height)
    return parts + _legend(panel, width, height)


def _axes(panel: Panel, width: int, height: int) -> list[str]:
    parts = []
    bottom, right = height - BOTTOM, width - RIGHT
    for value, text in panel.y.ticks:
        y = round(bottom + panel.y.share(value) * (TOP - bottom), 1)
        parts.append(f'<line {GRID} x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{escape(text)}</text>')
    every = -(-len(panel.x.ticks) // MOST_TICKS) or 1
    for value, text in panel.x.ticks[::every]:
        x = round(LEFT + panel.x.share(value) * (right - LEFT), 1)
        parts.append(f'<line {AXIS} x1="{x}" x2="{x}" y1="{bottom}" y2="{bottom + 4}"/>')
        parts.append(f'<text x="{x}" y="{bottom + 17}" text-anchor="middle">{escape(text)}</text>')
    parts.append(f'<line {AXIS} x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    parts.append(
        f'<text x="{(LEFT + right) / 2}" y="{bottom + 36}" text-anchor="middle">'
        f"{escape(panel.x_label)}</text>"
    )
    parts.append(f'<text x="{LEFT}" y="{TOP - 12}">{escape(panel.y_label)}</text>')
    return parts


def _series(series: Series, places: Sequence[XY]) -> list[str]:
    parts = []
    if series.joined and len(places) > 1:
        points = " ".join(f"{x},{y}" for x, y in places)
        faint = f' stroke-opacity="{series.opacity:g}"' if series.opacity < 1 else ""
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{series.color}" '
            f'stroke-width="{series.width:g}"{faint}/>'
        )
    radius = series.dots or (3.0 if len(places) == 1 else 0.0)
    for i, (x, y) in enumerate(places if radius else ()):
        dot = f'<circle {_fill(series)} cx="{x}" cy="{y}" r="{radius:g}"'
        tooltip = series.tooltips[i] if series.tooltips else ""
        parts.append(f"{dot}><title>{escape(tooltip)}</title></circle>" if tooltip else f"{dot}/>")
    return parts


def _fill(series: Series) -> str:
    faint = f' fill-opacity="{series.opacity:g}"' if series.opacity < 1 else ""
    return f'fill="{series.color}"{faint}'


def _labels(series: Series, places: Sequence[XY], width: int, height: int) -> list[str]:
    """Words beside points, on the side where there is more space."""
    parts = []
    for (x, y), label in zip(places, series.labels, strict=False):
        if label:
            anchor, shift = ("end", -7) if x > width * 0.6 else ("start", 7)
            down = 14 if y + 20 < height - BOTTOM else 4
            parts.append(
                f'<text x="{x + shift}" y="{y + down}" text-anchor="{anchor}">'
                f"{escape(label)}</text>"
            )
    return parts


def _columns(entries: Sequence[Series]) -> int:
    return 2 if all(len(series.name) <= NARROW for series in entries) else 1


def _legend(panel: Panel, width: int, height: int) -> list[str]:
    """A sample of each named series with its name, in two columns where the names are short."""
    parts = []
    columns = _columns(panel.entries)
    for i, series in enumerate(panel.entries):
        x = LEFT + i % columns * (width - LEFT - RIGHT) // 2
        y = height + 4 + LEGEND_LINE * (i // columns)
        if series.joined:
            parts.append(f'<rect x="{x}" y="{y - 4}" width="10" height="3" {_fill(series)}/>')
        else:
            parts.append(f'<circle {_fill(series)} cx="{x + 5}" cy="{y - 4}" r="3"/>')
        parts.append(f'<text x="{x + 15}" y="{y}">{escape(series.name)}</text>')
    if panel.note:
        y = height + 4 + LEGEND_LINE * (panel.legend_lines - 1)
        parts.append(f'<text x="{LEFT + 15}" y="{y}">{escape(panel.note)}</text>')
    return parts
