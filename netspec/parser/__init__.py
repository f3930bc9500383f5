"""Text to syntax tree: the only user of Lark."""

from __future__ import annotations

from functools import cache

from lark import Lark

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.parser import tables
from netspec.parser.recovery import Run
from netspec.parser.tokens import MAX_SIZE, nesting_is_bounded, tokens_of
from netspec.resources import folder
from netspec.source import Source
from netspec.syntax import Comment, File


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
    if len(diagnostics) > before or not nesting_is_bounded(source, tokens, diagnostics):
        return None
    items = Run(_grammar(), source, tokens, comments, diagnostics).parse()
    if items is None or len(diagnostics) > before:
        return None
    return File(source, items, tuple(comments))


@cache
def _grammar() -> Lark:
    return tables.load(folder("grammars") / "netspec.lark")
