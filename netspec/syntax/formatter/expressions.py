"""Expressions as documents.

Spaces stand around operators, but not in a fraction of two numbers (`1/255`) and in a range. A long
expression is broken in front of its loosest operators, or behind a bracket.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from netspec.syntax.ast import (
    Attribute,
    Binary,
    Chain,
    Comparison,
    Conditional,
    Constant,
    Expression,
    Function,
    Index,
    ListLiteral,
    Logic,
    Name,
    Number,
    Param,
    ShapeLiteral,
    String,
    Target,
    Unary,
    Variable,
    Wildcard,
)
from netspec.syntax.formatter.alignment import pads
from netspec.syntax.formatter.document import (
    NOTHING,
    SPACE,
    Doc,
    DocConcat,
    DocGroup,
    DocLine,
    IfBroken,
    Indent,
)
from netspec.syntax.formatter.reader import Reader

Node = TypeVar("Node", bound=Expression | Chain | Param | Target)

_RANKS = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "%": 2}
LITERALS = (Number, ShapeLiteral, String, Constant)
_SIMPLE = (Number, ShapeLiteral, String, Constant, Wildcard, Variable, Attribute, Name)


def expression(reader: Reader, node: Expression) -> Doc:
    """An expression as a document, with the brackets of the text."""
    comments = reader.comments()
    if comments.hard:
        # They break what is around, not the expression itself.
        return DocConcat((comments, expression(reader, node)))
    inner = _inner_start(node)
    if not reader.at("(") or (inner is not None and reader.start >= inner):
        return _plain(reader, node)
    opener = reader.word()
    line = reader.line("")
    content = expression(reader, node)
    comments = reader.comments()
    return DocGroup(opener, Indent(2, line, content, comments), DocLine(""), reader.attached())


def _inner_start(node: Expression) -> int | None:
    """Where the first part of a node begins; None where every bracket in front is its own."""
    match node:
        case Binary():
            return node.left.span.start
        case Comparison():
            return node.first.span.start
        case Logic():
            return node.operands[0].span.start
        case Conditional():
            return node.cases[0][0].span.start
        case Index() | Attribute():
            return node.base.span.start
        case _:
            return None


def _has_brackets(node: Expression) -> bool:
    inner = _inner_start(node)
    start = node.span.start
    return node.span.source.text[start] == "(" and (inner is None or start < inner)


def _plain(reader: Reader, node: Expression) -> Doc:
    match node:
        case ListLiteral():
            return listing(reader, reader.word(), node.items, expression)
        case Function():
            name = reader.word()
            return DocConcat((name, listing(reader, reader.attached(), node.arguments, expression)))
        case Index():
            base = expression(reader, node.base)
            return DocConcat((base, separator(reader), index(reader, node.index)))
        case Attribute():
            base = expression(reader, node.base)
            return DocConcat((base, separator(reader), reader.attached(), reader.attached()))
        case Unary():
            operator = reader.word()
            space = SPACE if node.operator == "not" else NOTHING
            return DocConcat((operator, space, expression(reader, node.operand)))
        case Binary():
            return _binary(reader, node)
        case Comparison():
            parts = [expression(reader, node.first)]
            for operator_text, operand in node.rest:
                parts += (reader.line(), reader.word(), SPACE)
                if operator_text == "not in":
                    parts += (reader.word(), SPACE)
                parts.append(expression(reader, operand))
            return DocGroup(*parts)
        case Logic():
            parts = [expression(reader, node.operands[0])]
            for operand in node.operands[1:]:
                parts += (reader.line(), reader.word(), SPACE, expression(reader, operand))
            return DocGroup(*parts)
        case Conditional():
            parts = []
            for value, condition in node.cases:
                parts += (expression(reader, value), reader.line())
                parts += (reader.word(), SPACE, expression(reader, condition))
                parts += (reader.line(), reader.word(), SPACE)
            return DocGroup(*parts, expression(reader, node.otherwise))
        case _:
            return reader.word()


def _binary(reader: Reader, node: Binary) -> Doc:
    """Consecutive operators of one rank: their lines are broken together."""
    if _is_fraction(node):
        left = expression(reader, node.left)
        return DocConcat((left, reader.word(), expression(reader, node.right)))
    rank = _RANKS.get(node.operator)
    operands = [node.right]
    first: Expression = node.left
    while rank and isinstance(first, Binary) and _RANKS.get(first.operator) == rank:
        if _has_brackets(first) or _is_fraction(first):
            break
        operands.append(first.right)
        first = first.left
    parts = [expression(reader, first)]
    for operand in reversed(operands):
        parts += (reader.line(), reader.word(), SPACE, expression(reader, operand))
    return DocGroup(*parts)


def _is_fraction(node: Binary) -> bool:
    """Whether it is a fraction of two numbers, such as `1/255`."""
    top = node.left
    if isinstance(top, Unary) and not _has_brackets(top):
        top = top.operand
    numbers = isinstance(top, Number) and isinstance(node.right, Number)
    return (
        node.operator == "/" and numbers and not (_has_brackets(top) or _has_brackets(node.right))
    )


def index(reader: Reader, node: Expression) -> Doc:
    """`[expression]` behind a name."""
    opener = reader.attached()
    line = reader.line("")
    content = expression(reader, node)
    comments = reader.comments()
    return DocGroup(opener, Indent(2, line, content, comments), DocLine(""), reader.attached())


def separator(reader: Reader) -> Doc:
    """A space where the next sign would be read as part of the last word: `50% [0]`."""
    return SPACE if reader.taken[-1].endswith("%") else NOTHING


def listing(
    reader: Reader, opener: Doc, items: Sequence[Node], write: Callable[[Reader, Node], Doc]
) -> Doc:
    """The items between brackets, with commas, and the closing bracket.

    If it doesn't fit on a line, names and numbers fill lines; anything else has a line each.
    """
    if matrix := _matrix(reader, items):
        return DocGroup(opener, Indent(2, *matrix), DocLine(""), reader.attached())
    fill = all(isinstance(item, _SIMPLE) for item in items)
    parts: list[Doc] = []
    for position, item in enumerate(items):
        line = reader.line(" " if position else "")
        doc = write(reader, item)
        parts.append(DocGroup(line, doc) if fill and position else DocConcat((line, doc)))
        if position < len(items) - 1:
            parts.append(reader.attached())
        else:
            reader.drop(",")
    comments = reader.comments()
    end = DocLine("") if items else NOTHING
    return DocGroup(opener, Indent(2, *parts, comments), end, reader.attached())


def _matrix(reader: Reader, items: Sequence[Node]) -> list[Doc]:
    """Lists of equal length as rows with aligned columns; empty where the items are not that."""
    rows = [item for item in items if isinstance(item, ListLiteral)]
    if len(rows) < max(len(items), 2) or len({len(row.items) for row in rows}) > 1:
        return []
    words = [[cell.span.text for cell in row.items] for row in rows]
    plain = all(isinstance(cell, LITERALS) for row in rows for cell in row.items)
    if not plain or any("(" in cell for row in words for cell in row):
        return []
    if any(reader.has_comment(row.span) or _has_brackets(row) for row in rows):
        return []
    columns = [pads([len(cell) for cell in column]) for column in zip(*words, strict=True)]
    parts: list[Doc] = []
    for number, row in enumerate(rows):
        parts += (reader.line(" " if number else ""), reader.word())
        for position in range(len(row.items)):
            if position:
                pad = columns[position - 1][number]
                parts += (reader.attached(), IfBroken(" " * pad), SPACE)
            parts.append(reader.word())
        reader.drop(",")
        parts.append(reader.attached())
        if number < len(rows) - 1:
            parts.append(reader.attached())
        else:
            reader.drop(",")
    return [*parts, reader.comments()]


def hanging(reader: Reader, node: Expression) -> Doc:
    """An expression with a hanging indent, unless it is in brackets as a whole."""
    comments = reader.comments()
    brackets = isinstance(node, ListLiteral | Function) or (reader.at("(") and _has_brackets(node))
    doc = expression(reader, node)
    if brackets and not comments.hard:
        return doc
    return Indent(4, comments, doc)
