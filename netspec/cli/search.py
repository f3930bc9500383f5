"""netspec search: the best combinations of parameters."""

from __future__ import annotations

import argparse
import sys

from netspec.cli.common import whole_number
from netspec.cli.sweep import add_space, explore, show


def configure(parser: argparse.ArgumentParser) -> None:
    add_space(parser)
    aim = parser.add_mutually_exclusive_group(required=True)
    for name in ("minimize", "maximize"):
        aim.add_argument(
            f"--{name}",
            metavar="EXPR",
            help="a metric (params, macs, size, activations; with --data, accuracy, loss) or an "
            "expression of them",
        )
    parser.add_argument(
        "--where",
        action="append",
        default=[],
        metavar="COND",
        help="what must hold, as in 'params <= 1.25M' (repeatable)",
    )
    parser.add_argument(
        "--top", type=whole_number(1), default=5, metavar="N", help="how many to show"
    )


def execute(args: argparse.Namespace) -> int:
    from netspec.explore.search import goal
    from netspec.explore.sweep import front, line
    from netspec.report.sweep_table import table

    aim = goal(args.minimize, args.maximize, args.where)
    space, results = explore(args, aim)
    found = aim.best(results)
    best = found[: args.top]
    if args.format == "jsonl":
        sys.stdout.writelines(map(line, best))
        return 0
    grid = table(best, [axis.name for axis in space.axes], front(found))
    counts = f"best of {len(found):,} that meet every condition, of {len(results):,}"
    show(grid._replace(title=f"{grid.title.split('   ')[0]}   {counts}"), args)
    return 0
