"""Braces that were left open, found by the indentation of what stands behind them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from lark import Token

from netspec.diagnostics import Diagnostic, Label
from netspec.parser.tokens import span_of
from netspec.source import Source


@dataclass(frozen=True)
class _Open:
    brace: Token
    indent: int
    """The column at which the line of the brace begins."""
    inline: bool
    """Whether its content begins on its own line."""
    inner: int
    """The column of the first line of its content."""
    block: bool
    """Whether statements stand in it, and not fields."""


_BLOCKS = ("NET", "MODULE", "FOR", "IF", "ELSE")


def close_left_open(source: Source, tokens: list[Token]) -> tuple[list[Token], list[Diagnostic]]:
    """The tokens with the braces that their author forgot, and a diagnostic for each of those.

    Nothing is added, and nothing said, where the braces match, or where the indentation does not
    account for every one that is missing.
    """
    kinds = [t.type for t in tokens]
    missing = kinds.count("LBRACE") - kinds.count("RBRACE")
    if missing <= 0:
        return tokens, []
    repaired: list[Token] = []
    found: list[Diagnostic] = []
    open_: list[_Open] = []
    last = indent = 0
    block = False
    for i, token in enumerate(tokens):
        column = token.column or 0
        if token.line != last:
            indent = column
            while open_ and _is_behind(open_[-1], token):
                if token.type == "RBRACE" and open_[-1].indent == column:
                    break  # its own
                found.append(_left_open(source, tokens, open_.pop().brace, token))
                repaired.append(_closing(token))
        last = token.end_line or 0
        if token.type == "ARROW" and open_ and not open_[-1].block:
            found.append(_left_open(source, tokens, open_.pop().brace, token))
            repaired.append(_closing(token))
        block = (block or token.type in _BLOCKS) and token.type not in ("COLON", "RBRACE")
        if token.type == "LBRACE":
            follower = tokens[i + 1] if i + 1 < len(tokens) else token
            inline = follower.line == token.line
            open_.append(_Open(token, indent, inline, follower.column or 0, block))
            block = False
        elif token.type == "RBRACE" and open_:
            open_.pop()
        repaired.append(token)
    return (repaired, found) if len(found) == missing else (tokens, [])


def _is_behind(block: _Open, token: Token) -> bool:
    """Whether a token that begins a line stands, by its indentation, behind a block."""
    if token.type == "ARROW" or (not block.inline and block.inner <= block.indent):
        return False  # a chain that goes on; a text without indentation
    return (token.column or 0) <= block.indent


def _left_open(source: Source, tokens: list[Token], brace: Token, behind: Token) -> Diagnostic:
    what = _owner(tokens, brace)
    why = f"not part of {what}, by its indentation"
    if behind.type == "ARROW":
        label = Label(span_of(source, behind), "no fields can follow here")
        help_ = ("put a `}` in front of the `->`",)
        message = f"the `{{` of {what} is not closed"
        return Diagnostic("syntax", message, span_of(source, brace), others=(label,), help=help_)
    if behind.type == "RBRACE":
        why = "by its indentation, this closes a block further out"
    return Diagnostic(
        "syntax",
        f"the `{{` of {what} is not closed",
        span_of(source, brace),
        others=(Label(span_of(source, behind), why),),
        help=(f"put a `}}` in front of line {behind.line}",),
    )


def _owner(tokens: list[Token], brace: Token) -> str:
    """What a brace belongs to, as a person calls it: `for`, `net d`, `conv`."""
    position = next(i for i, t in enumerate(tokens) if t is brace)
    depth = 0
    for token in reversed(tokens[max(0, position - 200) : position]):
        if token.type in ("RPAR", "RSQB"):
            depth += 1
        elif token.type in ("LPAR", "LSQB"):
            depth -= 1
        elif depth == 0 and token.type in ("FOR", "IF", "ELSE"):
            return f"`{token}`"
        elif (depth == 0 and token.type in ("LBRACE", "RBRACE")) or (
            depth == 0 and token.line != brace.line
        ):
            break
    before = [t for t in tokens[max(0, position - 200) : position] if t.line == brace.line]
    for word, name in pairwise(before):
        if word.type in ("NET", "MODULE") and name.type == "NAME":
            return f"{word} {name}"
    named = [t for t in before if t.type == "NAME" or t.type == "TRAIN"]
    return f"`{named[-1]}`" if named and tokens[position - 1].type in ("NAME", "TRAIN") else "this"


def _closing(token: Token) -> Token:
    """A brace at the place of a token, as wide as nothing."""
    return Token(
        "RBRACE",
        "}",
        start_pos=token.start_pos,
        line=token.line,
        column=token.column,
        end_line=token.line,
        end_column=token.column,
        end_pos=token.start_pos,
    )
