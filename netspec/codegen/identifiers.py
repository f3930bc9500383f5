"""Legal, unique Python names for the names of a spec."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable

# Names that linters refuse because they look like digits.
_AMBIGUOUS = {"l", "O", "I"}
_BUILTINS = frozenset(dir(builtins))
# How the names of nets and their parts are written, where a capital in front does not do.
_WORDS = {
    w.lower(): w
    for w in (
        *("BN", "CNN", "DenseNet", "DLA", "FCN", "FPN", "GAN", "LSTM", "MLP", "MNASNet", "NiN"),
        *("ResNeXt", "RNN", "SE", "SSD", "VGG", "ViT", "YOLO"),
    )
}
# What emitted files import or define, of the names that a class could have.
_IMPORTED = {
    *(
        "Any",
        "Array",
        "Callable",
        "Counter",
        "Fraction",
        "Iterator",
        "Mapping",
        "Model",
        "NamedTuple",
    ),
    *("POINT", "Pads", "Pair", "Path", "Plan", "Self", "Sequence", "Tensor", "Then"),
    *("ThreadPoolExecutor", "Value", "Weights", "Window"),
}


class Identifiers:
    """Gives out identifiers, each only once. Those that are in use already are `taken`."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(taken)

    def identifier(self, wanted: str) -> str:
        """`wanted` where it is free and legal; else `wanted_`, `wanted_2`, `wanted_3`, ..."""
        base = wanted.lstrip("_") or "value"
        if not base.isidentifier():
            base = re.sub(r"\W", "_", f"value_{base}")
        name = wanted if is_variable(wanted) and wanted not in _BUILTINS else f"{base}_"
        if name in self._taken:
            name = f"{base}_"
        count = 2
        while name in self._taken:
            name = f"{base}_{count}"
            count += 1
        self._taken.add(name)
        return name

    def release(self, name: str) -> None:
        """Let a name be given out again."""
        self._taken.discard(name)

    def numbered(self, wanted: str) -> str:
        """`wanted` where it is free; else `wanted2`, `wanted3`, ... (`wanted1_2` after a digit)."""
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
    # Python renames attributes with two leading underscores inside classes.
    return not name.startswith("__")


def is_variable(name: str) -> bool:
    """Whether a name can be a variable: linters refuse those that look like digits."""
    return is_plain(name) and name not in _AMBIGUOUS


def class_name(name: str, doc: str = "") -> str:
    """A class name: BasicBlock for the spec `basic_block`, SqueezeNet1_0 for `squeezenet1_0`.

    A word that the doc comment spells with capitals inside ("ResNet-18") is spelled so, `vgg` and
    the like as usual; otherwise `net` at the end of a word becomes Net. Names that Python or
    emitted files use get `Net` added.
    """
    found = {w.lower(): w for w in reversed(re.findall(r"[A-Za-z]+", doc)) if _mixed(w)}
    words = _WORDS | found
    result = ""
    for piece in filter(None, name.split("_")):
        match = re.match(r"([A-Za-z]*)(.*)", piece)
        assert match
        letters, rest = match[1], match[2]
        word = words.get(letters.lower())
        if word is None:
            word = letters[:1].upper() + letters[1:]
            if re.fullmatch(r"[A-Z][a-z]*net", word):
                word = f"{words.get(letters[:-3].lower(), word[:-3])}Net"
        if result[-1:].isdigit() and not letters:
            result += "_"
        result += word + rest
    if not result or not result[0].isalpha():
        result = f"Net{result}"
    if len(result) == 1 or keyword.iskeyword(result) or result in _BUILTINS | _IMPORTED:
        result += "Net"
    return result


def _mixed(word: str) -> bool:
    """Whether a word begins with a capital and has further ones, but not only capitals."""
    return word[0].isupper() and any(c.isupper() for c in word[1:]) and not word.isupper()
