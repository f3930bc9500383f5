"""Text to syntax tree, with recovery after syntax errors.

In:  a `netspec.diagnostics.source.Source`.
Out: the tree of `netspec.syntax.ast`, or diagnostics.

tokens          text to tokens, and the limits on both
missing_braces  braces that were left open
ast_builder     the nodes, one method a rule of the grammar
recovery        one run of the parser
hints           what to write instead
syntax_problem  a token that has no place where it stands, and what is around it
token_names     kinds of token in words
options         values of options (`--set filters=2*8`) as expressions
"""

from __future__ import annotations

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.source import Source, Span
from netspec.syntax import table_store
from netspec.syntax.ast import Comment, Expression, File
from netspec.syntax.parser.missing_braces import with_missing_braces
from netspec.syntax.parser.recovery import RecoveringParser
from netspec.syntax.parser.tokens import (
    MAX_SIZE,
    MAX_TOKENS,
    nesting_is_bounded,
    span_of,
    tokens_of,
)


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
    grammar = table_store.grammar("netspec")
    tokens = tokens_of(grammar, source, comments, diagnostics)
    # What stands beside a character without a place may be wrong only because of it.
    stray = {d.span.line for d in diagnostics if d.span and d.span.source is source}
    if len(tokens) > MAX_TOKENS or not nesting_is_bounded(source, tokens, diagnostics):
        return None
    found = Diagnostics()
    tokens, left_open = with_missing_braces(source, tokens)
    for diagnostic in left_open:
        found.add(diagnostic)
    items = RecoveringParser(grammar, source, tokens, comments, found).parse()
    for diagnostic in found:
        if diagnostic.span is None or diagnostic.span.line not in stray:
            diagnostics.add(diagnostic)
    if items is None or len(diagnostics) > before:
        return None
    return File(source, items, tuple(comments))


def parse_expression(
    source: Source, diagnostics: Diagnostics, start: int = 0, rule: str = "expr"
) -> Expression | None:
    """The expression that stands in a short text from an offset on, such as `lr=0.1` from 3 on.

    With the rule "given", it may also be an op with its fields.

    None, and diagnostics, where there is none, or something else behind it.
    """
    before = len(diagnostics)
    grammar = table_store.grammar("netspec", rule)
    tokens = tokens_of(grammar, source, [], diagnostics, start)
    if len(tokens) > MAX_TOKENS or not nesting_is_bounded(source, tokens, diagnostics):
        return None
    if len(diagnostics) > before:
        return None
    end = "the end of the text"
    parser = RecoveringParser(grammar, source, tokens, [], diagnostics, end)
    expression = parser.parse_expression()
    return expression if len(diagnostics) == before else None


def scan(source: Source) -> tuple[list[Span], list[Comment]]:
    """The words and signs of a text that parses, and its comments, each in their order."""
    comments: list[Comment] = []
    tokens = tokens_of(table_store.grammar("netspec"), source, comments, Diagnostics())
    return [span_of(source, token) for token in tokens], comments
