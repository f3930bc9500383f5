"""The learning curve as an SVG picture, from the rows of the metrics file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import floor, isfinite, log10
from typing import Any
from xml.sax.saxutils import escape

WIDTH, HEIGHT = 720, 300
LEFT, RIGHT, TOP, BOTTOM = 64, 24, 44, 44
MOST_POINTS = 600
Points = list[tuple[float, float]]


def curve(title: str, rows: Sequence[Mapping[str, Any]], total: int) -> str:
    """Two panels over the iterations: the loss and the accuracy, of training and held-out samples.

    `rows` are those of the metrics file, `total` the iterations of the whole run.
    """
    panels = []
    for i, (name, label) in enumerate((("loss", "loss"), ("accuracy", "accuracy, %"))):
        factor = 100 if name == "accuracy" else 1
        lines = {
            kind: [
                (float(row["iteration"]), factor * float(row[name]))
                for row in rows
                if row.get("kind") == kind and isfinite(row.get(name, float("nan")))
            ]
            for kind in ("train", "held-out")
        }
        panels.append(_panel(label, lines, total, i * HEIGHT + 24))
    height = 2 * HEIGHT + 24
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" '
            f'width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="12">',
            f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            f'<text x="{LEFT}" y="26" font-size="16" fill="#222222">{escape(title)}</text>',
            *panels,
            "</svg>",
            "",
        ]
    )


COLORS = {"train": "#3b6fb6", "held-out": "#d1602d"}


def _panel(label: str, lines: Mapping[str, Points], total: int, top: int) -> str:
    values = [y for points in lines.values() for _, y in points]
    ticks = _ticks(min(values, default=0.0), max(values, default=1.0))
    low, high = ticks[0], ticks[-1]
    inner = HEIGHT - TOP - BOTTOM

    def x(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * value / max(total, 1)

    def y(value: float) -> float:
        return top + TOP + inner * (high - value) / (high - low)

    parts = [f'<text x="{LEFT}" y="{top + TOP - 14}" fill="#222222">{escape(label)}</text>']
    for tick in ticks:
        parts.append(
            f'<line x1="{LEFT}" y1="{y(tick):.1f}" x2="{WIDTH - RIGHT}" y2="{y(tick):.1f}" '
            'stroke="#dddddd"/>'
            f'<text x="{LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end" fill="#555555">'
            f"{tick:g}</text>"
        )
    for tick in _ticks(0, total):
        if tick <= total:
            parts.append(
                f'<text x="{x(tick):.1f}" y="{top + TOP + inner + 18}" text-anchor="middle" '
                f'fill="#555555">{tick:,.0f}</text>'
            )
    parts.append(
        f'<text x="{WIDTH - RIGHT}" y="{top + HEIGHT - 8}" text-anchor="end" fill="#555555">'
        "iterations</text>"
    )
    for i, (kind, points) in enumerate(lines.items()):
        color = COLORS[kind]
        path = " ".join(f"{x(a):.1f},{y(b):.1f}" for a, b in _thinned(points))
        if len(points) == 1:
            a, b = points[0]
            parts.append(f'<circle cx="{x(a):.1f}" cy="{y(b):.1f}" r="3" fill="{color}"/>')
        elif points:
            parts.append(
                f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="1.8" '
                'stroke-linejoin="round"/>'
            )
        if points:
            place = WIDTH - RIGHT - 150 + 80 * i
            parts.append(
                f'<line x1="{place}" y1="{top + TOP - 18}" x2="{place + 16}" '
                f'y2="{top + TOP - 18}" stroke="{color}" stroke-width="2.5"/>'
                f'<text x="{place + 21}" y="{top + TOP - 14}" fill="#222222">{kind}</text>'
            )
    return "\n".join(parts)


def _thinned(points: Points) -> Iterable[tuple[float, float]]:
    """At most so many points, the last one among them, each the mean of its neighbours."""
    size = -(-len(points) // MOST_POINTS)
    for i in range(0, len(points), max(size, 1)):
        part = points[i : i + size]
        yield part[-1][0], sum(b for _, b in part) / len(part)


def _ticks(low: float, high: float) -> list[float]:
    """About five round numbers around a range."""
    if high <= low:
        high = low + 1
    raw = (high - low) / 4
    magnitude = 10.0 ** floor(log10(raw))
    step = next(m * magnitude for m in (1, 2, 2.5, 5, 10) if m * magnitude >= raw * 0.999)
    first = floor(low / step)
    ticks = [first * step]
    while ticks[-1] < high:
        ticks.append((first + len(ticks)) * step)
    return [round(t, 10) for t in ticks]
