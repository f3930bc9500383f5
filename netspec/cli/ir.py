"""netspec ir: the net as netspec sees it, after elaboration or after a pass."""

from __future__ import annotations

import argparse
import sys

from netspec.cli.common import add_output, add_spec, load_each


def configure(parser: argparse.ArgumentParser) -> None:
    add_spec(parser)
    add_output(parser, redirect=True)
    parser.add_argument(
        "--after",
        metavar="PASS",
        help="print the net after a pass: rename or expose_activations",
    )
    parser.add_argument(
        "--names", metavar="NAMES", help="the names for rename: torchvision, or FILE.names"
    )


def execute(args: argparse.Namespace) -> int:
    from netspec.ir.printer import text
    from netspec.ir.program_text import program_text

    if args.after is not None or args.names is not None:
        _check_options(args)
    nets = load_each(args.spec, args.settings)
    if args.after == "rename":
        from netspec.weights import renamed_each

        nets = tuple(found.net for found in renamed_each(nets, args.spec, args.names))
    elif args.after is not None:
        from netspec.ir.names import NameMap
        from netspec.passes.registry import PASSES

        nets = tuple(PASSES[args.after](net, NameMap({})) for net in nets)
    sys.stdout.write("\n".join(program_text(net) + text(net) for net in nets))
    return 0


def _check_options(args: argparse.Namespace) -> None:
    """Raise SpecError for an unknown pass, and for names without `rename`."""
    from netspec.diagnostics import spec_error
    from netspec.diagnostics.suggest import did_you_mean, one_of
    from netspec.passes.registry import PASSES

    if args.after is not None and args.after not in PASSES:
        help_ = (*did_you_mean(args.after, PASSES), f"there are {one_of(PASSES)}")
        raise spec_error("bad-option", f"there is no pass {args.after}", help=help_)
    if args.after == "rename" and args.names is None:
        help_ = ("for example `--after rename --names torchvision`",)
        raise spec_error("bad-option", "the pass rename needs --names", help=help_)
    if args.names is not None and args.after != "rename":
        help_ = ("give `--after rename` as well",)
        raise spec_error("bad-option", "--names is for the pass rename", help=help_)
