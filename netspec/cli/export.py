"""netspec export: a trained net as files that need no netspec."""

from __future__ import annotations

import argparse
from pathlib import Path

from netspec.cli.common import add_output, add_settings, overwrite_error


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Spec, weights, labels, a PyTorch and a NumPy model and an example of a training, in a "
        "folder or a .zip that works without netspec."
    )
    parser.add_argument(
        "run", metavar="RUN", help="the folder of a training, or a .safetensors file of one"
    )
    parser.add_argument(
        "--last", action="store_true", help="the last weights (default: the best, if there are)"
    )
    parser.add_argument(
        "--spec", metavar="SPEC", help="the net of a file that does not say which it is of"
    )
    add_settings(parser)
    add_output(parser, "where to write (default: NET-export)", "FOLDER|FILE.zip")


def execute(args: argparse.Namespace) -> int:
    from netspec.runs.export import export, zipped
    from netspec.util.atomic_write import made_folder, write_bytes, write_files

    net, files = export(Path(args.run), args.last, args.spec, dict(args.settings))
    path = Path(args.output or f"{net}-export")
    if path.suffix == ".zip":
        write_bytes(path, zipped(files, path.stem))
    else:
        if args.output is None and path.exists():
            raise overwrite_error(path, "it may hold other files")
        for place in files:
            made_folder((path / place).parent)
        write_files({path / place: [content] for place, content in files.items()})
    print(f"{path}: {', '.join(files)}")
    return 0
