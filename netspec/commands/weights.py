"""netspec weights: show and convert weight files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netspec.commands.common import SPEC_HELP, add_settings, load
from netspec.diagnostics import Diagnostic, SpecError
from netspec.ir import Net


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="show|convert")
    show = actions.add_parser("show", help="names, shapes and types of a weight file")
    show.add_argument("file", metavar="FILE")
    convert = actions.add_parser(
        "convert",
        help="between .npz and .safetensors, from a Deep Compression .bin, from and to .caffemodel",
    )
    convert.add_argument("file", metavar="FILE")
    convert.add_argument("output", metavar="OUT", help=".npz, .safetensors or .caffemodel")
    convert.add_argument(
        "--rgb",
        action="store_true",
        help="turn the filters on the input from BGR to RGB, or back",
    )
    for sub in (show, convert):
        sub.add_argument("--spec", metavar="SPEC", help=f"the net of the weights: {SPEC_HELP}")
        add_settings(sub)


def execute(args: argparse.Namespace) -> int:
    from netspec.weights import turned, write, write_caffe

    net = load(args.spec, args.settings) if args.spec else None
    weights = _read(args, net)
    output = Path(args.output) if args.action == "convert" else None
    if output is None:
        _show(weights)
        return 0
    if args.rgb:
        weights = turned(weights, _needed(net, args.file))
    if output.suffix == ".caffemodel":
        write_caffe(output, weights, _needed(net, output))
    else:
        write(output, weights)
    return 0


def _needed(net: Net | None, path: Path | str) -> Net:
    if net is None:
        message = f"for {path}, say whose weights they are"
        raise SpecError(
            [Diagnostic("bad-weights", message, help=("add `--spec deploy.prototxt`",))]
        )
    return net


def _read(args: argparse.Namespace, net: Net | None) -> Mapping[str, Any]:
    """The arrays of the file, checked against the spec where one is given."""
    from netspec.weights import check, read, read_caffe, read_deep_compression

    path = Path(args.file)
    if path.suffix == ".caffemodel" and net is not None:
        return read_caffe(path, net)
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
