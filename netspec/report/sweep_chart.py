"""The chart of a sweep: size against each parameter, and parameters against MACs.

Of nets that were trained, accuracy against size as in figure 3 of the SqueezeNet paper
(arXiv:1602.07360).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netspec.report.chart import COLORS, XY, Panel, Series, categories, chart, linear
from netspec.report.rows import argument

MAX_PANELS = 3
"""Most parameters that have a panel of their own."""
MAX_SERIES = 8
"""Most lines that have names; more are drawn faintly."""
MAX_LABELS = 6
"""Most points of the Pareto front that have names."""
MAX_VALUE = 24
"""Most characters of a value in a name."""

Result = Mapping[str, Any]


def sweep_chart(
    title: str,
    results: Sequence[Result],
    axes: Sequence[tuple[str, Sequence[Any]]],
    front: Sequence[Result],
) -> str:
    """The chart of a sweep's results as the text of an SVG file.

    `axes` are the parameters that vary, with their values; `front` are the results on the Pareto
    front.
    """
    valid = [r for r in results if "error" not in r]
    trained = [r for r in valid if "accuracy" in r]
    panels = []
    if trained:
        panels = [
            _accuracy_panel(trained, name, values, axes) for name, values in axes[:MAX_PANELS]
        ]
        panels.append(_all_accuracies(trained, front, [name for name, _ in axes]))
    elif valid:
        panels = [_size_panel(valid, name, values, axes) for name, values in axes[:MAX_PANELS]]
        panels.append(_front_panel(valid, front, [name for name, _ in axes]))
    return chart(title, panels, columns=len(panels))


def _size_panel(
    results: Sequence[Result], name: str, values: Sequence[Any], axes: Sequence[tuple[str, Any]]
) -> Panel:
    """Size against one parameter: a line for each combination of the others."""
    others = [other for other, _ in axes if other != name]
    numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    place = {repr(v): float(v) if numeric else float(i) for i, v in enumerate(values)}
    lines: dict[str, list[XY]] = {}
    for r in results:
        point = place[repr(r["settings"][name])], r["size"] / 1e6
        lines.setdefault(label(r, others), []).append(point)
    few = len(lines) <= MAX_SERIES
    series = [
        Series(
            words if few and len(lines) > 1 else "",
            sorted(points),
            COLORS[i % len(COLORS)],
            dots=2.5 if few else 0.0,
            opacity=1.0 if few else 0.35,
        )
        for i, (words, points) in enumerate(lines.items())
    ]
    return Panel(
        series,
        linear(list(place.values())) if numeric else categories([_short(v) for v in values]),
        linear([y for points in lines.values() for _, y in points], zero=True),
        name,
        "size, MB of 10^6 bytes",
        "" if few else f"{len(lines)} lines: {', '.join(others)}",
    )


def _accuracy_panel(
    results: Sequence[Result], name: str, values: Sequence[Any], axes: Sequence[tuple[str, Any]]
) -> Panel:
    """Accuracy against size while one parameter varies: a line for each value of the others."""
    others = [other for other, _ in axes if other != name]
    order = {repr(v): i for i, v in enumerate(values)}
    lines: dict[str, list[Result]] = {}
    for r in sorted(results, key=lambda r: order[repr(r["settings"][name])]):
        lines.setdefault(label(r, others), []).append(r)
    few = len(lines) <= MAX_SERIES
    series = [
        Series(
            words if few and len(lines) > 1 else "",
            [_place(r) for r in found],
            COLORS[i % len(COLORS)],
            dots=3.0 if few else 0.0,
            opacity=1.0 if few else 0.35,
            tooltips=[_tooltip(r, [name, *others]) for r in found],
            labels=[_short(r["settings"][name]) for r in found] if len(lines) == 1 else (),
        )
        for i, (words, found) in enumerate(lines.items())
    ]
    note = "" if few else f"{len(lines)} lines: {', '.join(others)}"
    return _accuracies(series, results, f"size, MB of 10^6 bytes, by {name}", note)


def _all_accuracies(
    results: Sequence[Result], front: Sequence[Result], names: Sequence[str]
) -> Panel:
    """Each result by its size and accuracy, those on the Pareto front joined."""
    every = max(-(-len(front) // MAX_LABELS), 1)
    all_ = Series(
        "every combination",
        [_place(r) for r in results],
        COLORS[0],
        joined=False,
        dots=3.0,
        opacity=0.35,
        tooltips=[_tooltip(r, names) for r in results],
    )
    best = Series(
        "Pareto front",
        [_place(r) for r in front],
        COLORS[1],
        dots=3.5,
        width=2.0,
        labels=[label(r, names) if i % every == 0 else "" for i, r in enumerate(front)],
    )
    return _accuracies([all_, best], results, "size, MB of 10^6 bytes")


def _accuracies(
    series: Sequence[Series], results: Sequence[Result], x_label: str, note: str = ""
) -> Panel:
    points = [_place(r) for r in results]
    x = linear([x for x, _ in points], zero=True)
    return Panel(series, x, linear([y for _, y in points]), x_label, "accuracy, %", note)


def _place(r: Result) -> XY:
    return r["size"] / 1e6, 100 * r["accuracy"]


def _tooltip(r: Result, names: Sequence[str]) -> str:
    return f"{label(r, names)}: {r['accuracy']:.1%}, {r['size'] / 1e6:.3g} MB"


def _front_panel(results: Sequence[Result], front: Sequence[Result], names: Sequence[str]) -> Panel:
    """Each result by its parameters and MACs, those on the Pareto front joined."""
    points = [(r["params"] / 1e6, r["macs"] / 1e6) for r in results]
    every = max(-(-len(front) // MAX_LABELS), 1)
    best = Series(
        "Pareto front",
        [(r["params"] / 1e6, r["macs"] / 1e6) for r in front],
        COLORS[1],
        dots=3.5,
        width=2.0,
        labels=[label(r, names) if i % every == 0 else "" for i, r in enumerate(front)],
    )
    all_ = Series(
        "every combination",
        points,
        COLORS[0],
        joined=False,
        dots=3.0,
        opacity=0.35,
        tooltips=[
            f"{label(r, names)}: {r['params']:,} parameters, {r['macs']:,} MACs" for r in results
        ],
    )
    return Panel(
        [all_, best],
        linear([x for x, _ in points], zero=True),
        linear([y for _, y in points], zero=True),
        "parameters, millions",
        "MACs, millions",
    )


def label(r: Result, names: Sequence[str]) -> str:
    """A result by some of its settings: `SR 0.5, freq 2`."""
    return ", ".join(f"{name} {_short(r['settings'][name])}" for name in names)


def _short(value: Any) -> str:
    text = argument(tuple(value) if isinstance(value, list) else value)
    return text if len(text) <= MAX_VALUE else text[: MAX_VALUE - 2] + ".."
