"""What depends on something that failed is silent: one cause, one error."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netspec.diagnostics import Diagnostics
from netspec.diagnostics.source import Source, Span
from netspec.driver import bundled
from netspec.syntax.ast import Call, Let
from netspec.syntax.parser import parse
from netspec.syntax.visitor import walk

from ..helpers import body, bundled_text, checked, codes, one_of_each_text

SPECS = {name: bundled_text(name) for name in one_of_each_text()}


def values(text: str) -> list[Span]:
    """The places of all values that a spec gives to fields of layers and to constants."""
    file = parse(Source("t", text), Diagnostics())
    assert file is not None
    found = []
    for node in walk(file):
        if isinstance(node, Call):
            found += [f.value.span for f in node.fields]
        elif isinstance(node, Let):
            found.append(node.value.span)
    return found


PLACES = {name: values(text) for name, text in SPECS.items()}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(name for name in SPECS if PLACES[name])), st.data())
def test_a_wrong_value_is_all_that_is_reported(name: str, data: st.DataObject) -> None:
    place = data.draw(st.sampled_from(PLACES[name]))
    text = SPECS[name][: place.start] + "(1 / 0)" + SPECS[name][place.end :]
    net, found = checked(text, base=bundled()[name].parent)
    if net is not None:
        return  # it stands in a branch that is not taken
    assert [d.code for d in found if d.severity == "error"] == ["bad-arithmetic"]
    (error,) = (d for d in found if d.severity == "error")
    assert error.span is not None
    assert error.span.line == SPECS[name].count("\n", 0, place.start) + 1


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        # A constant, and what is made with it.
        ("let a = 1 / 0\nlet b = a\nc[b]: relu\nrelu(c1)\nexpect a == 3", ["bad-arithmetic"]),
        # A layer, by its name, by a part of it, and by what flows.
        ("a: conv { filters: 0 kernel: 1 }\nrelu\nadd(a, data)\nlet w = a.width", ["out-of-range"]),
        # What a branch or loop would have made.
        ("if 1 / 0 == 2 { a: relu\n b[1]: relu }\nadd(a, b1)\nrelu(b7)", ["bad-arithmetic"]),
        ("for i in 1..(1 / 0) { a[i]: relu }\nadd(a1, a2)", ["bad-arithmetic"]),
        # An instance, and the errors beside it.
        ("m { f: 1 / 0 }\nrelu\nrelu(b)", ["bad-arithmetic", "unknown-name"]),
        # An output.
        ("a: conv { filters: 0 kernel: 1 }\noutput a, data", ["out-of-range"]),
        # A name that was given before the branch failed stays what it is.
        ("a: relu\nif 1 / 0 == 2 { a: relu }\nadd(a, z)", ["bad-arithmetic", "unknown-name"]),
    ],
)
def test_kinds_of_dependence(statements: str, expected: list[str]) -> None:
    module = "module m(f) { input x\n conv { filters: f kernel: 1 } }\n"
    assert codes(module + body(statements)) == expected


def test_an_input_that_fails_is_not_missed() -> None:
    text = "net n { input data: 0x8x8\n a: relu\n b: relu(data)\n add(a, b) }"
    assert codes(text) == ["out-of-range"]
