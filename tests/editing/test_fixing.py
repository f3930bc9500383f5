"""Fixes that diagnostics offer, and `netspec check --fix`."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from netspec.cli.main import main
from netspec.diagnostics import Diagnostic
from netspec.diagnostics.fixes import Edit, edited
from netspec.diagnostics.source import Source, Span
from netspec.driver import check
from netspec.editing.fixing import fixed, with_fix

from ..diagnostics.test_cases import FILES, read


def problems(text: str, folder: Path | None = None) -> tuple[Diagnostic, ...]:
    return check(Source("spec.net", text), folder, {}).diagnostics


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_every_fix_of_the_cases_makes_its_error_go(path: Path, tmp_path: Path) -> None:
    for case in read(path):
        for name, text in case.files.items():
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_text(text, encoding="utf-8")
        if case.settings:
            continue
        for d in problems(case.spec, tmp_path):
            for fix in d.fixes:
                assert all(e.span.source.name == "spec.net" for e in fix.edits)
                result = with_fix(case.spec, d, fix)
                assert result is not None
                left = [(x.code, x.message) for x in problems(result, tmp_path)]
                same = [(x.code, x.message) for x in problems(case.spec, tmp_path)].count
                again = left.count((d.code, d.message)) >= same((d.code, d.message))
                # A name that is unknown in several places is one error, and fixed in one.
                assert not again or d.also, (fix, result)


def test_many_errors_of_the_cases_offer_a_fix(tmp_path: Path) -> None:
    found = [d for path in FILES for case in read(path) for d in problems(case.spec, tmp_path)]
    assert sum(bool(d.fixes) for d in found) > 60


WRONG = """net small {
  input data: 3x32x32
  c1: conv { num_output = 8  kernel_size: 3, 3 ceil_mode: true } => relu
  c2: cnv(c1) { filter: 16  kernel: 3 } -> squeeze_excitation { reduction: 4 }
  add(c1, c2)
}
"""


def test_one_after_the_other() -> None:
    result = fixed(WRONG, problems)
    assert "c1: conv { filters: 8 kernel: 3x3  } -> relu" in " ".join(result.text.split(" ")) or (
        result.text
    )
    assert len(result.fixed) >= 8
    assert all(d.code != "syntax" for d in result.left)


def test_edits_are_made_at_once_and_never_overlap() -> None:
    source = Source("t", "abcdef")
    ab, bc, ef = (Span(source, i, i + 2) for i in (0, 1, 4))
    here = Span(source, 3, 3)
    assert edited("abcdef", [Edit(ef, "x"), Edit(ab, ""), Edit(here, "-")]) == "c-dx"
    assert edited("abcdef", [Edit(ab, "x"), Edit(bc, "y")]) is None


def test_fixes_come_from_other_processes() -> None:
    for d in problems(WRONG):
        again = pickle.loads(pickle.dumps(d))
        assert [str(h) for h in again.help] == [str(h) for h in d.help]
        assert [[e.text for e in f.edits] for f in again.fixes] == [
            [e.text for e in f.edits] for f in d.fixes
        ]


def test_what_makes_another_error_is_not_done() -> None:
    # `filters: 3` of a would make the sum right, and the convolution behind it wrong.
    text = """net n {
  input x: 4x8x8
  a: conv(x) { filters: 6  kernel: 1 }
  b: conv(a) { filters: 4  kernel: 1  groups: 6 }
  add(a, x)
}"""
    result = fixed(text, problems)
    assert sum(d.severity == "error" for d in result.left) <= sum(
        d.severity == "error" for d in problems(text)
    )


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "small.net"
    text = "net n {\n  input x: 3x8x8\n  a: cnv { filters: 8  kernel: 3 } => relu\n}\n"
    path.write_bytes(("\ufeff" + text.replace("\n", "\r\n")).encode())
    return path


def test_the_command_keeps_line_breaks(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(spec), "--fix"]) == 0
    assert (
        spec.read_bytes()
        == (
            "\ufeffnet n {\r\n  input x: 3x8x8\r\n  a: conv { filters: 8  kernel: 3 } -> relu\r\n}\r\n"
        ).encode()
    )
    out, err = capsys.readouterr()
    assert out == f"{spec}\n"
    assert err.count("fixed in line 3: ") == 2


def test_diff_writes_nothing(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = spec.read_bytes()
    assert main(["check", str(spec), "--diff"]) == 0
    assert spec.read_bytes() == before
    assert "+  a: conv { filters: 8  kernel: 3 } -> relu" in capsys.readouterr().out


def test_places_and_fixes_in_json(spec: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spec.write_text(
        "net n {\n  input x: 3x8x8\n  a: conv { filters: 8  kernel: 1 }\n  add(a, x)\n}\n"
    )
    assert main(["check", str(spec), "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert [r["line"] for r in found["related"]] == [3, 2]
    (fix,) = found["fixes"]
    assert fix["title"].startswith("`filters: 3` at a")
    (edit,) = fix["edits"]
    assert edit == {
        "file": str(spec),
        "line": 3,
        "column": 22,
        "end_line": 3,
        "end_column": 23,
        "text": "3",
    }


def test_bundled_specs_are_not_rewritten(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "squeezenet1_1", "--fix"]) == 0


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        ("if !false { relu }", "if not false { relu }"),
        ("if 1==1&&2==2 { relu }", "if 1==1 and 2==2 { relu }"),
        ("if 2 => 1 { relu }", "if 2 >= 1 { relu }"),
        ("conv { filters: 8  kernel: 3, 3 }", "conv { filters: 8  kernel: 3x3 }"),
        # Guesses are left to people.
        ("dropout { ratio: 0,5 }", "dropout { ratio: 0,5 }"),
        ("conv { filters: 1,024  kernel: 1 }", "conv { filters: 1,024  kernel: 1 }"),
        ("c1: relu\n  add(c1, c3)", "c1: relu\n  add(c1, c3)"),
        ("maxpool { kernel: 9 }", "maxpool { kernel: 9 }"),
        # Several foreign fields behind a foreign op.
        (
            "Conv2d { out_channels: 8  kernel_size: 3  padding: 1 }",
            "conv { filters: 8  kernel: 3  pad: 1 }",
        ),
    ],
)
def test_what_is_fixed(wrong: str, right: str) -> None:
    text = f"net n {{\n  input x: 3x8x8\n  {wrong}\n}}\n"
    assert fixed(text, problems).text == text.replace(wrong, right)


def test_mixed_line_breaks_stay(tmp_path: Path) -> None:
    path = tmp_path / "n.net"
    path.write_bytes(b"net n {\r\n  input x: 3x8x8\n  a: rel\r\n}\n")
    assert main(["check", str(path), "--fix"]) == 0
    assert path.read_bytes() == b"net n {\r\n  input x: 3x8x8\n  a: relu\r\n}\n"


def test_a_folder_is_looked_at_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.net").write_text('import "z.net"\nnet n {\n  input x: 3x8x8\n  z\n}\n')
    (tmp_path / "z.net").write_text("module z {\n  input x\n  cnv { filters: 2  kernel: 1 }\n}\n")
    assert main(["check", str(tmp_path), "--fix"]) == 0
    assert "error" not in capsys.readouterr().err


def test_uses_of_modules_are_related_places(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "l.net").write_text(
        "module m(f) {\n  input x\n  conv { filters: f  kernel: 1 }\n}\n"
    )
    spec = tmp_path / "n.net"
    spec.write_text('import "l.net"\nnet n {\n  input x: 3x8x8\n  m { f: 0 }\n}\n')
    assert main(["check", str(spec), "--format", "json"]) == 1
    (found,) = json.loads(capsys.readouterr().out)
    assert found["file"].endswith("l.net")
    assert [(r["file"], r["line"]) for r in found["related"]][-1] == (str(spec), 4)
