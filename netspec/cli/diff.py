"""netspec diff: what changed between two specs, or between two settings of one."""

from __future__ import annotations

import argparse
import sys

from netspec.cli.common import (
    SPEC_HELP,
    add_format,
    add_output,
    add_settings,
    load,
    print_json,
    setting,
)
from netspec.cli.table import add_width, line_width


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("before", metavar="A", help=SPEC_HELP)
    parser.add_argument("after", metavar="B", nargs="?", help="another (default: A again)")
    add_settings(parser)
    for name, which in (("--left", "A"), ("--right", "B")):
        parser.add_argument(
            name,
            action="append",
            default=[],
            type=setting,
            metavar="NAME=VALUE",
            help=f"set a parameter of {which} alone (repeatable)",
        )
    parser.add_argument("--all", action="store_true", help="also layers with other shapes only")
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 if anything differs")
    add_format(parser, "text", "json")
    add_width(parser)
    add_output(parser, redirect=True)


def execute(args: argparse.Namespace) -> int:
    from netspec.report.diff import data, difference, text

    before = load(args.before, [*args.settings, *args.left])
    after = load(args.after or args.before, [*args.settings, *args.right])
    found = difference(before, after)
    if args.format == "json":
        print_json(data(found))
    else:
        names = _names(args, before.name, after.name)
        sys.stdout.write(text(found, args.all, names, line_width(args.width)))
    return int(args.exit_code and not found.empty)


def _names(args: argparse.Namespace, before: str, after: str) -> tuple[str, str]:
    """Names for the two that are different: the nets' names, else what is set, else the texts."""
    if before != after:
        return before, after
    if args.left or args.right:
        left, right = (
            " ".join((before, *(f"{name}={value}" for name, value in settings)))
            for settings in (args.left, args.right)
        )
        return left, right
    return args.before, args.after or args.before
