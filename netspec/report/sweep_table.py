"""The table of a sweep: a row for each combination of parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netspec.metrics.size import RULE, UNIT
from netspec.report import number_format
from netspec.report.columns import Column
from netspec.report.rows import argument
from netspec.report.table import Grid

MAX_ERRORS = 10
"""Most combinations that are no nets whose error is listed under the table."""


def _percent(share: float) -> str:
    return f"{share:.2%}"


def _loss(loss: float) -> str:
    return f"{loss:.4g}"


METRICS: Mapping[str, Column] = {
    c.key: c
    for c in (
        Column("params", "params", "", show=number_format.count),
        Column("macs", "MACs", "", show=number_format.millions),
        Column("size", "size", "", show=number_format.megabytes),
        Column("activations", "activations", "", show=number_format.megabytes),
    )
}
OF_TRAINING: Mapping[str, Column] = {
    c.key: c
    for c in (
        Column("accuracy", "accuracy", "", show=_percent, zero=True),
        Column("loss", "loss", "", show=_loss, zero=True),
        Column("iteration", "iteration", "", show=number_format.count),
    )
}
"""What is known of nets that were trained: of their best weights, on held-out data."""
Result = Mapping[str, Any]


def table(found: Sequence[Result], names: Sequence[str], front: Sequence[Result]) -> Grid:
    """Settings and metrics of each result; a star marks those on the Pareto front."""
    best = {id(r) for r in front}
    columns = [Column(name, name, "", show=_setting, zero=True) for name in names]
    failed = [r for r in found if "error" in r]
    known: dict[str, Column] = dict(METRICS)
    trained = any("training" in r for r in found)
    if trained:
        known |= OF_TRAINING
    columns += known.values()
    columns.append(Column("front", "", "", left=True))
    if trained:
        columns.append(Column("run", "run", "", left=True))
    if failed:
        columns.append(Column("error", "", "", left=True))
    rows = []
    for r in found:
        row = [_cell(r["settings"].get(name)) for name in names]
        row += [r.get(key) for key in known]
        row.append("*" if id(r) in best else None)
        if trained:
            row.append(r.get("run"))
        if failed:
            row.append(r["error"]["code"] if "error" in r else None)
        rows.append(tuple(row))
    other = "a higher accuracy" if trained else "fewer MACs"
    notes = [f"* no other has both fewer parameters and {other}"] if best else []
    notes += [UNIT, RULE] if len(failed) < len(found) else []
    if trained:
        notes.append("accuracy, loss and iteration are those of the best weights, held out")
    for r in failed[:MAX_ERRORS]:
        settings = ", ".join(f"{k}={_setting(_cell(v))}" for k, v in r["settings"].items())
        what = "has no accuracy" if "training" in r else "is no net"
        notes.append(f"{settings} {what}: {r['error']['message']}")
    if len(failed) > MAX_ERRORS:
        notes.append(f"{len(failed) - MAX_ERRORS:,} more have errors")
    net = found[0]["net"] if found else ""
    title = f"{net}   {len(found):,} combinations of {', '.join(names)}"
    return Grid(
        "", title, tuple(columns), tuple(rows), notes=tuple(notes), chosen=True, pinned=len(names)
    )


def _cell(value: Any) -> Any:
    """A setting as a cell: lists and words as the language writes them."""
    if isinstance(value, bool | str | list) or value is None:
        return argument(tuple(value) if isinstance(value, list) else value)
    return value


def _setting(value: Any) -> str:
    return number_format.number(value) if isinstance(value, float) else str(value)
