"""A sweep as an SVG picture: size against each parameter, and parameters against MACs.

Written without a drawing library: a few lines, dots and words.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import floor, log10
from typing import Any, NamedTuple

from netspec.report.rows import argument

WIDTH, HEIGHT = 380, 330
"""Of a panel."""
LEFT, RIGHT, TOP, BOTTOM = 62, 18, 40, 48
"""Margins of a panel."""
LINE = 14
"""Height of a line of a legend, which stands below its panel, where no point can be."""
NARROW = 26
"""Longest words of a legend in two columns."""
MAX_PANELS = 3
"""Most parameters that have a panel of their own."""
MAX_SERIES = 8
"""Most lines that have names; more are drawn thin."""
MAX_LABELS = 6
"""Most points of the front that have names."""
# Okabe and Ito 2008: told apart by all eyes.
COLORS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7"),
    *("#e69f00", "#56b4e9", "#6a3d9a", "#555555"),
)
# Attributes of elements, no style sheet: not every program that takes SVG reads one.
TEXT = 'font-family="system-ui, sans-serif" font-size="11" fill="#222"'
TITLE = 'font-size="13" font-weight="600"'
GRID, AXIS = 'stroke="#ddd"', 'stroke="#444"'
BEST = "#d55e00"
DOT = 'fill="#0072b2" fill-opacity=".35"'

Result = Mapping[str, Any]


class _Scale(NamedTuple):
    """From values to places of a panel, and the marks of its axis."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[tuple[float, str], ...]

    def __call__(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return round(self.start + part * (self.end - self.start), 1)


def svg(
    title: str,
    found: Sequence[Result],
    axes: Sequence[tuple[str, Sequence[Any]]],
    front: Sequence[Result],
) -> str:
    """The picture. `axes` are the parameters that vary, with their values; `front` the best."""
    sound = [r for r in found if "error" not in r]
    drawn = axes[:MAX_PANELS] if sound else ()
    panels = [_size_panel(sound, name, values, axes) for name, values in drawn]
    if sound:
        panels.append(_front_panel(sound, front, [name for name, _ in axes]))
    width = WIDTH * max(len(panels), 1)
    height = HEIGHT + 30 + LINE * max((panel.lines for panel in panels), default=0)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" role="img" {TEXT}>',
        f"<title>{escape(title)}</title>",
        f'<rect width="{width}" height="{height}" fill="#fff"/>',
        f'<text {TITLE} x="{LEFT}" y="22">{escape(title)}</text>',
    ]
    for i, panel in enumerate(panels):
        parts += [f'<g transform="translate({i * WIDTH} 30)">', *panel.parts, "</g>"]
    return "\n".join([*parts, "</svg>"]) + "\n"


class _Panel(NamedTuple):
    """The elements of a panel, and how many lines its legend has."""

    parts: list[str]
    lines: int


def _legend(entries: Sequence[tuple[str, str]]) -> _Panel:
    """Samples of colour with words, in two columns if these are short."""
    columns = 2 if all(len(words) <= NARROW for _, words in entries) else 1
    parts = []
    for i, (sample, words) in enumerate(entries):
        x = LEFT + i % columns * (WIDTH - LEFT - RIGHT) // 2
        y = HEIGHT + 4 + LINE * (i // columns)
        parts.append(sample.format(x=x, y=y - 4, middle=x + 5))
        parts.append(f'<text x="{x + 15}" y="{y}">{escape(words)}</text>')
    return _Panel(parts, -(-len(entries) // columns))


def _size_panel(
    found: Sequence[Result], name: str, values: Sequence[Any], axes: Sequence[tuple[str, Any]]
) -> _Panel:
    """Size against one parameter: a line for each combination of the others."""
    others = [other for other, _ in axes if other != name]
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    place = {repr(v): float(v) if numeric else float(i) for i, v in enumerate(values)}
    series: dict[str, list[tuple[float, float]]] = {}
    for r in found:
        at = place[repr(r["settings"][name])]
        series.setdefault(label(r, others), []).append((at, r["size"] / 1e6))
    if numeric:
        x = _linear(list(place.values()), LEFT, WIDTH - RIGHT, zero=False)
    else:
        marks = tuple((float(i), _short(v)) for i, v in enumerate(values))
        x = _Scale(-0.5, len(values) - 0.5, LEFT, WIDTH - RIGHT, marks)
    y = _linear([v for line in series.values() for _, v in line], HEIGHT - BOTTOM, TOP)
    parts = _frame(x, y, name, "size, MB of 10^6 bytes")
    entries = []
    for i, (words, line) in enumerate(series.items()):
        color = COLORS[i % len(COLORS)]
        points = " ".join(f"{x(a)},{y(b)}" for a, b in sorted(line))
        thin = "" if len(series) <= MAX_SERIES else ' stroke-opacity=".35"'
        parts.append(f'<polyline points="{points}" fill="none" stroke="{color}"{thin}/>')
        if len(series) <= MAX_SERIES:
            parts += [f'<circle cx="{x(a)}" cy="{y(b)}" r="2.5" fill="{color}"/>' for a, b in line]
        entries.append((f'<rect x="{{x}}" y="{{y}}" width="10" height="3" fill="{color}"/>', words))
    if len(series) > MAX_SERIES:
        entries = [("", f"{len(series)} lines: {', '.join(others)}")]
    legend = _legend(entries if len(series) > 1 else ())
    return _Panel([*parts, *legend.parts], legend.lines)


def _front_panel(found: Sequence[Result], front: Sequence[Result], names: Sequence[str]) -> _Panel:
    """Every point by its parameters and MACs; those that none undercuts in both are joined."""
    x = _linear([r["params"] / 1e6 for r in found], LEFT, WIDTH - RIGHT)
    y = _linear([r["macs"] / 1e6 for r in found], HEIGHT - BOTTOM, TOP)

    def at(r: Result) -> tuple[float, float]:
        return x(r["params"] / 1e6), y(r["macs"] / 1e6)

    parts = _frame(x, y, "parameters, millions", "MACs, millions")
    for r in found:
        a, b = at(r)
        said = f"{label(r, names)}: {r['params']:,} parameters, {r['macs']:,} MACs"
        parts.append(
            f'<circle {DOT} cx="{a}" cy="{b}" r="3"><title>{escape(said)}</title></circle>'
        )
    steps = " ".join(f"{a},{b}" for a, b in map(at, front))
    parts.append(f'<polyline points="{steps}" fill="none" stroke="{BEST}" stroke-width="2"/>')
    every = max(-(-len(front) // MAX_LABELS), 1)
    for i, r in enumerate(front):
        a, b = at(r)
        parts.append(f'<circle cx="{a}" cy="{b}" r="3.5" fill="{BEST}"/>')
        if i % every == 0:
            anchor = "end" if a > WIDTH * 0.6 else "start"
            shift = -7 if anchor == "end" else 7
            down = 14 if b + 20 < HEIGHT - BOTTOM else 4
            parts.append(
                f'<text x="{a + shift}" y="{b + down}" text-anchor="{anchor}">'
                f"{escape(label(r, names))}</text>"
            )
    legend = _legend(
        [
            (f'<circle cx="{{middle}}" cy="{{y}}" r="3.5" fill="{BEST}"/>', "Pareto front"),
            (f'<circle {DOT} cx="{{middle}}" cy="{{y}}" r="3"/>', "every combination"),
        ]
    )
    return _Panel([*parts, *legend.parts], legend.lines)


def label(r: Result, names: Sequence[str]) -> str:
    """A result by some of its settings: `SR 0.5, freq 2`."""
    return ", ".join(f"{name} {_short(r['settings'][name])}" for name in names)


def _short(value: Any) -> str:
    text = argument(tuple(value) if isinstance(value, list) else value)
    return text if len(text) <= 24 else text[:22] + ".."


def _linear(values: Sequence[float], start: float, end: float, zero: bool = True) -> _Scale:
    """A scale that holds all values, with marks at round numbers; from 0 on, if asked for."""
    low, high = min(values), max(values)
    if zero:
        low = min(low, 0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / 5
    power = 10.0 ** floor(log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough * 0.999)
    first = floor(low / step + 1e-9)
    last = -floor(-high / step + 1e-9)
    ticks = tuple((i * step, f"{i * step:.10g}") for i in range(first, last + 1))
    return _Scale(first * step, last * step, start, end, ticks)


def _frame(x: _Scale, y: _Scale, across: str, up: str) -> list[str]:
    parts = []
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value, text in y.ticks:
        at = y(value)
        parts.append(f'<line {GRID} x1="{LEFT}" x2="{right}" y1="{at}" y2="{at}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{at + 4}" text-anchor="end">{escape(text)}</text>')
    every = -(-len(x.ticks) // 10)
    for value, text in x.ticks[::every]:
        at = x(value)
        parts.append(f'<line {AXIS} x1="{at}" x2="{at}" y1="{bottom}" y2="{bottom + 4}"/>')
        parts.append(f'<text x="{at}" y="{bottom + 17}" text-anchor="middle">{escape(text)}</text>')
    parts.append(f'<line {AXIS} x1="{LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>')
    middle = (LEFT + right) / 2
    parts.append(
        f'<text x="{middle}" y="{bottom + 36}" text-anchor="middle">{escape(across)}</text>'
    )
    parts.append(f'<text x="{LEFT}" y="{TOP - 12}" text-anchor="start">{escape(up)}</text>')
    return parts
