"""Layers: chains, inputs in round brackets, fields in braces.

`row` splits a layer into pieces, `layer` makes a document of them once they are aligned.
"""

from __future__ import annotations

from collections.abc import Sequence

from netspec.syntax.ast import (
    Attribute,
    Call,
    Chain,
    Choice,
    Expression,
    Field,
    Index,
    LayerName,
    LayerStatement,
    OpLiteral,
    Variable,
)
from netspec.syntax.formatter.alignment import pads
from netspec.syntax.formatter.document import (
    NOTHING,
    SPACE,
    Doc,
    DocConcat,
    DocGroup,
    DocLine,
    DocText,
    Either,
    IfBroken,
    Indent,
    concat,
)
from netspec.syntax.formatter.expressions import (
    LITERALS,
    expression,
    index,
    listing,
)
from netspec.syntax.formatter.pieces import (
    ChainLink,
    FieldItem,
    FieldPieces,
    LayerPieces,
)
from netspec.syntax.formatter.reader import Reader

Value = Chain | Variable | Index | Attribute

MAX_HANG = 40
"""Most columns by which the later lines of a chain are indented, to be below its first op."""


# From the tree to pieces.


def row(reader: Reader, node: LayerStatement) -> LayerPieces:
    """The pieces of a layer."""
    name = None
    if node.name is not None:
        name = DocConcat((_layer_name(reader, node.name), reader.attached()))
    return LayerPieces(name, links(reader, node.chain))


def _layer_name(reader: Reader, name: LayerName) -> Doc:
    base = reader.word()
    return DocConcat([base, *(index(reader, i) for i in name.indices)])


def links(reader: Reader, chain: Chain) -> list[ChainLink]:
    """The pieces of a chain, one for each call."""
    return [_link(reader, link, first=i == 0) for i, link in enumerate(chain.links)]


def _link(reader: Reader, call: Call | Choice, first: bool) -> ChainLink:
    comments = reader.comments()
    head = [] if first else [reader.word(), SPACE]
    if isinstance(call, Choice):
        return ChainLink(comments, DocConcat((*head, _choice(reader, call))), "", True, None)
    head.append(_layer_name(reader, call.callee))
    if call.arguments is not None:
        head.append(listing(reader, reader.attached(), call.arguments, value))
    inner = fields(reader, call.fields)
    bare = call.arguments is None and inner is None
    return ChainLink(comments, DocConcat(head), call.op.text, bare, inner)


def _choice(reader: Reader, choice: Choice) -> Doc:
    opener, parts = reader.word(), [reader.line("")]
    for i, (call, condition) in enumerate(choice.cases):
        parts += (reader.line(), reader.word(), SPACE) if i else ()
        parts += (_chosen(reader, call), reader.line())
        parts += (reader.word(), SPACE, expression(reader, condition))
    if choice.otherwise is not None:
        parts += (reader.line(), reader.word(), SPACE)
        parts.append(_chosen(reader, choice.otherwise))
    comments = reader.comments()
    return DocGroup(opener, Indent(2, *parts, comments), DocLine(""), reader.attached())


def _chosen(reader: Reader, call: Call) -> Doc:
    link = _link(reader, call, first=True)
    return DocConcat((link.comments, _call(link)))


def fields(reader: Reader, nodes: Sequence[Field]) -> FieldPieces | None:
    """Fields in braces; None where there are no braces."""
    if not reader.at("{"):
        return None
    opener = reader.attached()
    comments = reader.comments()
    return FieldPieces(opener, comments, field_items(reader, nodes), reader.attached())


def field_items(reader: Reader, nodes: Sequence[Field], alone: bool = True) -> list[FieldItem]:
    """The pieces of fields; where they stand not alone, comments behind are of what follows."""
    items: list[FieldItem] = []
    for position, node in enumerate(nodes):
        before = nodes[position - 1].span.end if position else node.span.start
        starts_row = "\n" in reader.source.text[before : node.span.start]
        name = DocConcat((reader.word(), reader.attached()))
        written = given(reader, node.value)
        reader.drop(",", ";")
        literal = isinstance(node.value, LITERALS)
        last = node is nodes[-1]
        comments_behind = NOTHING if last and not alone else reader.comments()
        items.append(FieldItem(node.name.text, name, written, literal, starts_row, comments_behind))
    return items


def given(reader: Reader, node: Expression) -> Doc:
    """The value of a field, constant or parameter: an expression, or an op with its fields."""
    if not isinstance(node, OpLiteral):
        return expression(reader, node)
    name = reader.word()
    inner = fields(reader, node.fields)
    assert inner is not None, "an op as a value without braces is a name"
    return DocConcat((name, SPACE, braces(inner)))


def value(reader: Reader, node: Value) -> Doc:
    """An input of a layer, or an output of a net, as a document."""
    if isinstance(node, Chain):
        return DocGroup(chain(links(reader, node), 2))
    return expression(reader, node)


# From pieces to a document.


def layer(pieces: LayerPieces) -> Doc:
    """A layer as a document."""
    if pieces.name is None:
        return DocGroup(chain(pieces.links, 2))
    hangs = not pieces.name.hard and pieces.lead <= MAX_HANG
    lines = chain(pieces.links, pieces.lead if hangs else 4)
    if pieces.links[0].comments.hard:
        return DocGroup(pieces.name, Indent(4, lines))
    return DocGroup(pieces.name, DocText(" " * (pieces.pad + 1)), lines)


def chain(pieces: Sequence[ChainLink], hang: int) -> Doc:
    """A chain as a document. Bare ops stay on the line of the op in front of them."""
    first, *others = pieces
    units: list[list[ChainLink]] = [[first]]
    for link in others:
        if not link.bare or link.comments.hard:
            units.append([])
        units[-1].append(link)
    parts = [*_behind(units[0]), *(_unit(unit) for unit in units[1:])]
    return DocConcat((first.comments, _call(first), Indent(hang, *parts)))


def _unit(links: Sequence[ChainLink]) -> Doc:
    line = DocConcat((links[0].comments, DocLine()))
    return DocGroup(line, _call(links[0]), *_behind(links))


def _behind(links: Sequence[ChainLink]) -> list[Doc]:
    """The bare ops behind the first call: on one line if that has fields, else filling lines."""
    first, *bare = links
    if first.bare or not bare:
        return [_unit([link]) for link in bare]
    return [_unit(bare)]


def _call(link: ChainLink) -> Doc:
    return DocConcat((link.head, SPACE, braces(link.fields))) if link.fields else link.head


def braces(pieces: FieldPieces) -> Doc:
    """Fields in braces: on one line, or in the rows of the text, or each on its own line."""
    if not pieces.items and not pieces.hard:
        return concat(pieces.opener, SPACE, pieces.closer)
    content = DocConcat([DocLine(), field_lines(pieces.items)] if pieces.items else [])
    return DocGroup(pieces.opener, Indent(2, pieces.comments, content), DocLine(), pieces.closer)


def field_lines(items: Sequence[FieldItem]) -> Doc:
    """Fields for inside a group: where it is broken, in the rows of the text or a column."""
    rows: list[list[FieldItem]] = []
    for item in items:
        if not rows or item.starts_row or rows[-1][-1].comments.hard:
            rows.append([])
        rows[-1].append(item)
    content = _column(items)
    wide = [row for row in rows if len(row) > 1]
    # A comment between a name and its value leaves no space for a neighbour.
    if len(rows) > 1 and wide and not any(i.name.hard or i.value.hard for row in wide for i in row):
        columns = max(sum(item.width + 2 for item in row) - 2 for row in wide)
        content = Either(_rows(rows), content, columns)
    return content


def _column(items: Sequence[FieldItem]) -> Doc:
    """Fields one below the other where the group is broken, with aligned values."""
    parts: list[Doc] = []
    names = pads([item.name.width for item in items])
    for position, (item, pad) in enumerate(zip(items, names, strict=True)):
        parts += [DocLine("  " + " " * items[position - 1].pad)] if position else []
        parts += (item.name, SPACE)
        parts += (IfBroken(" " * pad), item.value, item.comments)
    return DocConcat(parts)


def _rows(rows: Sequence[Sequence[FieldItem]]) -> Doc:
    parts: list[Doc] = []
    for row in rows:
        for position, item in enumerate(row):
            parts += [DocText("  ")] if position else [DocLine()] if parts else []
            parts += (item.name, SPACE, item.value, item.comments)
    return DocConcat(parts)
