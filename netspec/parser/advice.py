"""What to write instead, where the wrong token tells what was meant."""

from __future__ import annotations

from collections.abc import Sequence

from lark import Token

from netspec.parser.words import KEYWORDS, WORDS
from netspec.suggest import did_you_mean


def advice(
    tokens: Sequence[Token], position: int, acceptable: set[str], opener: Token | None
) -> tuple[str, ...]:
    """Help for a syntax error at a token; `tokens[position]` may lie behind the end.

    `acceptable` are the kinds that could have come, `opener` is the innermost open bracket.
    """
    token = tokens[position] if position < len(tokens) else None
    if token is None:
        return ()
    text = str(token)
    previous = tokens[position - 1] if position else None
    in_block = "LET" in acceptable
    if text == "//" and "MULTIPLY" not in acceptable:
        return ("a comment begins with `#`",)
    if token.type == "ELSE" and in_block:
        return ("an `else` stands right behind the block of its `if`",)
    if {"NET", "MODULE"} <= acceptable and "NAME" not in acceptable:
        return did_you_mean(text, ("net", "module", "import"))
    if previous is not None:
        if token.type in KEYWORDS and "NAME" in acceptable:
            return (f"`{token}` is a word of the language and can't be a name",)
        if token.type == "COLON" and str(previous) in WORDS:
            return (f"`{previous}` is a word of the language and can't be a name",)
        if "COLON" in acceptable and token.type == "NUMBER" and _spaced_shape(tokens, position):
            return (f"a shape is written without spaces: `{tokens[position - 2]}x{token}`",)
    if text == "=" and "COLON" in acceptable:
        return (
            "a layer is written `name: op`" if in_block else "a field is written `name: value`",
        )
    if opener is not None and opener.type == "LPAR":
        return _in_round_brackets(tokens, position, opener)
    return ()


def _spaced_shape(tokens: Sequence[Token], position: int) -> bool:
    """Whether a number is the end of `3 x 3`."""
    before = tokens[max(position - 2, 0) : position]
    return [t.type for t in before] == ["NUMBER", "NAME"] and str(before[1]) == "x"


def _in_round_brackets(tokens: Sequence[Token], position: int, opener: Token) -> tuple[str, ...]:
    start = next(i for i in reversed(range(position)) if tokens[i] is opener)
    before = tokens[start - 1].type if start else ""
    token = tokens[position]
    if before == "NAME" and (token.type in ("NUMBER", "SHAPE", "STRING") or str(token) == "="):
        return ("data goes into round brackets, fields into braces: `conv(x) { filters: 8 }`",)
    if before == "COLON" and token.type == "COMMA":
        return ("a pair is written `3x3` or `[3, 3]`",)
    return ()
