"""Canonical layout: the tree back to text, with its comments and its author's spelling.

White space means nothing in the language, so a formatted text has the same tree. docs/formatting.md
says how it looks.
"""

from __future__ import annotations

import re

from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source, plain
from netspec.syntax.ast import File
from netspec.syntax.formatter.printer import WIDTH, text_of
from netspec.syntax.formatter.reader import Reader
from netspec.syntax.formatter.statements import file as file_document
from netspec.syntax.parser import parse, scan
from netspec.util.recursion import deep_recursion

__all__ = ["WIDTH", "format_source", "format_text"]


def format_text(text: str, name: str = "<text>") -> str:
    """A text in canonical layout. Line breaks stay of the kind that the first one is.

    Raises SpecError with its syntax errors; `name` is how they call the text.
    """
    diagnostics = Diagnostics()
    result = format_source(Source(name, plain(text)), diagnostics)
    diagnostics.raise_if_failed()
    assert result is not None, "no text and no error"
    first = re.search(r"\r\n|\n", text)
    return result.replace("\n", "\r\n") if first and first[0] == "\r\n" else result


def format_source(source: Source, diagnostics: Diagnostics) -> str | None:
    """The canonical text of a source; None, and diagnostics, where it has syntax errors."""
    with deep_recursion():
        tree = parse(source, diagnostics)
        if tree is None:
            return None
        reader = Reader(tree, scan(source)[0])
        result = text_of(file_document(reader, tree.items))
        _compare(Source(source.name, result), reader.taken, tree)
        return result


def _compare(result: Source, taken: list[str], tree: File) -> None:
    """See to it that a text which is about to replace another still says the same."""
    words, comments = scan(result)
    said = [word.text for word in words], [comment.text for comment in comments]
    if said != (taken, [comment.text for comment in tree.comments]):
        raise RuntimeError(f"formatting would change what {result.name} says")
