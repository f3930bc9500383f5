"""netspec graph on the command line: files, formats, wrong usage."""

from __future__ import annotations

from pathlib import Path

import pytest

from netspec.cli.main import main

from .test_cli import SOUND, WRONG, run


def test_the_format_is_that_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    starts = {"a.svg": "<svg", "a.dot": "digraph", "a.gv": "digraph", "a.HTML": "<!doctype html>"}
    for name, start in starts.items():
        assert main(["graph", "squeezenet1_1", "-o", name]) == 0
        assert (tmp_path / name).read_text().startswith(start)
    assert main(["graph", "squeezenet1_1"]) == 0
    assert (tmp_path / "squeezenet1_1.svg").read_bytes() == (tmp_path / "a.svg").read_bytes()
    assert main(["graph", "squeezenet1_1", "--format", "dot"]) == 0
    assert (tmp_path / "squeezenet1_1.dot").read_bytes() == (tmp_path / "a.dot").read_bytes()
    assert main(["graph", "squeezenet1_1", "-o", "a.txt", "--format", "svg"]) == 0
    assert (tmp_path / "a.txt").read_bytes() == (tmp_path / "a.svg").read_bytes()


def test_standard_input_and_output(tmp_path: Path) -> None:
    spec = SOUND.replace("test", "test(f = 1)").replace("filters: 4", "filters: f")
    done = run("graph", "-", "-o", "-", "--set", "f=3", stdin=spec)
    assert "3x8x8" in done.stdout
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("<svg")
    assert run("graph", "-", "-o", "-", "--format", "dot", stdin=SOUND).stdout.startswith("digraph")


@pytest.mark.slow
def test_what_is_wrong_is_reported(tmp_path: Path) -> None:
    target = tmp_path / "net.jpeg"
    done = run("graph", "squeezenet1_1", "-o", target)
    assert done.returncode == 1
    assert "error[bad-option]" in done.stderr
    assert ".svg, .png, .dot or .html" in done.stderr
    done = run("graph", "-", "-o", tmp_path / "net.svg", stdin=WRONG)
    assert done.returncode == 1
    assert "unknown-field" in done.stderr
    assert list(tmp_path.iterdir()) == []
    for name in ("net.dot", "net.html"):
        done = run("graph", "squeezenet1_1", "-o", tmp_path / name, "--layout", "dot")
        assert "--layout dot is for a .svg or .png" in done.stderr
    assert list(tmp_path.iterdir()) == []
    assert run("graph", "squeezenet1_1", "--depth", "x").returncode == 2
    assert run("graph", "squeezenet1_1", "-o", tmp_path / "none" / "a.svg").returncode == 1


def test_pictures_need_neither_frameworks_nor_templates(tmp_path: Path) -> None:
    import subprocess
    import sys

    script = (
        "import sys\nfrom netspec.cli.main import main\n"
        f"assert main(['graph', 'squeezenet1_1', '-o', {str(tmp_path / 'a.svg')!r}]) == 0\n"
        "print([m for m in ('torch', 'numpy', 'jinja2') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == "[]\n"
