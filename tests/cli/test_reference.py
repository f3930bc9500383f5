"""`netspec ops` and `netspec explain` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from netspec.cli.main import main
from netspec.diagnostics.codes import CODES, GROUPS
from netspec.ops import OPS

ROOT = Path(__file__).parent.parent.parent


def test_ops_lists_every_op(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops"]) == 0
    lines = capsys.readouterr().out.splitlines()
    listed = [line.split()[0] for line in lines if line.startswith("  ") and line[2] != " "]
    assert sorted(listed) == sorted(OPS)
    assert all(len(line) <= 100 for line in lines)


def test_reference_of_one_op(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "conv"]) == 0
    shown = capsys.readouterr().out
    for part in ("filters", "required", "default 1", "channels // groups", "MACs", "-> 128x56x56"):
        assert part in shown
    assert main(["ops", "conv", "--format", "markdown"]) == 0
    assert "| `filters` | required |" in capsys.readouterr().out


def test_ops_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "linear", "--format", "json"]) == 0
    linear = json.loads(capsys.readouterr().out)
    assert linear["fields"][0]["name"] == "units"
    assert linear["fields"][0]["default"] is None
    assert linear["macs"] == "features * units"
    assert linear["example"]["params"] == 2_007_050
    assert main(["ops", "--format", "markdown"]) == 0
    assert capsys.readouterr().out == (ROOT / "docs" / "ops.md").read_text(encoding="utf-8")
    assert main(["ops", "--format", "json"]) == 0
    assert [o["keyword"] for o in json.loads(capsys.readouterr().out)] == list(OPS)


def test_unknown_op_and_code(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["ops", "mxpool"]) == 2
    assert capsys.readouterr().err == "there is no op mxpool; did you mean `maxpool`?\n"
    assert main(["ops", "zzzzzzzz"]) == 2
    assert "`netspec ops` lists them" in capsys.readouterr().err
    assert main(["explain", "shape"]) == 2
    assert "there are `missing-shape`, `shape-mismatch`" in capsys.readouterr().err
    assert main(["explain", "shape-mismach"]) == 2
    shown = capsys.readouterr()
    assert shown.err == (
        "there is no diagnostic code shape-mismach; did you mean `shape-mismatch`?\n"
    )
    assert shown.out == ""


def test_explain_lists_every_code_by_group(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 0
    shown = capsys.readouterr().out
    listed = [line.split()[0] for line in shown.splitlines() if line.startswith("  ")]
    assert listed == list(CODES)
    assert all(f"{group}:" in shown for group in GROUPS)
    assert all(c.meaning in shown for c in CODES.values())


def test_explain(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "error[shape-mismatch]", "unmet-prefer"]) == 0
    shown = capsys.readouterr().out
    first, _, second = shown.partition("\nunmet-prefer\n")
    assert first.startswith("shape-mismatch\n\n")
    assert "Wrong:\n\n    net " in first
    assert "Fixed:\n\n    net " in first
    assert "```" not in shown
    assert second.strip()


def test_check_points_to_the_explanations(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert main(["check", "no_such_spec", "neither_this"]) == 1
    shown = capsys.readouterr()
    assert shown.err.rstrip().splitlines()[-1] == "For more: netspec explain unreadable-file"
    assert shown.err.count("netspec explain") == 1
    assert main(["check", "no_such_spec", "--format", "json"]) == 1
    assert "netspec explain" not in "".join(capsys.readouterr())
    assert main(["table", "no_such_spec"]) == 1
    assert capsys.readouterr().err.count("netspec explain") == 1
    assert main(["check", "squeezenet1_0"]) == 0
    assert capsys.readouterr().err == ""
