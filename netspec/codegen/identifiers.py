"""Legal, unique identifiers for the names of a spec."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

# Names that linters refuse because they look like digits.
_AMBIGUOUS = {"l", "O", "I"}
_BUILTINS = frozenset(dir(builtins))
# What emitted files import or define beside their classes.
_IMPORTED = {
    *("Any", "Array", "At", "Callable", "FILLS", "Iterator", "Model", "NamedTuple", "Network"),
    *("POINT", "Pads", "Pair", "Path", "Plan", "Self", "Sequence", "Tensor", "Then"),
    *("ThreadPoolExecutor", "Value", "Weights", "Window"),
}


class Identifiers:
    """Hands out identifiers, each once. `taken` are those that are in use already."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def identifier(self, wanted: str) -> str:
        """`wanted` itself where it is free and legal, else with `_`, then a number, behind it."""
        name = wanted
        if not is_variable(name) or name in _BUILTINS or name in self._taken:
            name = f"{wanted.lstrip('_') or 'value'}_"
        count = 2
        while name in self._taken:
            name = f"{wanted.lstrip('_') or 'value'}_{count}"
            count += 1
        self._taken.add(name)
        return name

    def numbered(self, wanted: str) -> str:
        """`wanted` where it is free, else with 2, 3, ... behind it."""
        name, count = wanted, 2
        while name in self._taken:
            name = f"{wanted}{'_' if wanted[-1].isdigit() else ''}{count}"
            count += 1
        self._taken.add(name)
        return name


def is_plain(name: str) -> bool:
    """Whether a name can stand in Python code as it is, inside a class too."""
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
        return False
    # Leading double underscores are mangled inside classes.
    return not name.startswith("__")


def is_variable(name: str) -> bool:
    """Whether a name can be a variable: linters refuse those that look like digits."""
    return is_plain(name) and name not in _AMBIGUOUS


def class_name(name: str, doc: str = "") -> str:
    """A spec's name in CapWords: `basic_block` is BasicBlock, `squeezenet1_0` SqueezeNet1_0.

    Capitals inside a word come from the doc comment, if that mentions the word ("ResNet-18"), and
    `net` at the end of a word is Net.
    """
    words = {w.lower(): w for w in reversed(re.findall(r"[A-Za-z]+", doc)) if _mixed(w)}
    result = ""
    for piece in filter(None, name.split("_")):
        match = re.match(r"([A-Za-z]*)(.*)", piece)
        assert match
        letters, rest = match[1], match[2]
        word = words.get(letters.lower())
        if word is None:
            word = letters[:1].upper() + letters[1:]
            if re.fullmatch(r"[A-Z][a-z]+net", word):
                word = f"{word[:-3]}Net"
        if result[-1:].isdigit() and not letters:
            result += "_"
        result += word + rest
    if not result or not result[0].isalpha():
        result = f"Net{result}"
    if len(result) == 1 or keyword.iskeyword(result) or result in _BUILTINS | _IMPORTED:
        result += "Net"
    return result


def _mixed(word: str) -> bool:
    return word[0].isupper() and any(c.isupper() for c in word[1:]) and not word.isupper()
