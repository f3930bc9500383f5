"""netspec compile: write the model as Python source."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path

from netspec.commands.common import add_spec, load


def configure(parser: argparse.ArgumentParser) -> None:
    add_spec(parser)
    parser.add_argument("--backend", default="torch", metavar="NAME", help="torch or numpy")
    parser.add_argument(
        "--names",
        metavar="NAMES",
        help="name the weights otherwise: as torchvision does, or as FILE.names says",
    )
    parser.add_argument(
        "-o",
        "--output",
        metavar="FILE",
        help="where to write, - for standard output (default: NET.py here)",
    )


def execute(args: argparse.Namespace) -> int:
    from netspec.backend import emit, get
    from netspec.output import write_text

    backend = get(args.backend)
    net = load(args.spec, args.settings)
    keys: Mapping[str, str] = {}
    if args.names:
        from netspec.profiles import find, renamed

        net, keys = renamed(net, find(args.spec, args.names))
    source = emit(net, backend)
    if args.output == "-":
        sys.stdout.write(source)
    else:
        write_text(Path(args.output or f"{net.name}.py"), source)
    # Where the source goes to standard output, the names must not.
    width = max((len(old) for old in keys), default=0)
    for old, new in keys.items():
        print(f"{old:<{width}}  {new}", file=sys.stderr if args.output == "-" else sys.stdout)
    return 0
