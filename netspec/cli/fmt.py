"""netspec fmt: canonical layout, comments kept."""

from __future__ import annotations

import argparse
import os

from netspec.cli.common import add_output, put, show, spec_files
from netspec.cli.spec_text import diff, read, write
from netspec.diagnostics import SpecError, spec_error


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "specs",
        nargs="+",
        metavar="SPEC",
        help="a path, a folder to search for .net files, - for standard input, "
        "or with --check or --diff the name of a bundled spec",
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; list the files that would change, and exit with 1 if there are any",
    )
    parser.add_argument("--diff", action="store_true", help="write nothing; show what would change")
    add_output(
        parser,
        "where to write the text of the one SPEC, which stays as it is, or with --check or --diff "
        "what they show",
        redirect=True,
    )


def execute(args: argparse.Namespace) -> int:
    """Files that change are listed on standard output; standard input goes there formatted."""
    from netspec.syntax.formatter import format_text

    status = 0
    done: set[str] = set()
    elsewhere = args.output is not None and not (args.check or args.diff)
    if elsewhere and (args.specs[1:] or os.path.isdir(args.specs[0])):
        raise spec_error("bad-option", "--output takes the text of one SPEC, and these are several")

    def one(name: str) -> bool:
        """Whether a text that is not in its layout was only looked for."""
        text = read(name, done)
        if text is None:
            return False
        formatted = format_text(text.content, text.name)
        changes = formatted != text.content
        if args.diff:
            put(diff(text, formatted))
        elif args.check:
            put(f"{text.name}\n" if changes else "")
        elif elsewhere:
            put(formatted)
        else:
            write(text, formatted)
        return bool(args.check and changes)

    for name in spec_files(args.specs):
        try:
            status |= one(name)
        except SpecError as error:
            show(error.diagnostics)
            status = 1
    return int(status)
