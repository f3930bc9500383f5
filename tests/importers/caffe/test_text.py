"""Protobuf's text format: what its specification allows, and reports of errors."""

from __future__ import annotations

from fractions import Fraction

import pytest

from netspec.diagnostics import Diagnostics, render
from netspec.diagnostics.source import Source
from netspec.importers.caffe.message_fields import number_of
from netspec.syntax.protobuf_text.ast import Message
from netspec.syntax.protobuf_text.parser import parse_prototxt


def tree(text: str) -> object:
    """Fields as pairs of name and value; fails with diagnostics."""
    diagnostics = Diagnostics()
    message = parse_prototxt(Source("x.prototxt", text), diagnostics)
    assert message is not None, "\n".join(render.text(d) for d in diagnostics)
    return plain(message)


def plain(message: Message) -> list[tuple[str, object]]:
    return [
        (f.name, plain(f.value) if isinstance(f.value, Message) else f.value.text)
        for f in message.fields
    ]


SOUND: dict[str, tuple[str, object]] = {
    "nothing": ("# only a comment", []),
    "colon_before_message": ("a: { b: 1 }", [("a", [("b", "1")])]),
    "angles": ("a < b { c: 1 } >", [("a", [("b", [("c", "1")])])]),
    "separators": ("a: 1, b: 2; c { d: 3, };", [("a", "1"), ("b", "2"), ("c", [("d", "3")])]),
    "on_one_line": ("a:1b:2", None),
    "no_space": ("a:1 b:'x'c{d:.5}", [("a", "1"), ("b", "x"), ("c", [("d", ".5")])]),
    "list": ("a: [1, 2] b: []", [("a", "1"), ("a", "2")]),
    "messages_in_list": ("a: [{ b: 1 }, < b: 2 >]", [("a", [("b", "1")]), ("a", [("b", "2")])]),
    "strings": ("a: 'x' \"y\"\n 'z'", [("a", "xyz")]),
    "quotes": ("a: 'say \"hi\"' b: \"it's\"", [("a", 'say "hi"'), ("b", "it's")]),
    "escapes": (r"a: '\n\t\\\'\x41\101\?'", [("a", "\n\t\\'AA?")]),
    "utf8": (r"a: '\xc3\xa9é'", [("a", "éé")]),
    "numbers": ("a: -1 b: 0x1F c: 5. d: 1e-4 e: 0.5f", [("a", "-1"), ("b", "0x1F"), ("c", "5."), ("d", "1e-4"), ("e", "0.5f")]),
    "words": ("a: true b: MAX c: -inf d: nan", [("a", "true"), ("b", "MAX"), ("c", "-inf"), ("d", "nan")]),
    "extension": ("[caffe.x]: 1", [("[caffe.x]", "1")]),
    "comment_inside": ("a { # } \n b: '#' # x\n}", [("a", [("b", "#")])]),
    "windows": ("a: 1\r\nb: 2\r\n", [("a", "1"), ("b", "2")]),
}  # fmt: skip


@pytest.mark.parametrize("case", [c for c in SOUND if SOUND[c][1] is not None])
def test_sound(case: str) -> None:
    text, wanted = SOUND[case]
    assert tree(text) == wanted


WRONG = {
    "unclosed": ("a {\n b: 1", "2:5: expected `}`, found the end of the file"),
    "layer_inside": ("layer {\n name: 'a'\nlayer { }", "3:1: expected `}`, found `layer`"),
    "unopened": ("a: 1 }", "1:6: this `}` closes nothing"),
    "wrong_bracket": ("a { b: 1 >", "1:10: expected `}`, found `>`"),
    "no_colon": ("a 1", "1:3: expected `:` or `{`, found `1`"),
    "no_value": ("a { b: }", "1:8: expected a value, found `}`"),
    "open_string": ("a: 'x\nb: 1", "1:4: this string does not end on its line"),
    "number": ("a: 1x1", "1:4: `1x1` is no number"),
    "slashes": ("a: 1 // no", "1:6: `/` has no place here"),
    "name_alone": ("a", "1:1: expected `:` or `{` behind `a`"),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong(case: str) -> None:
    text, wanted = WRONG[case]
    diagnostics = Diagnostics()
    assert parse_prototxt(Source("x.prototxt", text), diagnostics) is None
    found = []
    for d in diagnostics:
        assert d.span is not None
        line, column = d.span.source.position(d.span.start)
        found.append(f"{line}:{column}: {d.message}")
    assert found == [wanted]


def test_each_field_on_top_has_its_own_error() -> None:
    text = "layer { a }\nlayer { name: 'x' }\nlayer { b: : }\nname 'y'\n"
    diagnostics = Diagnostics()
    assert parse_prototxt(Source("x.prototxt", text), diagnostics) is None
    assert [d.span.line for d in diagnostics if d.span] == [1, 3, 4]


@pytest.mark.slow
def test_nesting_is_bounded() -> None:
    diagnostics = Diagnostics()
    text = "a {" * 100_000 + "}" * 100_000
    assert parse_prototxt(Source("x.prototxt", text), diagnostics) is None
    assert [d.code for d in diagnostics] == ["too-deep"]


NUMBERS: dict[str, int | Fraction | None] = {
    "1": 1,
    "-1": -1,
    "0x10": 16,
    "010": 8,
    "1e3": 1000,
    "-2.5E-1": Fraction(-1, 4),
    ".5": Fraction(1, 2),
    "5.": 5,
    "1.f": 1,
    "0": 0,
    "00": 0,
    "1e0": 1,
    "1e99999": None,
    "9" * 70: None,
    "0x" + "f" * 70: None,
}


@pytest.mark.parametrize("text", NUMBERS)
def test_numbers(text: str) -> None:
    wanted = NUMBERS[text]
    assert number_of(text) == (None if wanted is None else Fraction(wanted))
