"""netspec watch, step by step: no test waits, files change between steps."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from netspec.cli.main import main
from netspec.cli.watch import CLEAR, block, loop
from netspec.editing.watch import MOST_CHANGES, Watcher, WatchReport

NET = """
import "part.net"
net small(f = 4) {
  input data: 3x16x16
  first: part { f: f }
  last: conv { filters: 8  kernel: 1x1 }
}
"""
PART = "module part(f) { input x\n body: conv { filters: f  kernel: 3x3 } -> relu }\n"


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    (tmp_path / "part.net").write_text(PART)
    (tmp_path / "small.net").write_text(NET)
    return tmp_path / "small.net"


def settled(watcher: Watcher) -> WatchReport | None:
    """What two steps report, of which the first only sees that something is going on."""
    assert watcher.step() is None
    return watcher.step()


def after(watcher: Watcher) -> str:
    report = settled(watcher)
    assert report is not None
    assert watcher.step() is None
    return block(report, "small.net", "12:00:00")


def test_totals_and_what_changed(spec: Path) -> None:
    watcher = Watcher(str(spec), {})
    first = watcher.step()
    assert first is not None
    text = block(first, "small.net", "12:00:00")
    assert text.startswith("12:00:00  small.net\n\nsmall   3x16x16 -> 8x14x14\n")
    assert "params               152" in text  # 4*27 + 4, and 8*4 + 8
    assert watcher.step() is None
    spec.write_text(NET.replace("filters: 8", "filters: 10"))
    text = after(watcher)
    assert "+10 (+6.6%)" in text
    assert "~ last  filters 8 -> 10; output 8x14x14 -> 10x14x14; params 40 -> 50" in text
    (spec.parent / "part.net").write_text(PART.replace("3x3", "1x1"))
    text = after(watcher)
    assert "~ first.body  kernel 3x3 -> 1x1" in text.replace("[3,3]", "3x3").replace("[1,1]", "1x1")
    spec.write_text(spec.read_text() + "# a note\n")
    assert "no layer has changed" in after(watcher)


def test_long_changes_are_cut(spec: Path) -> None:
    lines = "\n".join(f"  c{i}: conv {{ filters: 2  kernel: 1x1 }}" for i in range(40))
    spec.write_text(f"net n {{ input data: 3x4x4\n{lines}\n}}")
    watcher = Watcher(str(spec), {})
    watcher.step()
    spec.write_text(spec.read_text().replace("filters: 2", "filters: 3"))
    text = after(watcher)
    assert text.count("\n~ ") == MOST_CHANGES
    assert f"and {1 + 40 - MOST_CHANGES} more" in text  # the outputs have a line, too


def delete(path: Path) -> None:
    path.unlink()


def make_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def make_pipe(path: Path) -> None:
    path.unlink()
    os.symlink(path, path)  # a link to itself


BREAKS: dict[str, tuple[Callable[[Path], object], str]] = {
    "deleted": (delete, "unreadable-file"),
    "a folder": (make_folder, "unreadable-file"),
    "a loop of links": (make_pipe, "unreadable-file"),
    "empty": (lambda p: p.write_text(""), "no-net"),
    "half written": (lambda p: p.write_text(NET[:60]), "syntax"),
    "no text": (lambda p: p.write_bytes(b"\x80\xff"), "unreadable-file"),
    "wrong": (lambda p: p.write_text(NET.replace("filters", "filterz")), "unknown-field"),
    "an import that is not there": (
        lambda p: p.write_text(NET.replace("part.net", "other.net")),
        "unknown-module",
    ),
}


@pytest.mark.parametrize("how", BREAKS)
def test_broken_and_fixed(how: str, spec: Path) -> None:
    watcher = Watcher(str(spec), {})
    watcher.step()
    change, code = BREAKS[how]
    change(spec)
    text = after(watcher)
    assert f"error[{code}]" in text
    assert "1 error; when it was sound: 152 parameters" in text
    if spec.is_dir():
        spec.rmdir()
    elif spec.is_symlink():
        spec.unlink()
    spec.write_text(NET.replace("filters: 8", "filters: 9"))
    assert "~ last  filters 8 -> 9" in after(watcher)  # against the last sound state


@pytest.mark.parametrize("how", ["deleted", "a folder", "half written", "no text"])
def test_broken_imports(how: str, spec: Path) -> None:
    watcher = Watcher(str(spec), {})
    watcher.step()
    part = spec.parent / "part.net"
    BREAKS[how][0](part)
    assert "error[" in after(watcher)
    if part.is_dir():
        part.rmdir()
    part.write_text(PART)
    assert "no layer has changed" in after(watcher)


def test_an_import_that_comes_later(spec: Path) -> None:
    (spec.parent / "part.net").unlink()
    watcher = Watcher(str(spec), {})
    report = watcher.step()
    assert report is not None
    assert report.net is None
    (spec.parent / "part.net").write_text(PART)
    assert "params               152" in after(watcher)


def test_imports_of_imports(spec: Path) -> None:
    (spec.parent / "blocks").mkdir()
    (spec.parent / "blocks" / "inner.net").write_text(PART.replace("part", "inner"))
    outer = 'import "blocks/inner.net"\nmodule part(f) { input x\n inner { f: f } }'
    (spec.parent / "part.net").write_text(outer)
    watcher = Watcher(str(spec), {})
    watcher.step()
    (spec.parent / "blocks" / "inner.net").write_text("module inner(f) { input x\n relu }")
    assert "first" in after(watcher)


def test_a_file_that_is_being_written_is_left_alone(spec: Path) -> None:
    watcher = Watcher(str(spec), {})
    watcher.step()
    for part in (NET[:20], NET[:50], NET[:90]):
        spec.write_text(part)
        assert watcher.step() is None
    spec.write_text(NET + "\n")
    report = settled(watcher)
    assert report is not None
    assert report.net is not None


def test_what_leaves_the_text_as_it_was_is_no_change(spec: Path) -> None:
    watcher = Watcher(str(spec), {})
    watcher.step()
    spec.write_text(NET)
    os.utime(spec, (1, 1))
    assert [watcher.step() for _ in range(4)] == [None] * 4
    spec.write_text("net")
    assert watcher.step() is None
    spec.write_text(NET)
    assert [watcher.step() for _ in range(4)] == [None] * 4


def test_same_size_and_time_but_another_text(spec: Path) -> None:
    watcher = Watcher(str(spec), {})
    watcher.step()
    os.utime(spec, ns=(1, 1))
    watcher.step()
    spec.write_text(NET.replace("filters: 8", "filters: 9"))
    os.utime(spec, ns=(1, 1))
    assert "filters 8 -> 9" in after(watcher)


def test_settings_and_bundled_specs() -> None:
    from netspec.semantic.settings import SettingText

    report = Watcher("squeezenet1_0", {"classes": SettingText("10")}).step()
    assert report is not None
    assert report.net is not None
    assert report.net.params == 1_248_424 - 990 * 513


class Enough(Exception):
    pass


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("out", [io.StringIO(), Terminal()], ids=["pipe", "terminal"])
def test_blocks_and_the_screen(
    out: io.StringIO, spec: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    steps = iter(range(8))

    def sleep(seconds: float) -> None:
        assert seconds == 0.5
        step = next(steps, None)
        if step is None:
            raise Enough
        if step == 3:
            spec.write_text("net")

    watcher = Watcher(str(spec), {})
    with pytest.raises(Enough):
        loop(watcher, 0.5, out, sleep, lambda: time.gmtime(3723))
    text = out.getvalue()
    assert text.count(f"01:02:03  {spec}\n") == 2
    assert text.count(CLEAR) == (2 if out.isatty() else 0)
    assert text.endswith("MACs\n\n")
    assert ("\x1b" in text) == out.isatty()


def test_interrupt_ends_it(spec: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "netspec", "watch", str(spec), "--interval", "0.01"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A runner in the background may have it ignored.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("activations"):
            break
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")


def test_what_is_said_goes_to_a_file(
    spec: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Enough(Exception):
        pass

    def sleep(_: float) -> None:
        raise Enough

    monkeypatch.setattr(time, "sleep", sleep)
    said = spec.parent / "said.txt"
    with pytest.raises(Enough):
        main(["watch", str(spec), "-o", str(said)])
    assert "params               152" in said.read_text()
    for read in (spec, spec.parent / "part.net"):
        before = read.read_text()
        assert main(["watch", str(spec), "--out", str(read)]) == 1
        assert "is an input of this command" in capsys.readouterr().err
        assert read.read_text() == before


def test_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "-"]) == 1
    assert "bad-option" in capsys.readouterr().err
    for interval in ("0", "x", "nan", "-1"):
        with pytest.raises(SystemExit) as end:
            main(["watch", "squeezenet1_0", "--interval", interval])
        assert end.value.code == 2
