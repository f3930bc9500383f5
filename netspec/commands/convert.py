"""netspec convert: a prototxt of Caffe as a spec."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from netspec.commands.common import add_settings, show
from netspec.diagnostics import Diagnostic, Diagnostics, SpecError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("spec", metavar="PROTOTXT", help="a net of Caffe, - for standard input")
    add_settings(parser)
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to write, - for standard output (default: NET.net here)",
    )


def execute(args: argparse.Namespace) -> int:
    from netspec.caffe.convert import convert
    from netspec.driver import constants, find
    from netspec.output import write_text
    from netspec.prototxt import may_be_prototxt

    diagnostics = Diagnostics()
    found = find(args.spec, diagnostics)
    if found is not None and not may_be_prototxt(found[0]):
        message = f"{found[0].name} is no prototxt"
        diagnostics.add(Diagnostic("unreadable-file", message))
    diagnostics.raise_if_failed()
    assert found is not None, "no text and no error"
    given = constants(dict(args.settings), diagnostics)
    result = convert(found[0], given, diagnostics)
    diagnostics.raise_if_failed()
    if result is None:
        raise SpecError(diagnostics.sorted())
    show(diagnostics.sorted())
    for remark in result.remarks:
        print(f"remark: {remark}", file=sys.stderr)
    if args.output == "-":
        sys.stdout.write(result.text)
    else:
        write_text(Path(args.output or f"{result.name}.net"), result.text)
    return 0
