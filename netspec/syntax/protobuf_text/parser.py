"""The tree of a text in protobuf's text format.

After a syntax error the parser goes on at the next field of the outermost message.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, cast

from netspec.diagnostics import Diagnostic, Diagnostics, Label
from netspec.diagnostics.source import Source, Span
from netspec.syntax import table_store
from netspec.syntax.lalr import END, Stack, Token, UnexpectedCharacter
from netspec.syntax.parser.tokens import span_of
from netspec.syntax.protobuf_text.ast import Message, MessageField, Scalar

MAX_TOKENS = 1_000_000
"""Most tokens of a text."""
MAX_NESTING = 60
"""Most brackets that may be open at once."""
MAX_ERRORS = 20
"""Syntax errors after which parsing gives up."""

_OPENERS = {"LBRACE": "RBRACE", "LESSTHAN": "MORETHAN", "LSQB": "RSQB"}
_CLOSERS = {closer: opener for opener, closer in _OPENERS.items()}
_SIGNS = {"RBRACE": "}", "MORETHAN": ">", "RSQB": "]"}


def parse_prototxt(source: Source, diagnostics: Diagnostics) -> Message | None:
    """The fields of a text; None, and diagnostics, where it has syntax errors."""
    tokens = _tokens(source, diagnostics)
    if tokens is None:
        return None
    fields: list[MessageField] = []
    before, errors = len(diagnostics), 0
    builder = _Builder(source)
    for part in _parts(tokens, source, diagnostics):
        parsed = _parse(part, builder, source, diagnostics)
        if parsed is None:
            errors += 1
            if errors >= MAX_ERRORS:
                break
        else:
            fields += parsed
    if len(diagnostics) > before:
        return None
    return Message(tuple(fields), Span(source, 0, len(source.text)))


def _tokens(source: Source, diagnostics: Diagnostics) -> list[Token] | None:
    tokens: list[Token] = []
    try:
        for token in table_store.grammar("prototxt").tokens(source.text):
            tokens.append(token)
            if len(tokens) > MAX_TOKENS:
                message = f"{source.name} has more than {MAX_TOKENS:,} words and signs"
                diagnostics.add(Diagnostic("too-large", message, span_of(source, token)))
                return None
    except UnexpectedCharacter as error:
        diagnostics.add(_stray(source, error.offset))
        return None
    return tokens


def _stray(source: Source, offset: int) -> Diagnostic:
    """The error of a character that begins no token."""
    text = source.text
    char = text[offset]
    help_: tuple[str, ...] = ()
    stop = text.find("\n", offset)
    end = len(text) if stop < 0 else stop
    if char in "\"'":
        message, help_ = "this string does not end on its line", (f"close it with `{char}`",)
    elif (blank := re.match(r"\$[^\s$]+\$?", text[offset:end])) is not None:
        end = offset + blank.end()
        message = f"`{blank[0]}` is a blank that a program fills in before Caffe reads the file"
        help_ = ("put a value in its place",)
    elif char.isdigit() or char == ".":
        word = re.match(r"[\w.+-]+", text[offset:end])
        end = offset + (word.end() if word else 1)
        message = f"`{text[offset:end]}` is no number"
    else:
        message = f"{repr(char) if not char.isprintable() else f'`{char}`'} has no place here"
        help_ = ("a comment begins with `#`",) if text[offset : offset + 2] in ("//", "/*") else ()
        end = offset + 1
    return Diagnostic("syntax", message, Span(source, offset, end), help=help_)


def _parts(tokens: list[Token], source: Source, diagnostics: Diagnostics) -> Iterator[list[Token]]:
    """The tokens of each outermost field, so that an error in one does not hide those of others.

    Checks that brackets match and are not nested too deeply.
    """
    part: list[Token] = []
    open_: list[Token] = []
    sound = True
    for i, token in enumerate(tokens):
        # A layer at the margin inside another one: a bracket was forgotten.
        at_margin = token.column == 1 and str(token) in ("layer", "layers")
        if open_ and at_margin and not _opens_net(tokens, open_[-1]):
            diagnostics.add(_unclosed(source, open_[-1], token))
            part, open_, sound = [], [], True
        part.append(token)
        if token.kind in _OPENERS:
            open_.append(token)
            if len(open_) > MAX_NESTING:
                message = f"this is nested too deeply: at most {MAX_NESTING} brackets may be open"
                diagnostics.add(Diagnostic("too-deep", message, span_of(source, token)))
                return
        elif token.kind in _CLOSERS:
            if not open_ or _OPENERS[open_[-1].kind] != token.kind:
                if sound:
                    diagnostics.add(_unopened(source, open_, token))
                sound = not open_
            if open_:
                open_.pop()
            follower = tokens[i + 1].kind if i + 1 < len(tokens) else ""
            if not open_ and follower not in ("COMMA", "SEMICOLON", "COLON", "LBRACE", "LESSTHAN"):
                if sound and part[0] is not token:
                    yield part
                part, sound = [], True
        elif token.kind in ("COMMA", "SEMICOLON") and not open_:
            yield part
            part = []
    if open_:
        diagnostics.add(_unclosed(source, open_[-1], None))
    elif part:
        yield part


def _opens_net(tokens: Sequence[Token], opener: Token) -> bool:
    """Whether a bracket opens a net, such as that of a solver's `net_param`."""
    i = next(i for i, token in enumerate(tokens) if token is opener)
    names = [str(token) for token in tokens[max(i - 2, 0) : i] if token.kind != "COLON"]
    return bool(names) and names[-1].endswith("net_param")


def _unclosed(source: Source, opener: Token, found: Token | None) -> Diagnostic:
    sign = _SIGNS[_OPENERS[opener.kind]]
    end = len(source.text.rstrip())
    span = span_of(source, found) if found else Span(source, max(end - 1, 0), end)
    what = f"`{found}`" if found else "the end of the file"
    return Diagnostic(
        "syntax",
        f"expected `{sign}`, found {what}",
        span,
        others=(Label(span_of(source, opener), f"this `{opener}` is still open"),),
    )


def _unopened(source: Source, open_: list[Token], token: Token) -> Diagnostic:
    others: tuple[Label, ...] = ()
    message = f"this `{token}` closes nothing"
    if open_:
        sign = _SIGNS[_OPENERS[open_[-1].kind]]
        message = f"expected `{sign}`, found `{token}`"
        others = (Label(span_of(source, open_[-1]), f"this `{open_[-1]}` is still open"),)
    return Diagnostic("syntax", message, span_of(source, token), others=others)


def _parse(
    tokens: list[Token], builder: _Builder, source: Source, diagnostics: Diagnostics
) -> list[MessageField] | None:
    stack = Stack(table_store.grammar("prototxt"), builder)
    previous: Token | None = None
    for token in tokens:
        if not stack.feed(token):
            diagnostics.add(_unexpected(source, token, previous, stack.kinds()))
            return None
        previous = token
    last = tokens[-1]
    if not stack.finish(Token.of(END, "", last.end)):
        message = f"expected {_expected(stack.kinds())} behind `{last}`"
        diagnostics.add(Diagnostic("syntax", message, span_of(source, last)))
        return None
    return cast("list[MessageField]", stack.values[0])


def _unexpected(
    source: Source, token: Token, previous: Token | None, expected: set[str]
) -> Diagnostic:
    text = str(token) if len(token) <= 30 else f"{token[:27]}..."
    found = text if token.kind == "STRING" else f"`{text}`"
    message = f"expected {_expected(expected)}, found {found}"
    help_: tuple[str, ...] = ()
    if token.kind in ("STRING", "NUMBER") and "COLON" in expected and previous is not None:
        help_ = (f"a field is written `{previous}: {text}`",)
    return Diagnostic("syntax", message, span_of(source, token), help=help_)


def _expected(kinds: set[str]) -> str:
    if "NUMBER" in kinds and "STRING" in kinds:
        return "a value"
    if "WORD" in kinds:
        return "a field"
    words = {
        "COLON": "`:`",
        "LBRACE": "`{`",
        "NUMBER": "a number",
        "RBRACE": "`}`",
        "MORETHAN": "`>`",
        "RSQB": "`]`",
        "COMMA": "`,`",
    }
    known = [word for kind, word in words.items() if kind in kinds]
    return " or ".join(known[:3]) or "the end of the file"


_ESCAPES = {
    "n": "\n",
    "t": "\t",
    "r": "\r",
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
    "?": "?",
}
_ESCAPE = re.compile(r"\\(x[0-9A-Fa-f]{1,2}|[0-7]{1,3}|.)", re.DOTALL)


class _Builder:
    """Called when a rule is complete; children are nodes and tokens."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def _span(self, first: Any, last: Any) -> Span:
        start = first.start if isinstance(first, Token) else first.span.start
        end = last.end if isinstance(last, Token) else last.span.end
        return Span(self.source, start, end)

    def start(self, c: list[list[MessageField]]) -> list[MessageField]:
        return [field for fields in c for field in fields]

    def field(self, c: list[Any]) -> list[MessageField]:
        name, values = c[0], [x for x in c[1:] if not isinstance(x, Token | _End)]
        items = values[0].items if isinstance(values[0], _ListValue) else values
        return [
            MessageField(name.text, name.span, v, Span(self.source, name.span.start, v.span.end))
            for v in items
        ]

    def end(self, c: list[Token]) -> _End:
        return _End()

    def field_name(self, c: list[Token]) -> Scalar:
        return Scalar("word", "".join(c), self._span(c[0], c[-1]))

    def message(self, c: list[Any]) -> Message:
        fields = tuple(field for fields in c[1:-1] for field in fields)
        return Message(fields, self._span(c[0], c[-1]))

    def list_(self, c: list[Any]) -> _ListValue:
        return _ListValue([x for x in c if not isinstance(x, Token)])

    def string(self, c: list[Token]) -> Scalar:
        return Scalar("string", "".join(_unquoted(t) for t in c), self._span(c[0], c[-1]))

    def number(self, c: list[Token]) -> Scalar:
        return Scalar("number", "".join(c), self._span(c[0], c[-1]))

    def word(self, c: list[Token]) -> Scalar:
        return Scalar("word", "".join(c), self._span(c[0], c[-1]))


class _End:
    """`,` or `;` behind a field."""


class _ListValue:
    def __init__(self, items: list[Scalar | Message]) -> None:
        self.items = items


def _unquoted(token: Token) -> str:
    """The value of a string literal: escapes are bytes, and bytes are UTF-8."""
    raw = token[1:-1]
    if "\\" not in raw:
        return raw
    result = bytearray()
    place = 0
    for match in _ESCAPE.finditer(raw):
        result += raw[place : match.start()].encode("utf-8", "surrogatepass")
        place = match.end()
        code = match[1]
        if code[0] == "x" and len(code) > 1:
            result.append(int(code[1:], 16))
        elif code[0] in "01234567":
            result.append(int(code, 8) & 255)
        else:
            result += _ESCAPES.get(code, code).encode("utf-8", "surrogatepass")
    result += raw[place:].encode("utf-8", "surrogatepass")
    return result.decode("utf-8", "replace")
