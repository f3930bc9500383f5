"""The canonical layout of a text: its tree printed again, with its own words and comments.

In:  a text, or a `netspec.diagnostics.source.Source`.
Out: its canonical text, or diagnostics.

reader       the words and comments of the text, in order
statements   statements, blocks and definitions as documents
layers       chains, arguments and fields as documents
expressions  expressions as documents
pieces       the parts of a layer that may be aligned with those of others
alignment    columns in consecutive lines
document     documents: text with optional line breaks (Wadler)
printer      a document as lines

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
    """Raise RuntimeError unless the result has the words and comments of the text."""
    words, comments = scan(result)
    kept = [word.text for word in words] == taken
    if not kept or [c.text for c in comments] != [c.text for c in tree.comments]:
        raise RuntimeError(f"formatting would change the words or comments of {result.name}")
