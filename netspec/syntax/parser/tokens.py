"""Text to tokens and comments, and the limits on their number and nesting."""

from __future__ import annotations

import re

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.fixes import Edit, Fix
from netspec.diagnostics.source import Source, Span
from netspec.syntax.ast import Comment
from netspec.syntax.lalr import Grammar, Token, UnexpectedCharacter

MAX_SIZE = 8 * 2**20
"""Longest text, in characters."""
MAX_TOKENS = 300_000
"""Most tokens of a text."""
MAX_STRAY = 20
"""Most characters out of place that are reported."""
MAX_NAME = 200
"""Longest name, in characters."""
MAX_NESTING = 60
"""Most brackets that may be open at once."""
MAX_REPEATED_SIGNS = 60
"""Most signs or `not`s in front of one operand."""
MAX_OPERATORS = 1_000
"""Most operators of an expression, those of the expressions around it counted."""

OPENERS = {"LPAR": "RPAR", "LSQB": "RSQB", "LBRACE": "RBRACE"}
CLOSERS = {"RPAR", "RSQB", "RBRACE"}


def span_of(source: Source, token: Token) -> Span:
    """The place of a token."""
    return Span(source, token.start, token.end)


def tokens_of(
    grammar: Grammar,
    source: Source,
    comments: list[Comment],
    diagnostics: Diagnostics,
    start: int = 0,
) -> list[Token]:
    """The tokens of a text from an offset on; stray characters are reported and skipped."""
    text = source.text
    tokens: list[Token] = []
    found: list[Token] = []
    # Each stray character costs a walk over the text, which may be long.
    for _ in range(MAX_STRAY if len(text) < 2**18 else 2):
        tokens = []
        found.clear()
        try:
            for token in grammar.tokens(text, start, found):
                tokens.append(token)
                if len(tokens) > MAX_TOKENS:
                    message = f"{source.name} has more than {MAX_TOKENS:,} words and signs"
                    diagnostics.add(Diagnostic("too-large", message, span_of(source, token)))
                    break
        except UnexpectedCharacter as error:
            text = _without_stray(source, text, error.offset, diagnostics)
            continue
        break
    comments += [_comment(source, token) for token in found]
    return tokens


def _comment(source: Source, token: Token) -> Comment:
    line = source.text.rfind("\n", 0, token.start) + 1
    alone = not source.text[line : token.start].strip()
    return Comment(token.rstrip(), alone, span_of(source, token))


def _without_stray(source: Source, text: str, offset: int, diagnostics: Diagnostics) -> str:
    """The text with a placeholder for a character that begins no token, which is reported."""
    char = text[offset]
    end = offset + 1
    message, fix = f"{_spelled(char)} is not part of the language", ""
    instead = None  # what to write in its place
    if char == '"':
        message = "this string does not end on its line"
        fix = 'close it with `"`; write `\\n` for a line break'
        stop = text.find("\n", offset)
        end = len(text) if stop < 0 else stop
    elif (slashes := _slashes(text, offset)) is not None:
        offset, end = slashes
        message, fix = "`//` begins no comment", "a comment begins with `#`"
        place = Span(source, offset, offset + 2)
        diagnostics.add(Diagnostic("syntax", message, place, help=(Fix(fix, Edit(place, "#")),)))
        return text[:offset] + " " * (end - offset) + text[end:]
    elif char in _QUOTES and (closing := _closing_quote(text, offset)) is not None:
        end = closing + 1
        inner = text[offset + 1 : closing]
        message = "a string stands between double quotes"
        if len(inner) < 60 and '"' not in inner:
            instead = f'"{inner}"'
            fix = f"write `{instead}`"
    elif text[offset : offset + 2] in ("&&", "||"):
        end = offset + 2
        message = f"`{text[offset:end]}` is not part of the language"
        instead = _LOOKALIKES[char]
    elif char == "|" and text[:offset].rstrip().endswith("}"):
        instead = "->"
    elif char.isalpha():
        end = offset + len(re.compile(r"\w+").match(text, offset)[0])  # type: ignore[index]
        fix = "a name has the letters a to z, digits and `_` alone"
    elif char in _LOOKALIKES:
        instead = _LOOKALIKES[char]
    place = Span(source, offset, end)
    fix = fix or (f"did you mean `{instead}`?" if instead is not None else "")
    if instead is not None and text[offset:end] not in ("&", "|"):
        fix = Fix(fix, Edit(place, _apart(text, offset, end, instead)))
    help_ = (fix,) if fix else ()
    diagnostics.add(Diagnostic("syntax", message, place, help=help_))
    # A string stays one, so that what is around it is not taken for an error.
    quoted = char == '"' or char in _QUOTES
    filler = '"' + "_" * (end - offset - 2) + '"' if quoted and end - offset > 1 else ""
    if char.isalpha():
        filler = "_" * (end - offset)  # a name stays one
    filler = filler or " " * (end - offset)
    return text[:offset] + filler + text[end:]


def _apart(text: str, start: int, end: int, word: str) -> str:
    """A word with spaces where it would touch another one."""
    if not word.isalpha():
        return word
    before = " " if start and not text[start - 1].isspace() and text[start - 1] != "(" else ""
    behind = " " if end < len(text) and not text[end].isspace() else ""
    return f"{before}{word}{behind}"


def _slashes(text: str, offset: int) -> tuple[int, int] | None:
    """Start and end of the `//` comment that an offset is in; None where it is in none."""
    line = text.rfind("\n", 0, offset) + 1
    start = text.find("//", line, offset + 2)
    if start < 0 or (start > line and not text[start - 1].isspace()):
        return None
    stop = text.find("\n", offset)
    return start, len(text) if stop < 0 else stop


def _closing_quote(text: str, offset: int) -> int | None:
    """The offset of the quote that closes a string in other quotes, on its line."""
    stop = text.find("\n", offset)
    end = text.find(_QUOTES[text[offset]], offset + 1, len(text) if stop < 0 else stop)
    return end if end >= 0 else None


_QUOTES = {"'": "'", "“": "”", "‘": "’"}
_LOOKALIKES = {
    "’": '"',
    "“": '"',
    "”": '"',
    "'": '"',
    "–": "-",
    "−": "-",
    "→": "->",
    "×": "x",
    "|": "or",
    "&": "and",
    "!": "not",
}


def _spelled(char: str) -> str:
    return f"`{char}`" if char.isprintable() and not char.isspace() else repr(char).strip("'")


def nesting_is_bounded(source: Source, tokens: list[Token], diagnostics: Diagnostics) -> bool:
    """Whether a recursive walk over the tree is safe; reported where it is not.

    The only rules of the grammar that nest have brackets, signs or operators.
    """
    depth = signs = operators = 0
    outer: list[int] = []
    for token in tokens:
        kind = token.kind
        signs = signs + 1 if kind in ("ADD", "NOT") else 0
        what = ""
        around = outer[-1] if outer else 0
        if kind in OPENERS:
            depth += 1
            outer.append(around if kind == "LBRACE" else operators)
        elif kind in CLOSERS:
            depth -= 1
            operators = outer.pop() if outer else 0
        elif kind in _OPERATORS:
            operators += 1
            if operators > MAX_OPERATORS:
                what = f"an expression has at most {MAX_OPERATORS:,} operators"
        elif kind not in _INSIDE:
            # Another expression begins, with the operators of those around it alone.
            operators = around
        if depth > MAX_NESTING:
            what = f"at most {MAX_NESTING} brackets may be open at once"
        if signs > MAX_REPEATED_SIGNS:
            what = f"at most {MAX_REPEATED_SIGNS} signs may stand before a value"
        if what:
            diagnostics.add(
                Diagnostic("too-deep", f"this is nested too deeply: {what}", span_of(source, token))
            )
            return False
    return True


_OPERATORS = {"ADD", "MULTIPLY", "POWER", "NOT"}
# What may stand between the operators of one expression.
_INSIDE = {
    *("NAME", "NUMBER", "STRING", "SHAPE", "TRUE", "FALSE", "NONE", "DOT", "COMPARE", "AND", "OR"),
    *("IF", "ELSE", "IN", "IMPORT", "NET", "MODULE", "TRAIN", "DETECT", "VARIANT", "DEFAULT"),
}
