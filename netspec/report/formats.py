"""A grid as text, markdown, CSV and LaTeX; html.py has HTML."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from netspec.report import number_format
from netspec.report.columns import Column, FormattedCell
from netspec.report.table import Grid

LEAST = {"op": 10, "layer": 14}
"""Columns that may be cut for width, the first one first, and the width that they keep."""
MOST_KEPT = 16
"""Longest name of an op or module that is kept whole where its arguments are cut."""
SHORTER = {"kernel": "kernel"}
"""Headings where columns are narrow."""
DISPENSABLE = (
    "activations",
    "saved",
    "params_share",
    "macs_share",
    "count_share",
    "kernel",
    "output",
)
"""Columns that are left out where the text does not fit, the first one first."""

Written = tuple[Column, list[str]]
"""A column and its cells as they are written."""


def text(grid: Grid, width: int | None = None) -> str:
    """The table in columns, for a terminal of `width` characters a line.

    Long names are cut, and if that is not enough, columns are left out; a note at the end lists
    them. Columns that must not go are put below each other, the pinned ones with each block.
    """
    fitted, omitted = _fit(grid, width)
    lines = [grid.title]
    for block in _blocks(fitted, grid.pinned, width):
        table = [tuple(c.heading for c, _ in block)]
        table += zip(*(cells for _, cells in block), strict=True)
        widths = [_size(pair) for pair in block]
        lines.append("")
        for row in table:
            parts = [
                f"{cell:<{w}}" if c.left else f"{cell:>{w}}"
                for cell, w, (c, _) in zip(row, widths, block, strict=True)
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


def _size(written: Written) -> int:
    column, cells = written
    return max(map(len, (column.heading, *cells)))


def _wide(columns: Sequence[Written]) -> int:
    return sum(map(_size, columns)) + 2 * (len(columns) - 1)


def _fit(grid: Grid, width: int | None) -> tuple[list[Written], list[str]]:
    """The columns with their cells, made to fit, and the keys of those that don't."""
    texts = zip(*grid.texts(), strict=True)
    columns = [(c, list(cells)) for c, cells in zip(grid.columns, texts, strict=True)]
    omitted: list[str] = []
    if not width or _wide(columns) <= width:
        return columns, omitted
    columns = [(c._replace(heading=SHORTER.get(c.key, c.heading)), cells) for c, cells in columns]
    least = {c.key: _least(c.key, cells) for c, cells in columns if c.key in LEAST}

    def excess(cut: bool = False) -> int:
        slack = sum(
            max(_size(pair) - least[pair[0].key], 0) for pair in columns if pair[0].key in least
        )
        return _wide(columns) - (slack if cut else 0) - width

    for key in () if grid.chosen else DISPENSABLE:
        if excess(cut=True) <= 0:
            break
        omitted += [c.key for c, _ in columns if c.key == key]
        columns = [pair for pair in columns if pair[0].key != key]
    for key in LEAST:
        for i, (column, written) in enumerate(columns):
            if column.key == key and excess() > 0:
                most = max(_size((column, written)) - excess(), least[key])
                columns[i] = (column, [_shortened(key, cell, most) for cell in written])
    return columns, omitted


def _least(key: str, cells: Sequence[str]) -> int:
    """How narrow a column may be: arguments of modules may go, but no two layers look alike."""
    least = LEAST[key]
    if key == "op":
        names = (len(cell.partition(" ")[0]) for cell in cells)
        return max(least, min(max(names, default=0), MOST_KEPT))
    different = set(cells)
    while len({number_format.shortened(cell, least) for cell in different}) < len(different):
        least += 1
    return least


def _shortened(key: str, cell: str, width: int) -> str:
    if key != "op" or len(cell) <= width:
        return number_format.shortened(cell, width)
    head = cell[: max(width - 2, 0)]
    # Whole arguments or none: 12 is not a short 128.
    whole = max(head.rfind(","), head.rfind(" "))
    return head[: whole if whole > 0 and cell[len(head)] not in ", " else None] + ".."


def _blocks(columns: list[Written], pinned: int, width: int | None) -> list[list[Written]]:
    """The columns as far as they fit beside each other, the pinned ones at each beginning."""
    if not width or not pinned or _wide(columns) <= width:
        return [columns]
    groups: list[list[Written]] = []
    for pair in columns[pinned:]:
        if pair[0].joined and groups:
            groups[-1].append(pair)
        else:
            groups.append([pair])
    blocks = [columns[:pinned]]
    for group in groups:
        if len(blocks[-1]) > pinned and _wide([*blocks[-1], *group]) > width:
            blocks.append(columns[:pinned])
        blocks[-1] = [*blocks[-1], *group]
    return blocks


def markdown(grid: Grid) -> str:
    """The table as GitHub writes it in Markdown, with exact numbers."""
    lines = [f"**{_markdown(grid.title)}**", ""]
    lines.append(_bars(map(_markdown, grid.headings)))
    lines.append(_bars("---" if c.left else "---:" for c in grid.columns))
    lines += [_bars(map(_markdown, exact(grid, row))) for row in grid.cells]
    if grid.total:
        total = exact(grid, grid.total)
        lines.append(_bars(f"**{_markdown(cell)}**" if cell else "" for cell in total))
    lines.append("")
    lines += [f"{name}: {value}  " for name, value in grid.summary]
    return "\n".join([*lines, "", *(f"{note}  " for note in grid.notes)]).rstrip() + "\n"


def _bars(cells: Any) -> str:
    return "| " + " | ".join(cells) + " |"


def _markdown(text: str) -> str:
    return "".join("\\" + char if char in "|*_`<[\\" else char for char in text)


def exact(grid: Grid, row: tuple[Any, ...]) -> list[str]:
    """The cells of a row, millions to the unit."""
    return [
        number_format.count(v) if c.show is number_format.millions else c.text(exact_value(v))
        for c, v in zip(grid.columns, row, strict=True)
    ]


def exact_value(value: Any) -> Any:
    """A cell, in exact numbers where it would be shown in millions."""
    if isinstance(value, FormattedCell) and value.show is number_format.millions:
        return FormattedCell(value.value, number_format.count)
    return value


def csv(grid: Grid) -> str:
    """The table as CSV, in plain numbers (shares of 1, bytes); the last row is the total."""
    return csvs([grid])


def csvs(grids: Sequence[Grid]) -> str:
    """Several grids of the same columns in one table; the first column has the net."""
    from csv import writer

    out = io.StringIO()
    table = writer(out, lineterminator="\n")
    for i, grid in enumerate(grids):
        if i == 0:
            table.writerow((*(["net"] if grid.name else ()), *(c.key for c in grid.columns)))
        for row in grid.table:
            table.writerow((*([grid.name] if grid.name else ()), *map(csv_value, row)))
    return out.getvalue()


def csv_value(value: Any) -> Any:
    """A cell for CSV: shapes as in the language, fractions as decimals, None as an empty text."""
    if value is None:
        return ""
    if isinstance(value, FormattedCell):
        return csv_value(value.value)
    if isinstance(value, tuple):
        return number_format.shape(value)
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return value if isinstance(value, int | str) else float(value)


def python_value(value: Any) -> Any:
    """A cell for Python: int, float or str, shapes as tuples of int, None for an empty cell."""
    if isinstance(value, tuple):
        return tuple(python_value(v) for v in value)
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return int(value)
    return value if isinstance(value, str) else float(value)


def latex(grid: Grid) -> str:
    """The table as LaTeX: a tabular for the package booktabs, and the notes under it."""
    lines = [
        "% \\usepackage{booktabs}",
        f"% {' '.join(grid.title.split())}",
        "\\begin{tabular}{" + "".join("l" if c.left else "r" for c in grid.columns) + "}",
        "\\toprule",
        _latex_row(grid.headings),
        "\\midrule",
    ]
    rows = [_latex_row(row) for row in grid.texts()]
    if grid.total and len(rows) > 1:
        rows[-1:] = ["\\midrule", rows[-1]]
    lines += [*rows, "\\bottomrule", "\\end{tabular}"]
    notes = [*(f"{name}: {value}" for name, value in grid.summary), *grid.notes]
    if notes:
        # In a paragraph of its own, since a row of the tabular would not break.
        under = (_latex(" ".join(line.replace("   ", ", ").split())) for line in notes)
        lines += [
            "",
            "\\smallskip",
            "{\\footnotesize\\raggedright " + " \\\\\n".join(under) + "\\par}",
        ]
    return "\n".join(lines) + "\n"


def _latex_row(cells: Sequence[str]) -> str:
    # A row that begins with a bracket would be taken for the distance from the one before.
    row = " & ".join(map(_latex, cells)) + " \\\\"
    return "{}" + row if row.startswith("[") else row


_LATEX = {
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    # Other glyphs in TeX's own encoding of fonts.
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "|": "\\textbar{}",
    '"': "''",
    **{char: f"\\{char}" for char in "&%$#_{}"},
}


def _latex(text: str) -> str:
    escaped = "".join(_LATEX.get(char, char) for char in text)
    escaped = re.sub(r"\b10\\textasciicircum\{\}(\d+)", r"10\\textsuperscript{\1}", escaped)
    # Shapes and windows, but not a name like expand1x1.
    return re.sub(r"(?<![\w.])\d+(?:x\d+)+", lambda m: m[0].replace("x", "$\\times$"), escaped)


WRITERS: Mapping[str, Callable[[Grid], str]] = {
    "markdown": markdown,
    "csv": csv,
    "latex": latex,
}
"""The formats that have no width."""
