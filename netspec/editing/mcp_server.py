"""netspec for programs that write specs: its functions as tools of the Model Context Protocol.

A spec is given as its text, as the name of a bundled one, or as the path of a .net or .prototxt
file. What is wrong with it comes back as data, as `netspec check --format json` has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mcp.server.mcpserver import MCPServer

from netspec import __version__
from netspec.diagnostics import SpecError, render, spec_error
from netspec.diagnostics.codes import CODES
from netspec.diagnostics.source import Source, plain
from netspec.driver import CheckedFile, Text, bundled, check_nets, convert_text, find
from netspec.editing.fixing import fixed
from netspec.ir import Net
from netspec.ops import find_op
from netspec.reference import pages
from netspec.reference.explanations import explanation
from netspec.report.columns import NetView
from netspec.report.json_output import data
from netspec.semantic.settings import SettingText
from netspec.syntax.model_source import MODEL_SUFFIXES

SUFFIXES = (".net", ".prototxt", ".cfg")
"""Files of other names are not read."""

server = MCPServer(
    "netspec",
    version=__version__,
    instructions="Check, count, explain and compile declarative specs of convolutional networks.",
)


def _given(spec: str) -> Text:
    """The text that is meant. Raises SpecError."""
    if "{" in spec or "\n" in spec:
        return Text(Source("<text>", plain(spec)), Path())
    path = spec.partition(":")[0]
    if path.endswith((*SUFFIXES, *MODEL_SUFFIXES)) or path in bundled():
        return find(spec)
    message = f"{spec} is no text of a spec, no bundled one, and no .net or .prototxt file"
    raise spec_error("unreadable-file", message)


def _checked(spec: str, settings: Mapping[str, Any] | None = None, *, nets: bool) -> CheckedFile:
    given = _given(spec)
    values = {name: SettingText(_text(value)) for name, value in (settings or {}).items()}
    return check_nets(given.source, given.folder, values, net=given.net, needs_net=nets)


def _text(value: Any) -> str:
    """A value of JSON as the language writes it."""
    if isinstance(value, bool) or value is None:
        return "none" if value is None else str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(_text, value))}]"
    return str(value)


def _one(spec: str, settings: Mapping[str, Any] | None) -> Net:
    """The first net of a spec. Raises SpecError."""
    return _checked(spec, settings, nets=True).sound()[0]


def _wrong(error: SpecError) -> dict[str, Any]:
    return {"diagnostics": render.as_json(error.diagnostics)}


@server.tool()
def check(spec: str, settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """Everything that is wrong with a spec, with places and fixes; the nets without errors."""
    try:
        found = _checked(spec, settings, nets=False)
    except SpecError as error:
        return _wrong(error) | {"nets": []}
    return {
        "diagnostics": render.as_json(found.diagnostics),
        "nets": [
            {"name": net.name, "params": int(net.params), "macs": int(net.macs)}
            for net in found.nets
        ],
    }


@server.tool()
def table(spec: str, settings: dict[str, Any] | None = None) -> dict[str, Any]:
    """Every layer of a net with its shape, parameters and MACs, and the totals."""
    try:
        return data(NetView(_one(spec, settings)))
    except SpecError as error:
        return _wrong(error)


@server.tool()
def fix(spec: str) -> dict[str, Any]:
    """The text of a spec after all fixes that are safe, what they were, and what is left."""
    try:
        given = _given(spec)
    except SpecError as error:
        return _wrong(error)

    def diagnostics(text: str) -> Any:
        source = Source(given.source.name, text)
        return check_nets(source, given.folder, {}, needs_net=False).diagnostics

    result = fixed(given.source.text, diagnostics)
    return {
        "text": result.text,
        "fixed": [{"message": d.message, "fix": str(done)} for d, done in result.fixed],
        "diagnostics": render.as_json(result.left),
    }


@server.tool()
def explain(code: str) -> str:
    """What a code of a diagnostic means, with an example of the error and its fix."""
    return explanation(code) if code in CODES else f"there is no code {code}: {', '.join(CODES)}"


@server.tool()
def ops(op: str = "") -> str:
    """The reference of an op with its fields, as Markdown; without a name, all ops in short."""
    from netspec.ops import all_ops

    found = find_op(op) if op else None
    if found is not None:
        return pages.page_markdown(found)
    return ("" if not op else f"there is no op {op}\n\n") + pages.overview([*all_ops().values()])


@server.tool()
def compile(
    spec: str, backend: str = "torch", settings: dict[str, Any] | None = None
) -> dict[str, Any]:
    """A net as the source of a Python module: backend `torch` or `numpy`."""
    from netspec.codegen.backend import emit, get

    try:
        return {"source": emit(_one(spec, settings), get(backend))}
    except SpecError as error:
        return _wrong(error)


@server.tool()
def convert(prototxt: str) -> dict[str, Any]:
    """A spec's text, of a prototxt or cfg (text or path), or of an ONNX, .pt2 or Keras file."""
    try:
        result, found = convert_text(_given(prototxt), {})
        return {"text": result.text, "diagnostics": render.as_json(found)}
    except SpecError as error:
        return _wrong(error)


def main() -> None:
    """Serve on standard input and output."""
    server.run("stdio")
