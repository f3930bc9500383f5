"""netspec convert: a prototxt of Caffe, or a cfg of Darknet, as a spec."""

from __future__ import annotations

import argparse
from pathlib import Path

from netspec.cli.common import add_output, add_settings, note, overwrite_error, put, show


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "spec",
        metavar="FILE",
        help="a prototxt of Caffe, a solver that names one, or a cfg of Darknet; - for standard "
        "input",
    )
    parser.add_argument(
        "--solver", metavar="FILE", help="a solver of Caffe, for the spec's train block"
    )
    add_settings(parser, prototxt=True)
    add_output(parser, "where to write, - for standard output (default: NET.net here)")


def execute(args: argparse.Namespace) -> int:
    from netspec.driver import convert
    from netspec.util.atomic_write import write_text

    result, diagnostics = convert(args.spec, dict(args.settings), args.solver)
    show(diagnostics)
    for line in result.notes:
        note(f"note: {line}")
    if args.output == "-":
        put(result.text)
    else:
        write_text(_output_path(args.output, result.name, result.text), result.text)
    return 0


def _output_path(output: str | None, name: str, text: str) -> Path:
    """The path to write to: `output`, else that of the net's name.

    Raises SpecError where the latter is a file with another content, which may be somebody's work.
    """
    path = Path(output or f"{name}.net")
    if output is None and path.is_file() and path.read_bytes() != text.encode():
        raise overwrite_error(path, "is another spec")
    return path
