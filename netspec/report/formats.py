"""A grid as text, markdown, CSV, LaTeX and HTML."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netspec.report import units
from netspec.report.columns import Shown
from netspec.report.grid import Grid

LEAST = {"layer": 14, "op": 10}
"""Columns that may be cut for width, and the width that they keep."""
DISPENSABLE = ("activations", "params_share", "macs_share", "count_share", "kernel", "output")
"""Columns that are left out where the text does not fit, the first one first."""


def text(grid: Grid, width: int | None = None) -> str:
    """In columns, for a terminal of so many characters a line.

    Long names are cut in their middle, and if that is not enough, columns are left out; what was
    done is said at the end.
    """
    fitted, omitted = _fit(grid, width)
    table = [tuple(c.heading for c, _ in fitted)]
    table += zip(*(cells for _, cells in fitted), strict=True)
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = [grid.title, ""]
    for row in table:
        parts = [
            f"{cell:<{w}}" if c.left else f"{cell:>{w}}"
            for cell, w, (c, _) in zip(row, widths, fitted, strict=True)
        ]
        lines.append("  ".join(parts).rstrip())
    if grid.summary:
        longest = max(len(name) for name, _ in grid.summary)
        lines += ["", *(f"{name:<{longest}}  {value}" for name, value in grid.summary)]
    notes = list(grid.notes)
    if omitted:
        notes.append(f"left out to fit {width} characters: {', '.join(omitted)}")
    if width:
        import textwrap

        notes = [line for note in notes for line in textwrap.wrap(note, max(width, 20))]
    return "\n".join([*lines, "", *notes] if notes else lines) + "\n"


def _fit(grid: Grid, width: int | None) -> tuple[list[tuple[Any, list[str]]], list[str]]:
    """The columns with their cells, made to fit, and the keys of those that don't."""
    texts = zip(*grid.texts(), strict=True)
    columns = [(c, list(cells)) for c, cells in zip(grid.columns, texts, strict=True)]
    omitted: list[str] = []

    def size(cells: list[str], heading: str) -> int:
        return max(map(len, (heading, *cells)))

    def excess() -> int:
        used = sum(size(cells, c.heading) for c, cells in columns) + 2 * (len(columns) - 1)
        return used - (width or used)

    for key in ("", *DISPENSABLE):
        if not grid.chosen and key:
            omitted += [c.key for c, _ in columns if c.key == key]
            columns = [pair for pair in columns if pair[0].key != key]
        slack = sum(
            max(size(cells, c.heading) - LEAST[c.key], 0) for c, cells in columns if c.key in LEAST
        )
        if excess() <= slack:
            break
    for i, (column, written) in enumerate(columns):
        if column.key in LEAST and excess() > 0:
            most = max(size(written, column.heading) - excess(), LEAST[column.key])
            columns[i] = (column, [units.cut(cell, most) for cell in written])
    return columns, omitted


def markdown(grid: Grid) -> str:
    """A GitHub table, with exact figures."""
    lines = [f"**{_markdown(grid.title)}**", ""]
    lines.append(_bars(map(_markdown, grid.headings)))
    lines.append(_bars("---" if c.left else "---:" for c in grid.columns))
    lines += [_bars(map(_markdown, _exact(grid, row))) for row in grid.cells]
    if grid.total:
        total = _exact(grid, grid.total)
        lines.append(_bars(f"**{_markdown(cell)}**" if cell else "" for cell in total))
    lines.append("")
    lines += [f"{name}: {value}  " for name, value in grid.summary]
    return "\n".join([*lines, "", *(f"{note}  " for note in grid.notes)]).rstrip() + "\n"


def _bars(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown(text: str) -> str:
    return "".join("\\" + char if char in "|*_`<[\\" else char for char in text)


def _exact(grid: Grid, row: tuple[Any, ...]) -> list[str]:
    """The cells of a row, millions to the unit."""
    return [
        units.count(v) if c.show is units.millions else c.text(exactly(v))
        for c, v in zip(grid.columns, row, strict=True)
    ]


def exactly(value: Any) -> Any:
    if isinstance(value, Shown) and value.show is units.millions:
        return Shown(value.value, units.count)
    return value


def csv(grid: Grid) -> str:
    """Comma-separated, with plain numbers (shares of 1, bytes); the last row is the total."""
    return csvs([grid])


def csvs(grids: Sequence[Grid]) -> str:
    """Several grids of the same columns in one table, told apart by their first column."""
    from csv import writer

    out = io.StringIO()
    table = writer(out, lineterminator="\n")
    for i, grid in enumerate(grids):
        if i == 0:
            table.writerow((*(["net"] if grid.name else ()), *(c.key for c in grid.columns)))
        for row in grid.table:
            table.writerow((*([grid.name] if grid.name else ()), *map(plain, row)))
    return out.getvalue()


def plain(value: Any) -> Any:
    """A value for machines: shapes as the language writes them, fractions as decimals."""
    if value is None:
        return ""
    if isinstance(value, Shown):
        return plain(value.value)
    if isinstance(value, tuple):
        return units.shape(value)
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return value if isinstance(value, int | str) else float(value)


def bare(value: Any) -> Any:
    """A value for Python: plain numbers, shapes as tuples of them, None where there is nothing."""
    if isinstance(value, tuple):
        return tuple(bare(v) for v in value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    return value if isinstance(value, str) else float(value)


def latex(grid: Grid) -> str:
    """A tabular for the package booktabs, with the rules under it."""
    lines = [
        "% \\usepackage{booktabs}",
        f"% {grid.title}",
        "\\begin{tabular}{" + "".join("l" if c.left else "r" for c in grid.columns) + "}",
        "\\toprule",
        _latex_row(grid.headings),
        "\\midrule",
    ]
    rows = [_latex_row(row) for row in grid.texts()]
    if grid.total and len(rows) > 1:
        rows[-1:] = ["\\midrule", rows[-1]]
    lines += [*rows, "\\bottomrule"]
    for line in (*(f"{name}: {value}" for name, value in grid.summary), *grid.notes):
        body = f"\\footnotesize {_latex(line)}"
        lines.append(f"\\multicolumn{{{len(grid.columns)}}}{{l}}{{{body}}} \\\\")
    return "\n".join([*lines, "\\end{tabular}"]) + "\n"


def _latex_row(cells: Sequence[str]) -> str:
    return " & ".join(map(_latex, cells)) + " \\\\"


_LATEX = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    **{char: f"\\{char}" for char in "&%$#_{}"},
}


def _latex(text: str) -> str:
    return "".join(_LATEX.get(char, char) for char in text)


_STYLE = """
table.netspec { border-collapse: collapse; font: 13px/1.5 system-ui, sans-serif }
table.netspec caption { text-align: left; font-weight: 600; padding: .4em .6em }
table.netspec td, table.netspec th { padding: .1em .6em; text-align: right; white-space: nowrap }
table.netspec .l { text-align: left }
table.netspec thead th { border-bottom: 1px solid currentColor }
table.netspec tbody tr:hover { background: rgba(127, 127, 127, .15) }
table.netspec tfoot td { border-top: 1px solid currentColor; font-weight: 600 }
table.netspec tfoot td.n { border: 0; font-weight: 400; text-align: left; white-space: normal }
"""


def html_table(grid: Grid) -> str:
    """A `<table>` with its style, to be put into a page. Exact figures."""
    from html import escape

    def row(cells: Sequence[str], tag: str) -> str:
        marked = (f'<{tag} class="l">' if c.left else f"<{tag}>" for c in grid.columns)
        inner = "".join(
            f"{start}{escape(cell)}</{tag}>" for start, cell in zip(marked, cells, strict=True)
        )
        return f"<tr>{inner}</tr>"

    lines = [f"{name}: {value}" for name, value in grid.summary]
    under = "<br/>".join(escape(line) for line in (*lines, *grid.notes))
    return (
        "\n".join(
            [
                f'<style>{_STYLE}</style>\n<table class="netspec">',
                f"<caption>{escape(grid.title)}</caption>",
                f"<thead>{row(grid.headings, 'th')}</thead>",
                "<tbody>",
                *(row(_exact(grid, cells), "td") for cells in grid.cells),
                "</tbody>",
                "<tfoot>" + (row(_exact(grid, grid.total), "td") if grid.total else ""),
                f'<tr><td class="n" colspan="{len(grid.columns)}">{under}</td></tr></tfoot>',
                "</table>",
            ]
        )
        + "\n"
    )


def html_page(title: str, bodies: Sequence[str]) -> str:
    """A page that needs nothing else."""
    from html import escape

    head = f'<meta charset="utf-8">\n<title>{escape(title)}</title>'
    return f"<!doctype html>\n{head}\n" + "\n".join(bodies)


WRITERS: Mapping[str, Callable[[Grid], str]] = {
    "markdown": markdown,
    "csv": csv,
    "latex": latex,
    "html": html_table,
}
"""The formats that have no width."""
