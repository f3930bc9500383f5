"""Canonical layout: the tree back to text, with its comments and its author's spelling.

White space means nothing in the language, so a formatted text has the same tree. docs/formatting.md
says how it looks.
"""

from __future__ import annotations

import re
import sys

from netspec.diagnostics import Diagnostics
from netspec.formatting.printer import WIDTH, text_of
from netspec.formatting.reader import Reader
from netspec.formatting.statements import file as file_document
from netspec.parser import parse, scan
from netspec.source import Source

__all__ = ["WIDTH", "format_source", "format_text"]


def format_text(text: str, name: str = "<text>") -> str:
    """A text in canonical layout. Line breaks stay of the kind that the first one is.

    Raises SpecError with its syntax errors; `name` is how they call the text.
    """
    plain = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    diagnostics = Diagnostics()
    result = format_source(Source(name, plain), diagnostics)
    diagnostics.raise_if_failed()
    assert result is not None, "no text and no error"
    first = re.search(r"\r\n|\n", text)
    return result.replace("\n", "\r\n") if first and first[0] == "\r\n" else result


def format_source(source: Source, diagnostics: Diagnostics) -> str | None:
    """The canonical text of a source; None, and diagnostics, where it has syntax errors."""
    tree = parse(source, diagnostics)
    if tree is None:
        return None
    limit = sys.getrecursionlimit()
    # The parser bounds nesting, but beyond Python's careful default.
    sys.setrecursionlimit(max(limit, 30_000))
    try:
        reader = Reader(tree, scan(source)[0])
        result = text_of(file_document(reader, tree.items))
    finally:
        sys.setrecursionlimit(limit)
    words, comments = scan(Source(source.name, result))
    # A text of somebody's is about to be replaced: it must still say the same.
    if [w.text for w in words] != reader.taken or [c.text for c in comments] != [
        c.text for c in tree.comments
    ]:
        raise RuntimeError(f"formatting would change what {source.name} says")
    return result
