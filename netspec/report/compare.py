"""Nets side by side: each metric, and its ratio to that of the first net."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from netspec.metrics.size import FORMATS, sizes
from netspec.report import number_format
from netspec.report.columns import COLUMNS, Column, FormattedCell, NetView
from netspec.report.table import Grid, notes


class Metric(NamedTuple):
    """One metric of a whole net."""

    key: str
    name: str
    value: Callable[[NetView], Any]
    show: Callable[[Any], str]


def metrics(views: Sequence[NetView]) -> tuple[Metric, ...]:
    """The metrics that these nets are compared by: the totals of columns, and their sizes."""
    found = [Metric("layers", "layers", lambda v: len(v.net.layers), number_format.count)]
    found += [_total("params"), _total("macs")]
    convention = next((v.convention for v in views if v.convention), None)
    if convention is not None:
        found.append(_total("count", f"{convention.unit} ({convention.name})"))
    found += [
        Metric(name, f"size {name}", _size(name), number_format.megabytes) for name in FORMATS
    ]
    if any(v.compression for v in views):
        found += [_total("kept"), _total("compressed")]
    found += [_total("activations"), _total("results"), _total("intensity")]
    if any(v.training for v in views):
        found.append(_total("saved"))
        peak = Metric("training", "training", lambda v: v.memory.peak, number_format.megabytes)
        found.append(peak)
    return tuple(found)


def _total(key: str, name: str = "") -> Metric:
    column = COLUMNS[key]
    assert column.total is not None, "a column without total"
    return Metric(key, name or column.heading, column.total, column.show)


def _size(name: str) -> Callable[[NetView], int]:
    return lambda view: sizes(view.net)[name]


def comparison(views: Sequence[NetView]) -> Grid:
    """A row for each metric, and for each net a column, with its ratio to the first net."""
    first, *others = views
    columns = [Column("figure", "", "", left=True)]
    for i, view in enumerate(views):
        columns.append(Column(view.net.name, view.net.name, ""))
        if i:
            columns.append(Column(f"{view.net.name} ratio", "ratio", "", show=ratio, joined=True))
    cells: list[tuple[Any, ...]] = [("input", *_spread(map(_inputs, views)))]
    cells.append(("output", *_spread(map(_outputs, views))))
    for metric in metrics(views):
        base = metric.value(first)
        row: list[Any] = [metric.name, FormattedCell(base, metric.show)]
        for view in others:
            value = metric.value(view)
            row += [FormattedCell(value, metric.show), value / base if base else None]
        cells.append(tuple(row))
    plans = dict.fromkeys(v.memory.plan.words for v in views if v.training is not None)
    trained = (f"training: {'; '.join(plans)}, float32",) if plans else ()
    explained = (f"ratio: how many times the figure of {first.net.name}",) if others else ()
    return Grid(
        "",
        " / ".join(view.net.name for view in views),
        tuple(columns),
        tuple(cells),
        notes=(*notes(first), *trained, *explained),
        chosen=True,
        pinned=1,
    )


def ratio(value: float) -> str:
    """A factor in three digits: `48.8x`."""
    return f"{value:,.0f}x" if value >= 100 else f"{value:.3g}x"


def _inputs(view: NetView) -> str:
    return ", ".join(number_format.shape(v.shape) for v in view.net.body.inputs)


def _outputs(view: NetView) -> str:
    return ", ".join(number_format.shape(v.shape) for v in view.net.body.outputs)


def _spread(texts: Any) -> list[Any]:
    first, *others = texts
    return [first, *(cell for text in others for cell in (text, None))]


def data(views: Sequence[NetView]) -> list[dict[str, Any]]:
    """The same as data: each net's metrics, and its ratios to the first."""
    found = []
    for view in views:
        values = {f.key: (f.value(view), f.value(views[0])) for f in metrics(views)}
        found.append(
            {
                "net": view.net.name,
                **({"variant": view.net.variant} if view.net.variant else {}),
                "figures": {key: value for key, (value, _) in values.items()},
                "ratios": {
                    key: float(f"{value / base:.6g}") if base else None
                    for key, (value, base) in values.items()
                },
            }
        )
    return found
