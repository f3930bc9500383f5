"""netspec ops: the reference of the language's ops."""

from __future__ import annotations

import argparse
import sys

from netspec.cli.common import print_json
from netspec.diagnostics.suggest import did_you_mean
from netspec.semantic.foreign_names import op_help


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("op", nargs="?", metavar="OP", help="show one op (default: list all)")
    parser.add_argument("--format", choices=("text", "markdown", "json"), default="text")


def execute(args: argparse.Namespace) -> int:
    from netspec.ops import OPS
    from netspec.reference import pages

    if args.op is not None and args.op not in OPS:
        near = op_help(args.op) or did_you_mean(args.op, OPS) or ("`netspec ops` lists them",)
        print(f"there is no op {args.op}; {near[0]}", file=sys.stderr)
        return 2
    if args.format == "json":
        print_json(pages.data(OPS[args.op]) if args.op else [pages.data(o) for o in OPS.values()])
    elif args.format == "markdown":
        print(f"{pages.page_markdown(OPS[args.op])}\n" if args.op else pages.page(), end="")
    else:
        print(pages.page_text(OPS[args.op]) if args.op else pages.overview(), end="")
    return 0
