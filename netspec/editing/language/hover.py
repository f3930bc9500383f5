"""What is known of the name at a place of a text, as Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterable

from netspec.diagnostics.source import Source, Span
from netspec.editing.language.analysis import Analysis
from netspec.editing.language.names import Symbol
from netspec.ir import Layer, Net, Node
from netspec.metrics.receptive_field import fields
from netspec.ops import OPS, Op, attributes
from netspec.ops.attribute_types import describe
from netspec.reference.ops import entry, summary
from netspec.report import number_format
from netspec.semantic.foreign_names import op_like
from netspec.syntax.ast import Definition, Field, Let
from netspec.syntax.visitor import walk

MOST_SHAPES = 4
"""Most shapes of a line that are listed: in a loop, each iteration has its own."""


def hover(analysis: Analysis, offset: int) -> tuple[Span, str] | None:
    """The name at an offset and what is known of it; None where there is nothing to say."""
    occurrence = analysis.at(offset)
    if occurrence is None:
        return _value(analysis, offset)
    text = "\n\n".join(_about(analysis, occurrence.symbol, occurrence.span))
    return (occurrence.span, text) if text else None


def _value(analysis: Analysis, offset: int) -> tuple[Span, str] | None:
    """The value of the expression of a field or a `let` at an offset, where no name stands."""
    for node in walk(analysis.file) if analysis.file is not None else ():
        if isinstance(node, Field | Let) and node.value.span.start <= offset <= node.value.span.end:
            name = analysis.at(node.name.span.start)
            if name is None:
                return None
            found = (
                _attribute(analysis, node.value.span, node.name.text)
                if isinstance(node, Field)
                else _values(analysis, name.symbol)
            )
            text = "".join(found)
            return (node.value.span, f"{node.name.text}: {text}") if text else None
    return None


def _about(analysis: Analysis, symbol: Symbol, at: Span) -> Iterable[str]:
    match symbol.kind:
        case "op":
            assert isinstance(symbol.within, type), "an op's symbol has its class"
            yield op_text(symbol.within)
            yield from line_text(analysis, at)
        case "field":
            assert isinstance(symbol.within, type), "a field's symbol has the op"
            yield field_text(symbol.within, symbol.name)
            yield from _attribute(analysis, at, symbol.name)
        case "net" | "module":
            assert isinstance(symbol.within, Definition), "it has its definition"
            yield definition_text(symbol.within)
            if symbol.kind == "net":
                yield from (totals(n) for n in analysis.nets if n.name == symbol.name)
            yield from line_text(analysis, at)
        case "parameter" | "constant":
            yield f"`{symbol.name}` — {symbol.kind}" + _of(symbol)
            yield from _values(analysis, symbol)
        case "input":
            yield f"`{symbol.name}` — input" + _of(symbol)
            yield from _input_shapes(analysis, symbol)
        case "layer":
            yield f"`{symbol.name}{'[...]' if symbol.indexed else ''}` — line" + _of(symbol)
            yield from line_text(analysis, symbol.place or at)
        case _:
            yield f"`{symbol.name}` — {symbol.kind}" + _of(symbol)


def _of(symbol: Symbol) -> str:
    d = symbol.within
    return f" of {d.kind} `{d.name.text}`" if isinstance(d, Definition) else ""


def op_text(op: type[Op]) -> str:
    """An op with its fields, as Markdown."""
    found = entry(op)
    lines = [f"**{op.keyword}** — {found.summary}"]
    fields = [
        f"- `{f.name}`: {f.kind}{', required' if f.default is None else ''}"
        f"{f', `{f.default}`' if f.default else ''} — {f.doc}"
        for f in found.fields
    ]
    if found.shape is not None:
        where = "".join(f", {name} = {formula}" for name, formula in found.where.items())
        lines.append(f"Shape: `{' x '.join(found.shape)}{where}`")
    return "\n\n".join([*lines, "\n".join(fields)]).rstrip()


def field_text(op: type[Op], name: str) -> str:
    """A field of an op, as Markdown."""
    found = next(a for a in attributes(op) if a.name == name)
    default = ", required" if found.required else f", by default `{describe(found.default)}`"
    return f"`{name}` of {op.keyword}: {found.kind}{default} — {found.doc}"


def definition_text(d: Definition) -> str:
    """The head of a net or module and its comment, as Markdown."""
    head = f"```net\n{d.kind} {signature(d)}\n```"
    return f"{head}\n\n{d.doc}" if d.doc else head


def signature(d: Definition) -> str:
    """A name with its parameters: `fire(s1x1, e1x1, e3x3 = 64)`."""
    params = ", ".join(
        p.name.text + (f" = {p.default.span.text}" if p.default is not None else "")
        for p in d.params
    )
    return f"{d.name.text}({params})" if params else d.name.text


def totals(net: Net) -> str:
    """What a net costs in all: `1,248,424 params, 351.7 M MACs, 1000`."""
    shapes = ", ".join(number_format.shape(v.shape) for v in net.body.outputs)
    return f"{net.params:,} params, {number_format.millions(int(net.macs))} MACs, gives {shapes}"


def line_text(analysis: Analysis, at: Span) -> Iterable[str]:
    """What the layers of a line give and cost, as Markdown."""
    metrics = analysis.metrics.get(at.line) if at.source is analysis.source else None
    if metrics is not None and metrics.shapes:
        costs = [f"{metrics.params:,} params"] * bool(metrics.params)
        costs += [f"{number_format.millions(metrics.macs)} MACs"] * bool(metrics.macs)
        yield ", ".join([_shapes(metrics.shapes), *costs])
        yield from _field(analysis, at)


def _shapes(shapes: Iterable[object]) -> str:
    texts = list(dict.fromkeys(number_format.shape(s) for s in shapes))  # type: ignore[arg-type]
    more = f", ... {texts[-1]}" if len(texts) > MOST_SHAPES else ""
    return ", ".join(f"`{t}`" for t in texts[:MOST_SHAPES]) + more


def _field(analysis: Analysis, at: Span) -> Iterable[str]:
    """The receptive field of a line that stands in a net itself."""
    for net in analysis.nets:
        found = [
            field
            for layer, field in zip(net.layers, fields(net), strict=True)
            if layer.layer.span.source is analysis.source and layer.layer.span.line == at.line
        ]
        if found and found[-1] is not None:
            size = found[-1].size
            yield "receptive field " + (f"{size[0]}x{size[1]}" if size else "of the whole input")
            return


def nodes_at(analysis: Analysis, line: int) -> list[Node]:
    """The layers and instances that a line of the text makes, each block of a module once."""
    return [
        node
        for block in analysis.blocks
        for node in block.nodes
        if node.span.source is analysis.source and node.span.line == line
    ]


def _attribute(analysis: Analysis, at: Span, name: str) -> Iterable[str]:
    """The values that a field has in the layers of its line."""
    values: dict[str, None] = {}
    for node in nodes_at(analysis, at.line):
        if isinstance(node, Layer) and node.span.start < at.start:
            value = getattr(node.stated or node.op, name, None)
            values |= {describe(value): None} if value is not None else {}
    if values:
        yield "here " + ", ".join(f"`{v}`" for v in [*values][:MOST_SHAPES])


def _values(analysis: Analysis, symbol: Symbol) -> Iterable[str]:
    place = symbol.place
    values = analysis.values.get(place.start) if place is not None else None
    if values and place is not None and place.source.name == analysis.source.name:
        yield "here " + ", ".join(f"`{v}`" for v in values)


def _input_shapes(analysis: Analysis, symbol: Symbol) -> Iterable[str]:
    owner = symbol.within.name.text if isinstance(symbol.within, Definition) else ""
    shapes = [
        value.shape
        for block in analysis.blocks
        for value in block.inputs
        if (block.module, value.name) == (owner, symbol.name)
    ]
    if shapes:
        yield _shapes(shapes)


def prototxt_hover(source: Source, offset: int) -> tuple[Span, str] | None:
    """What a type of layer of Caffe is here."""
    for found in re.finditer(r'type\s*:\s*"?(\w+)"?', source.text):
        if found.start(1) <= offset <= found.end(1):
            op = OPS.get(op_like(found[1]))
            if op is not None:
                text = f"{found[1]} of Caffe is `{op.keyword}`: {summary(op)}"
                return Span(source, found.start(1), found.end(1)), text
    return None
