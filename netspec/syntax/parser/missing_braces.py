"""Braces that are missing, found by indentation, and put in before parsing.

So that nothing else looks wrong because of them.
"""

from __future__ import annotations

import re
from itertools import pairwise

from netspec.diagnostics import Diagnostic, Label
from netspec.diagnostics.fixes import Edit, Fix
from netspec.diagnostics.source import Source, Span
from netspec.lazy_dataclasses import dataclass
from netspec.syntax.lalr import Token
from netspec.syntax.parser.tokens import span_of


@dataclass(frozen=True)
class _Open:
    brace: Token
    indent: int
    """The column at which the line with the brace begins."""
    inline: bool
    """Whether its content begins on its own line."""
    inner: int
    """The column of the first line of its content."""
    word: str
    """The kind of the word that its block belongs to; empty for fields."""


_BLOCKS = ("NET", "MODULE", "FOR", "IF", "ELSE")


def with_missing_braces(
    source: Source, tokens: list[Token]
) -> tuple[list[Token], list[Diagnostic]]:
    """The tokens with the missing closing braces, and a diagnostic for each of those.

    The tokens are returned unchanged where braces match, or where the indentation does not account
    for every missing one.
    """
    kinds = [t.kind for t in tokens]
    missing = kinds.count("LBRACE") - kinds.count("RBRACE")
    if missing <= 0:
        return tokens, []
    repaired: list[Token] = []
    found: list[Diagnostic] = []
    open_: list[_Open] = []
    last = indent = 0
    word = ""
    closed: _Open | None = None
    for i, token in enumerate(tokens):
        column = token.column
        if token.line != last:
            indent = column
            while open_ and _is_behind(open_[-1], token):
                if token.kind == "RBRACE" and open_[-1].indent == column:
                    break  # its own
                closed = open_.pop()
                found.append(_left_open(source, tokens, closed.brace, token))
                repaired.append(_closing(token))
        last = token.end_line
        if open_ and _cuts_off(open_[-1], closed, tokens, i):
            closed = open_.pop()
            found.append(_left_open(source, tokens, closed.brace, token))
            repaired.append(_closing(token))
        if token.kind == "ELSE" and closed is not None and closed.word == "IF":
            indent = closed.indent  # one statement, wherever the `else` stands
        if token.kind in _BLOCKS:
            word = token.kind
        elif token.kind in ("COLON", "RBRACE"):
            word = ""
        closed = None
        if token.kind == "LBRACE":
            follower = tokens[i + 1] if i + 1 < len(tokens) else token
            inline = follower.line == token.line
            open_.append(_Open(token, indent, inline, follower.column, word))
            word = ""
        elif token.kind == "RBRACE" and open_:
            closed = open_.pop()
        repaired.append(token)
    return (repaired, found) if len(found) == missing else (tokens, [])


def _is_behind(block: _Open, token: Token) -> bool:
    """Whether the first token of a line is, by its indentation, no longer in a block."""
    if token.kind == "ARROW" or (not block.inline and block.inner <= block.indent):
        return False  # a chain that goes on; a text without indentation
    return token.column <= block.indent


def _cuts_off(block: _Open, closed: _Open | None, tokens: list[Token], position: int) -> bool:
    """Whether a token can't be part of a block, whatever its indentation.

    `closed` is the block that ended right in front of it.
    """
    token = tokens[position]
    if token.kind == "ARROW":
        return not block.word
    # `else {` and `else if` are no part of an expression.
    if token.kind != "ELSE" or block.word != "IF" or (closed and closed.word == "IF"):
        return False
    return position + 1 < len(tokens) and tokens[position + 1].kind in ("LBRACE", "IF")


def _left_open(source: Source, tokens: list[Token], brace: Token, behind: Token) -> Diagnostic:
    what = _owner(tokens, brace)
    why = f"not part of {what}, by its indentation"
    if behind.kind in ("ARROW", "ELSE"):
        label = Label(span_of(source, behind), "this comes behind a `}` only")
        close = Edit(Span(source, behind.start, behind.start), "} ")
        help_ = (Fix(f"put a `}}` in front of the `{behind}`", close),)
        message = f"the `{{` of {what} is not closed"
        return Diagnostic("syntax", message, span_of(source, brace), others=(label,), help=help_)
    if behind.kind == "RBRACE":
        why = "by its indentation, this closes a block further out"
    fix = Fix(f"put a `}}` in front of line {behind.line}", _on_a_line(source, brace, behind))
    return Diagnostic(
        "syntax",
        f"the `{{` of {what} is not closed",
        span_of(source, brace),
        others=(Label(span_of(source, behind), why),),
        help=(fix,),
    )


def _on_a_line(source: Source, brace: Token, behind: Token) -> Edit:
    """The edit that puts a `}` in front of a line, indented as the line of its brace is."""
    indent = re.match(r"[ \t]*", source.line(brace.line))
    start = source.text.rfind("\n", 0, behind.start) + 1
    return Edit(Span(source, start, start), f"{indent[0] if indent else ''}}}\n")


def _owner(tokens: list[Token], brace: Token) -> str:
    """What a brace belongs to, in words: `for`, `net d`, `conv`."""
    position = next(i for i, t in enumerate(tokens) if t is brace)
    depth = 0
    for token in reversed(tokens[max(0, position - 200) : position]):
        if token.kind in ("RPAR", "RSQB"):
            depth += 1
        elif token.kind in ("LPAR", "LSQB"):
            depth -= 1
        elif depth == 0 and token.kind in ("FOR", "IF", "ELSE"):
            return f"`{token}`"
        elif (depth == 0 and token.kind in ("LBRACE", "RBRACE")) or (
            depth == 0 and token.line != brace.line
        ):
            break
    before = [t for t in tokens[max(0, position - 200) : position] if t.line == brace.line]
    for word, name in pairwise(before):
        if word.kind in ("NET", "MODULE") and name.kind == "NAME":
            return f"{word} {name}"
    named = [t for t in before if t.kind in ("NAME", "TRAIN", "DETECT")]
    return (
        f"`{named[-1]}`"
        if named and tokens[position - 1].kind in ("NAME", "TRAIN", "DETECT")
        else "this"
    )


def _closing(token: Token) -> Token:
    """A brace that is put in front of a token."""
    return Token.of("RBRACE", "}", token.start, token.line, token.column)
