"""netspec fmt as a person types it: what it writes, what it leaves alone, what it says."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from netspec.cli import fmt
from netspec.util.resources import folder

from .test_cli import run

UGLY = "net n{input data:3x8x8 # c\nrelu}"
NICE = "net n {\n  input data: 3x8x8  # c\n  relu\n}\n"
WRONG = "net n { relu( }"


def test_files_are_rewritten_in_place(tmp_path: Path) -> None:
    for name, text in (("a.net", UGLY), ("b.net", NICE), ("c.net", WRONG), ("d.txt", UGLY)):
        (tmp_path / name).write_text(text)
    before = os.stat(tmp_path / "b.net")
    done = run("fmt", "a.net", "b.net", "c.net", "d.txt", "a.net", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (1, "a.net\nd.txt\n")
    assert "error[syntax]" in done.stderr
    assert "c.net:1:" in done.stderr
    found = {path.name: path.read_text() for path in tmp_path.iterdir()}
    assert found == {"a.net": NICE, "b.net": NICE, "c.net": WRONG, "d.txt": NICE}
    after = os.stat(tmp_path / "b.net")
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)
    assert run("fmt", "a.net", cwd=tmp_path).stdout == ""


def test_check_and_diff_write_nothing(tmp_path: Path) -> None:
    (tmp_path / "a.net").write_text(UGLY)
    (tmp_path / "b.net").write_text(NICE)
    done = run("fmt", "--check", "a.net", "b.net", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (1, "a.net\n", "")
    assert run("fmt", "--check", "b.net", cwd=tmp_path).returncode == 0
    done = run("fmt", "--diff", "a.net", "b.net", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stdout.startswith(
        "--- a.net\n+++ a.net\n@@ -1,2 +1,4 @@\n-net n{input data:3x8x8 # c\n"
    )
    assert "-relu}\n\\ No newline at end of file\n" in done.stdout
    assert done.stdout.endswith("+  relu\n+}\n")
    both = run("fmt", "--check", "--diff", "a.net", "b.net", cwd=tmp_path)
    assert (both.returncode, both.stdout) == (1, done.stdout)
    assert (tmp_path / "a.net").read_text() == UGLY


def test_a_diff_is_a_patch(tmp_path: Path) -> None:
    (tmp_path / "a.net").write_bytes(UGLY.replace("\n", "\r\n").encode())
    diff = subprocess.run(
        [sys.executable, "-m", "netspec", "fmt", "--diff", "a.net"],
        capture_output=True, cwd=tmp_path, check=True,
    ).stdout  # fmt: skip
    try:
        subprocess.run(["patch", "--binary", "-s", "a.net"], input=diff, cwd=tmp_path, check=True)
    except FileNotFoundError:
        pytest.skip("there is no patch here")
    assert (tmp_path / "a.net").read_bytes() == NICE.replace("\n", "\r\n").encode()


def test_standard_input() -> None:
    done = run("fmt", "-", stdin=UGLY)
    assert (done.returncode, done.stdout, done.stderr) == (0, NICE, "")
    assert run("fmt", "-", stdin=NICE).stdout == NICE
    done = run("fmt", "-", stdin=WRONG)
    assert (done.returncode, done.stdout) == (1, "")
    assert "<stdin>:1:" in done.stderr
    done = run("fmt", "--check", "-", stdin=UGLY)
    assert (done.returncode, done.stdout) == (1, "<stdin>\n")
    assert "+  relu\n" in run("fmt", "--diff", "-", stdin=UGLY).stdout


def test_standard_streams_are_utf8_with_the_line_breaks_given() -> None:
    text = "# größer → \u2028 x\r\nimport a\r\n".encode()
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-m", "netspec", "fmt", "-"],
        input=b"\xef\xbb\xbf" + text, capture_output=True, env=environment, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (0, text, b"")
    done = subprocess.run(
        [sys.executable, "-m", "netspec", "fmt", "-"],
        input=b"\xff",
        capture_output=True,
        check=False,
    )
    assert done.returncode == 1
    assert b"not UTF-8" in done.stderr


def test_folders(tmp_path: Path) -> None:
    for name in ("b/c/x.net", "a.net", ".git/y.net", "b/z.txt", "b/A.net"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(UGLY)
    (tmp_path / "b" / "folder.net").mkdir()
    (tmp_path / "b" / "gone.net").symlink_to("nowhere.net")
    done = run("fmt", ".", "b", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == ["a.net", "b/A.net", "b/c/x.net"]
    assert (tmp_path / ".git/y.net").read_text() == UGLY
    (tmp_path / "empty").mkdir()
    done = run("fmt", "empty", "b", cwd=tmp_path)
    assert done.returncode == 1
    assert "empty is a folder without a .net file" in done.stderr


def test_links_and_modes(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "real.net"
    target.parent.mkdir()
    target.write_text(UGLY)
    target.chmod(0o751)
    link = tmp_path / "link.net"
    link.symlink_to("deep/real.net")
    done = run("fmt", link, target)
    assert (done.returncode, done.stdout) == (0, f"{link}\n")
    assert link.is_symlink()
    assert target.read_text() == NICE
    assert stat.S_IMODE(target.stat().st_mode) == 0o751
    assert [p.name for p in target.parent.iterdir()] == ["real.net"]


def test_what_may_not_be_written_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import argparse

    spec = tmp_path / "a.net"
    spec.write_text(UGLY)
    parser = argparse.ArgumentParser()
    fmt.configure(parser)
    # Whoever runs the tests may be allowed everything.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert fmt.execute(parser.parse_args([str(spec)])) == 1
    assert spec.read_text() == UGLY
    assert [p.name for p in tmp_path.iterdir()] == ["a.net"]


def test_bundled_specs_and_names_of_nothing(tmp_path: Path) -> None:
    file = folder("specs") / "squeezenet1_0.net"
    before = file.stat()
    done = run("fmt", "squeezenet1_0", cwd=tmp_path)
    assert done.returncode == 1
    assert "squeezenet1_0.net comes with netspec and is not rewritten" in done.stderr
    assert "`--check` and `--diff`" in done.stderr
    done = run("fmt", "--check", "squeezenet1_0", "squeezenet1_1", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert run("fmt", "--diff", "squeezenet1_0", cwd=tmp_path).returncode == 0
    assert file.stat() == before
    done = run("fmt", "squeezenet1_00", "none.net", cwd=tmp_path)
    assert done.returncode == 1
    assert "did you mean `squeezenet1_0`?" in done.stderr
    assert "none.net can't be read" in done.stderr
    assert run("fmt").returncode == 2


def test_a_file_that_is_called_like_a_bundled_spec(tmp_path: Path) -> None:
    (tmp_path / "squeezenet1_0").write_text(UGLY)
    assert run("fmt", "squeezenet1_0", cwd=tmp_path).stdout == "squeezenet1_0\n"
    assert (tmp_path / "squeezenet1_0").read_text() == NICE


def test_byte_order_marks_go_and_line_breaks_stay(tmp_path: Path) -> None:
    spec = tmp_path / "a.net"
    spec.write_bytes(b"\xef\xbb\xbf" + NICE.encode())
    assert run("fmt", "--check", spec).returncode == 1
    assert run("fmt", spec).returncode == 0
    assert spec.read_bytes() == NICE.encode()
    spec.write_bytes(NICE.replace("\n", "\r\n").encode())
    assert run("fmt", "--check", spec).returncode == 0
