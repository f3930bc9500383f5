"""Names of an imported file as names of the language, and what several names share."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from netspec.ops import OPS
from netspec.syntax.parser.token_names import WORDS

MAX_LENGTH = 80


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
