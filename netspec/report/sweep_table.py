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
METRICS: Mapping[str, Column] = {
    c.key: c
    for c in (
        Column("params", "params", "", show=number_format.count),
        Column("macs", "MACs", "", show=number_format.millions),
        Column("size", "size", "", show=number_format.megabytes),
        Column("activations", "activations", "", show=number_format.megabytes),
    )
}
Result = Mapping[str, Any]


def table(found: Sequence[Result], names: Sequence[str], front: Sequence[Result]) -> Grid:
    """Settings and metrics of each result; a star marks those on the Pareto front."""
    best = {id(r) for r in front}
    columns = [Column(name, name, "", show=_setting, zero=True) for name in names]
    failed = [r for r in found if "error" in r]
    columns += METRICS.values()
    columns.append(Column("front", "", "", left=True))
    if failed:
        columns.append(Column("error", "", "", left=True))
    rows = []
    for r in found:
        row = [_cell(r["settings"].get(name)) for name in names]
        row += [r.get(key) for key in METRICS]
        row.append("*" if id(r) in best else None)
        if failed:
            row.append(r["error"]["code"] if "error" in r else None)
        rows.append(tuple(row))
    notes = ["* no other has both fewer parameters and fewer MACs"] if best else []
    notes += [UNIT, RULE] if len(failed) < len(found) else []
    for r in failed[:MAX_ERRORS]:
        settings = ", ".join(f"{k}={_setting(_cell(v))}" for k, v in r["settings"].items())
        notes.append(f"{settings} is no net: {r['error']['message']}")
    if len(failed) > MAX_ERRORS:
        notes.append(f"{len(failed) - MAX_ERRORS:,} more are no nets")
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
