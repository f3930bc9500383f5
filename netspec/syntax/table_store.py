"""Where the parse tables of a grammar are kept, which take Lark some 150 ms to make.

A wheel brings them with it; in a checkout they lie in the user's cache folder. Each file holds the
grammar that it was made of, so that one of another grammar is not used. It is `marshal` data, which
can hold no code to run. Where no file can be read or written, the tables are made anew.
"""

from __future__ import annotations

import functools
import marshal
import os
from typing import Any, cast

from netspec.syntax.lalr import Grammar, Tables
from netspec.util.cache import cache_folder, store
from netspec.util.resources import folder

GRAMMARS = (("netspec", "start"), ("netspec", "expr"), ("netspec", "given"), ("prototxt", "start"))
"""What is parsed: the names of grammars and their rules for a whole text."""
FORMAT = 1
"""Stands in every file; goes up when `Tables` changes."""
_MARSHAL = 4
"""The version of marshal's format that all supported versions of Python read."""


@functools.cache
def grammar(name: str, start: str = "start") -> Grammar:
    """The grammar `grammars/NAME.lark`; `start` is its rule for a whole text."""
    place = str(folder("grammars"))
    with open(os.path.join(place, f"{name}.lark"), encoding="utf-8") as file:
        text = file.read()
    cache = cache_folder()
    for at in (place, cache):
        tables = at and _read(os.path.join(at, file_name(name, start)), text)
        if tables:
            return Grammar(tables)
    from netspec.syntax.lark_adapter import tables_of

    made = tables_of(text, start)
    if cache:
        store(os.path.join(cache, file_name(name, start)), content(text, made))
    return Grammar(made)


def file_name(name: str, start: str) -> str:
    """What the tables of a grammar are called, beside it or in the cache folder."""
    return f"{name}-{start}.tables"


def content(text: str, tables: Tables) -> bytes:
    """The content of a file of tables."""
    return marshal.dumps((FORMAT, text, cast(Any, tables)), _MARSHAL)


def _read(path: str, text: str) -> Tables | None:
    """The tables in a file; None where it is not there, damaged, or of another grammar."""
    try:
        with open(path, "rb") as file:
            number, of, tables = marshal.load(file)
    except (OSError, EOFError, ValueError, TypeError):
        return None
    if number != FORMAT or of != text:
        return None
    result: Tables = tables
    return result
