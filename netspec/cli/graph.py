"""netspec graph: a picture of a net."""

from __future__ import annotations

import argparse
from pathlib import Path

from netspec.cli.common import SPEC_HELP, add_output, add_settings, put, show, whole_number
from netspec.diagnostics import spec_error
from netspec.driver import check, find

FORMATS = ("svg", "png", "dot", "html")


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="SPEC", help=SPEC_HELP)
    add_settings(parser)
    add_output(
        parser,
        "where to write: a .svg, .png, .dot or .html, or - for standard output "
        "(default: NET.svg here)",
    )
    parser.add_argument("--format", choices=FORMATS, help="what to write (default: as FILE says)")
    parser.add_argument(
        "--depth",
        type=whole_number(0),
        metavar="N",
        help="open modules down to this level: 0 is a box for the net, 1 its lines "
        "(default: as many as stay readable)",
    )
    parser.add_argument(
        "--direction", choices=("down", "right"), default="down", help="which way data flows"
    )
    parser.add_argument(
        "--cost",
        choices=("macs", "params"),
        default="macs",
        help="what makes boxes wide",
    )
    parser.add_argument(
        "--layout",
        choices=("own", "dot"),
        default="own",
        help="what lays out the boxes: netspec (own) or, in a .svg or .png, "
        "Graphviz's dot, if it is installed",
    )


def execute(args: argparse.Namespace) -> int:
    from netspec.diagram.draw import draw
    from netspec.diagram.scene import DiagramOptions
    from netspec.util.atomic_write import write_bytes

    form = _format(args.format, args.output)
    if args.layout == "dot" and form not in ("svg", "png"):
        message = f"--layout dot is for a .svg or .png; a .{form} has no places of Graphviz's"
        raise spec_error("bad-option", message)
    source, base, name = find(args.spec)
    checked = check(source, base, dict(args.settings), net=name)
    net = checked.sound()
    show(checked.diagnostics)
    options = DiagramOptions(args.depth, args.direction, args.cost, args.layout)
    content = draw(net, source, form, options)
    if args.output == "-":
        put(content)
    else:
        write_bytes(Path(args.output or f"{net.name}.{form}"), content)
    return 0


def _format(asked: str | None, output: str | None) -> str:
    if asked is not None:
        return asked
    if output is None or output == "-":
        return "svg"
    suffix = Path(output).suffix.lower().removeprefix(".")
    if suffix == "gv":
        return "dot"
    if suffix not in FORMATS:
        message = f"--output {output} has not the ending of a picture"
        help_ = ("end it with .svg, .png, .dot or .html, or say --format",)
        raise spec_error("bad-option", message, help=help_)
    return suffix
