"""netspec check: all diagnostics, nothing else."""

from __future__ import annotations

import argparse

from netspec.cli.common import add_spec, print_json, show
from netspec.diagnostics import Diagnostic, SpecError, render
from netspec.driver import check_each


def configure(parser: argparse.ArgumentParser) -> None:
    add_spec(parser, several=True)
    parser.add_argument("--format", choices=("text", "json", "github"), default="text")


def execute(args: argparse.Namespace) -> int:
    found: list[Diagnostic] = []
    for spec in args.specs:
        try:
            found += check_each(spec, dict(args.settings), needs_net=False).diagnostics
        except SpecError as error:
            found += error.diagnostics
    if args.format == "json":
        print_json(render.as_json(found))
    elif args.format == "github":
        for diagnostic in found:
            print(render.github(diagnostic))
    else:
        show(found, more=True)
    return 1 if any(d.severity == "error" for d in found) else 0
