"""What the commands share that take weights."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from netspec.diagnostics import SpecError
from netspec.ir import Net

if TYPE_CHECKING:
    from netspec.weights import Adapted


def add_partial(parser: argparse.ArgumentParser, help: str) -> None:
    """--partial LAYER, repeatable."""
    parser.add_argument(
        "--partial", action="append", default=[], metavar="LAYER", help=f"{help} (repeatable)"
    )


def weights_of(
    net: Net,
    spec: str,
    file: str,
    partial: Sequence[str] = (),
    by: Literal["names", "anything"] = "names",
    names: str | None = None,
) -> Adapted:
    """The weights of a net from a file, under its own names or those of a library that the spec
    has a file of names for; with `names`, of that file.

    Raises SpecError.
    """
    from netspec.weights import adapt, name_maps, read, read_caffe
    from netspec.weights.common import COUNTERS
    from netspec.weights.files import KEEP_ORDER

    path = Path(file)
    if path.suffix == ".caffemodel" and net.origins:
        arrays = read_caffe(path, net, partial)
    else:
        arrays = read(path)
    known: Mapping[str, Mapping[str, str]]
    if names:
        known = {names: name_maps.renamed(net, name_maps.find(spec, names)).keys}
    else:
        known = name_maps.aliases(spec, net)
    ordered = path.suffix in KEEP_ORDER
    try:
        return adapt(
            *(arrays, net.tensors, file, net.name),
            ordered=ordered,
            aliases=known,
            partial=partial,
            by=by,
        )
    except SpecError as error:
        shapes = sorted(tuple(a.shape) for n, a in arrays.items() if not n.endswith(COUNTERS))
        same = shapes == sorted(tuple(t.shape) for t in net.tensors.values())
        if by == "anything" or not same or set(arrays) & set(net.tensors):
            raise
        first, *others = error.diagnostics
        command = f"netspec weights convert {file} OUT.safetensors --spec {spec}"
        help_ = f"all its names are others: `{command}` finds out which is which"
        raise SpecError([replace(first, notes=(), help=(help_,)), *others]) from None
