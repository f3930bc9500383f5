"""How diagnostics look: text with the place underlined, JSON, GitHub annotations, SARIF."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from typing import Any

from netspec.diagnostics.codes import CODES
from netspec.diagnostics.diagnostic import Diagnostic, Label
from netspec.diagnostics.source import Source, Span

MAX_LINE = 160
"""Longer lines of a source are cut to this around the place."""
MAX_CONTEXT = 6
"""Most lines that say how a place was reached; more are left out in the middle."""


class _Style:
    """ANSI colours, or none."""

    def __init__(self, color: bool) -> None:
        self.color = color

    def __call__(self, text: str, *codes: int) -> str:
        if not self.color or not text:
            return text
        return f"\x1b[{';'.join(map(str, codes))}m{text}\x1b[0m"


def text(diagnostic: Diagnostic, color: bool = False) -> str:
    """A diagnostic for a terminal, in the manner of Rust's."""
    style = _Style(color)
    tone = 31 if diagnostic.severity == "error" else 33
    d = diagnostic
    head = style(f"{d.severity}[{d.code}]", 1, tone) + style(f": {printable(d.message)}", 1)
    lines = [head]
    others = [label for label in d.others if label.span.text or label.span.source.text]
    labels = ([Label(d.span, d.label)] if d.span else []) + others
    numbers = [n for label in labels for n in [label.span.source.position(label.span.start)[0]]]
    margin = " " * len(str(max(numbers, default=1)))
    if d.span is not None:
        sources: dict[Source, list[Label]] = {}
        for label in labels:
            sources.setdefault(label.span.source, []).append(label)
        for i, (source, marks) in enumerate(sources.items()):
            line, column = source.position(marks[0].span.start)
            arrow = "-->" if i == 0 else ":::"
            place = f"{printable(source.name)}:{line}:{column}"
            lines.append(f"{margin}{style(arrow, 34)} {place}")
            lines.append(f"{margin} {style('|', 34)}")
            lines += _snippet(marks, d.span, margin, style, tone)
    notes = [("note", n) for n in d.notes] + [("help", h) for h in d.help]
    context = [printable(step) for step in d.context]
    if len(context) > MAX_CONTEXT:
        # What matters is the place itself, and where the net comes in.
        context[MAX_CONTEXT - 2 : 2 - MAX_CONTEXT] = [
            f"... {len(context) - 2 * MAX_CONTEXT + 4:,} more ..."
        ]
    if (notes or context) and d.span is not None:
        lines.append(f"{margin} {style('|', 34)}")
    for kind, note in notes:
        lines.append(f"{margin} {style('=', 34)} {style(kind, 1)}: {printable(note)}")
    lines += [f"{margin} {style('=', 34)} {step}" for step in context]
    return "\n".join(lines)


def _snippet(marks: list[Label], primary: Span, margin: str, style: _Style, tone: int) -> list[str]:
    """The lines of a source that have marks, with what lies between left out."""
    source = marks[0].span.source
    by_line: dict[int, list[Label]] = {}
    for mark in marks:
        by_line.setdefault(source.position(mark.span.start)[0], []).append(mark)
    result: list[str] = []
    last = None
    for number in sorted(by_line):
        if last is not None and number > last + 1:
            result.append(style("...", 34))
        last = number
        full = source.line(number)
        here = sorted(by_line[number], key=lambda m: (m.span.start, m.span is not primary))
        start = source.position(here[0].span.start)[1] - 1
        cut = max(0, start - 40) if len(full) > MAX_LINE else 0
        shown = printable(full[cut : cut + MAX_LINE])
        gutter = style(f"{number:>{len(margin)}} |", 34)
        result.append(f"{gutter} {shown}")
        for mark in here:
            column = source.position(mark.span.start)[1] - 1
            end = min(mark.span.end - mark.span.start + column, len(full), cut + MAX_LINE)
            before = _width(printable(full[cut:column]))
            width = max(_width(printable(full[column:end])), 1)
            sign = "^" if mark.span is primary else "-"
            codes = (1, tone) if mark.span is primary else (34,)
            note = f" {printable(mark.text)}" if mark.text else ""
            underline = style(sign * width + note, *codes)
            result.append(f"{margin} {style('|', 34)} {' ' * before}{underline}")
    return result


def printable(text: str) -> str:
    """Text without anything that would move a terminal's cursor or colour it."""
    return "".join(
        c if c.isprintable() else " " if c in "\t\n" else f"\\x{ord(c):02x}" for c in text
    )


def _width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def as_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Diagnostics as JSON-ready data; lines and columns count from 1, ends are exclusive.

    `related` are places that have a part in the error, `fixes` edits of which each makes one.
    """
    return [
        {
            "code": d.code,
            "severity": d.severity,
            "message": d.message,
            **_place(d.span),
            "notes": [
                *(f"{o.span.source.name}:{o.span.line}: {o.text}" for o in d.others),
                *d.notes,
                *(f"help: {h}" for h in d.help),
                *d.context,
            ],
            "related": [{**_place(o.span), "message": o.text} for o in related(d)],
            "fixes": [
                {"title": fix, "edits": [{**_place(e.span), "text": e.text} for e in fix.edits]}
                for fix in d.fixes
            ],
        }
        for d in diagnostics
    ]


def related(d: Diagnostic) -> list[Label]:
    """Further places with a part in an error: those it names, and where its modules are used."""
    uses = [Label(f.span, f"in {f.module}, instantiated as {f.instance}") for f in d.backtrace]
    return [*d.others, *reversed(uses)]


def _place(span: Span | None) -> dict[str, Any]:
    if span is None:
        return dict.fromkeys(("file", "line", "column", "end_line", "end_column"))
    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    return {
        "file": span.source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
    }


def github(d: Diagnostic) -> str:
    """A diagnostic as a workflow command of GitHub Actions."""
    where = ""
    if d.span is not None:
        line, column = d.span.source.position(d.span.start)
        end_line, end_column = d.span.source.position(d.span.end)
        name = _property(printable(d.span.source.name))
        where = f"file={name},line={line},col={column},endLine={end_line},endColumn={end_column},"
    message = "\n".join(map(printable, _sentences(d)))
    return f"::{d.severity} {where}title={d.code}::{_escaped(message)}"


def _sentences(d: Diagnostic) -> list[str]:
    return [d.message, *d.notes, *(f"help: {h}" for h in d.help), *d.context]


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")


def sarif(diagnostics: Iterable[Diagnostic], version: str) -> dict[str, Any]:
    """Diagnostics as JSON-ready data of SARIF 2.1.0, as code scanning of GitHub takes it."""
    found = list(diagnostics)
    codes = sorted({d.code for d in found})
    rules = [
        {
            "id": code,
            "shortDescription": {"text": CODES[code].meaning},
            "defaultConfiguration": {"level": CODES[code].severity},
        }
        for code in codes
    ]
    results = []
    for d in found:
        result: dict[str, Any] = {
            "ruleId": d.code,
            "ruleIndex": codes.index(d.code),
            "level": d.severity,
            "message": {"text": "\n".join(_sentences(d))},
        }
        if d.span is not None:
            result["locations"] = [_location(d.span)]
        related = [{**_location(o.span), "message": {"text": o.text}} for o in d.others]
        if related:
            result["relatedLocations"] = related
        results.append(result)
    driver = {"name": "netspec", "version": version, "rules": rules}
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [run],
    }


def _location(span: Span) -> dict[str, Any]:
    from urllib.parse import quote

    line, column = span.source.position(span.start)
    end_line, end_column = span.source.position(span.end)
    name = span.source.name.encode("utf-8", "surrogateescape")
    scheme = "file://" if name.startswith(b"/") else ""
    return {
        "physicalLocation": {
            "artifactLocation": {"uri": scheme + quote(name)},
            "region": {
                "startLine": line,
                "startColumn": column,
                "endLine": end_line,
                "endColumn": end_column,
            },
        }
    }
