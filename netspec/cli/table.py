"""netspec table: parameters, multiplications and sizes of every layer."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from netspec.cli.common import (
    add_compression,
    add_format,
    add_freeze,
    add_output,
    add_spec,
    every,
    print_json,
    whole_number,
)

if TYPE_CHECKING:
    from netspec.ir import Net
    from netspec.report.columns import NetView
    from netspec.report.table import Grid

FORMATS = ("text", "markdown", "csv", "json", "latex", "html")


def configure(parser: argparse.ArgumentParser) -> None:
    add_spec(parser, several=True)
    add_format(parser, *FORMATS)
    parser.add_argument(
        "--depth",
        type=whole_number(0),
        default=None,
        metavar="N",
        help="fold modules below this level: 0 is the total, 1 the lines of the net "
        "(in HTML they open again)",
    )
    parser.add_argument(
        "--columns", type=_columns, metavar="A,B", help="which columns (see --list)"
    )
    parser.add_argument("--sort", metavar="COLUMN", help="rows with the largest value first")
    parser.add_argument("--ascending", action="store_true", help="the smallest first")
    add_width(parser)
    parser.add_argument(
        "--list",
        action=_ListAction,
        nargs=0,
        help="list the columns and counting conventions, and exit",
    )
    parser.add_argument("--compare", action="store_true", help="nets side by side, with ratios")
    add_metrics(parser)
    add_output(parser, redirect=True)


def add_width(parser: argparse.ArgumentParser) -> None:
    """Add --width, for `line_width`."""
    parser.add_argument(
        "--width",
        type=whole_number(0),
        metavar="N",
        help="characters a line, 0 for as many as it takes (default: the terminal's)",
    )


class _ListAction(argparse.Action):
    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from netspec.report.options import listing

        print(listing())
        parser.exit()


def add_metrics(parser: argparse.ArgumentParser) -> None:
    """Add --count, the options of compression, and those of training."""
    group = parser.add_argument_group("metrics")
    group.add_argument(
        "--count",
        metavar="TOOL",
        help="count operations as another tool does (see --list)",
    )
    add_compression(group)
    group.add_argument(
        "--weights", metavar="FILE", help="show what each layer takes in this file of weights"
    )
    group.add_argument(
        "--index-bits",
        type=whole_number(0),
        default=4,
        metavar="N",
        help="bits for the place of a weight in a pruned layer",
    )
    group = parser.add_argument_group("memory of training")
    group.add_argument(
        "--training",
        action="store_true",
        help="what training takes with PyTorch: parameters, gradients, optimizer state and the "
        "activations that are kept for the backward pass",
    )
    group.add_argument(
        "--batch",
        type=whole_number(1),
        metavar="N",
        help="samples in a batch (default: the train block's batch_size, or 1)",
    )
    group.add_argument(
        "--optimizer",
        metavar="NAME",
        help="sgd, nesterov, adam, adamw, nadam, radam, adamax, adagrad, adadelta or rmsprop "
        "(default: the train block's, or sgd)",
    )
    group.add_argument(
        "--momentum",
        type=_momentum,
        metavar="N",
        help="of sgd and rmsprop; 0 needs no memory (default: the train block's, or 0.9 and 0)",
    )
    add_freeze(group)


def _momentum(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to below 1")
    return found


def _columns(text: str) -> list[str]:
    found = [word.strip() for word in text.split(",") if word.strip()]
    if not found:
        raise argparse.ArgumentTypeError("names no column (see --list)")
    return found


def execute(args: argparse.Namespace) -> int:
    from netspec.report.table import grid

    _refuse(args)
    columns = sort = None
    if args.columns or args.sort:
        from netspec.report.options import column

        columns = [column(name) for name in args.columns] if args.columns else None
        sort = column(args.sort) if args.sort else None
    views, status = views_of(args)
    if args.compare:
        from netspec.report.compare import comparison
        from netspec.report.compare import data as compared_data

        if args.format == "json":
            print_json(compared_data(views))
        elif views:
            _write([comparison(views)], args)
        return status
    if args.format == "json":
        from netspec.report.json_output import data

        found = [data(view) for view in views]
        if len(args.specs) > 1 or len(found) > 1:
            print_json(found)
        elif found:
            print_json(found[0])
        return status
    folding = args.format == "html"
    _write(
        [grid(v, args.depth, columns, sort, args.ascending, folding=folding) for v in views], args
    )
    return status


def _refuse(args: argparse.Namespace) -> None:
    """Raise SpecError (bad-option) for options that would do nothing."""
    from netspec.diagnostics import spec_error

    options = (
        ("--columns", args.columns is not None),
        ("--sort", args.sort is not None),
        ("--depth", args.depth is not None),
    )
    given = [option for option, is_given in options if is_given]
    if args.compare and given:
        message = f"--compare has metrics of whole nets: it takes no {given[0]}"
        raise spec_error("bad-option", message)
    training = (
        ("--batch", args.batch is not None),
        ("--optimizer", args.optimizer is not None),
        ("--momentum", args.momentum is not None),
        ("--freeze", bool(args.freeze)),
    )
    beside = [option for option, is_given in training if is_given]
    if beside and not args.training:
        message = f"{beside[0]} says how a net is trained: it goes with --training"
        raise spec_error("bad-option", message)
    if args.ascending and not args.sort:
        message = "--ascending needs a column to sort by: --sort params"
        raise spec_error("bad-option", message)


def views_of(args: argparse.Namespace) -> tuple[list[NetView], int]:
    """The nets without errors, with the metrics that were asked for, and the exit status."""
    from netspec.report.columns import NetView

    if not (args.count or args.sparsity or args.bits or args.training or args.weights):
        nets, status = every(args.specs, args.settings)
        return [NetView(net) for net in nets], status
    from netspec.report.options import (
        check_patterns,
        compression,
        convention,
        rules,
        training_plan,
    )

    counted = convention(args.count) if args.count else None
    plan = compression(
        rules(args.sparsity, "--sparsity"), rules(args.bits, "--bits"), args.index_bits
    )
    nets, status = every(args.specs, args.settings)
    if plan is not None and not status:
        check_patterns(plan, nets)
    plans = (
        training_plan(net, args.batch, args.optimizer, args.momentum, args.freeze)
        if args.training
        else None
        for net in nets
    )
    stored = _stored(args, nets) if args.weights and nets else None
    pairs = zip(nets, plans, strict=True)
    return [NetView(net, counted, plan, p, stored) for net, p in pairs], status


def _stored(args: argparse.Namespace, nets: Sequence[Net]) -> dict[str, int]:
    """What each tensor of the net takes in the file of weights. Raises SpecError."""
    from netspec.diagnostics import spec_error
    from netspec.weights import weights_for

    if len(nets) > 1 or len(args.specs) > 1:
        message = "--weights are of one net, and there are several"
        raise spec_error("bad-option", message)
    sizes: dict[str, int] = {}
    rows = weights_for(nets[0], args.specs[0], args.weights, sizes=sizes).rows
    return {"": sizes[""], **{row.ours: sizes[row.theirs] for row in rows}}


def _write(grids: Sequence[Grid], args: argparse.Namespace) -> None:
    from netspec.report import formats

    if not grids:
        return
    if args.format == "csv":
        sys.stdout.write(formats.csvs(grids))
    elif args.format == "html":
        from netspec.report.html import html_page

        sys.stdout.write(html_page(", ".join(g.name or g.title for g in grids), grids))
    elif args.format == "text":
        width = line_width(args.width)
        print("\n\n".join(formats.text(grid, width).rstrip("\n") for grid in grids))
    else:
        write = formats.WRITERS[args.format]
        print("\n\n".join(write(grid).rstrip("\n") for grid in grids))


def line_width(asked: int | None) -> int | None:
    """Characters a line: those asked for, or the terminal's, or no limit."""
    if asked is not None:
        return asked or None
    if sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit():
        return max(shutil.get_terminal_size().columns, 20)
    return None
