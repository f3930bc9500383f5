"""netspec check: all diagnostics, nothing else."""

from __future__ import annotations

import argparse

from netspec import __version__
from netspec.cli.common import add_format, add_output, add_spec, print_json, show, spec_files
from netspec.diagnostics import Diagnostic, SpecError, render
from netspec.driver import check_each


def configure(parser: argparse.ArgumentParser) -> None:
    add_spec(parser, several=True)
    parser.add_argument("--strict", action="store_true", help="exit with 1 for warnings as well")
    add_format(
        parser,
        *("text", "json", "github", "sarif"),
        help="text, or what programs, GitHub Actions and code scanning read",
    )
    add_output(parser, redirect=True)


def execute(args: argparse.Namespace) -> int:
    found: list[Diagnostic] = []
    for spec in spec_files(args.specs):
        try:
            found += check_each(spec, dict(args.settings), needs_net=False).diagnostics
        except SpecError as error:
            found += error.diagnostics
    if args.format == "json":
        print_json(render.as_json(found))
    elif args.format == "github":
        for diagnostic in found:
            print(render.github(diagnostic))
    elif args.format == "sarif":
        print_json(render.sarif(found, __version__))
    elif args.output not in (None, "-"):
        print("\n\n".join(render.text(diagnostic) for diagnostic in found), end="\n" * bool(found))
    else:
        show(found, more=True)
    return int(any(args.strict or d.severity == "error" for d in found))
