"""The bundled specs are in canonical layout, and any other layout of them leads back to it."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netspec.diagnostics.source import Source
from netspec.syntax.ast import (
    Call,
    Field,
    For,
    If,
    Input,
    NetBlock,
    Statement,
)
from netspec.syntax.formatter import format_text
from netspec.syntax.parser import scan
from netspec.util.resources import folder

from ..syntax.test_tree import nodes
from .test_properties import check, tree_of
from .texts import LOOSE

PATHS = sorted(folder("specs").glob("**/*.net"))


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
def test_bundled_specs_are_formatted(path: Path) -> None:
    """If this fails, run `netspec fmt specs`."""
    text = path.read_text(encoding="utf-8")
    assert format_text(text) == text
    check(text)


def _bodies(node: If) -> list[tuple[Statement, ...]]:
    """The blocks of an `if`, that of its `else` last."""
    return [body for _, body in node.branches] + ([node.otherwise] if node.otherwise else [])


class Variation:
    """A formatted text with other white space, and with separators between fields.

    What an author decides stays: empty lines, blocks on one line, rows of long fields.
    """

    def __init__(self, text: str) -> None:
        tree = tree_of(text)
        found = nodes(tree)
        self.text = text
        self.fields = {n.span.start for n in found if isinstance(n, Field)}
        inner = [
            i.fields[0].span.to(i.fields[-1].span)
            for i in found
            if isinstance(i, Input | Call | NetBlock) and i.fields
        ]
        self.rows = [span for span in inner if "\n" in span.text]
        # What a block on one line begins with.
        self.short = {
            body[0].span.start
            for n in found
            if isinstance(n, For | If) and "\n" not in n.span.text
            for body in ([n.body] if isinstance(n, For) else _bodies(n))
        }

    def draw(self, random: Random) -> str:
        words = scan(Source("t", self.text))[0]
        result = self.text[: words[0].end]
        for before, word in pairwise(words):
            gap = self.text[before.end : word.start]
            touching = before.text in LOOSE or (
                word.text in LOOSE and not before.text.endswith("%")
            )
            spaces = (
                ["", " ", "\t ", "\n", "\n  \t"] if touching else [" ", "  ", "\n", "\r\n\t", "\f"]
            )
            row = any(span.start < word.start <= span.end for span in self.rows)
            if word.start in self.fields and before.text != "{" and "#" not in gap:
                result += random.choice(["", " ,", ";"])
            if "#" in gap:
                result += gap.replace("\n", random.choice(["\n", "\r\n", "\n\t"]))
            elif gap.count("\n") > 1:
                result += random.choice(["\n\n", "\n \n\n\n  "])
            elif "\n" in gap:
                result += random.choice(["\n", "\n      ", "\r\n"])
            elif (row and word.start in self.fields) or word.start in self.short:
                result += random.choice([" ", "  ", "\t"])
            else:
                result += random.choice(spaces)
            result += word.text
        return result + random.choice(["", "\n", "\n\n\n"])


VARIATIONS = [Variation(path.read_text(encoding="utf-8")) for path in PATHS]


@pytest.mark.slow
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(VARIATIONS), st.randoms(use_true_random=False))
def test_any_layout_leads_to_the_same(variation: Variation, random: Random) -> None:
    text = variation.draw(random).replace("\r\n", "\n")
    assert format_text(text) == variation.text
