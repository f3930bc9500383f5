"""netspec compile: write the model as Python source."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from netspec.cli.common import add_output, add_spec, load_each, overwrite_error, put, show
from netspec.diagnostics import spec_error


def configure(parser: argparse.ArgumentParser) -> None:
    add_spec(parser)
    parser.add_argument("--backend", default="torch", metavar="NAME", help="torch or numpy")
    parser.add_argument(
        "--names",
        metavar="NAMES",
        help="name the weights otherwise: as torchvision does, or as FILE.names says",
    )
    parser.add_argument(
        "--probabilities",
        action="store_true",
        help="let forward give the spec's outputs instead of logits (torch)",
    )
    parser.add_argument(
        "--nsz",
        action="store_true",
        help="let the model load compressed weights too (numpy, torch)",
    )
    add_output(parser, "where to write, - for standard output (default: NET.py here)")


def execute(args: argparse.Namespace) -> int:
    from netspec.codegen.backend import HasNotes, emit_family, get
    from netspec.util.atomic_write import write_text

    backend = get(args.backend)
    nets = load_each(args.spec, args.settings)
    name = nets[0].name if len(nets) == 1 else Path(nets[0].file).stem
    keys: dict[str, str] = {}
    if args.names:
        from netspec.weights import renamed_each

        found = renamed_each(nets, args.spec, args.names)
        nets = tuple(f.net for f in found)
        for renamed in found:
            keys |= renamed.keys
    source = emit_family(nets, backend, args.probabilities, args.nsz)
    if isinstance(backend, HasNotes):
        show(backend.notes)
    if args.output == "-":
        put(source)
    else:
        write_text(_target(args.output, name), source)
    # Where the source goes to standard output, the names must not.
    width = max((len(old) for old in keys), default=0)
    for old, new in keys.items():
        print(f"{old:<{width}}  {new}", file=sys.stderr if args.output == "-" else sys.stdout)
    return 0


def _target(output: str | None, name: str) -> Path:
    """The path to write to. Raises SpecError where that would replace what a person wrote.

    A net can be called `setup`, and nobody means to replace a spec by its model.
    """
    from netspec.codegen.header import EMITTED

    path = Path(output or f"{name}.py")
    if path.suffix == ".net" and path.exists():
        message = f"{path} is a spec, which the model would replace"
        raise spec_error("unwritable-file", message, help=("write to a .py file",))
    if output is None and path.is_file():
        try:
            ours = EMITTED.search(path.read_text(encoding="utf-8")) is not None
        except (OSError, UnicodeDecodeError):
            ours = False
        if not ours:
            raise overwrite_error(path, "netspec did not write it")
    return path
