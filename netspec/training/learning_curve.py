"""The learning curve of a training run, from the rows of its metrics file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

from netspec.report.chart import COLORS, XY, Panel, Series, chart, linear

MOST_POINTS = 600
"""Most points of a line."""


def learning_curve(
    title: str,
    rows: Sequence[Mapping[str, Any]],
    total: int,
    figure: str = "accuracy",
    label: str = "accuracy",
) -> str:
    """Loss and accuracy over the iterations, of training and held-out samples, as an SVG file.

    `rows` are those of the metrics file, `total` the iterations of the whole run. Another `figure`
    of the rows than the accuracy may be shown, called `label`.
    """
    panels = [
        _panel(rows, total, "loss", "loss", 1),
        _panel(rows, total, figure, f"{label}, %", 100),
    ]
    return chart(title, panels, columns=1, width=720, height=300)


def _panel(
    rows: Sequence[Mapping[str, Any]], total: int, metric: str, label: str, factor: int
) -> Panel:
    series = []
    for kind, color in (("train", COLORS[0]), ("held-out", COLORS[1])):
        points = [
            (float(row["iteration"]), factor * float(row[metric]))
            for row in rows
            if row.get("kind") == kind and isfinite(row.get(metric, float("nan")))
        ]
        series.append(Series(kind if points else "", _thinned(points), color, width=1.8))
    values = [y for line in series for _, y in line.points]
    iterations = linear([0, max(total, 1)], tight=True)
    return Panel(series, iterations, linear(values), "iterations", label)


def _thinned(points: Sequence[XY]) -> list[XY]:
    """At most MOST_POINTS points: the means of as many neighbours, at the place of the last one."""
    size = max(-(-len(points) // MOST_POINTS), 1)
    parts = [points[i : i + size] for i in range(0, len(points), size)]
    return [(part[-1][0], sum(y for _, y in part) / len(part)) for part in parts]
