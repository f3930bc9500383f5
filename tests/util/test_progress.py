"""The progress bar: what it shows of a given moment, and where it shows nothing."""

from __future__ import annotations

import io
import re

from netspec.util.progress import ProgressBar, duration


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def screen(text: str) -> str:
    """What a terminal's line shows after a text with carriage returns."""
    line: list[str] = []
    for part in text.split("\r"):
        line[: len(part)] = part
    return "".join(line).rstrip()


def test_the_line_of_a_moment() -> None:
    bar = ProgressBar(200, 50, quiet=True)
    bar.done = 100
    assert bar.line("loss 1.5", bar.start + 15) == (
        "100/200 [##########----------]  loss 1.5  0:30 left"
    )


def test_the_rate_leaves_out_pauses() -> None:
    bar = ProgressBar(200, 50, quiet=True)
    bar.start -= 15
    bar.pause(5)
    assert 4.9 < bar.rate(100) <= 5


def test_durations() -> None:
    assert [duration(s) for s in (0, 61.4, 3600, 90_061)] == ["0:00", "1:01", "1:00:00", "25:01:01"]


def test_a_terminal_shows_the_last_step_and_is_left_clean() -> None:
    terminal = Terminal()
    bar = ProgressBar(4, stream=terminal)
    for done in range(1, 5):
        bar.update(done, f"text {done}")
    shown = screen(terminal.getvalue())
    assert re.fullmatch(r"4/4 \[#{20}\]  text 4  0:00 left", shown)
    bar.close()
    assert screen(terminal.getvalue()) == ""


def test_elsewhere_only_notes_are_printed() -> None:
    file = io.StringIO()
    bar = ProgressBar(2, stream=file)
    bar.update(1)
    bar.note("half of it")
    bar.update(2)
    bar.close()
    assert file.getvalue() == "half of it\n"
    quiet = Terminal()
    bar = ProgressBar(2, stream=quiet, quiet=True)
    bar.update(2)
    bar.note("nothing")
    bar.close()
    assert quiet.getvalue() == ""
