"""What the page asks of netspec: texts in, JSON out. Runs in Pyodide, in a worker of the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from netspec.diagnostics import Diagnostic, SpecError
from netspec.diagnostics.fixes import Edit
from netspec.driver import bundled
from netspec.editing.language import completion, hover, outline
from netspec.editing.language.analysis import Analysis, analyse
from netspec.ir import Net
from netspec.syntax.formatter import format_text

PATH = Path("/page/text.net")
_known: dict[str, Analysis] = {}
_sound: list[Analysis] = []


def _analysis(text: str) -> Analysis:
    if text not in _known:
        _known.clear()
        _known[text] = analyse(PATH, text)
        if _known[text].file is not None:
            _sound[:] = [_known[text]]
    return _known[text]


def _net(text: str, name: str) -> Net:
    """The net of this name, or the first. Raises SpecError."""
    analysis = _analysis(text)
    nets = [n for n in analysis.nets if n.name == name] or [*analysis.nets]
    if not nets:
        raise SpecError(analysis.diagnostics)
    return nets[0]


def _diagnostics(found: Iterable[Diagnostic], analysis: Analysis) -> list[dict[str, Any]]:
    """Diagnostics with offsets in the text; those of other files stand at its beginning."""
    result = []
    for d in found:
        own = d.span is not None and d.span.source is analysis.source
        fixes = [
            {
                "title": str(fix),
                "edits": [
                    {"from": e.span.start, "to": e.span.end, "text": e.text} for e in fix.edits
                ],
            }
            for fix in d.fixes
            if all(e.span.source is analysis.source for e in fix.edits)
        ]
        result.append(
            {
                "code": d.code,
                "severity": d.severity,
                "message": "\n".join([d.message, *d.notes, *(f"help: {h}" for h in d.help)]),
                "from": d.span.start if own and d.span else 0,
                "to": d.span.end if own and d.span else 0,
                "fixes": fixes,
            }
        )
    return result


def _edit(edit: Edit) -> dict[str, Any]:
    return {"from": edit.span.start, "to": edit.span.end, "text": edit.text}


def check(text: str) -> dict[str, Any]:
    """Diagnostics, the nets without errors, and what stands behind lines."""
    analysis = _analysis(text)
    return {
        "diagnostics": _diagnostics(analysis.diagnostics, analysis),
        "nets": [net.name for net in analysis.nets],
        "hints": outline.hints(analysis),
        "names": [
            [span.start, span.end, outline.TOKEN_TYPES[kind]]
            for span, kind, _ in outline.tokens(analysis)
        ],
    }


def picture(text: str, net: str) -> str:
    """The picture of a net, as SVG."""
    from netspec.diagram.draw import draw
    from netspec.diagram.scene import DiagramOptions

    found = _net(text, net)
    return draw(found, _analysis(text).source, "svg", DiagramOptions()).decode()


def table(text: str, net: str) -> dict[str, Any]:
    """The table of a net: title, headings, and a row of texts for each line."""
    from netspec.report.columns import NetView
    from netspec.report.table import grid

    found = grid(NetView(_net(text, net)), depth=1)
    columns = found.columns
    rows = [[c.text(value) for c, value in zip(columns, row, strict=True)] for row in found.cells]
    total = ["" if v is None else c.text(v) for c, v in zip(columns, found.total, strict=True)]
    return {
        "title": found.title,
        "columns": list(found.headings),
        "rows": rows,
        "total": total,
        "summary": [list(pair) for pair in found.summary],
    }


def source(text: str, net: str, backend: str) -> str:
    """The emitted source of a net."""
    from netspec.codegen.backend import emit, get

    return emit(_net(text, net), get(backend))


def complete(text: str, offset: int) -> list[dict[str, Any]]:
    """What may be written at a place."""
    sound = _sound[0] if _sound else _analysis(text)
    return [
        {
            "label": c.label,
            "type": c.kind,
            "detail": c.detail,
            "apply": c.insert or c.label,
            "also": [_edit(e) for e in c.also],
        }
        for c in completion.completions(sound, text, offset)
    ]


def about(text: str, offset: int) -> dict[str, Any] | None:
    """What is known of the name at a place, as Markdown."""
    found = hover.hover(_analysis(text), offset)
    if found is None:
        return None
    span, markdown = found
    return {"from": span.start, "to": span.end, "text": markdown}


def laid_out(text: str) -> str:
    """The text in canonical layout; as it is where it has syntax errors."""
    try:
        return format_text(text)
    except SpecError:
        return text


def specs() -> list[dict[str, str]]:
    """The bundled specs: their names and texts, each file once."""
    files = {path: name for name, path in reversed([*bundled().items()])}
    return [
        {"name": name, "text": path.read_text(encoding="utf-8")}
        for path, name in sorted(files.items(), key=lambda item: item[1])
    ]


QUESTIONS: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (check, picture, table, source, complete, about, laid_out, specs)
}


def answer(question: str) -> str:
    """The answer to a question, both JSON: `[name, argument, ...]`, `{"ok": ...}` or an error."""
    name, *arguments = json.loads(question)
    try:
        return json.dumps({"ok": QUESTIONS[name](*arguments)})
    except SpecError as error:
        return json.dumps({"error": [d.message for d in error.diagnostics][:3]})
    except Exception as error:  # a bug in netspec is said, and does not end the page
        return json.dumps({"error": [f"{type(error).__name__}: {error}"]})
