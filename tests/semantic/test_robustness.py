"""Any text gives a net or diagnostics, within bounded time and memory."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netspec.diagnostics import Diagnostics, render
from netspec.semantic.imports import read_source

from ..helpers import body, bundled_text, checked, one_of_each_text

pytestmark = pytest.mark.slow

MANY = 10_000
DOUBLES = "module m0 { input x\n relu }\n" + "".join(
    f"module m{i} {{ input x\n m{i - 1} -> m{i - 1} }}\n" for i in range(1, 51)
)
NESTED_LISTS = "let a0 = [1]\n" + "".join(
    f"let a{i} = [a{i - 1}, a{i - 1}]\n" for i in range(1, 60)
)
ROW = "(" + "-" * 40 + "@" + "**-1" * 40 + "*1" * 40 + "+1" * 40 + ")"


def nested(pattern: str, times: int) -> str:
    text = "1"
    for _ in range(times):
        text = pattern.replace("@", text)
    return text


LONG_LIST = "let b0 = [1, 2, 3, 4, 5, 6, 7, 8]\n" + "".join(
    f"let b{i} = {' + '.join([f'b{i - 1}'] * 8)}\n" for i in range(1, 5)
)
ATTACKS = {
    "endless loop": body("for i in 0..1_000_000_000 { relu }"),
    "loops in loops": body("for i in 0..999 { for j in 0..999 { for k in 0..999 { } } }\nrelu"),
    "power": body("let a = 9**9**9\nrelu"),
    "squares": body("let a = 2**500\nlet b = a * a * a * a\nrelu"),
    "small power": body("let a = 2**-999999999999\nrelu"),
    "brackets": body("let a = " + "(" * MANY + "1" + ")" * MANY),
    "lists": body("let a = " + "[" * MANY + "1" + "]" * MANY),
    "blocks": body("if true {" * MANY + "}" * MANY),
    "signs": body("let a = " + "-" * MANY + "1"),
    "nots": body("let a = " + "not " * MANY + "true"),
    "else if": body("if false { relu } " + "else if false { relu } " * MANY + "relu"),
    "choices": body("let a = " + "1 if false else " * MANY + "2\nrelu"),
    "chain": body("relu" + " -> relu" * MANY),
    "terms": body("let a = 1" + "+1" * MANY),
    "powers": body("let a = 1" + "**1" * MANY),
    "parts": body("relu(data" + ".a" * MANY + ")"),
    "indices": body("relu(data" + "[1]" * MANY + ")"),
    "calls in calls": body("relu(" * MANY + "data" + ")" * MANY),
    "doubling": DOUBLES + body("m50"),
    "doubling forty times": DOUBLES + body("m40"),
    "modules in modules": "module m0 { input x\n relu }\n"
    + "".join(f"module m{i} {{ input x\n m{i - 1} }}\n" for i in range(1, 1000))
    + body("m999"),
    "long number": body("let a = " + "9" * 100_000),
    "long shape": body("relu", "9x" * MANY + "9"),
    "large shape": body("conv { filters: 3 kernel: 1 }", "999999999x999999999x99999999"),
    "growing list": body(
        "let a0=[1]\n" + "".join(f"let a{i} = a{i - 1} + a{i - 1}\n" for i in range(1, 60))
    ),
    "nested lists": body(NESTED_LISTS + "let b = a59 == a58\nfor i in a59 { relu }"),
    "many layers": body("for i in 0..300000 { c[i]: relu }"),
    "many errors": body("for i in 0..300000 { c[i]: conv { filters: 0 kernel: 1 } }"),
    "rows of operators in brackets": body(f"let a = {nested(ROW, 55)}\nrelu"),
    "nots in brackets": body(f"let a = {nested('(' + 'not ' * 50 + '(@ < 1))', 28)}\nrelu"),
    "large kernel": body("conv { filters: 3  kernel: 2_000_000_000 }"),
    "large pooling": body("maxpool { kernel: 2_000_000_000 }"),
    "large dilation": body("conv { filters: 3  kernel: 3  dilation: 2_000_000_000 }"),
    "large pad": body("conv { filters: 3  kernel: 3  pad: 2_000_000_000 }"),
    "large groups": body("conv { filters: 2_000_000_000  kernel: 1  groups: 1_999_999_999 }"),
    "long list in a loop": body(LONG_LIST + "for i in 0..99999 { if 0 in b4 { } }\nrelu"),
    "long list as argument": "module m(l) { input x\n relu }\n"
    + body(LONG_LIST + "for i in 0..99999 { a[i]: m { l: b4 } }"),
    "unknown names": body(
        "\n".join(f"abcdef{i}: relu" for i in range(3000))
        + "\n"
        + "\n".join(f"x{i}: relu(abcdeg{i}z)" for i in range(3000))
    ),
    "unmet contracts": body(
        "\n".join(f"a{i}: relu" for i in range(3000)) + "\nexpect params == 1" * 3000
    ),
    "contracts of a long chain": body(
        "a: relu" + " -> relu" * 3000 + "\nexpect macs(a) < 0" * 3000
    ),
    "long name": body("for i in 0..20000 { " + "a" * MANY + "[i]: relu }"),
    "wide concat": body(
        "\n".join(f"a{i}: conv(data) {{ filters: 3 kernel: {i % 4 + 1} }}" for i in range(1000))
        + "\n"
        + ("concat(" + ",".join(f"a{i}" for i in range(1000)) + ")\n") * 10
    ),
    "open braces": "{" * 200_000,
    "many words": "a " * 300_100,
    # A repetition must not be copied as it grows.
    "many branches": body("if false { } " + "else if false { } " * 10_000 + "relu"),
    "long defaults": "net n(a = ["
    + "1, " * 9_999
    + "], b = ["
    + "len(a), " * 300
    + "]) {\n input x: 3x8x8\n relu }",
    "many outputs": body(
        "\n".join(f"a{i}: relu" for i in range(MANY))
        + "\noutput "
        + ", ".join(f"a{i}" for i in range(MANY))
    ),
    "stray characters": "@" * 100_000,
    "control characters": "\x1b[2J net n { \x07 } \0",
    "open string": body('"abc\n relu'),
    "empty": "",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks(name: str) -> None:
    # In KiB; the most that the process ever held.
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    net, found = checked(ATTACKS[name])
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert (net is None) == any(d.severity == "error" for d in found)
    assert grown < 700 * 2**10
    for diagnostic in found:
        shown = render.text(diagnostic)
        assert len(shown) < 5_000
        assert "\x1b" not in shown


def test_any_depth_that_is_accepted_can_be_walked() -> None:
    for times in range(1, 60, 7):
        net, found = checked(body(f"let a = {nested('(-@ * 2 + 1)', times)}\nrelu"))
        assert net is not None or {d.code for d in found} <= {"too-deep", "too-large"}


def test_a_device_has_no_end() -> None:
    diagnostics = Diagnostics()
    assert read_source(Path("/dev/zero"), diagnostics) is None
    assert [d.code for d in diagnostics] == ["unreadable-file"]


def test_line_breaks_and_marks_of_other_systems(tmp_path: Path) -> None:
    file = tmp_path / "a.net"
    text = body('relu\n# c\nexpect data: 3x32x32 "m"')
    results = []
    for content in (
        text.encode(),
        text.replace("\n", "\r\n").encode(),
        text.replace("\n", "\r").encode(),
        text.encode("utf-8-sig"),
    ):
        file.write_bytes(content)
        source = read_source(file, Diagnostics())
        assert source is not None
        results.append(source.text)
    assert results == [text] * 4


# What is only large, not wrong, goes through.
@pytest.mark.parametrize("name", ["else if", "choices", "chain"])
def test_large_but_sound(name: str) -> None:
    assert checked(ATTACKS[name])[0] is not None


def test_files_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "folder.net").mkdir()
    (tmp_path / "binary.net").write_bytes(b"\xff\xfe\x00")
    os.mkfifo(tmp_path / "pipe.net")
    for target in ("folder.net", "pipe.net", "../../etc/passwd", "/etc/passwd.net", "none.net"):
        net, found = checked(f'import "{target}"\n' + body("relu"), base=tmp_path)
        assert net is None
        assert [d.code for d in found] == ["unknown-module"]
    net, found = checked('import "binary.net"\n' + body("relu"), base=tmp_path)
    assert [d.code for d in found] == ["unreadable-file"]


TOKENS = st.sampled_from(
    [
        *("net", "module", "import", "input", "output", "let", "for", "if", "else", "expect"),
        *("prefer", "in", "not", "and", "or", "true", "none", "{", "}", "(", ")", "[", "]", ":"),
        *("->", "..", ",", ";", ".", "=", "==", "<", "+", "-", "*", "**", "/", "//", "%", "?"),
        *("conv", "relu", "add", "concat", "maxpool", "x", "data", "fire", "filters", "kernel"),
        *("1", "0", "3", "50%", "3x8x8", "?x8", "1.5", '"s"', "\n", "# c\n", "## d\n", "same"),
    ]
)
WORDS = st.lists(TOKENS, max_size=40).map(" ".join)


@settings(max_examples=150, deadline=None)
@given(WORDS, st.booleans())
def test_any_words(words: str, inside: bool) -> None:
    net, found = checked(body(words, "3x8x8") if inside else words)
    assert (net is None) == any(d.severity == "error" for d in found)
    for diagnostic in found:
        render.text(diagnostic)


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200))
def test_any_text(text: str) -> None:
    net, found = checked(text)
    assert (net is None) == any(d.severity == "error" for d in found)


SPECS = [bundled_text(name) for name in one_of_each_text()]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SPECS), st.lists(st.tuples(st.integers(0, 10**6), TOKENS), max_size=3))
def test_mutated_specs(text: str, changes: list[tuple[int, str]]) -> None:
    for place, token in changes:
        place %= len(text)
        text = text[:place] + token + text[place + len(token) :]
    net, found = checked(text)
    assert (net is None) == any(d.severity == "error" for d in found)
