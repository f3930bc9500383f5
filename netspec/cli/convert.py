"""netspec convert: a prototxt of Caffe as a spec."""

from __future__ import annotations

import argparse
from pathlib import Path

from netspec.cli.common import add_output, add_settings, note, overwrite_error, put, show
from netspec.diagnostics import Diagnostics, SpecError, spec_error
from netspec.diagnostics.source import Source


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "spec",
        metavar="PROTOTXT",
        help="a net of Caffe, or a solver that names one; - for standard input",
    )
    parser.add_argument(
        "--solver", metavar="FILE", help="a solver of Caffe, for the spec's train block"
    )
    add_settings(parser, prototxt=True)
    add_output(parser, "where to write, - for standard output (default: NET.net here)")


def execute(args: argparse.Namespace) -> int:
    from netspec.driver import find
    from netspec.importers.caffe.convert import convert
    from netspec.importers.caffe.solver import is_solver
    from netspec.semantic.imports import read_source
    from netspec.semantic.settings import constants_of
    from netspec.syntax.protobuf_text.detect import may_be_prototxt
    from netspec.util.atomic_write import write_text

    diagnostics = Diagnostics()
    source, folder, _ = find(args.spec)
    if not may_be_prototxt(source):
        raise spec_error("unreadable-file", f"{source.name} is no prototxt")
    solver = read_source(Path(args.solver), diagnostics) if args.solver else None
    if is_solver(source):
        solver, source = source, _net_of_solver(source, folder, diagnostics)
    diagnostics.raise_if_failed()
    given = constants_of(dict(args.settings), diagnostics)
    result = convert(source, given, diagnostics, solver)
    diagnostics.raise_if_failed()
    if result is None:
        raise SpecError(diagnostics.sorted())
    show(diagnostics.sorted())
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


_SUFFIXES = {".prototxt", ".pt", ".pbtxt", ".prototext", ".proto", ".txt", ".cfg", ".conf"}
"""How the name of a net's file ends. A solver may be anybody's, and other files hold secrets."""


def _net_of_solver(solver: Source, folder: Path, diagnostics: Diagnostics) -> Source:
    """The prototxt that a solver names, by its path from the solver's folder, or in that folder.

    Itself where the net is inside. Caffe takes the path from the folder that it runs in. Raises
    SpecError.
    """
    from netspec.importers.caffe.solver import read_solver
    from netspec.semantic.imports import read_source

    read = read_solver(solver, diagnostics)
    diagnostics.raise_if_failed()
    assert read is not None, "no solver and no error"
    if read.net_inside is not None:
        return solver
    name = Path(read.net)
    if name.suffix in _SUFFIXES and not name.is_absolute() and "\0" not in read.net:
        for path in (folder / name, folder / name.name):
            if path.is_file():
                source = read_source(path, diagnostics)
                diagnostics.raise_if_failed()
                assert source is not None, "no text and no error"
                return source
    message = f"{solver.name} is a solver, and its net {read.net or '(none)'} is not beside it"
    help_ = (f"name both: `netspec convert NET --solver {solver.name}`",)
    raise spec_error("unreadable-file", message, help=help_)
