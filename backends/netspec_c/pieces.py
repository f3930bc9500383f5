"""The pieces of C that files are made of, found in `kernels/`.

A piece begins with a line that names it and those that it needs:

    /* softmax needs: places threads */

The first of a file may leave out its name: it is that of the file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from netspec.lazy_dataclasses import dataclass

FOLDER = Path(__file__).parent / "kernels"
_HEAD = re.compile(r"^/\* (?:(\w+) )?needs:([\w ]*)\*/\n", re.M)
_FUNCTION = re.compile(r"^(?:[A-Z]\w+ )*static [\w ]+[ *](\w+)\(([^)]*)\)", re.M)
_MADE = re.compile(r"^(?:EACH\d?|PAIR|MOVE)\((\w+),", re.M)
_PARAMETERS = {
    "EACH": ("r", "x", "y"),
    "EACH1": ("r", "x", "y", "a"),
    "EACH2": ("r", "x", "y", "a", "b"),
    "EACH3": ("r", "x", "y", "a", "b", "c"),
    "PAIR": ("r", "x", "addend", "y"),
}


@dataclass(frozen=True)
class Piece:
    """A piece of C: its text, and the pieces that have to stand before it."""

    name: str
    needs: tuple[str, ...]
    text: str


_added: list[Path] = []


def add_kernels(file: Path) -> None:
    """Let the emitters of another package call the functions of a file of pieces."""
    _added.append(file)
    for cached in (pieces, _functions, words):
        cached.cache_clear()


@cache
def pieces() -> dict[str, Piece]:
    """All pieces by their names."""
    found: dict[str, Piece] = {}
    for path in [*sorted(FOLDER.glob("*.c")), *_added]:
        _, *parts = _HEAD.split(path.read_text(encoding="utf-8"))
        for name, needs, text in zip(parts[::3], parts[1::3], parts[2::3], strict=True):
            piece = Piece(name or path.stem, tuple(needs.split()), text.strip("\n"))
            found[piece.name] = piece
    return found


@cache
def _functions() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Of each function: the piece that it stands in, and the names of its parameters."""
    found: dict[str, tuple[str, tuple[str, ...]]] = {}
    for piece in pieces().values():
        for match in _FUNCTION.finditer(piece.text):
            names = tuple(p.split()[-1].strip("*") for p in match[2].split(",") if p.strip())
            found[match[1]] = piece.name, names
        for match in _MADE.finditer(piece.text):
            kind = match[0].partition("(")[0]
            names = _PARAMETERS.get(kind, ())
            if kind == "MOVE":
                inner = re.search(r"\((const Run[^)]*)\)", piece.text[match.start() :])
                names = tuple(p.split()[-1] for p in inner[1].split(",")) if inner else ()
            found[match[1]] = piece.name, names
    return found


def piece_of(function: str) -> str:
    """The name of the piece that a function stands in."""
    return _functions()[function][0]


def parameters(function: str) -> tuple[str, ...]:
    """The names of a function's parameters; none of one that is in no piece."""
    return _functions().get(function, ("", ()))[1]


@cache
def words() -> frozenset[str]:
    """The names of functions, macros and types in all pieces, which no name in a file may be."""
    text = "\n".join(piece.text for piece in pieces().values())
    found = re.findall(
        r"\b([A-Za-z_]\w*)\(|#define (\w+)|\} (\w+);|\b([A-Z]\w*)\b|\b(\w+_t)\b", text
    )
    return frozenset(word for words in found for word in words if word)


def with_needed(names: Iterable[str]) -> list[Piece]:
    """Pieces and all that they need, each behind what it needs."""
    found: dict[str, Piece] = {}

    def add(name: str) -> None:
        piece = pieces()[name]
        if name not in found:
            for other in piece.needs:
                add(other)
            found[name] = piece

    for name in ("base", *sorted(names)):
        add(name)
    return list(found.values())
