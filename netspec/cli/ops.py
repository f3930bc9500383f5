"""netspec ops: the reference of the language's ops."""

from __future__ import annotations

import argparse
import sys

from netspec.cli.common import add_format, add_output, print_json
from netspec.diagnostics.suggest import did_you_mean
from netspec.semantic.foreign_names import op_help


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("op", nargs="?", metavar="OP", help="show one op (default: list all)")
    add_format(parser, "text", "markdown", "json")
    add_output(parser, redirect=True)


def execute(args: argparse.Namespace) -> int:
    from netspec.ops import all_ops, find_op, load_problems, op_names
    from netspec.reference import pages

    if args.op is None:
        ops = list(all_ops().values())
        if args.format == "json":
            print_json([pages.data(op) for op in ops])
        else:
            print(pages.page(ops) if args.format == "markdown" else pages.overview(ops), end="")
        for problem in load_problems():
            print(f"warning: {problem}", file=sys.stderr)
        return 0
    op = find_op(args.op)
    if op is None:
        near = tuple(load_problems(args.op)) or op_help(args.op)
        near = near or did_you_mean(args.op, op_names()) or ("`netspec ops` lists them",)
        print(f"there is no op {args.op}; {near[0]}", file=sys.stderr)
        return 2
    if args.format == "json":
        print_json(pages.data(op))
    else:
        text = f"{pages.page_markdown(op)}\n" if args.format == "markdown" else pages.page_text(op)
        print(text, end="")
    return 0
