"""What changed between two nets: pairs of layers, metrics, wiring."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.cli.main import main
from netspec.report.diff import Change, NetDiff, _ascending, data, difference, text
from netspec.report.number_format import number

from ..helpers import body, loaded, net_of

Runs = Callable[..., tuple[int, str]]


def changed(before: str, after: str, shape: str = "3x32x32") -> NetDiff:
    return difference(net_of(body(before, shape)), net_of(body(after, shape)))


def brief(found: NetDiff) -> list[str]:
    """The layers that differ, as `~old->new`."""

    def side(change: Change) -> str:
        names = [f.path for f in (change.before, change.after) if f is not None]
        return "->".join(dict.fromkeys(names))

    return [
        {"changed": "~", "added": "+", "removed": "-"}[c.kind] + side(c)
        for c in found.changes
        if c.kind != "same"
    ]


def test_a_net_is_no_different_from_itself() -> None:
    for spec in ("squeezenet1_0", "squeezenet1_0_complex_bypass"):
        found = difference(loaded(spec), loaded(spec))
        assert found.empty
        assert text(found).endswith("\n\nno difference\n")
    # Another spec of the same net, with other names of parameters.
    assert difference(loaded("squeezenet1_0"), loaded("squeezenet_micro")).empty


def test_one_attribute() -> None:
    found = changed(
        "a: conv { filters: 4 kernel: 3 } -> relu\n b: conv { filters: 2 kernel: 1 }",
        "a: conv { filters: 8 kernel: 3 } -> relu\n b: conv { filters: 2 kernel: 1 }",
    )
    assert brief(found) == ["~a", "~a_relu", "~b"]
    first, relu, last = (c for c in found.changes if c.kind != "same")
    assert first.what["filters"] == (4, 8)
    assert first.what["params"] == (4 * 28, 8 * 28)
    assert relu.shape_only
    assert not last.shape_only  # it has other parameters
    lines = text(found).splitlines()
    assert lines[2].startswith("~ a  filters 4 -> 8; output 4x30x30 -> 8x30x30; params 112 -> 224")
    assert "  1 more with other shapes only" in lines
    assert any(line.startswith("~ a_relu") for line in text(found, everything=True).splitlines())


def test_a_layer_in_between_is_one_addition() -> None:
    """Though all later layers without a name are numbered anew."""
    before = "\n".join(["conv { filters: 4 kernel: 3 pad: 1 } -> relu"] * 4)
    after = before.replace("relu", "relu -> conv { filters: 4 kernel: 1 } -> relu", 1)
    found = changed(before, after, "4x8x8")
    kinds = [line[0] for line in brief(found) if "->" not in line]
    assert kinds == ["+", "+"]
    names = [c for c in found.changes if c.kind == "changed"]
    assert all(set(c.what) == {"name"} for c in names)


def test_names_hold_layers_together_and_the_rest_follows_in_order() -> None:
    found = changed(
        "a: conv { filters: 4 kernel: 3 }\n b: relu\n c: maxpool { kernel: 2 }",
        "a: conv { filters: 4 kernel: 5 }\n d: relu\n e: softmax\n c: maxpool { kernel: 2 }",
    )
    assert brief(found) == ["~a", "~b->d", "+e", "~c"]


def test_wiring() -> None:
    before = """
      a: conv(data) { filters: 3 kernel: 1 }
      b: conv(data) { filters: 3 kernel: 1 }
      s: add(a, b)
      output s"""
    found = changed(
        before, before.replace("add(a, b)", "add(a, data)").replace("output s", "output s, b")
    )
    assert found.ends == {"outputs": ("3x32x32", "3x32x32, 3x32x32")}
    assert [c.what for c in found.changes if c.kind != "same"] == [{"from": ("a, b", "a, data")}]
    other = changed(
        before, before.replace("output s", "output b").replace("add(a, b)", "add(b, a)")
    )
    assert other.ends == {"output from": ("s", "b")}


def test_something_put_in_between_changes_no_neighbour() -> None:
    found = changed(
        "a: conv { filters: 3 kernel: 1 }\n b: conv { filters: 3 kernel: 1 }",
        "a: conv { filters: 3 kernel: 1 }\n n: batchnorm\n b: conv { filters: 3 kernel: 1 }",
    )
    assert brief(found) == ["+n"]


def test_preprocessing_is_part_of_a_net() -> None:
    before, after = (
        f"net n {{ input data: 3x8x8 {{ scale: {s} }}\n relu }}" for s in ("1", "1/255")
    )
    found = difference(net_of(before), net_of(after))
    assert not found.empty
    assert list(found.ends) == ["preprocessing"]
    assert "~ preprocessing: scale 1 -> 1/255\n" in text(found)
    assert found.ends["preprocessing"][0] == "rgb scale 1 mean 0 std 1"
    none = difference(net_of("net n { input data: 3x8x8\n relu }"), net_of(after))
    assert "~ preprocessing: none -> rgb scale 1/255 mean 0 std 1\n" in text(none)


def test_numbers_as_one_writes_them() -> None:
    before, after = (
        f"net n {{ input data: 3x8x8 {{ scale: {s}  mean: [{m}, 0.5, 1/3] }}\n dropout {{ ratio: {m} }} }}"
        for s, m in (("1/256", "0.48512345"), ("1/255", "0.48512346"))
    )
    shown = text(difference(net_of(before), net_of(after)))
    assert (
        "~ preprocessing: scale 1/256 -> 1/255; mean 0.48512345, 0.5, 1/3 -> 0.48512346, 0.5, 1/3\n"
    ) in shown
    assert "ratio 0.48512345 -> 0.48512346" in shown


@given(st.floats(-1e6, 1e6) | st.fractions(max_denominator=5000).map(float))
def test_a_number_is_written_to_the_last_digit(value: float) -> None:
    written = number(value)
    assert float(Fraction(written)) == value or written == repr(value)
    assert len(written) <= len(repr(value))


LINES = st.lists(
    st.sampled_from(
        [
            "conv { filters: 3 kernel: 1 }",
            "conv { filters: 4 kernel: 1 }",
            "relu",
            "x: conv { filters: 3 kernel: 3 pad: 1 }",
            "y: relu",
            "z: batchnorm",
        ]
    ),
    min_size=1,
    max_size=8,
    unique_by=lambda line: line if line[1] == ":" else object(),
)


@given(LINES, LINES)
def test_every_layer_is_in_one_place(before: list[str], after: list[str]) -> None:
    found = changed("\n".join(before), "\n".join(after), "3x4x4")
    old = [c.before for c in found.changes if c.before is not None]
    new = [c.after for c in found.changes if c.after is not None]
    assert old == list(found.before.layers)
    assert new == list(found.after.layers)
    gained = sum(c.after.params for c in found.changes if c.kind == "added" and c.after)
    lost = sum(c.before.params for c in found.changes if c.kind == "removed" and c.before)
    both = sum(b - a for c in found.changes for a, b in [c.what.get("params", (0, 0))])
    assert found.after.params - found.before.params == gained - lost + both
    if before == after:
        assert found.empty


@pytest.mark.slow
def test_very_many_layers_without_names() -> None:
    before = body("for i in 1..3000 { conv { filters: 2 kernel: 1 } -> relu }", "2x4x4")
    after = before.replace("1..3000", "1..2999")
    found = difference(net_of(before), net_of(after))
    assert brief(found) == ["-conv_3000", "-relu_3000"]


@given(st.permutations(range(7)))
def test_the_longest_ascending_pairs(order: list[int]) -> None:
    found = _ascending(list(enumerate(order)))
    assert found == sorted(found)
    assert [k for _, k in found] == sorted(k for _, k in found)

    def longest(start: int, least: int) -> int:
        rest = [1 + longest(i + 1, order[i]) for i in range(start, 7) if order[i] > least]
        return max(rest, default=0)

    assert len(found) == longest(0, -1)


@pytest.fixture
def runs(capsys: pytest.CaptureFixture[str]) -> Runs:
    def run(*arguments: str) -> tuple[int, str]:
        status = main(["diff", *arguments])
        return status, capsys.readouterr().out

    return run


def test_two_settings_of_one_spec(runs: Runs) -> None:
    status, written = runs("squeezenet_micro", "--right", "SR=0.25", "--format", "json")
    assert status == 0
    found = json.loads(written)
    assert found["total"]["params"] == {"before": 1_248_424, "after": 1_967_080}
    assert found["layers"][0]["what"]["filters"] == {"before": 16, "after": 32}
    status, written = runs("squeezenet_micro", "--left", "SR=0.25", "--set", "classes=10")
    assert "+" not in written.splitlines()[2]
    assert "-57.6%" not in written
    assert "513,000" not in written
    assert written.startswith("squeezenet_micro SR=0.25 -> squeezenet_micro\n")


def test_nets_of_one_name_are_told_apart(runs: Runs, tmp_path: Path) -> None:
    paths = [str(tmp_path / name) for name in ("old.net", "new.net")]
    for path, filters in zip(paths, (2, 3), strict=True):
        Path(path).write_text(body(f"conv {{ filters: {filters} kernel: 1 }}"))
    written = runs(*paths)[1].splitlines()
    assert written[0] == " -> ".join(paths)
    assert any(line.split() == [*paths, "change"] for line in written)


@pytest.mark.parametrize("width", [40, 80, 100])
def test_lines_fit_the_width(runs: Runs, width: int) -> None:
    whole = runs("squeezenet1_0", "squeezenet1_1", "--width", "0")[1]
    fitted = runs("squeezenet1_0", "squeezenet1_1", "--width", str(width))[1]
    listed = fitted.split("\n\n")[1].splitlines()
    assert max(map(len, listed)) <= width
    assert all(line[:2] in ("~ ", "+ ", "- ", "  ") for line in listed)
    assert fitted.split() == whole.split()
    assert max(map(len, whole.splitlines())) > 100


def test_exit_code(runs: Runs) -> None:
    assert runs("squeezenet1_0", "squeezenet1_0", "--exit-code")[0] == 0
    assert runs("squeezenet1_0", "squeezenet1_1", "--exit-code")[0] == 1
    assert runs("squeezenet1_0", "squeezenet1_1")[0] == 0
    assert runs("squeezenet1_0", "no_such_net")[0] == 1


def test_between_versions(runs: Runs) -> None:
    _, written = runs("squeezenet1_0", "squeezenet1_1")
    lines = written.splitlines()
    marks = [line.split()[:2] for line in lines if line.startswith(("+", "-"))]
    assert marks == [["+", "pool3"], ["-", "pool4"], ["+", "pool5"], ["-", "pool8"]]
    assert "params           1,248,424      1,235,496   -1.0%" in lines
    assert kinds(data(difference(loaded("squeezenet1_0"), loaded("squeezenet1_1")))) <= {
        *(dict, list, str, int, float, bool, type(None))
    }


def kinds(value: Any) -> set[type]:
    inside = value.values() if isinstance(value, dict) else value if type(value) is list else ()
    return {type(value)}.union(*map(kinds, inside))
