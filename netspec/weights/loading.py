"""The weights of a net from a file of any format, under any known names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

from netspec.codegen.backend import HasChannelsLast, backends, get
from netspec.diagnostics import SpecError
from netspec.ir import Net
from netspec.lazy_dataclasses import replace
from netspec.syntax.model_source import is_model
from netspec.weights.array import COUNTERS, Array
from netspec.weights.caffe import read_caffe
from netspec.weights.darknet_file import read_darknet
from netspec.weights.file_checks import file_size
from netspec.weights.files import FORMATS, read, read_with_sizes
from netspec.weights.matching import Adapted, adapt
from netspec.weights.name_maps import NameMaps
from netspec.weights.small_numbers import restored
from netspec.weights.stored import read_stored


def read_for(
    path: Path,
    net: Net,
    without: Sequence[str] = (),
    key: str | None = None,
    sizes: dict[str, int] | None = None,
) -> dict[str, Array]:
    """All arrays of a file; of a caffemodel, for a net from a prototxt, by the net's names.

    Those that are int8 with scales are float32 again.

    `without` are layers and instances whose weights are not looked for there, `key` is as for
    `read`. What the arrays take in the file is put into `sizes`, by name, and what the file takes
    by ``. Raises SpecError.
    """
    found: dict[str, int] = {}
    if path.suffix == ".caffemodel" and net.origins:
        arrays = read_caffe(path, net, without)
        found = {name: array.nbytes for name, array in arrays.items()} | {"": file_size(path)}
    elif path.suffix == ".weights":
        arrays = read_darknet(path, net)
        found = {name: array.nbytes for name, array in arrays.items()} | {"": file_size(path)}
    elif is_model(path):
        arrays = read_stored(path, net)
        found = {name: array.nbytes for name, array in arrays.items()} | {"": file_size(path)}
    elif sizes is None:
        arrays = restored(read(path, key))
    else:
        arrays, found = read_with_sizes(path, key)
        arrays = restored(arrays)
    if sizes is not None:
        sizes.update(found)
    return arrays


def weights_for(
    net: Net,
    spec: str,
    file: str,
    *,
    partial: Sequence[str] = (),
    by: Literal["names", "anything"] = "names",
    names: str | None = None,
    key: str | None = None,
    sizes: dict[str, int] | None = None,
) -> Adapted:
    """The weights of a net from a file, under its own names or those of another library.

    The libraries are those that the spec has name maps for; with `names`, only the one of that
    word or file. `partial` and `by` are as for `adapt`, `key` and `sizes` as for
    `read_for`. Raises SpecError.
    """
    path = Path(file)
    if names and names in backends() and isinstance(backend := get(names), HasChannelsLast):
        return _of_backend(net, backend, path, partial, key)
    arrays = read_for(path, net, partial, key, sizes)
    maps = NameMaps(net, spec)
    known = {names: maps.keys(names)} if names else maps.fitting()
    try:
        return adapt(
            *(arrays, net.tensors, file, net.name),
            ordered=FORMATS[path.suffix].ordered,
            libraries=known,
            partial=partial,
            by=by,
        )
    except SpecError as error:
        error = _with_reasons(error, maps, arrays)
        shapes = sorted(tuple(a.shape) for n, a in arrays.items() if not n.endswith(COUNTERS))
        same = shapes == sorted(tuple(t.shape) for t in net.tensors.values())
        if by == "anything" or not same or set(arrays) & set(net.tensors):
            raise error from None
        first, *others = error.diagnostics
        command = f"netspec weights convert {file} OUT.safetensors --spec {spec}"
        help_ = f"all its names are others: `{command}` finds out which is which"
        raise SpecError([replace(first, notes=(), help=(help_,)), *others]) from None


def _of_backend(
    net: Net, backend: HasChannelsLast, path: Path, partial: Sequence[str], key: str | None
) -> Adapted:
    """The weights of a backend's model, under its names, or in a file that Keras wrote."""
    if is_model(path):
        from netspec.importers.keras.stored import stored_variables

        arrays = stored_variables(path)
    else:
        arrays = restored(read(path, key))
    own = backend.own_weights(net, arrays)
    theirs = {ours: name for ours, (name, _) in own.items()}
    used = set(theirs.values())
    left = {n: a for n, a in arrays.items() if n not in used and not _OF_TRAINING.search(n)}
    given = {ours: array for ours, (_, array) in own.items()} | left
    found = adapt(given, net.tensors, str(path), net.name, partial=partial, by="names")
    rows = [
        row._replace(theirs=theirs[row.ours], shape=arrays[theirs[row.ours]].shape)
        for row in found.rows
    ]
    return replace(found, rows=tuple(rows))


_OF_TRAINING = re.compile(r"^optimizer/|^_?metrics|(^|/)seed_generator/")
"""Variables of Keras that are no weights: of the optimizer, of metrics, of random numbers."""
_OTHER_NETS = {
    "alexnet": (
        "features.0.weight",
        "torchvision's AlexNet is another net (one tower, Krizhevsky 2014): `alexnet_torchvision`",
    ),
    "googlenet": (
        "inception3a.branch1.conv.weight",
        "torchvision's GoogLeNet is another net (with batch norm): `googlenet_torchvision`",
    ),
}
"""Nets of which torchvision has others: a tensor that is in its weights, and what to say."""


def _with_reasons(error: SpecError, maps: NameMaps, arrays: Mapping[str, Array]) -> SpecError:
    """The error that weights do not fit, with what may be the reason."""
    first, *others = error.diagnostics
    notes = tuple(f"{file} was not used: {d.message}" for file, d in maps.unfitting.items())
    mark, reason = _OTHER_NETS.get(maps.net.name, ("", ""))
    if maps.is_bundled and mark in arrays:
        first = replace(first, help=(reason,))
    return SpecError([replace(first, notes=first.notes + notes), *others])
