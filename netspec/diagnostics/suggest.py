"""Did you mean ...?"""

from __future__ import annotations

import re
from collections.abc import Iterable

from netspec.diagnostics.fixes import Replacement


def did_you_mean(word: str, known: Iterable[str]) -> tuple[str, ...]:
    """A line of help that offers the known word nearest to this one, if there is a near one."""
    from difflib import get_close_matches  # costs 10 ms that a spec without errors need not spend

    if len(word) > 60:
        return ()
    # Comparing is slow, and there may be thousands of names.
    apart = max(2, len(word) // 3)
    alike = [k for k in known if abs(len(k) - len(word)) <= apart]
    choices = {k.lower(): k for k in alike[-300:]}
    near = get_close_matches(word.lower(), list(choices), 1, 0.6)
    if not near:
        return ()
    found = meant(word, choices[near[0]])
    # conv3 is no misspelling of conv2: a guess, and nothing to put right.
    same = re.sub(r"\d", "", word).lower() == re.sub(r"\d", "", found.instead).lower()
    return (str(found) if same and word.lower() != found.instead.lower() else found,)


def meant(word: str, instead: str) -> Replacement:
    """The line of help that asks for another word."""
    return Replacement(f"did you mean `{instead}`?", word, instead)


def one_of(known: Iterable[str], most: int = 12) -> str:
    """The known words as a list for a message."""
    words = [f"`{k}`" for k in known]
    return ", ".join(words[:most]) + (", ..." if len(words) > most else "")
