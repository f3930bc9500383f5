"""What an editor shows of a whole text: symbols, folds, hints, kinds of names, lenses."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from netspec.diagnostics.source import Span
from netspec.editing.language.analysis import Analysis
from netspec.editing.language.hover import signature, totals
from netspec.editing.language.names import Kind
from netspec.ir import Instance
from netspec.report import number_format
from netspec.syntax.ast import (
    Definition,
    For,
    If,
    Input,
    LayerStatement,
    Let,
    Name,
    NetBlock,
    Variant,
)
from netspec.syntax.visitor import walk


class OutlineEntry(NamedTuple):
    """A definition or a line with a name: the whole, its name, and what is in it."""

    kind: Kind
    name: str
    detail: str
    whole: Span
    place: Span
    inside: tuple[OutlineEntry, ...] = ()


def symbols(analysis: Analysis) -> list[OutlineEntry]:
    """The definitions of a text with what they name."""
    items = analysis.file.items if analysis.file is not None else ()
    return [_definition(d) for d in items if isinstance(d, Definition)]


def _definition(d: Definition) -> OutlineEntry:
    inside: list[OutlineEntry] = []
    for node in walk(*d.body):
        match node:
            case LayerStatement(name=name, chain=chain) if name is not None:
                detail = " -> ".join(call.op.text for call in chain.calls[:4])
                inside.append(OutlineEntry("layer", name.span.text, detail, node.span, name.span))
            case Input(name=name):
                inside.append(OutlineEntry("input", name.text, "", node.span, name.span))
            case Let(name=name, value=value):
                inside.append(
                    OutlineEntry("constant", name.text, value.span.text, node.span, name.span)
                )
            case Variant(name=name):
                inside.append(OutlineEntry("variant", name.text, "", node.span, name.span))
    return OutlineEntry(d.kind, d.name.text, signature(d), d.span, d.name.span, tuple(inside))


def folds(analysis: Analysis) -> list[tuple[int, int]]:
    """First and last line of what can be folded, from 1: definitions, loops, branches, comments."""
    if analysis.file is None:
        return []
    found: set[tuple[int, int]] = set()
    source = analysis.source

    def add(span: Span) -> None:
        first, last = span.line, source.position(max(span.end - 1, span.start))[0]
        if last > first:
            found.add((first, last))

    for item in analysis.file.items:
        for node in walk(item):
            if isinstance(node, Definition | For | If | NetBlock | Variant):
                add(node.span)
    runs: list[list[int]] = []
    for comment in analysis.file.comments:
        if comment.alone:
            line = comment.span.line
            if runs and runs[-1][-1] == line - 1:
                runs[-1].append(line)
            else:
                runs.append([line])
    found |= {(run[0], run[-1]) for run in runs if len(run) > 1}
    return sorted(found)


def hints(analysis: Analysis) -> dict[int, str]:
    """What stands behind lines, by their numbers: shapes; at heads of nets and modules totals."""
    found: dict[int, str] = {}
    for line, metrics in analysis.metrics.items():
        shapes = list(dict.fromkeys(number_format.shape(s) for s in metrics.shapes))
        if shapes:
            found[line] = shapes[0] if len(shapes) == 1 else f"{shapes[0]} .. {shapes[-1]}"
    heads = {d.name.text: d.name.span.line for d in _definitions(analysis)}
    for name, costs in _costs(analysis).items():
        if name in heads:
            found[heads[name]] = costs
    return found


def _definitions(analysis: Analysis) -> Iterator[Definition]:
    for item in analysis.file.items if analysis.file is not None else ():
        if isinstance(item, Definition):
            yield item


def _costs(analysis: Analysis) -> dict[str, str]:
    """The totals of the nets and modules that a text defines, by their names."""
    found = {net.name: totals(net) for net in analysis.nets}
    uses: dict[str, list[Instance]] = {}
    for node in (n for block in analysis.blocks for n in block.nodes):
        if isinstance(node, Instance):
            uses.setdefault(node.block.module, []).append(node)
    for name, instances in uses.items():
        params = sorted({int(i.params) for i in instances})
        macs = sorted({int(i.macs) for i in instances})
        counts = (
            _range([f"{p:,}" for p in params], "params"),
            _range([number_format.millions(m) for m in macs], "MACs"),
        )
        found[name] = ", ".join(counts)
    return found


def _range(texts: list[str], unit: str) -> str:
    return f"{texts[0]} {unit}" if len(texts) == 1 else f"{texts[0]} .. {texts[-1]} {unit}"


TOKEN_TYPES = ("class", "function", "parameter", "variable", "property", "enumMember", "namespace")
TOKEN_MODIFIERS = ("declaration", "readonly", "defaultLibrary")
_TYPES: dict[Kind, tuple[str, str]] = {
    "net": ("class", ""),
    "module": ("class", ""),
    "variant": ("enumMember", ""),
    "parameter": ("parameter", "readonly"),
    "constant": ("variable", "readonly"),
    "input": ("variable", ""),
    "layer": ("variable", ""),
    "output": ("variable", ""),
    "op": ("function", "defaultLibrary"),
    "field": ("property", "defaultLibrary"),
}


def tokens(analysis: Analysis) -> list[tuple[Span, int, int]]:
    """Names with their type and modifiers, as numbers of TOKEN_TYPES and bits of the other."""
    found = []
    last = 0
    for span, symbol in analysis.names:
        if span.start < last or "\n" in span.text:
            continue
        last = span.end
        kind, modifier = _TYPES[symbol.kind]
        bits = 1 << TOKEN_MODIFIERS.index(modifier) if modifier else 0
        bits |= symbol.place == span
        found.append((span, TOKEN_TYPES.index(kind), bits))
    return found


class Lens(NamedTuple):
    """A line above a net: what it says, the command behind it, and the net that it is about."""

    place: Span
    title: str
    command: str
    net: str


def lenses(analysis: Analysis) -> list[Lens]:
    """The lines above the nets of a text."""
    totals_of = {net.name: totals(net) for net in analysis.nets}
    found = []
    for d in _definitions(analysis):
        if d.kind == "net":
            name: Name = d.name
            if name.text in totals_of:
                found.append(Lens(name.span, totals_of[name.text], "netspec.table", name.text))
            found.append(Lens(name.span, "compile", "netspec.compile", name.text))
            found.append(Lens(name.span, "draw", "netspec.draw", name.text))
    return found
