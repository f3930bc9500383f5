"""netspec weights: show and convert weight files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netspec.commands.common import SPEC_HELP, add_settings, load
from netspec.diagnostics import Diagnostic, SpecError


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="show|convert")
    show = actions.add_parser("show", help="names, shapes and types of a weight file")
    show.add_argument("file", metavar="FILE")
    convert = actions.add_parser(
        "convert", help="between .npz and .safetensors, and from a Deep Compression .bin"
    )
    convert.add_argument("file", metavar="FILE")
    convert.add_argument("output", metavar="OUT", help=".npz or .safetensors")
    for sub in (show, convert):
        sub.add_argument("--spec", metavar="SPEC", help=f"the net of the weights: {SPEC_HELP}")
        add_settings(sub)


def execute(args: argparse.Namespace) -> int:
    from netspec.weights import write

    weights = _read(args)
    if args.action == "show":
        _show(weights)
    else:
        write(Path(args.output), weights)
    return 0


def _read(args: argparse.Namespace) -> Mapping[str, Any]:
    """The arrays of the file, checked against the spec where one is given."""
    from netspec.weights import check, read, read_deep_compression

    path = Path(args.file)
    net = load(args.spec, args.settings) if args.spec else None
    if path.suffix == ".bin":
        if net is None:
            message = f"{path} holds no names: say whose weights they are"
            help_ = ("add `--spec SPEC`, for example `--spec squeezenet1_0_caffe`",)
            raise SpecError([Diagnostic("bad-weights", message, help=help_)])
        return read_deep_compression(path, net.tensors)
    arrays = read(path)
    return check(arrays, net.tensors, args.file, net.name) if net else arrays


def _show(weights: Mapping[str, Any]) -> None:
    width = max((len(name) for name in weights), default=0)
    total = 0
    for name, array in weights.items():
        total += array.size
        shape = "x".join(map(str, array.shape)) or "scalar"
        print(f"{name:<{width}}  {shape:>16}  {array.dtype}  {array.size:>12,}")
    print(f"{'total':<{width}}  {'':>16}  {'':7}  {total:>12,}")
