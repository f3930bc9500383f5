"""Statements, blocks and definitions as documents."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from netspec.lazy_dataclasses import dataclass
from netspec.syntax.ast import (
    ContractStatement,
    Default,
    Definition,
    Field,
    For,
    If,
    Import,
    Input,
    LayerStatement,
    Let,
    Name,
    NetBlock,
    OpLiteral,
    Output,
    Param,
    Statement,
    Target,
    Variant,
)
from netspec.syntax.formatter import layers
from netspec.syntax.formatter.alignment import align, pads
from netspec.syntax.formatter.document import (
    SPACE,
    Doc,
    DocConcat,
    DocGroup,
    DocLine,
    DocText,
    HardLine,
    Indent,
)
from netspec.syntax.formatter.expressions import (
    expression,
    hanging,
    listing,
    separator,
)
from netspec.syntax.formatter.pieces import LayerPieces
from netspec.syntax.formatter.reader import Gap, Reader

STEP = 2
"""Columns by which the content of a block is indented."""


def file(reader: Reader, items: Sequence[Import | Default | Definition]) -> Doc:
    """A file as a document, with an empty line around each definition."""
    parts: list[Doc] = []
    before: Import | Default | Definition | None = None
    for item in items:
        separated = isinstance(item, Definition) or isinstance(before, Definition)
        parts += _between(
            reader.gap(), first=before is None, separated=separated and before is not None
        )
        match item:
            case Import():
                parts.append(_import(reader))
            case Default():
                parts.append(_default(reader, item))
            case Definition():
                parts.append(_definition(reader, item))
        before = item
    parts += _between(reader.gap(), first=before is None, last=True)
    return DocConcat(parts)


def _between(gap: Gap, first: bool, last: bool = False, separated: bool = False) -> Iterator[Doc]:
    """Comments and empty lines between statements; none at the start and the end of a block."""
    missing = separated and not gap.blank and not any(blank for _, blank in gap.notes)
    for note, blank in gap.notes:
        if note.alone:
            yield HardLine((blank or missing) and not first)
            first = missing = False
        yield note
    if not last:
        yield HardLine((gap.blank or missing) and not first)


def _import(reader: Reader) -> Doc:
    return Indent(2 * STEP, reader.word(), SPACE, reader.word())


def _definition(reader: Reader, node: Definition) -> Doc:
    head = [reader.word(), SPACE, reader.word()]
    if reader.at("("):
        head.append(listing(reader, reader.attached(), node.params, _param))
    return _with_blocks([(DocConcat(head), _block(reader, node.body, 1))])


def _param(reader: Reader, node: Param) -> Doc:
    name = reader.word()
    if node.default is None:
        return name
    return DocConcat((name, SPACE, reader.word(), SPACE, layers.given(reader, node.default)))


# Blocks.


@dataclass(slots=True)
class StatementBlock:
    """`{ statements }`."""

    opener: Doc
    content: Doc
    closer: Doc
    empty: bool
    """Whether it has neither statements nor comments."""
    short: bool
    """Whether it may be on one line: a single statement that is on one line in the text."""


def _block(reader: Reader, statements: Sequence[Statement], depth: int) -> StatementBlock:
    opener = reader.attached()
    on_line = not reader.on_new_line
    gaps: list[Gap] = []
    items: list[LayerPieces | _Let | Doc] = []
    for node in statements:
        gaps.append(reader.gap())
        items.append(_statement(reader, node, depth))
    end = reader.gap()
    bare = not end.notes and not any(gap.notes for gap in gaps)
    if len(items) > 1:
        _line_up(items, gaps, depth * STEP)
    parts: list[Doc] = []
    for position, (gap, item) in enumerate(zip(gaps, items, strict=True)):
        parts += _between(gap, first=position == 0)
        parts.append(_document(item))
    short = on_line and bare and len(items) == 1
    if short:
        parts = parts[1:]
    parts += _between(end, first=not items, last=True)
    return StatementBlock(opener, DocConcat(parts), reader.attached(), bare and not items, short)


def _line_up(items: Sequence[LayerPieces | _Let | Doc], gaps: Sequence[Gap], indent: int) -> None:
    """Align consecutive layers, and consecutive constants."""
    runs: list[list[LayerPieces | _Let | Doc]] = []
    for item, gap in zip(items, gaps, strict=True):
        blank = gap.blank or any(blank for _, blank in gap.notes)
        if not runs or blank or _kind(runs[-1][0]) != _kind(item):
            runs.append([])
        runs[-1].append(item)
    for run in runs:
        align([item for item in run if isinstance(item, LayerPieces)], indent)
        lets = [item for item in run if isinstance(item, _Let)]
        for let, pad in zip(lets, pads([let.name.width for let in lets]), strict=True):
            let.pad = pad


def _kind(item: LayerPieces | _Let | Doc) -> object:
    return (type(item), isinstance(item, LayerPieces) and item.name is None)


def _with_blocks(branches: Sequence[tuple[Doc, StatementBlock]]) -> Doc:
    """Heads with their blocks: all on one line, if the text has them so and they fit, or none."""
    on_line = any(b.short for _, b in branches) and all(b.short or b.empty for _, b in branches)
    parts: list[Doc] = []
    for head, block in branches:
        parts += (SPACE, head) if parts else (head,)
        parts += (SPACE, block.opener)
        if block.empty:
            parts += (SPACE, block.closer)
            continue
        line: Doc = DocLine() if on_line else HardLine()
        content = (line, block.content) if block.short else (block.content,)
        parts += (Indent(STEP, *content), line, block.closer)
    return DocGroup(*parts)


# Statements.


@dataclass(slots=True)
class _Let:
    """The parts of `let name = value`; `name` includes the `let`."""

    name: Doc
    equals: Doc
    value: Doc
    pad: int = 0


def _statement(reader: Reader, node: Statement, depth: int) -> LayerPieces | _Let | Doc:
    match node:
        case LayerStatement():
            return layers.row(reader, node)
        case Let():
            name = DocConcat((reader.word(), SPACE, reader.word()))
            equals = reader.word()
            if isinstance(node.value, OpLiteral):
                return _Let(name, equals, layers.given(reader, node.value))
            return _Let(name, equals, hanging(reader, node.value))
        case Input():
            return _input(reader, node)
        case Output():
            return _output(reader, node)
        case ContractStatement():
            return _require(reader, node)
        case For():
            head = _for_head(reader, node)
            return _with_blocks([(head, _block(reader, node.body, depth + 1))])
        case If():
            return _if(reader, node, depth)
        case NetBlock():
            return _net_block(reader, node)
        case Variant():
            return _variant(reader, node)
        case Default():
            return _default(reader, node)


def _document(item: LayerPieces | _Let | Doc) -> Doc:
    if isinstance(item, LayerPieces):
        return layers.layer(item)
    if isinstance(item, _Let):
        pad = DocText(" " * (item.pad + 1))
        return DocConcat((Indent(2 * STEP, item.name, pad, item.equals, SPACE), item.value))
    return item


def _input(reader: Reader, node: Input) -> Doc:
    parts: list[Doc] = [reader.word(), SPACE, reader.word()]
    if node.pattern is not None:
        parts += (reader.attached(), SPACE, expression(reader, node.pattern))
    given = layers.fields(reader, node.fields)
    if given is not None:
        parts += (SPACE, layers.braces(given))
    return DocConcat(parts)


def _net_block(reader: Reader, node: NetBlock) -> Doc:
    word = reader.word()
    given = layers.fields(reader, node.fields)
    assert given is not None, "such a block has braces"
    return DocConcat((word, SPACE, layers.braces(given)))


def _default(reader: Reader, node: Default) -> Doc:
    head = DocConcat((reader.word(), SPACE, reader.word()))
    given = layers.fields(reader, node.fields)
    assert given is not None, "a default has braces"
    return DocConcat((head, SPACE, layers.braces(given)))


def _variant(reader: Reader, node: Variant) -> Doc:
    head = DocConcat((reader.word(), SPACE, reader.word()))
    if not node.contracts:
        given = layers.fields(reader, node.fields)
        assert given is not None, "a variant has braces"
        return DocConcat((head, SPACE, layers.braces(given)))
    opener = reader.attached()
    on_line = not reader.on_new_line
    gaps: list[Gap] = []
    rows: list[Doc] = []
    for kind, group in groupby(node.items, type):
        if kind is Field:
            gaps.append(reader.gap())
            fields = [i for i in group if isinstance(i, Field)]
            rows.append(DocGroup(layers.field_lines(layers.field_items(reader, fields, False))))
            continue
        for contract in (i for i in group if isinstance(i, ContractStatement)):
            gaps.append(reader.gap())
            rows.append(_require(reader, contract))
    end = reader.gap()
    bare = not end.notes and not any(gap.notes for gap in gaps)
    parts: list[Doc] = []
    for position, (gap, row) in enumerate(zip(gaps, rows, strict=True)):
        if on_line and bare:
            parts += [DocLine("  ")] if position else []
        else:
            parts += _between(gap, first=position == 0)
        parts.append(row)
    parts += _between(end, first=False, last=True)
    block = StatementBlock(opener, DocConcat(parts), reader.attached(), False, on_line and bare)
    return _with_blocks([(head, block)])


def _output(reader: Reader, node: Output) -> Doc:
    parts: list[Doc] = [reader.word(), SPACE]
    for i, result in enumerate(node.results):
        if i:
            parts.append(reader.attached())
        before = [reader.line()] if i else []
        named = [reader.word(), reader.attached(), SPACE] if result.name is not None else []
        parts.append(DocGroup(*before, *named, layers.value(reader, result.value)))
    return Indent(2 * STEP, *parts)


def _require(reader: Reader, node: ContractStatement) -> Doc:
    parts: list[Doc] = [reader.word(), SPACE, expression(reader, node.subject)]
    if node.pattern is not None:
        parts += (reader.attached(), SPACE, expression(reader, node.pattern))
    if node.message is not None:
        parts += (reader.line("  "), reader.word())
    return Indent(2 * STEP, DocGroup(*parts))


def _for_head(reader: Reader, node: For) -> Doc:
    parts: list[Doc] = [reader.word(), SPACE, _target(reader, node.target), SPACE]
    parts += (reader.word(), SPACE)
    first = hanging(reader, node.first)
    if node.last is None:
        return DocConcat((Indent(2 * STEP, *parts), first))
    parts += (first, separator(reader), reader.attached(), expression(reader, node.last))
    if node.step is not None:
        parts += (SPACE, reader.word(), SPACE, expression(reader, node.step))
    return Indent(2 * STEP, *parts)


def _target(reader: Reader, node: Target) -> Doc:
    """The names for the items of a loop, with the brackets of the text."""
    if isinstance(node, Name):
        return reader.word()
    if node.parts[0].span.start > node.span.start:
        return listing(reader, reader.word(), node.parts, _target)
    parts: list[Doc] = []
    for part in node.parts:
        parts += (reader.attached(), SPACE) if parts else ()
        parts.append(_target(reader, part))
    return DocConcat(parts)


def _if(reader: Reader, node: If, depth: int) -> Doc:
    branches: list[tuple[Doc, StatementBlock]] = []
    for condition, body in node.branches:
        head = (
            [reader.word(), SPACE] if not branches else [reader.word(), SPACE, reader.word(), SPACE]
        )
        test = hanging(reader, condition)
        branches.append(
            (DocConcat((Indent(2 * STEP, *head), test)), _block(reader, body, depth + 1))
        )
    if reader.at("else"):
        branches.append((reader.word(), _block(reader, node.otherwise, depth + 1)))
    return _with_blocks(branches)
