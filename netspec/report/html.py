"""A table as HTML: an element for any page, or a page of its own in which modules fold."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape

from netspec.report.formats import exact
from netspec.report.rows import TreeRow
from netspec.report.table import Grid

_STYLE = """
table.netspec { border-collapse: collapse; font: 13px/1.5 system-ui, sans-serif }
table.netspec caption { text-align: left; font-weight: 600; padding: .4em .6em }
table.netspec caption { white-space: pre-wrap }
table.netspec td, table.netspec th { padding: .1em .6em; text-align: right; white-space: nowrap }
table.netspec .l { text-align: left }
table.netspec thead th { border-bottom: 1px solid currentColor }
table.netspec tbody tr:hover { background: rgba(127, 127, 127, .15) }
table.netspec tfoot td { border-top: 1px solid currentColor; font-weight: 600 }
table.netspec tfoot td.n { border: 0; font-weight: 400; text-align: left; white-space: pre-wrap }
"""
_PAGE_STYLE = """
:root { color-scheme: light dark }
table.netspec { margin: 1em }
table.netspec thead th { position: sticky; top: 0; background: Canvas }
table.netspec tr.m td { font-weight: 600 }
table.netspec button { all: unset; cursor: pointer; display: block; padding-left: 1.1em }
table.netspec button:focus-visible { outline: 2px solid Highlight }
table.netspec button::before { content: "\\25be"; position: absolute; margin-left: -1.1em }
table.netspec button[aria-expanded=false]::before { content: "\\25b8" }
table.netspec button.all { display: inline; padding: 0; margin-left: 1.5em; font-weight: 400 }
table.netspec button.all::before { content: none }
table.netspec button.all:hover { text-decoration: underline }
@media print { table.netspec button.all { display: none } }
"""
# Rows are hidden by what is above them; without the script, all of them show.
_SCRIPT = """
"use strict";
for (const table of document.querySelectorAll("table.netspec")) {
  const rows = [...table.tBodies[0].rows];
  const level = (row) => Number(row.dataset.level || 0);
  const button = (row) => row.querySelector("button");
  const isOpen = (row) => button(row).getAttribute("aria-expanded") === "true";
  const set = (row, open) => button(row).setAttribute("aria-expanded", open);
  const show = () => {
    let folded = Infinity;
    for (const row of rows) {
      if (level(row) <= folded) folded = Infinity;
      row.hidden = level(row) > folded;
      if (!row.hidden && button(row) && !isOpen(row)) folded = level(row);
    }
  };
  const modules = rows.filter(button);
  if (!modules.length) continue;
  const focus = (row) => { if (row) button(row).focus(); };
  const seen = () => modules.filter((row) => !row.hidden);
  table.tBodies[0].addEventListener("click", (event) => {
    const row = event.target.closest("tr");
    if (!button(row) || String(getSelection())) return;
    set(row, !isOpen(row));
    show();
  });
  table.tBodies[0].addEventListener("keydown", (event) => {
    const row = event.target.closest("tr"), at = seen().indexOf(row);
    if (event.key === "ArrowDown") focus(seen()[at + 1]);
    else if (event.key === "ArrowUp") focus(seen()[at - 1]);
    else if (event.key === "ArrowRight") set(row, true);
    else if (event.key === "ArrowLeft") {
      if (isOpen(row)) set(row, false);
      else focus(seen().slice(0, at).reverse().find((above) => level(above) < level(row)));
    } else return;
    event.preventDefault();
    show();
  });
  for (const [text, open] of [["fold all", false], ["unfold all", true]]) {
    const all = document.createElement("button");
    all.className = "all";
    all.textContent = text;
    all.addEventListener("click", () => { modules.forEach((row) => set(row, open)); show(); });
    table.caption.append(all);
  }
  show();
}
"""


def html_table(grid: Grid) -> str:
    """A `<table>` with its style, to be put into a page. Exact numbers."""
    lines = [f"{name}: {value}" for name, value in grid.summary]
    under = "<br/>".join(escape(line) for line in (*lines, *grid.notes))
    total = _row(grid, exact(grid, grid.total)) if grid.total else ""
    return (
        "\n".join(
            [
                f'<style>{_STYLE}</style>\n<table class="netspec">',
                f"<caption>{escape(grid.title)}</caption>",
                f"<thead>{_row(grid, grid.headings, 'th')}</thead>",
                "<tbody>",
                *_body(grid),
                "</tbody>",
                f"<tfoot>{total}",
                f'<tr><td class="n" colspan="{len(grid.columns)}">{under}</td></tr></tfoot>',
                "</table>",
            ]
        )
        + "\n"
    )


def _body(grid: Grid) -> Iterator[str]:
    if not grid.branches:
        yield from (_row(grid, exact(grid, cells)) for cells in grid.cells)
        return
    for cells, branch in zip(grid.cells, grid.branches, strict=True):
        inner = "".join(
            _named(branch, cell) if column.key == "layer" else _cell(cell, column.left)
            for cell, column in zip(exact(grid, cells), grid.columns, strict=True)
        )
        kind = ' class="m"' if branch.row.folded else ""
        yield f'<tr data-level="{branch.level}"{kind}>{inner}</tr>'


def _named(branch: TreeRow, path: str) -> str:
    """The cell with a row's name, indented; its path is shown as a tooltip."""
    name = escape(path.rpartition(".")[2])
    if branch.opens:
        name = f'<button aria-expanded="{str(branch.open).lower()}">{name}</button>'
    inset = 0.6 + 1.2 * branch.level + (0 if branch.opens else 1.1)
    style = f"padding-left: {inset:.1f}em"
    return f'<td class="l" style="{style}" title="{escape(path)}">{name}</td>'


def _cell(text: str, left: bool, tag: str = "td") -> str:
    kind = ' class="l"' if left else ""
    return f"<{tag}{kind}>{escape(text)}</{tag}>"


def _row(grid: Grid, cells: Sequence[str], tag: str = "td") -> str:
    inner = "".join(_cell(text, c.left, tag) for text, c in zip(cells, grid.columns, strict=True))
    return f"<tr>{inner}</tr>"


def html_page(title: str, grids: Sequence[Grid]) -> str:
    """A page with tables, in one file; its policy allows no script but the one that folds."""
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    parts = [
        "<!doctype html>",
        '<html lang="en">',
        '<meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(title)}</title>",
        f"<style>{_PAGE_STYLE}</style>",
        *map(html_table, grids),
    ]
    if any(grid.branches for grid in grids):
        parts.append(f"<script>{_SCRIPT}</script>")
    return "\n".join(parts) + "\n"
