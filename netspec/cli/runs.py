"""netspec runs: the trainings in a folder, with their best figures."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from netspec.cli.common import add_format, add_output, note, print_json
from netspec.cli.table import add_width, line_width


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "The folders of trainings in a folder and below, with the figures of their best weights on "
        "held-out data."
    )
    parser.add_argument(
        "folder", nargs="?", default=".", metavar="FOLDER", help="where to look (default: here)"
    )
    add_format(parser, "text", "json", "csv", "markdown")
    add_width(parser)
    add_output(parser, redirect=True)


def execute(args: argparse.Namespace) -> int:
    from netspec.report import formats
    from netspec.runs.listing import grid, runs

    found = runs(Path(args.folder))
    if args.format == "json":
        print_json([run.data() for run in found])
    elif not found:
        note(f"no training has left its files in {args.folder}")
    elif args.format == "text":
        sys.stdout.write(formats.text(grid(found), line_width(args.width)))
    else:
        sys.stdout.write(formats.WRITERS[args.format](grid(found)))
    return 0
