"""A net as one HTML file that needs nothing else: picture, table and the text of the spec.

All that comes from the spec is data: JSON in which no character can end its element, and the
script makes text of it, never markup. A policy in the page forbids any other script.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from netspec.diagnostics.source import Source, Span
from netspec.diagram import coordinates, layering, style
from netspec.diagram.boxes import Box, Sheet
from netspec.diagram.scene import DiagramView
from netspec.ir import Layer, Net, Node
from netspec.ops import attributes
from netspec.report import number_format
from netspec.report.rows import argument, describe

FOLDER = Path(__file__).parent
MOST_OPEN = 3000
"""Most boxes that the page shows at a time."""


class Follow(NamedTuple):
    """The file beside a page, a script that names its version, and the version that the page is."""

    file: str
    version: str


def page(
    net: Net, source: Source, view: DiagramView, *, message: str = "", follow: Follow | None = None
) -> str:
    """The text of the HTML file, with modules open as in the view.

    A message stands over the picture; a page that follows loads itself again when the file that it
    follows names another version.
    """
    return _rendered(net.name, _json(data(net, source, view)), message, follow)


def message_page(title: str, message: str, follow: Follow | None = None) -> str:
    """A page with a message alone."""
    return _rendered(title, "", message, follow)


def _rendered(title: str, data: str, message: str, follow: Follow | None) -> str:
    import jinja2
    from markupsafe import Markup

    scripts = [_file("page.js")] * bool(data) + [_file("page_follow.js")] * bool(follow)
    allowed = [f"'sha256-{_digest(script)}'" for script in scripts]
    allowed += ["'self'", "file:"] * bool(follow)
    template = jinja2.Template(_file("page.html"), autoescape=True, keep_trailing_newline=True)
    written: str = template.render(
        title=title,
        policy=f"default-src 'none'; style-src 'unsafe-inline'; script-src {' '.join(allowed)}",
        css=Markup(_file("page.css")),
        script=Markup(_file("page.js")),
        data=Markup(data),
        message=message,
        follow=follow,
        follow_script=Markup(_file("page_follow.js")),
    )
    return written


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


@cache
def _file(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8")


def _json(found: Any) -> str:
    """JSON without a character that means something to HTML or ends a line of JavaScript."""
    text = json.dumps(found, separators=(",", ":"), ensure_ascii=True)
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return text


def data(net: Net, source: Source, view: DiagramView) -> dict[str, Any]:
    """The data of the page: every sheet once, the texts, and the measures of the layout."""
    sheets: dict[Sheet, int] = {}
    waiting = [view.sheet]
    while waiting:
        sheet = waiting.pop()
        if sheet not in sheets:
            sheets[sheet] = len(sheets)
            waiting += [box.sheet for box in reversed(sheet.boxes) if box.sheet is not None]
    files = {id(source): (0, source)}
    written = [_sheet(sheet, sheets, files) for sheet in sheets]
    return {
        "name": net.name,
        "title": _title(net),
        "down": view.direction == "down",
        "cost": view.cost,
        "depth": view.depth,
        "sheets": written,
        "files": [{"name": Path(s.name).name, "text": s.text} for _, s in files.values()],
        "families": [*style.families(box for sheet in sheets for box in sheet.boxes)],
        "colors": {name: style.BoxPart("", name).colors for name in (*style.COLORS, "module")},
        "other": style.OTHER,
        "ends": style.ENDS,
        "grounds": style.FRAMES,
        "widths": style.WIDTHS,
        "limit": MOST_OPEN,
        "measures": _measures(),
    }


def _title(net: Net) -> str:
    inputs, outputs = (
        ", ".join(number_format.shape(v.shape) for v in values)
        for values in (net.body.inputs, net.body.outputs)
    )
    return (
        f"{inputs} → {outputs}, {int(net.params):,} parameters, "
        f"{number_format.millions(int(net.macs))} MACs"
    )


def _measures() -> Mapping[str, float]:
    places = ("APART", "BEND_APART", "GAP", "BARE_GAP", "STUB", "STUB_END", "MANY")
    frames = ("TITLE", "PAD", "BORDER", "ROUNDS")
    words = ("NAME", "WORDS", "HEAD", "TAIL", "PILL", "NARROWEST", "WIDEST", "GROWTH", "MARGIN")
    return {n: getattr(coordinates, n) for n in (*places, *frames)} | {
        n: getattr(style, n) for n in words
    }


Files = dict[int, tuple[int, Source]]


def _sheet(sheet: Sheet, numbers: Mapping[Sheet, int], files: Files) -> dict[str, Any]:
    plan = layering.arrange(sheet)
    return {
        "boxes": [_box(box, numbers, files) for box in sheet.boxes],
        "rows": plan.rows,
        "links": [
            [
                *(k.source, round(k.at, 4), k.target, round(k.to, 4), k.weight, int(k.indices)),
                "" if k.label is None else number_format.shape(k.label.shape),
            ]
            for k in plan.links
        ],
        "firsts": [plan.first_input, plan.first_output, plan.first_bend],
    }


def _box(box: Box, numbers: Mapping[Sheet, int], files: Files) -> dict[str, Any]:
    shown = style.parts(box)
    return {
        "name": box.name,
        "end": box.end,
        "words": [part.words for part in shown],
        "families": [part.family for part in shown],
        "params": box.params,
        "macs": box.macs,
        "inputs": len(box.inputs),
        "results": len(box.results),
        "sheet": -1 if box.sheet is None else numbers[box.sheet],
        "shape": number_format.shape((box.inputs or box.results)[0].shape) if box.end else "",
        "nodes": [_node(node, files) for node in box.nodes],
    }


def _node(node: Node, files: Files) -> dict[str, Any]:
    made = node.outputs[:1] if isinstance(node, Layer) else node.outputs
    return {
        "name": node.name,
        "words": describe(node),
        "fields": list(_fields(node)),
        "inputs": [number_format.shape(v.shape) for v in node.inputs],
        "outputs": [number_format.shape(v.shape) for v in made],
        "params": int(node.params),
        "macs": int(node.macs),
        "at": _place(node.span, files),
    }


def _fields(node: Node) -> Iterable[str]:
    """The fields of an op, settled, or the arguments of a module: `stride: [2,2]`."""
    if isinstance(node, Layer):
        for a in attributes(type(node.op)):
            yield f"{a.name}: {argument(getattr(node.op, a.name))}"
    else:
        for given in node.arguments:
            yield f"{given.name}: {argument(given.value)}"
    if node.shares is not None:
        yield f"weights of {node.shares}"


def _place(span: Span, files: Files) -> list[int]:
    """The file, the first and the last line of a layer."""
    number, _ = files.setdefault(id(span.source), (len(files), span.source))
    last, _ = span.source.position(max(span.end - 1, span.start))
    return [number, span.line, last]
