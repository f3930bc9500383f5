"""The metrics in `expect` and `prefer`, and the diagnostics of those that do not hold."""

from __future__ import annotations

import re

import pytest
from hypothesis import given as cases
from hypothesis import settings as trials
from hypothesis import strategies as st

from netspec.diagnostics import Diagnostic, Diagnostics, render
from netspec.driver import bundled
from netspec.ir import Net
from netspec.semantic.imports import read_source
from netspec.semantic.settings import SettingText

from ..helpers import body, checked, codes, net_of

FIRE = "fire: fire { s1x1: 4  e1x1: 6  e3x3: 8 }"
STAGE = """
import fire
module stage(n) { input x
  for i in 1..2 { fire[i]: fire { s1x1: n  e1x1: 2 * n  e3x3: n } -> relu }
  mixed: add(conv(fire1) { filters: 5 kernel: 1 }, conv(fire2) { filters: 5 kernel: 1 })
  pool: maxpool(fire1) { kernel: 2  round: floor }
  output mixed, pool }
"""
NESTED = STAGE + body("s: stage { n: 4 }\nt: stage { n: 6 } -> relu\nloose: relu(s.pool)\n@")


def unmet(text: str, **setting: str) -> Diagnostic:
    """The only diagnostic of a text."""
    (found,) = checked(text, {name: SettingText(value) for name, value in setting.items()})[1]
    assert found.code in ("unmet-expect", "unmet-prefer")
    return found


def below(net: Net, *paths: str) -> tuple[int, int]:
    """Parameters and MACs of the layers at or below these paths."""
    own = [f for f in net.layers if any(f"{f.path}.".startswith(f"{p}.") for p in paths)]
    assert own
    return sum(f.params for f in own), sum(f.macs for f in own)


@pytest.mark.parametrize(
    ("name", "paths"),
    [
        ("s", ["s"]),
        ("t", ["t", "t_relu"]),
        ("s.fire1", ["s.fire1", "s.fire1_relu"]),
        ("s.fire[1 + 1].squeeze", ["s.fire2.squeeze", "s.fire2.squeeze_relu"]),
        ("t.fire2.expand3x3", ["t.fire2.expand3x3"]),
        # With what stands in round brackets.
        ("s.mixed", ["s.mixed", "s.conv_1", "s.conv_2"]),
        # A result is the line of its name.
        ("t.pool", ["t.pool"]),
    ],
)
def test_metrics_of_whatever_has_a_path(name: str, paths: list[str]) -> None:
    params, macs = below(net_of(NESTED.replace("@", "")), *paths)
    contracts = f"expect params({name}) == {params} and macs({name}) == {macs}"
    net_of(NESTED.replace("@", f"{contracts}\nexpect size({name}) == {4 * params}"))


def test_shapes_inside_instances() -> None:
    net_of(
        NESTED.replace(
            "@",
            """
            expect s.fire1: 12x32x32 and s.fire[2].squeeze.channels == 4
            expect s.fire1.x: 3x32x32
            expect t.pool: ?x16x16 and t.pool.height < t.mixed.height
            expect t.mixed.shape == [5, 32, 32]
            """,
        )
        .replace("12x32x32 and s.fire", "12x32x32\nexpect s.fire")
        .replace("16x16 and", "16x16\nexpect")
    )


def test_activations_of_a_line_are_those_of_it_alone() -> None:
    net_of(
        "module m { input x  big: conv { filters: 9 kernel: 1 }  small: relu(x)  output small, big }\n"
        + body(
            """
            a: conv(relu(data)) { filters: 5 kernel: 1 } -> relu
            p: maxpool { kernel: 2 }
            q: m(data)
            output add(a, a), conv(p) { filters: 1 kernel: 1 }, q
            expect activations(data) == 4 * 32
            # relu 32 + conv 80, then conv 80 + relu 80
            expect activations(a) == 4 * 160
            # Nothing reads the indices, nor what q returns second.
            expect activations(p) == 4 * (80 + 20)
            expect activations(q) == 4 * (32 + 32)
            expect activations(q.big) == 4 * (32 + 9 * 16)
            """,
            "2x4x4",
        )
    )


def test_a_contract_is_about_the_finished_block_wherever_it_stands() -> None:
    net_of(
        """
        module m(f) { expect params == 4 * f and macs(c) == 48 * f  expect c.channels == e
          input x  c: conv { filters: f kernel: 1 }  let e = f }
        net n { expect params == 12 + n * a.channels  expect a: 3x4x4
          input data: 3x4x4  let n = 0  a: m { f: 3 } }
        """
    )
    assert codes(body("expect later: 3x3x3\nlater: relu", "3x3x3")) == []
    assert (
        codes(body("for i in 1..2 { expect a[i + 1]: 3x3x3 }\na2: relu\na3: relu", "3x3x3")) == []
    )


def test_names_of_metrics() -> None:
    # As a value's name it is clear what is meant.
    net_of(
        body(
            "params: conv { filters: 2 kernel: 1 }\nmacs: relu\nexpect params == 8 and params() == 8\n"
            "expect params(params) == 8 and macs(macs) == 0 and macs == 2 * 3 * 9\n"
            "expect params: 2x3x3\nexpect params.channels == 2",
            "3x3x3",
        )
    )
    # As a constant's it is not, but outside of contracts there are no metrics.
    net_of(
        "net n(size = 3) { input data: 3x3x3 conv { filters: size kernel: 1 }\nexpect size() > 3 }"
    )
    text = "net n(size = 3) { input data: 3x3x3 conv { filters: size kernel: 1 }\nexpect size > 1 }"
    assert codes(text) == ["ambiguous-name"]
    assert codes(text.replace("expect size", "let s = size expect s")) == []
    assert (
        codes("module m(size) { input x relu if size > 1 { relu } }\n" + body("m { size: 3 }"))
        == []
    )


def test_differences_and_ratios() -> None:
    def said(contract: str) -> str:
        return unmet(body(f"a: conv {{ filters: 10 kernel: 1 }}\nexpect {contract}", "9x4x4")).label

    assert said("params == 50") == "params is 100, not 50 (50 too many, 2.0x)"
    assert said("50 == params(a)") == "params(a) is 100, not 50 (50 too many, 2.0x)"
    assert said("params > 300") == "params is 100, not > 300 (200 too few, 0.33x)"
    assert said("300 <= params") == "params is 100, not >= 300 (200 too few, 0.33x)"
    assert said("params < 100") == "params is 100, not < 100 (neither more nor less)"
    assert said("params != 100") == "params is 100"
    assert said("params in [1, 2]") == "params is 100, not in [1, 2]"
    assert said("size < 0.1KB") == "size is 400, not < 0.1KB (300 bytes too many, 4.0x)"
    assert said("macs(a) < 2 * params(a)") == (
        "macs(a) is 1,440, not < 2 * params(a), which is 200 (1,240 too many, 7.2x)"
    )
    assert said("params(a) / macs < 0.05") == (
        "params(a) / macs is 5/72 (about 0.0694444), not < 0.05 (0.0194 too large, 1.4x)"
    )
    assert said("a.height == 5") == "a.height is 4, not 5 (1 too small)"
    assert said("params == 0") == "params is 100, not 0 (100 too many)"
    assert said("1 == 2") == "1 is 1, not 2 (1 too small)"


def test_layers_that_contribute_most() -> None:
    text = NESTED.replace("@", "head: conv(t) { filters: 2 kernel: 1 }\nexpect params == 1")
    net = net_of(text.replace("expect params == 1", ""))
    (note,) = unmet(text).notes
    named = re.findall(r"([\w.]+) ([\d,]+) \((\d+)%\)", note)
    assert len(named) == 3
    figures = [int(figure.replace(",", "")) for _, figure, _ in named]
    assert figures == sorted(figures, reverse=True)
    for (path, _, share), figure in zip(named, figures, strict=True):
        assert below(net, path)[0] == figure
        assert abs(int(share) - 100 * figure / net.params) <= 0.5
    # What is more than half of the whole is opened up.
    assert not any(2 * f > net.params for f in figures) or all("." in p for p, _, _ in named[:1])


def test_the_largest_is_looked_for_inside() -> None:
    text = (
        "module a { input x c: conv { filters: 90 kernel: 3 } d: conv { filters: 1 kernel: 1 } }\n"
    )
    text += "module b { input x a: a e: conv { filters: 2 kernel: 1 } }\n"
    text += body("b: b\nf: conv { filters: 9 kernel: 1 }\nexpect macs < 1\n")
    assert unmet(text).notes == (
        "most of macs: b.a.c 2,187,000 (96%), b.a.d 81,000 (4%), f 16,200 (1%)",
    )


def test_settings_that_break_a_contract_are_named_and_the_guard_fixes_it() -> None:
    """Taking the help at its word gives a spec that is sound with and without the setting."""
    source = read_source(bundled()["squeezenet1_0"], Diagnostics())
    assert source is not None
    text = source.text.replace("if classes == 1000 {", "if true {")
    ten = {"classes": SettingText("10")}
    net, found = checked(text, ten)
    assert net is None
    assert len(found) == 3
    for d in found:
        assert d.notes[-1] == "it holds with the default; classes is set to 10 (default 1,000)"
        ((guarded, contract),) = re.findall(r"`(if classes == 1000 \{ (.*) \})`", d.help[0])
        text = text.replace(contract, guarded)
    for settings in ({}, ten, {"classes": SettingText("1000")}):
        assert checked(text, settings)[0] is not None


def test_settings_that_have_no_part_in_it_are_not_named() -> None:
    text = (
        "net n(a = 3, b = 4, c = true) { input data: 3x4x4\n x: conv { filters: a kernel: 1 }\n"
        "y: conv { filters: b kernel: 1 }\n if c { relu }\n expect params(x) == @ }"
    )
    twelve = text.replace("@", "12")
    assert (
        "it holds with the default; a is set to 4 (default 3)"
        in unmet(twelve, a="4", b="5", c="false").notes
    )
    assert not any("set to" in n for n in unmet(text.replace("@", "1"), b="5").notes)
    assert not any("set to" in n for n in unmet(text.replace("@", "1"), a="3").notes)
    (note,) = (n for n in unmet(text.replace("@", "1"), a="4").notes if "set to" in n)
    assert note.endswith("without that, params(x) is 12, not 1 (11 too many, 12x)")
    assert checked(twelve, {"b": SettingText("9")})[0] is not None


SIZES = st.lists(
    st.tuples(st.integers(1, 5), st.integers(1, 3), st.sampled_from(["floor", "ceil"])),
    min_size=1,
    max_size=4,
)


@trials(max_examples=60, deadline=None)
@cases(SIZES, st.integers(1, 30))
def test_a_fix_of_a_shape_fixes_it(layers: list[tuple[int, int, str]], wanted: int) -> None:
    lines = [
        f"p{i}: maxpool {{ kernel: {k}  stride: {s}  round: {r}  pad: 0 }}"
        for i, (k, s, r) in enumerate(layers)
    ]
    contract = f"expect p{len(layers) - 1}: ?x{wanted}x{wanted}"
    net, found = checked(body("\n".join([*lines, contract]), "1x30x30"))
    if net is not None or found[0].code != "unmet-expect" or not found[0].help:
        return
    (fix,) = found[0].help
    match = re.fullmatch(r"`(\w+): (\w+|\[.*\])` at p(\d) \(line \d+\) would make it 1x.*", fix)
    assert match is not None, fix
    field, value, i = match.groups()
    changed, count = re.subn(rf"\b{field}: \w+", f"{field}: {value}", lines[int(i)])
    assert count == 1
    lines[int(i)] = changed
    net_of(body("\n".join([*lines, contract]), "1x30x30"))


@pytest.mark.slow
def test_contracts_of_any_form_are_met_or_reported() -> None:
    """A false condition is never passed over, however it is put together."""
    false = ["a.height == 9", "params < 1", "not true", "macs(s.fire1) in [1]", "1 > size(s)"]
    true = ["a.height == 32", "params > 1", "true", "macs(s.fire1) not in [1]", "1 < size(s)"]
    for f in false:
        for t in true:
            for contract in (
                *(f, f"not ({t})", f"{f} and {t}", f"{t} and {f}", f"({t} and {f}) or {f}"),
                *(f"{f} or ({t} and {f})", f"{f} if {t} else {t}", f"not ({t} or {f})"),
            ):
                text = NESTED.replace("@", f"a: relu(data)\noutput t, a, loose\nexpect {contract}")
                assert codes(text) == ["unmet-expect"], contract
                held = text.replace(f"expect {contract}", f"expect not ({contract})")
                assert codes(held) == [], contract


def test_what_is_not_evaluated_is_not_missed() -> None:
    assert codes(body("relu\nexpect (params(nope) if false else params) == 1")) == ["unmet-expect"]
    wrong = body("conv { filters: 0 kernel: 1 }\nexpect (params if false else 1) == 2")
    assert codes(wrong) == ["out-of-range", "unmet-expect"]


# --- where errors recur --------------------------------------------------------------------------


@trials(max_examples=60, deadline=None)
@cases(
    st.lists(st.lists(st.integers(0, 3), min_size=1, max_size=4), min_size=1, max_size=4),
    st.integers(1, 3),
)
def test_uses_are_counted_as_in_the_flat_net(stages: list[list[int]], least: int) -> None:
    """Each stage uses a module with the given widths; some are too narrow."""
    text = f"module leaf(f) {{ input x conv {{ filters: f + 1 kernel: 1 }} prefer params > {2 * least} }}\n"
    text += "module stage(fs) { input x for f in fs { leaf(x) { f: f } } }\n"
    text += body("\n".join(f"stage(data) {{ fs: {fs} }}" for fs in stages), "1x2x2")
    widths = [f for fs in stages for f in fs]
    narrow = sum(2 * (f + 1) <= 2 * least for f in widths)
    found = [d for d in checked(text)[1] if d.code == "unmet-prefer"]
    assert len(found) == (narrow > 0)
    for d in found:
        words = " ".join(d.also)
        if len(widths) == 1:
            assert not d.also
        elif narrow == len(widths):
            assert words == f"in {'both' if narrow == 2 else f'all {narrow}'} uses of leaf"
        else:
            assert words.startswith(f"in {narrow} of {len(widths)} uses of leaf")
        first = next(i for i, fs in enumerate(stages) if any(f + 1 <= least for f in fs))
        assert [f.instance for f in d.backtrace] == [
            f"stage_{first + 1}",
            f"leaf_{next(j for j, f in enumerate(stages[first]) if f + 1 <= least) + 1}",
        ]


def test_json_has_the_backtrace() -> None:
    text = "module m(f) { input x for j in 1..2 { let a = 1 // (f - j) } relu }\n"
    text += body("for i in 1..3 { m[i]: m { f: i } }")
    (found,) = render.as_json(checked(text)[1])
    assert found["notes"] == [
        "where j = 1",
        "in m, instantiated as m1 at test.net:3, i = 1",
        "in 1 of 3 uses of m (2 can't be checked yet)",
    ]
    assert "in m, instantiated as m1" in render.github(checked(text)[1][0])


def test_uses_that_double_are_counted_without_being_walked() -> None:
    text = "module m0 { input x relu prefer macs > 1 }\n" + "".join(
        f"module m{i} {{ input x m{i - 1} -> m{i - 1} }}\n" for i in range(1, 17)
    )
    (found,) = checked(text + body("m16"))[1]
    assert found.also == ("in all 65,536 uses of m0",)
    # Only the middle of a long way is left out.
    shown = render.text(found)
    assert "in m0, instantiated as m0_1" in shown
    assert "in m16, instantiated as m16_1" in shown
    assert len(shown.splitlines()) < 20


def test_uses_of_a_module_whose_contract_fails_are_all_looked_at() -> None:
    text = "module m { input x conv { filters: x.channels * 2 kernel: 1 } expect x.channels < 4 }\n"
    (found,) = checked(text + body("a: m -> m -> m -> m", "1x2x2"))[1]
    assert found.also == ("in 2 of 4 uses of m: a_m_2 and a_m_3",)


def test_unused_layers_of_one_line_are_one_warning() -> None:
    text = body("for i in 1..3 { a[i]: conv(data) { filters: 1 kernel: 1 } -> relu }\nrelu(data)")
    (found,) = checked(text)[1]
    assert found.message == "no output depends on a1, a2 and a3"
