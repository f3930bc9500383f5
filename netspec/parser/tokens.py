"""Text to tokens, ahead of the parser, with the comments set aside."""

from __future__ import annotations

from lark import Lark, Token
from lark.exceptions import UnexpectedCharacters

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.source import Source, Span
from netspec.syntax import Comment

MAX_SIZE = 8 * 2**20
"""Longest text that is read, in characters."""
MAX_NESTING = 60
"""Most brackets that may be open at once."""
MAX_REPEATED_SIGNS = 60
"""Most signs or `not`s in front of one operand."""

OPENERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
CLOSERS = {"RPAR", "RSQB", "RBRACE"}


def span_of(source: Source, token: Token) -> Span:
    start = token.start_pos or 0
    return Span(source, start, start + len(token))


def tokens_of(
    lark: Lark, source: Source, comments: list[Comment], diagnostics: Diagnostics
) -> list[Token]:
    def comment(token: Token) -> Token:
        span = span_of(source, token)
        line = source.text.rfind("\n", 0, span.start) + 1
        alone = not source.text[line : span.start].strip()
        comments.append(Comment(str(token).rstrip(), alone, span))
        return token

    lark.lexer_conf.callbacks["COMMENT"] = comment
    tokens: list[Token] = []
    try:
        # Lark's own lexer of these callbacks; the text is lexed once, ahead of the parser.
        tokens.extend(lark.lex(source.text, dont_ignore=False))
    except UnexpectedCharacters as error:
        offset = error.pos_in_stream or 0
        char = source.text[offset]
        message, help_ = f"{char!r} has no place in the language", ""
        if char == '"':
            message = "this string has no end on its line"
            help_ = 'close it with `"`; write `\\n` for a line break'
        diagnostics.add(
            Diagnostic(
                "syntax", message, Span(source, offset, offset + 1), help=(help_,) if help_ else ()
            )
        )
    return tokens


def nesting_is_bounded(source: Source, tokens: list[Token], diagnostics: Diagnostics) -> bool:
    """Whether a recursive walk over the tree is safe. The only rules that nest have brackets."""
    depth = signs = 0
    for token in tokens:
        if token.type in OPENERS:
            depth += 1
        elif token.type in CLOSERS:
            depth -= 1
        signs = signs + 1 if token.type in ("ADD", "NOT") else 0
        if depth > MAX_NESTING or signs > MAX_REPEATED_SIGNS:
            what = f"at most {MAX_NESTING} brackets may be open at once"
            if signs:
                what = f"at most {MAX_REPEATED_SIGNS} signs may stand before a value"
            diagnostics.add(
                Diagnostic("too-deep", f"this is nested too deeply: {what}", span_of(source, token))
            )
            return False
    return True
