"""Layers: chains, inputs in round brackets, fields in braces.

`row` takes a layer apart into pieces, `layer` makes a document of them once they are lined up.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.formatting.alignment import pads
from netspec.formatting.document import (
    SPACE,
    Concat,
    Doc,
    Either,
    Group,
    IfBroken,
    Indent,
    Line,
    Text,
    concat,
)
from netspec.formatting.expressions import LITERALS, expression, index, listing
from netspec.formatting.pieces import FieldItem, Fields, Link, Row
from netspec.formatting.reader import Reader
from netspec.syntax import Attribute, Call, Chain, Field, Index, Layer, LayerName, Variable

Value = Chain | Variable | Index | Attribute

MAX_HANG = 40
"""Most columns that the later lines of a chain stand in from its first, below the op there."""


# From the tree to pieces.


def row(reader: Reader, node: Layer) -> Row:
    name = None
    if node.name is not None:
        name = Concat((_layer_name(reader, node.name), reader.clinging()))
    return Row(name, links(reader, node.chain))


def _layer_name(reader: Reader, name: LayerName) -> Doc:
    base = reader.word()
    return Concat([base, *(index(reader, i) for i in name.indices)])


def links(reader: Reader, chain: Chain) -> list[Link]:
    return [_link(reader, call, first=i == 0) for i, call in enumerate(chain.calls)]


def _link(reader: Reader, call: Call, first: bool) -> Link:
    comments = reader.comments()
    head = [] if first else [reader.word(), SPACE]
    head.append(reader.word())
    if call.arguments is not None:
        head.append(listing(reader, reader.clinging(), call.arguments, value))
    given = fields(reader, call.fields)
    bare = call.arguments is None and given is None
    return Link(comments, Concat(head), call.op.text, bare, given)


def fields(reader: Reader, nodes: Sequence[Field]) -> Fields | None:
    """Fields in braces; None where there are no braces."""
    if not reader.at("{"):
        return None
    opener = reader.clinging()
    comments = reader.comments()
    items: list[FieldItem] = []
    for position, node in enumerate(nodes):
        before = nodes[position - 1].span.end if position else node.span.start
        starts_row = "\n" in reader.source.text[before : node.span.start]
        name = Concat((reader.word(), reader.clinging()))
        given = expression(reader, node.value)
        reader.drop(",", ";")
        literal = isinstance(node.value, LITERALS)
        comments_behind = reader.comments()
        items.append(FieldItem(node.name.text, name, given, literal, starts_row, comments_behind))
    return Fields(opener, comments, items, reader.clinging())


def value(reader: Reader, node: Value) -> Doc:
    """An input of a layer, or an output."""
    if isinstance(node, Chain):
        return Group(chain(links(reader, node), 2))
    return expression(reader, node)


# From pieces to a document.


def layer(pieces: Row) -> Doc:
    if pieces.name is None:
        return Group(chain(pieces.links, 2))
    hangs = not pieces.name.hard and pieces.lead <= MAX_HANG
    lines = chain(pieces.links, pieces.lead if hangs else 4)
    if pieces.links[0].comments.hard:
        return Group(pieces.name, Indent(4, lines))
    return Group(pieces.name, Text(" " * (pieces.pad + 1)), lines)


def chain(pieces: Sequence[Link], hang: int) -> Doc:
    """A chain. An op goes to a line of its own together with the bare ones behind it."""
    first, *others = pieces
    units: list[list[Link]] = [[first]]
    for link in others:
        if not link.bare or link.comments.hard:
            units.append([])
        units[-1].append(link)
    parts = [*_behind(units[0]), *(_unit(unit) for unit in units[1:])]
    return Concat((first.comments, _call(first), Indent(hang, *parts)))


def _unit(links: Sequence[Link]) -> Doc:
    line = Concat((links[0].comments, Line()))
    return Group(line, _call(links[0]), *_behind(links))


def _behind(links: Sequence[Link]) -> list[Doc]:
    """The bare ops behind the first: together behind one with fields, else as many as fit."""
    first, *bare = links
    if first.bare or not bare:
        return [_unit([link]) for link in bare]
    return [_unit(bare)]


def _call(link: Link) -> Doc:
    return Concat((link.head, SPACE, braces(link.fields))) if link.fields else link.head


def braces(pieces: Fields) -> Doc:
    """Fields on one line; or in the rows in which they were written; or each on its own line."""
    if not pieces.items and not pieces.hard:
        return concat(pieces.opener, SPACE, pieces.closer)
    rows: list[list[FieldItem]] = []
    for item in pieces.items:
        if not rows or item.starts_row or rows[-1][-1].comments.hard:
            rows.append([])
        rows[-1].append(item)
    content = _column(pieces.items)
    wide = [row for row in rows if len(row) > 1]
    # A comment between a name and its value leaves no room for a neighbour.
    if len(rows) > 1 and wide and not any(i.name.hard or i.value.hard for row in wide for i in row):
        room = max(sum(item.width + 2 for item in row) - 2 for row in wide)
        content = Either(_rows(rows), content, room)
    return Group(pieces.opener, Indent(2, pieces.comments, content), Line(), pieces.closer)


def _column(items: Sequence[FieldItem]) -> Doc:
    """One field a line where it is broken, their values below each other."""
    parts: list[Doc] = []
    names = pads([item.name.width for item in items])
    for position, (item, pad) in enumerate(zip(items, names, strict=True)):
        parts += (_separator(items, position), item.name, SPACE)
        parts += (IfBroken(" " * pad), item.value, item.comments)
    return Concat(parts)


def _rows(rows: Sequence[Sequence[FieldItem]]) -> Doc:
    parts: list[Doc] = []
    for row in rows:
        for position, item in enumerate(row):
            parts.append(Text("  ") if position else Line())
            parts += (item.name, SPACE, item.value, item.comments)
    return Concat(parts)


def _separator(items: Sequence[FieldItem], position: int) -> Doc:
    return Line("  " + " " * items[position - 1].pad) if position else Line()
