"""A table before it has a format: columns, cells, totals and notes under it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from netspec.codegen.backend import planned_memory
from netspec.ir import Net
from netspec.metrics.size import (
    RULE,
    UNIT,
    activation_bytes,
    sizes,
)
from netspec.report import number_format
from netspec.report.columns import COLUMNS, Column, NetView, usual
from netspec.report.rows import TreeRow, rows, tree


class Grid(NamedTuple):
    """A table: cells are plain values, `columns` say how they are written.

    `name` is the net's, empty where the columns are of several. `summary` are named metrics and
    `notes` sentences, both for under the table. `chosen` says that the columns were asked for,
    so that none may be left out; the first `pinned` of them identify a row. `branches` are the
    rows as a tree, empty where they are none.
    """

    name: str
    title: str
    columns: tuple[Column, ...]
    cells: tuple[tuple[Any, ...], ...]
    total: tuple[Any, ...] = ()
    summary: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    chosen: bool = False
    pinned: int = 0
    branches: tuple[TreeRow, ...] = ()

    @property
    def headings(self) -> tuple[str, ...]:
        """The heading of each column."""
        return tuple(c.heading for c in self.columns)

    @property
    def table(self) -> tuple[tuple[Any, ...], ...]:
        """All rows, the total last if there is one."""
        return (*self.cells, self.total) if self.total else self.cells

    def texts(self) -> list[tuple[str, ...]]:
        """The cells as they are written, the total last."""
        return [self._texts(row) for row in self.table]

    def _texts(self, row: tuple[Any, ...]) -> tuple[str, ...]:
        return tuple(c.text(v) for c, v in zip(self.columns, row, strict=True))


def grid(
    view: NetView,
    depth: int | None = None,
    columns: Sequence[str] | None = None,
    sort: str | None = None,
    ascending: bool = False,
    folding: bool = False,
) -> Grid:
    """The table of a net.

    `depth` as for `rows`; `columns` and `sort` are keys of COLUMNS. Sorting puts the largest
    first, and names in their order; `ascending` reverses that. With `folding`, the rows are a
    tree, unless they are sorted or have no names.
    """
    chosen = tuple(COLUMNS[key] for key in columns or usual(view))
    named = any(c.key == "layer" for c in chosen)
    branches = tuple(tree(view.net, depth)) if folding and named and sort is None else ()
    found = [b.row for b in branches] or rows(view.net, depth)
    if sort is not None:
        found = _sorted(view, found, COLUMNS[sort], ascending)
    return Grid(
        view.net.name,
        title(view.net),
        tuple(_heading(c, view) for c in chosen),
        tuple(tuple(c.of(view, row) for c in chosen) for row in found),
        tuple(c.total(view) if c.total else None for c in chosen),
        summary(view),
        notes(view),
        columns is not None,
        int(columns is not None and chosen[0].key == "layer"),
        branches,
    )


def _sorted(view: NetView, found: list[Any], by: Column, ascending: bool) -> list[Any]:
    """Rows without the metric come last, either way."""
    keyed = [(by.of(view, row), row) for row in found]
    some = [pair for pair in keyed if pair[0] is not None]
    none = [row for value, row in keyed if value is None]
    words = any(isinstance(value, str) for value, _ in some)
    some.sort(key=lambda pair: pair[0], reverse=words == ascending)
    return [row for _, row in some] + none


def _heading(column: Column, view: NetView) -> Column:
    """The column; that of another tool's count with the tool in its heading."""
    if column.key == "count" and view.convention is not None:
        return column._replace(heading=f"{view.convention.unit} ({view.convention.name})")
    return column


def title(net: Net) -> str:
    """The name of a net and its shapes: `alexnet   3x224x224 -> 1000`."""
    return f"{net.name}   {shapes(net)}"


def shapes(net: Net) -> str:
    """The shapes of a net's inputs and outputs: `3x224x224 -> 1000`."""
    inputs = ", ".join(number_format.shape(v.shape) for v in net.body.inputs)
    outputs = ", ".join(number_format.shape(v.shape) for v in net.body.outputs)
    return f"{inputs} -> {outputs}"


def summary(view: NetView) -> tuple[tuple[str, str], ...]:
    """Metrics of the whole net that are no sums of rows."""
    net = view.net
    listed = "   ".join(f"{number_format.megabytes(n)} {name}" for name, n in sizes(net).items())
    found = [("size", listed)]
    if view.compression is not None:
        small = view.compressed_size()
        kept = sum(p.kept for p in view.parts())
        ratio = f"   {sizes(net)['float32'] / small:.1f}x smaller" if small else ""
        found.append(
            ("compressed", f"{number_format.megabytes(small)}{ratio}   {kept:,} parameters kept")
        )
    if view.stored is not None:
        small = view.stored_size()
        found.append(("file", f"{small:,} bytes   {sizes(net)['float32'] / small:.1f}x smaller"))
    peak = f"{number_format.megabytes(activation_bytes(net))} alive at most, float32, batch 1"
    found.append(("activations", peak))
    if view.training is not None:
        memory, megabytes = view.memory, number_format.megabytes
        most = f"{megabytes(memory.peak)} at most, in {memory.at}"
        found.append(("training", f"{most}: {memory.plan.words}, float32"))
        amounts = (
            f"{megabytes(memory.parameters)} parameters",
            f"{megabytes(memory.gradients)} gradients",
            f"{megabytes(memory.optimizer_state)} optimizer state",
            f"{megabytes(memory.activations)} activations kept for the backward pass",
        )
        found.append(("parts", ", ".join(amounts)))
    planned = planned_memory(net, "numpy")
    if planned is not None:
        parts = (planned.arena, planned.scratch, planned.weights)
        values, work, weights = map(number_format.megabytes, parts)
        listed = f"{values} values, {work} at work, {weights} weights"
        found.append(("NumPy model", f"{number_format.megabytes(planned.total)} planned: {listed}"))
    found.append(("intensity", f"{view.intensity(net.layers):.1f} MACs for each byte moved"))
    return tuple(found)


def notes(view: NetView) -> tuple[str, ...]:
    """How metrics are counted, in sentences."""
    lines = [UNIT]
    if view.convention is None:
        lines.append(RULE)
    else:
        lines.append(f"{view.convention.unit} of {view.convention.name}: {view.convention.says}")
    if view.compression is not None:
        lines.append(
            f"compressed: kept weights at their bits, {view.compression.index_bits} bits more for "
            "the place of each in a pruned layer, "
            "a codebook for each layer of 8 bits or less; the rest as float32"
        )
    return tuple(lines)
