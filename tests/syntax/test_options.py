"""Expressions in options: the diagnostic shows what was written, with the place in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.cli.main import main
from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source
from netspec.syntax.ast import Definition, Let
from netspec.syntax.parser import parse, parse_expression
from netspec.syntax.unparse import expression

SMALL = """net small(width = 2) {
  input data: 3x8x8
  conv { filters: width  kernel: 3x3 }
}
"""
END = "expected a value, found the end of the text"


@pytest.mark.parametrize(
    ("arguments", "text", "place", "message"),
    [
        ("check --set|width=(", "width=(", 7, END),
        ("check --set|width=", "width=", 6, END),
        ("check --set|width=1 2", "width=1 2", 9, "expected an operator, found `2`"),
        ("check --set|width=1 }", "width=1 }", 9, "expected the end of the text, found `}`"),
        ("check --set|width=2 * hight", "width=2 * hight", 11, "parameter hight here"),
        ("check --set|width=8 // 0", "width=8 // 0", 12, "divides by zero"),
        ("check --set|width=8§", "width=8§", 8, "`§` is not part of the language"),
        ("sweep --set|width=1,2+", "width=2+", 8, END),
        ("sweep --set|width=1..2*:3", "width=2*", 8, END),
        ("search --minimize|macs +", "macs +", 6, END),
        ("search --maximize|macs / ", "macs / ", 6, END),
        ("search --minimize|macs --where|macs <", "macs <", 6, END),
        ("search --minimize|macs --where|macs) (", "macs) (", 5, "expected the end of the text"),
        ("search --minimize|macs --where|macs < mcas", "macs < mcas", 8, "mean `macs`?"),
        ("train --train|lr=0.01", "lr=0.01", 1, "a train block has no field lr"),
        ("train --train|epochs=(", "epochs=(", 8, END),
        ("train --train|epochs=two", "epochs=two", 8, "two"),
    ],
)
def test_the_text_of_the_option_is_shown(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    text: str,
    place: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("small.net").write_text(SMALL)
    command, *options = re.split(r" (?=--)", arguments)
    more = {"search": ["--set", "width=1,2"], "train": ["--data", "none"]}.get(command, [])
    given = [part for option in options for part in option.split("|")]
    assert main([command, "small.net", *more, *given]) == 1
    shown = capsys.readouterr().err
    option = options[-1].partition("|")[0]
    assert f" --> {option}:1:{place}\n  |\n1 | {text}\n" in shown
    assert message in shown
    assert "module" not in shown


@given(
    st.lists(
        st.sampled_from(
            [
                "1",
                "x.y",
                "f(a,b)",
                "+",
                "-",
                "*",
                "**",
                "if",
                "else",
                "not",
                "in",
                "(",
                ")",
                "[1,?]",
                "3x3",
                "and",
                "==",
                "50%",
            ]
        ),
        max_size=9,
    ).map(" ".join)
)
def test_an_expression_alone_is_that_of_a_let(text: str) -> None:
    alone = parse_expression(Source("alone", f"value={text}"), Diagnostics(), len("value="))
    file = parse(Source("file", f"module m {{ let value = {text} }}"), Diagnostics())
    body = file.items[0].body if file and isinstance(file.items[0], Definition) else ()
    within = body[0].value if len(body) == 1 and isinstance(body[0], Let) else None
    assert (alone is None) == (within is None)
    if alone is not None and within is not None:
        assert expression(alone) == expression(within)
        assert alone.span.text == within.span.text
