"""Text to syntax tree: the only user of Lark."""

from __future__ import annotations

from functools import cache

from lark import Lark

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.source import Source, Span
from netspec.syntax.ast import Comment, File
from netspec.syntax.parser import table_cache
from netspec.syntax.parser.missing_braces import close_left_open
from netspec.syntax.parser.recovery import RecoveringParser
from netspec.syntax.parser.tokens import (
    MAX_SIZE,
    MAX_TOKENS,
    nesting_is_bounded,
    span_of,
    tokens_of,
)
from netspec.util.resources import folder


def parse(source: Source, diagnostics: Diagnostics) -> File | None:
    """The tree of a text; None, and diagnostics, where it has syntax errors."""
    if len(source.text) > MAX_SIZE:
        diagnostics.add(
            Diagnostic(
                "too-large",
                f"{source.name} has {len(source.text):,} characters; at most {MAX_SIZE:,} are read",
            )
        )
        return None
    before = len(diagnostics)
    comments: list[Comment] = []
    tokens = tokens_of(_grammar(), source, comments, diagnostics)
    # What stands beside a character without a place may be wrong only because of it.
    stray = {d.span.line for d in diagnostics if d.span and d.span.source is source}
    if len(tokens) > MAX_TOKENS or not nesting_is_bounded(source, tokens, diagnostics):
        return None
    found = Diagnostics()
    tokens, left_open = close_left_open(source, tokens)
    for diagnostic in left_open:
        found.add(diagnostic)
    items = RecoveringParser(_grammar(), source, tokens, comments, found).parse()
    for diagnostic in found:
        if diagnostic.span is None or diagnostic.span.line not in stray:
            diagnostics.add(diagnostic)
    if items is None or len(diagnostics) > before:
        return None
    return File(source, items, tuple(comments))


def scan(source: Source) -> tuple[list[Span], list[Comment]]:
    """The words and signs of a text that parses, and its comments, each in their order."""
    comments: list[Comment] = []
    tokens = tokens_of(_grammar(), source, comments, Diagnostics())
    return [span_of(source, token) for token in tokens], comments


@cache
def _grammar() -> Lark:
    return table_cache.load(folder("grammars") / "netspec.lark")
