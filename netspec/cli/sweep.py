"""netspec sweep: the metrics of every combination of parameters, and accuracies if trained."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.cli.common import (
    SPEC_HELP,
    add_format,
    add_output,
    add_reading,
    add_recipe,
    add_seed,
    packages_for,
    whole_number,
)
from netspec.cli.table import add_width, line_width
from netspec.cli.terminal import is_quiet
from netspec.cli.train import add_training, training_options
from netspec.diagnostics import spec_error
from netspec.diagnostics.render import printable

if TYPE_CHECKING:
    from netspec.explore.search import Goal
    from netspec.explore.search_space import Space
    from netspec.explore.sweep import Result
    from netspec.report.table import Grid
    from netspec.training.points import PointTraining

FORMATS = ("text", "jsonl", "markdown", "csv", "latex", "html")


def configure(parser: argparse.ArgumentParser) -> None:
    add_space(parser)
    parser.add_argument(
        "--plot",
        metavar="FILE.svg",
        help="draw sizes and the Pareto front; with --data, accuracy against size",
    )
    parser.add_argument(
        "--sort",
        metavar="METRIC",
        help="params, macs, size or activations; with --data, accuracy or loss",
    )


def add_space(parser: argparse.ArgumentParser) -> None:
    """Add SPEC, the ranges of its parameters, and the options of `explore` and `show`."""
    parser.add_argument("spec", metavar="SPEC", help=SPEC_HELP)
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_values,
        metavar="NAME=VALUES",
        dest="settings",
        help="values of a parameter: a list `1,2,4`, a range `1..9` or `0.1..1:0.1` (repeatable)",
    )
    add_reading(parser, "reading")
    parser.add_argument(
        "--sample", type=whole_number(1), metavar="N", help="N combinations at random"
    )
    add_seed(parser, "--sample, and of trainings")
    add_output(
        parser,
        "keep results in a file, a JSON line each, and take from it what is there already",
    )
    parser.add_argument(
        "--jobs",
        type=whole_number(1),
        metavar="N",
        help="processes (default: one a processor, but trainings one after the other)",
    )
    add_format(parser, *FORMATS)
    add_width(parser)
    group = parser.add_argument_group("training each combination")
    group.add_argument(
        "--data",
        metavar="DATA",
        help="train each net on this data, as `netspec train` does, and show its accuracy",
    )
    add_recipe(group)
    group.add_argument(
        "--runs",
        metavar="FOLDER",
        help="where each training has a folder (default: NET-runs); what is there is gone on with",
    )
    group.add_argument(
        "--ray",
        metavar="ADDRESS",
        help="train on the Ray cluster at this address; local starts one",
    )
    add_training(group)


def _values(text: str) -> tuple[str, str]:
    name, equals, values = text.partition("=")
    if not equals or not name.strip().isidentifier():
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=VALUES")
    return name.strip(), values.strip()


def execute(args: argparse.Namespace) -> int:
    from netspec.explore.sweep import front
    from netspec.report.sweep_table import METRICS, OF_TRAINING, table

    keys = [*METRICS, *(OF_TRAINING if args.data else ())]
    if args.sort is not None and args.sort not in keys:
        help_ = ("with `--data DATA`",) if args.sort in OF_TRAINING else ()
        message = f"--sort takes one of {', '.join(keys)}, not {args.sort}"
        raise spec_error("bad-option", message, help=help_)
    if args.plot:
        _check_plot(Path(args.plot))
    space, found = explore(args, lines=args.format == "jsonl")
    if args.plot:
        from netspec.report.sweep_chart import sweep_chart
        from netspec.util.atomic_write import write_text

        axes = [(axis.name, axis.values) for axis in space.varied]
        write_text(Path(args.plot), sweep_chart(_title(found), found, axes, front(found)))
    if args.format != "jsonl":
        shown = list(found)
        if args.sort:
            shown.sort(key=lambda r: r.get(args.sort, -1.0), reverse=True)
        show(table(shown, [a.name for a in space.axes], front(found)), args)
    return 1 if found and all("error" in r for r in found) else 0


def _check_plot(path: Path) -> None:
    """Raise SpecError where no chart can be written there, before anything is computed."""
    from netspec.util.atomic_write import unwritable

    if path.suffix.lower() != ".svg":
        raise spec_error("bad-option", f"--plot draws an SVG: {path} should end with .svg")
    if not path.parent.is_dir():
        raise unwritable(path, f"there is no folder {path.parent}")


def _title(found: Sequence[Result]) -> str:
    return f"{found[0]['net']}, {len(found):,} points" if found else ""


def explore(
    args: argparse.Namespace, aim: Goal | None = None, lines: bool = False
) -> tuple[Space, list[Result]]:
    """The space that was asked for, and the results of its points. Raises SpecError.

    With an `aim`, nets that can't meet it are not trained. `lines`: whether each result is written
    as it comes.
    """
    from netspec.explore import sweep
    from netspec.explore.search_space import parse_space
    from netspec.report.sweep_chart import label
    from netspec.util.interrupt import on_interrupt
    from netspec.util.progress import ProgressBar

    spec = sweep.spec(args.spec, dict(args.reading))
    space = parse_space(args.settings)
    if not space.axes:
        raise spec_error(
            "bad-option", "nothing to vary: give values, as in --set SR=0.125,0.25,0.5"
        )
    training = _training(args)
    prepared = sweep.prepared(spec, space, args.sample, args.seed, args.output, aim, training)
    total = len(prepared.points)
    progress = ProgressBar(total, quiet=is_quiet())
    names = [axis.name for axis in space.varied] or [axis.name for axis in space.axes]

    def each(result: Any) -> None:
        if lines:
            sys.stdout.write(sweep.line(result))
            sys.stdout.flush()
        done = progress.done + 1
        if "accuracy" in result:
            text = f"{label(result, names)}: accuracy {result['accuracy']:.2%}"
            progress.note(printable(f"{text}, in {result['run']}"))
        progress.update(done, "" if training else f"{progress.rate(done):,.0f}/s")

    def stopped() -> None:
        progress.close()
        kept = f"{args.output} has them, and continues" if args.output else "`-o FILE` keeps them"
        if training is not None:
            kept = "the same command goes on"
        print(
            f"stopped after {progress.done:,} of {total:,} results; {kept}",
            file=sys.stderr,
            flush=True,
        )

    try:
        with on_interrupt(stopped):
            found = sweep.run(prepared, args.jobs, each)
    finally:
        progress.close()
    return space, found


def _training(args: argparse.Namespace) -> PointTraining | None:
    """How each net is trained; None where none is. Raises SpecError for options without --data."""
    given = {"--train": args.fields, "--runs": args.runs, "--ray": args.ray}
    beside = [option for option, value in given.items() if value]
    if not args.data:
        if beside:
            message = f"{beside[0]} says how nets are trained: it goes with --data DATA"
            raise spec_error("bad-option", message)
        return None
    with packages_for("training"):
        from netspec.training.points import PointTraining
    runs = Path(args.runs) if args.runs else None
    options = {"seed": args.seed, **training_options(args)}
    return PointTraining(Path(args.data), runs, tuple(args.fields), options, args.ray)


def show(grid: Grid, args: argparse.Namespace) -> None:
    """Print a table in the format that was asked for."""
    from netspec.report import formats

    if args.format == "text":
        sys.stdout.write(formats.text(grid, line_width(args.width)))
    elif args.format == "html":
        from netspec.report.html import html_page

        sys.stdout.write(html_page(grid.title, [grid]))
    else:
        sys.stdout.write(formats.WRITERS[args.format](grid))
