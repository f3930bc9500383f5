"""Names of an imported file as names of the language, and what several names share."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from netspec.ops import OPS
from netspec.syntax.parser.token_names import WORDS

MAX_LENGTH = 80
GENERAL = {
    *("block", "blocks", "conv", "convs", "layer", "layers", "feature", "features", "model"),
    *("module", "stage", "stages", "net", "body", "main", "sequential", "op", "ops"),
}
"""Words in paths that say nothing of what is there."""


def identifier(text: str, op: str) -> str:
    """A name that the language allows: `conv1/7x7_s2` is conv1_7x7_s2, `1x1` of a conv is conv1x1.

    Empty where nothing of the text can be kept.
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9]+", "_", plain).strip("_")[:MAX_LENGTH].rstrip("_")
    if name[:1].isdigit():
        name = f"{short_name(op)}{name}"
    return f"{name}_" if name in WORDS else name


def short_name(op: str) -> str:
    """A name for layers of an op: pool for maxpool, bn for batchnorm. Another word is its own."""
    return (OPS[op].short_name if op in OPS else "") or op


class UniqueNames:
    """The names in one net or module, each of which is given once."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self.taken = set(taken)

    def free(self, wanted: str) -> str:
        """`wanted`, or with `_2`, `_3`, ... behind it."""
        name, count = wanted, 1
        while name in self.taken:
            count += 1
            name = f"{wanted}_{count}"
        self.taken.add(name)
        return name


def free_name(wanted: str, names: UniqueNames) -> str:
    """A free name that no layer without a name gets by itself, such as `relu_1`."""
    match = re.fullmatch(r"([a-z0-9_]+?)_\d+", wanted)
    if match and match[1] in OPS:
        wanted = f"{wanted}_"
    return names.free(wanted)


def path_parts(name: str) -> list[str]:
    """The parts of a name between slashes."""
    return [p for p in re.split(r"[/\\|:]+", name) if p]


def words_of(name: str) -> list[str]:
    """The words of a name: res2a and branch2a of `res2a_branch2a`."""
    return [t for t in re.split(r"[^A-Za-z0-9]+", name) if t]


def common_prefix(names: Sequence[str]) -> str:
    """The words that all names begin with, as they are written in the first name.

    It may be a whole name: `res2a` and `res2a_branch1` have res2a in common.
    """
    if not names:
        return ""
    split = [words_of(n) for n in names]
    count = min(len(s) for s in split)
    shared = 0
    while shared < count and len({s[shared] for s in split}) == 1:
        shared += 1
    if shared == 0:
        return ""
    return _first_words(names[0], shared).lstrip("_/-. ")


def common_suffix(names: Sequence[str]) -> str:
    """The words that all names end with: stage2_L1 of `Mconv1_stage2_L1` and `Mconv2_stage2_L1`."""
    split = [words_of(n)[::-1] for n in names]
    count = min((len(s) for s in split), default=0)
    shared = 0
    while shared < count - 1 and len({s[shared] for s in split}) == 1:
        shared += 1
    return "_".join(reversed(split[0][:shared])) if shared else ""


def without_label(name: str, label: str) -> str:
    """A name without the words of a label at its beginning, or at its end.

    The name itself where it has no such words.
    """
    words, known = words_of(name), words_of(label)
    if words[: len(known)] == known:
        return name[len(_first_words(name, len(known))) :].lstrip("_/-. ")
    if known and words[-len(known) :] == known:
        return _first_words(name, len(words) - len(known))
    return name


def _first_words(name: str, count: int) -> str:
    """The beginning of a name up to the end of so many words."""
    ends = [m.end() for m in re.finditer(r"[A-Za-z0-9]+", name)]
    return name[: ends[count - 1]] if count else ""


def long_stem(names: Sequence[str]) -> str:
    """The characters that all names begin with: inception_a of inception_a1 and inception_a2."""
    first, last = min(names), max(names)
    shared = 0
    while shared < min(len(first), len(last)) and first[shared] == last[shared]:
        shared += 1
    return identifier(first[:shared].rstrip("0123456789_/-. "), "").lower()[:40]


def stem(names: Sequence[str]) -> str:
    """The most frequent of the names without numbers: fire of fire2 and fire3."""
    found = []
    for name in names:
        words = [re.sub(r"\d.*$", "", t) for t in words_of(name)]
        kept: list[str] = []
        for word in words:
            if len(word) < 2:
                break
            kept.append(word.lower())
        found.append("_".join(kept))
    best = max(dict.fromkeys(found), key=lambda s: (found.count(s), len(s)), default="")
    return best[:40]


def numbers_as_one(name: str) -> str:
    """A name in which all numbers are the same: `layer#` of `layer1`, `mixed#` of `mixed5b`."""
    return re.sub(r"\d+(?:[a-z](?![a-zA-Z]))?", "#", name)


def lower_case(name: str) -> str:
    """The name of a class as that of a module: inverted_residual of InvertedResidual."""
    split = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", name)
    return identifier(split, "block").lower()


def indexed_name(path: str) -> tuple[str, tuple[int, ...]] | None:
    """The first word of a path and all of its numbers: layer, 1 and 0 of `layer1.0`.

    None where it has further words, but for those in front of a part's number, or no numbers.
    """
    parts = path.split(".")
    while len(parts) > 1 and not parts[0][-1:].isdigit() and not parts[1].isdigit():
        del parts[0]
    if parts[0].isdigit():
        return None
    base, before = "", ""
    numbers: list[int] = []
    for part in parts:
        own = part if part.isdigit() else part.removeprefix(before)  # `block1.block1-0`
        match = re.fullmatch(r"(.*?)[_-]?(\d{0,5})", own)
        if match is None or (not match[2] and part is not parts[0]):
            return None
        base = base or match[1]
        numbers += [int(match[2])] if match[2] else []
        before = part
    base = identifier(base, "block")
    return (base, tuple(numbers)) if base and numbers and not base[-1].isdigit() else None


def use_place(path: str, module: str) -> tuple[str, tuple[int, ...]] | None:
    """A name in front of its numbers, and these, of a use of a module: fire and 2 of `fire2`.

    Where the path has no words, the module's name stands for them. None without numbers.
    """
    return indexed_name(f"{module}.{path}" if path[:1].isdigit() else path)


def joined_name(base: str, numbers: Sequence[int]) -> str:
    """The name that the language makes of `base[i][j]`."""
    return "_".join([f"{base}{numbers[0]}", *map(str, numbers[1:])])


def path_name(path: str, op: str) -> str:
    """A path as a name: features3_conv of `features.3.conv`, layer1_0 of `layer1.0`."""
    name = ""
    for part in path.split("."):
        joins = part.isdigit() and name and not name[-1].isdigit()
        name += part if joins or not name else f"_{part}"
    return identifier(name, op)
