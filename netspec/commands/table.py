"""netspec table: parameters, multiplications and sizes of every layer."""

from __future__ import annotations

import argparse

from netspec.commands.common import add_spec, every, print_json


def configure(parser: argparse.ArgumentParser) -> None:
    add_spec(parser, several=True)
    parser.add_argument("--format", choices=("text", "markdown", "csv", "json"), default="text")
    parser.add_argument(
        "--depth",
        type=_depth,
        default=None,
        metavar="N",
        help="fold modules below this level: 0 is the total, 1 the lines of the net",
    )


def _depth(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError("a depth is a whole number from 0")
    return int(text)


def execute(args: argparse.Namespace) -> int:
    import netspec.report.table as table

    nets, status = every(args.specs, args.settings)
    if args.format == "json":
        data = [table.data(net) for net in nets]
        if len(args.specs) > 1:
            print_json(data)
        elif data:
            print_json(data[0])
        return status
    writer = {"text": table.text, "markdown": table.markdown, "csv": table.csv}[args.format]
    print("\n\n".join(writer(net, depth=args.depth).rstrip("\n") for net in nets), end="")
    if nets:
        print()
    return status
