"""netspec weights: show and convert weight files."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netspec.cli.common import (
    SPEC_HELP,
    add_format,
    add_key,
    add_output,
    add_partial,
    add_settings,
    load,
    print_json,
)
from netspec.diagnostics import spec_error
from netspec.diagnostics.render import printable
from netspec.ir import Net

if TYPE_CHECKING:
    from netspec.weights.matching import MatchedArray


MOST_SHOWN = 20
"""Most names of classes that are shown."""


def configure(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True, metavar="show|convert")
    show = actions.add_parser("show", help="names, shapes and types of a weight file")
    show.add_argument("file", metavar="FILE")
    convert = actions.add_parser(
        "convert",
        help="between formats and names, and from a Deep Compression .bin",
        description="Convert a weight file to another format, and with --spec to the names of a "
        "net: by name where names agree, by a file of names beside the spec (torchvision's, for "
        "bundled nets that it has), else by position with all shapes checked.",
    )
    convert.add_argument("file", metavar="FILE")
    convert.add_argument(
        "target",
        metavar="OUT",
        nargs="?",
        help=".npz, .safetensors, .nsz, .pt or .pth; .caffemodel for a prototxt; .bin for Deep "
        "Compression",
    )
    add_output(convert, "the same as OUT")
    add_format(show, "text", "json")
    add_output(show, redirect=True)
    for sub in (show, convert):
        sub.add_argument("--spec", metavar="SPEC", help=f"the net of the weights: {SPEC_HELP}")
        add_settings(sub)
    for sub in (show, convert):
        add_key(sub)
    convert.add_argument(
        "--from",
        dest="source",
        metavar="NAMES",
        help="FILE has the names of NAMES (or FILE.names); keras: a .weights.h5 or .keras of an "
        "emitted Keras model",
    )
    convert.add_argument(
        "--names",
        metavar="NAMES",
        help="OUT gets the names of torchvision, of FILE.names, or names and layouts of keras",
    )
    add_partial(convert, "fresh weights for these layers, whatever FILE has for them")
    convert.add_argument(
        "--rgb",
        action="store_true",
        help="turn the filters on the input from BGR to RGB, or back",
    )
    convert.add_argument(
        "--to",
        choices=("float16", "int8"),
        help="numbers of 2 bytes, or of 1 with a scale for each output channel of a weight",
    )
    convert.add_argument(
        "--dry-run", action="store_true", help="write nothing, show what would become what"
    )


def execute(args: argparse.Namespace) -> int:
    if args.action == "show":
        from netspec.weights.trained import story

        weights, said = _read(args), story(Path(args.file))
        if args.format == "json":
            print_json({"tensors": [*_described(weights)], "about": said})
        else:
            _show(weights)
            _tell(said)
        return 0
    if (args.target is None) == (args.output is None) and not args.dry_run:
        raise spec_error("bad-option", "name the file to write once, as OUT or with --output")
    args.output = args.output or args.target or ""
    if not args.spec and (args.rgb or Path(args.output).suffix == ".caffemodel"):
        message = "--rgb, and writing a .caffemodel, need the spec of the net"
        help_ = ("add `--spec SPEC`, for example `--spec deploy.prototxt`",)
        raise spec_error("bad-weights", message, help=help_)
    needs = args.source or args.names or args.partial
    if needs and not args.spec:
        message = "--from, --names and --partial need the spec of the net"
        help_ = ("add `--spec SPEC`, for example `--spec squeezenet1_0`",)
        raise spec_error("bad-weights", message, help=help_)
    return _convert(args)


def _convert(args: argparse.Namespace) -> int:
    import numpy as np

    from netspec.codegen.backend import HasChannelsLast, backends, get
    from netspec.weights import NameMaps, fresh, reverse_channels, weights_for, write, write_caffe
    from netspec.weights.files import read_metadata, write_coded
    from netspec.weights.matching import MatchedArray
    from netspec.weights.small_numbers import converted

    net = load(args.spec, args.settings) if args.spec else None
    fresh_names: tuple[str, ...] = ()
    if net is None or Path(args.file).suffix == ".bin":
        arrays = dict(_read(args, net))
        rows = [MatchedArray(name, name, array.shape, "name") for name, array in arrays.items()]
    else:
        found = weights_for(
            *(net, args.spec, args.file),
            partial=args.partial,
            by="anything",
            names=args.source,
            key=args.key,
        )
        rows, fresh_names = list(found.rows), found.fresh
        made = fresh({name: net.tensors[name] for name in fresh_names})
        arrays = {name: {**made, **found.arrays}[name] for name in net.tensors}
    if args.rgb and net is not None:
        arrays = reverse_channels(arrays, net)
    if args.names and net is not None:
        backend = get(args.names) if args.names in backends() else None
        if isinstance(backend, HasChannelsLast):
            named = backend.named_weights(net, arrays)
            arrays = {name: np.ascontiguousarray(array) for name, array in named.values()}
            keys: Mapping[str, str] = {ours: name for ours, (name, _) in named.items()}
        else:
            keys = NameMaps(net, args.spec).keys(args.names)
            arrays = {keys[name]: array for name, array in arrays.items()}
        rows = [row._replace(ours=keys[row.ours]) for row in rows]
        fresh_names = tuple(keys[name] for name in fresh_names)
    if args.dry_run:
        _table(rows, fresh_names, {name: array.shape for name, array in arrays.items()})
        return 0
    output = Path(args.output)
    if args.to:
        if output.suffix not in (".safetensors", ".npz"):
            message = f"--to {args.to} is for .safetensors and .npz files, and {output} is none"
            raise spec_error("bad-option", message)
        arrays = converted(arrays, args.to)
    if output.suffix == ".caffemodel" and net is not None:
        write_caffe(output, arrays, net)
    elif output.suffix in (".nsz", ".bin"):
        write_coded(output, _coded(args, net, rows, arrays), net.name if net is not None else "")
    else:
        keeps = args.names is None and net is None and not args.rgb
        write(output, arrays, read_metadata(Path(args.file)) if keeps else None)
    if fresh_names or any(row.how != "name" for row in rows):
        how = [row.how for row in rows]
        counts = [f"{how.count(h)} by {_how_text(h)}" for h in dict.fromkeys(how)]
        counts += [f"{len(fresh_names)} fresh"] * bool(fresh_names)
        print(f"{len(arrays)} tensors: {', '.join(counts)}")
        for name in fresh_names:
            print(f"fresh: {name}")
    return 0


def _coded(
    args: argparse.Namespace,
    net: Net | None,
    rows: Sequence[MatchedArray],
    arrays: Mapping[str, Any],
) -> dict[str, Any]:
    """The arrays, those that the file has codebooks of with these, as far as they are the same."""
    from netspec.weights.files import read_coded

    found: dict[str, Any] = dict(arrays)
    if args.rgb:
        return found
    read = read_coded(Path(args.file), net.tensors if net is not None else {})
    for row in rows:
        tensor = read.get(row.theirs)
        if tensor is not None and tensor.shape == arrays[row.ours].shape:
            found[row.ours] = tensor
    return found


def _how_text(how: str) -> str:
    return how if how in ("name", "position", "shape") else f"names of {how}"


def _table(
    rows: Iterable[MatchedArray], fresh_names: Iterable[str], shapes: Mapping[str, tuple[int, ...]]
) -> None:
    """Print a line for each tensor: its name in the file, its name in the net, its shape, how it
    was found. `shapes` are those in the net, shown where the file has it in another."""

    def shape_of(row: MatchedArray) -> str:
        theirs, ours = _shape(row.shape), _shape(shapes[row.ours])
        return theirs if theirs == ours else f"{theirs} as {ours}"

    lines = [(r.theirs, r.ours, shape_of(r), _how_text(r.how)) for r in rows]
    lines += [("-", name, "", "fresh") for name in fresh_names]
    widths = [max((len(line[i]) for line in lines), default=0) for i in range(3)]
    for a, b, shape, how in lines:
        print(f"{printable(a):<{widths[0]}}  {b:<{widths[1]}}  {shape:>{widths[2]}}  {how}")


def _read(args: argparse.Namespace, net: Net | None = None) -> Mapping[str, Any]:
    """The arrays of the file, checked against the spec where one is given."""
    from netspec.weights import check, read, read_deep_compression, read_for

    path = Path(args.file)
    if net is None and args.spec:
        net = load(args.spec, args.settings)
    if path.suffix == ".bin":
        if net is None:
            message = f"{path} holds no names of tensors, so that the spec of the net is needed"
            help_ = ("add `--spec SPEC`, for example `--spec squeezenet1_0_caffe`",)
            raise spec_error("bad-weights", message, help=help_)
        return read_deep_compression(path, net.tensors)
    if net is None:
        return read(path, args.key)
    return check(read_for(path, net, key=args.key), net.tensors, args.file, net.name)


def _show(weights: Mapping[str, Any]) -> None:
    width = max((len(name) for name in weights), default=0)
    total = 0
    for name, array in weights.items():
        total += array.size
        shown, shape = printable(name), _shape(array.shape)
        print(f"{shown:<{width}}  {shape:>16}  {array.dtype}  {array.size:>12,}")
    print(f"{'total':<{width}}  {'':>16}  {'':7}  {total:>12,}")


def _described(weights: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for name, array in weights.items():
        yield {"name": name, "shape": list(array.shape), "type": str(array.dtype)}


def _tell(said: Mapping[str, Any]) -> None:
    """Print what a file says of its training: a line each, long texts by their length."""
    width = max((len(printable(name)) for name in said), default=0)
    for i, (name, value) in enumerate(said.items()):
        if isinstance(value, dict):
            parts = [k if name == "imports" else f"{k}={v}" for k, v in value.items()]
            value = ", ".join(parts)
        elif isinstance(value, list):
            value = f"{len(value):,}: {', '.join(map(str, value[:MOST_SHOWN]))}"
        elif name == "spec" and isinstance(value, str):
            value = f"{len(value.splitlines()):,} lines (`--format json` shows them)"
        text = printable(" ".join(str(value).split()))
        text = text if len(text) <= 300 else f"{text[:297]}..."
        print(f"{'' if i else chr(10)}{printable(name):<{width}}  {text}")


def _shape(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape)) or "scalar"
