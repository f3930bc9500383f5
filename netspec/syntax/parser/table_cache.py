"""Keeps the parse tables of a grammar, which take Lark some 80 ms to make.

The tables lie in the user's cache folder as `marshal` data (which can hold no code to run), keyed
by the grammar and the versions; where they can't be kept or read, they are made anew.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import lark
from lark import Lark
from lark.grammar import Rule
from lark.lexer import TerminalDef

_OPTIONS: dict[str, Any] = {
    "parser": "lalr",
    "lexer": "basic",
    "keep_all_tokens": True,
    "maybe_placeholders": False,
}


def load(grammar: Path) -> Lark:
    """The parser of a grammar file, from the cache where it is there."""
    text = grammar.read_text(encoding="utf-8")
    versions = (lark.__version__, sys.version_info[:3], marshal.version)
    key = hashlib.sha256(f"{versions}{text}".encode()).hexdigest()[:24]
    folder = _folder()
    file = folder / f"{grammar.stem}-{key}.tables" if folder else None
    if file is not None:
        try:
            data, memo = marshal.loads(file.read_bytes())
            parser: Lark = Lark._load_from_dict(data, memo)  # type: ignore[no-untyped-call]
            return parser
        except (OSError, EOFError, ValueError, TypeError, KeyError):
            pass  # not there yet, or damaged
    parser = Lark(text, **_OPTIONS)
    if file is not None:
        _store(file, parser)
    return parser


def _folder() -> Path | None:
    base = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".cache") / "netspec"
    except RuntimeError:  # no home
        return None


def _store(file: Path, parser: Lark) -> None:
    content = marshal.dumps(parser.memo_serialize([TerminalDef, Rule]))
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=file.parent)
        with open(handle, "wb") as out:
            out.write(content)
        os.replace(beside, file)
    except OSError:
        pass  # a cache that can't be written is no error
