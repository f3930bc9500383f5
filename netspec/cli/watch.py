"""netspec watch: check a spec on every save, and say what changed."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TextIO

from netspec.cli.common import SPEC_HELP, add_output, add_settings
from netspec.cli.terminal import is_colored, is_terminal
from netspec.diagnostics import SpecError, render, spec_error
from netspec.driver import check_spec
from netspec.util.atomic_write import refuse_input, unwritable

if TYPE_CHECKING:
    from netspec.editing.live_page import LivePage
    from netspec.editing.watch import Watcher, WatchReport

CLEAR = "\x1b[2J\x1b[3J\x1b[H"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "spec", metavar="SPEC", help=SPEC_HELP.replace("- for standard input, ", "")
    )
    add_settings(parser)
    parser.add_argument(
        "--interval",
        type=_seconds,
        default=0.2,
        metavar="SECONDS",
        help="how often to look at the files",
    )
    parser.add_argument(
        "--graph",
        metavar="FILE.html",
        help="draw the net into this page, which loads itself again on every save and shows errors "
        "over the last picture",
    )
    add_output(parser)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0.01 <= seconds <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0.01 to 3600")
    return seconds


def execute(args: argparse.Namespace) -> NoReturn:
    from netspec.editing.watch import Watcher

    if args.spec == "-":
        message = "watch needs a file, and - is standard input"
        raise spec_error("bad-option", message)
    watcher = Watcher(args.spec, dict(args.settings))
    picture = _picture(args.graph, args.spec)
    try:
        _watch(args, watcher, picture)
    finally:
        if picture is not None:
            picture.end()


def _picture(graph: str | None, spec: str) -> LivePage | None:
    """The page that is drawn, if one is. Raises SpecError where it is no .html or an input."""
    if graph is None:
        return None
    from netspec.editing.live_page import LivePage

    if Path(graph).suffix != ".html":
        raise spec_error("bad-option", f"--graph takes a file that ends with .html, not {graph}")
    refuse_input(Path(graph))
    return LivePage(Path(graph))


def _watch(args: argparse.Namespace, watcher: Watcher, picture: LivePage | None) -> NoReturn:
    if args.output in (None, "-"):
        loop(watcher, args.interval, sys.stdout, time.sleep, time.localtime, picture)
    path = Path(args.output)
    with suppress(SpecError):
        check_spec(args.spec, dict(args.settings))  # what it reads is an input from here on
    refuse_input(path)
    try:  # not written whole: it is to be read while it grows
        with path.open("w", encoding="utf-8", newline="\n") as file:
            loop(watcher, args.interval, file, time.sleep, time.localtime, picture)
    except OSError as error:
        raise unwritable(path, error) from None


def loop(
    watcher: Watcher,
    interval: float,
    out: TextIO,
    sleep: Callable[[float], None],
    clock: Callable[[], time.struct_time],
    picture: LivePage | None = None,
) -> NoReturn:
    """Write a block, and the picture, for each change, for ever. A terminal is cleared before."""
    terminal, color = is_terminal(out), is_colored(out)
    while True:
        report = watcher.step()
        if report is not None:
            stamp = time.strftime("%H:%M:%S", clock())
            out.write((CLEAR if terminal else "") + block(report, watcher.spec, stamp, color))
            out.flush()
            if picture is not None:
                picture.show(report, watcher.source)
        sleep(interval)


def block(report: WatchReport, spec: str, stamp: str, color: bool = False) -> str:
    """A report as text: when and what, errors and warnings, then totals and changes."""
    from netspec.editing.watch import summary

    parts = [f"{stamp}  {spec}"]
    parts += [render.text(d, color).rstrip("\n") for d in report.diagnostics]
    parts.append("\n".join(summary(report)))
    return "\n\n".join(parts) + "\n\n"
