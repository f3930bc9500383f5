"""netspec search: the best combinations of parameters."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from netspec.cli.common import whole_number
from netspec.cli.sweep import (
    add_space,
    explore,
    show,
)
from netspec.diagnostics import spec_error

if TYPE_CHECKING:
    from netspec.explore.objective import Formula
    from netspec.explore.search_space import Point


def configure(parser: argparse.ArgumentParser) -> None:
    add_space(parser)
    goal = parser.add_mutually_exclusive_group(required=True)
    for name in ("minimize", "maximize"):
        goal.add_argument(
            f"--{name}",
            metavar="EXPR",
            help="a metric (params, macs, size, activations) or an expression of them",
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
    from netspec.explore.objective import Formula
    from netspec.explore.sweep import METRICS, front, line
    from netspec.report.sweep_table import table

    goal = Formula("--minimize" if args.minimize else "--maximize", args.minimize or args.maximize)
    conditions = [Formula("--where", text) for text in args.where]
    wanted, args.format = args.format, "text"  # lines are for those that were found

    def look(point: Point) -> None:
        """Errors of expressions show at once, not when everything is computed."""
        metrics = dict.fromkeys(METRICS, 1)
        goal.value(metrics, point.settings)
        for condition in conditions:
            condition.holds(metrics, point.settings)

    space, results = explore(args, look)
    args.format = wanted
    valid = [(r, {key: r[key] for key in METRICS}) for r in results if "error" not in r]
    found = [
        (goal.value(metrics, r["settings"]), r)
        for r, metrics in valid
        if all(c.holds(metrics, r["settings"]) for c in conditions)
    ]
    if not found:
        what = " and ".join(c.text for c in conditions) or "the spec"
        raise spec_error(
            "bad-option",
            f"none of {len(results):,} combinations meets {what}",
            help=tuple(_nearest(valid, conditions)),
        )
    found.sort(key=lambda pair: pair[0], reverse=bool(args.maximize))
    best = [r for _, r in found[: args.top]]
    if args.format == "jsonl":
        sys.stdout.writelines(map(line, best))
        return 0
    grid = table(best, [axis.name for axis in space.axes], front([r for _, r in found]))
    counts = f"best of {len(found):,} that meet every condition, of {len(results):,}"
    show(grid._replace(title=f"{grid.title.split('   ')[0]}   {counts}"), args)
    return 0


def _nearest(
    valid: Sequence[tuple[object, Mapping[str, int]]], conditions: Sequence[Formula]
) -> list[str]:
    """The ranges of the metrics that are in the conditions."""
    words = " ".join(c.text for c in conditions)
    return [
        f"{key} go from {min(f[key] for _, f in valid):,} to {max(f[key] for _, f in valid):,}"
        for key in (valid[0][1] if valid else ())
        if key in words
    ]
