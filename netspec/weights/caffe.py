"""Weights of Caffe as those of the net that a prototxt became, and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from netspec.diagnostics import Diagnostic, SpecError, spec_error
from netspec.ir import Net
from netspec.ops import Tensor
from netspec.ops.convolution import Conv
from netspec.util.atomic_write import replacing
from netspec.weights.array import Array
from netspec.weights.caffemodel_file import CaffemodelLayer, caffemodel, read_layers


class Origin(Protocol):
    """Where a tensor lies: `netspec.importers.caffe.weight_blob.WeightBlob`."""

    @property
    def layer(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def index(self) -> int: ...
    @property
    def how(self) -> Any: ...
    @property
    def factor(self) -> int | None: ...
    @property
    def copies(self) -> tuple[str, ...]: ...


def read_caffe(path: Path, net: Net, without: Sequence[str] = ()) -> dict[str, Array]:
    """The weights of a net that was read from a prototxt, by name, float32, of its shapes.

    Statistics of batch norms are divided by their factor. Layers of the file that the net does not
    have are left out, as Caffe does, and so are the tensors of layers or instances `without`.
    Raises SpecError (bad-weights, weights-mismatch).
    """
    origins = _origins(net, path)
    found: dict[str, CaffemodelLayer] = {}
    for layer in read_layers(path):
        found.setdefault(layer.name, layer)
    weights: dict[str, Array] = {}
    notes: list[str] = []
    for name, tensor in net.tensors.items():
        if any(name.startswith(f"{layer_path}.") for layer_path in without):
            continue
        origin = origins.get(name)
        try:
            weights[name] = _tensor(name, tensor, origin, found)
        except _UnfitBlob as error:
            notes.append(str(error))
    if notes:
        more = [f"{len(notes) - 20} more"] if len(notes) > 20 else []
        message = f"{path} does not fit {net.name}: {len(notes)} of {len(net.tensors)} tensors"
        help_ = _alike(net, found)
        diagnostic = Diagnostic("weights-mismatch", message, notes=(*notes[:20], *more), help=help_)
        raise SpecError([diagnostic])
    return weights


def reverse_channels(weights: Mapping[str, Array], net: Net) -> dict[str, Array]:
    """Weights for an input with its channels in reverse order, BGR for RGB. Raises SpecError."""
    result = dict(weights)
    pictures = {v for v in net.body.inputs if len(v.shape) == 3 and v.shape[0] == 3}
    reversed_: set[str] = set()
    for layer in net.layers:
        if not pictures.isdisjoint(layer.inputs):
            if not isinstance(layer.op, Conv) or layer.op.group_count != 1:
                message = f"the colours can't be reversed: {layer.path} takes the input"
                raise spec_error(
                    "bad-weights",
                    message,
                    help=("only the channels of a convolution without groups can be reversed",),
                )
            reversed_.add(f"{layer.weights}.weight")
    for name in reversed_:
        result[name] = np.ascontiguousarray(result[name][:, ::-1])
    if not reversed_:
        raise spec_error(
            "bad-weights", "the colours can't be reversed: no layer takes a colour picture"
        )
    return result


class _UnfitBlob(Exception):
    pass


def _origins(net: Net, path: Path) -> Mapping[str, Origin]:
    if net.tensors and not net.origins:
        raise spec_error(
            "bad-weights",
            f"{path} names its weights after Caffe's layers, which {net.name} does not know",
            help=("give the prototxt: `--spec deploy.prototxt`",),
        )
    return net.origins


def _tensor(
    name: str, tensor: Tensor, origin: Origin | None, found: Mapping[str, CaffemodelLayer]
) -> Array:
    """The values of one tensor from its blob. Raises _UnfitBlob."""
    if origin is None:
        raise _UnfitBlob(f"{name} is in no blob of Caffe")
    layer = found.get(origin.layer)
    if layer is None:
        raise _UnfitBlob(f"{name} is in the layer {origin.layer}, which the file does not have")
    if origin.index >= len(layer.blobs):
        what = f"{len(layer.blobs)} blob{'s' * (len(layer.blobs) != 1)}"
        raise _UnfitBlob(f"{name} is blob {origin.index} of {origin.layer}, which has {what}")
    array = layer.blobs[origin.index]
    shape = tuple(int(d) for d in tensor.shape)
    wanted = shape[::-1] if origin.how == "transposed" else shape
    # Older files have four dimensions everywhere, and some layers 1 x C x 1 x 1.
    # What is a row here may be laid out in any dimensions there (a factor of each element).
    row = len(_bare(wanted)) < 2 and array.size == prod(wanted)
    if not row and _bare(array.shape) != _bare(wanted):
        texts = ["x".join(map(str, s)) or "one number" for s in (array.shape, wanted)]
        raise _UnfitBlob(f"{name} is {texts[0]} in {origin.layer}, the net needs {texts[1]}")
    values: Array = array.reshape(wanted).astype(np.float32)
    if origin.how == "transposed":
        values = np.ascontiguousarray(values.T)
    if origin.factor is not None and origin.factor < len(layer.blobs):
        factor = layer.blobs[origin.factor].reshape(-1)
        # As in Caffe: statistics without any input are 0.
        scale = float(factor[0]) if factor.size else 0.0
        values = values / np.float32(scale) if scale else np.zeros_like(values)
    if not np.isfinite(values).all():
        raise _UnfitBlob(f"{name} has elements that are not finite")
    return values


def _bare(shape: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(d for d in shape if d != 1)


def _alike(net: Net, found: Mapping[str, CaffemodelLayer]) -> tuple[str, ...]:
    wanted = {o.layer for o in net.origins.values()}
    if wanted & found.keys():
        return ()
    names = ", ".join(list(found)[:5])
    return (f"the file has other layers: {names}{', ...' if len(found) > 5 else ''}",)


def write_caffe(path: Path, weights: Mapping[str, Array], net: Net) -> None:
    """Write weights of a net that was read from a prototxt as a caffemodel, whole or not at all.

    Raises SpecError (bad-weights, unwritable-file).
    """
    blobs: dict[str, dict[int, Array]] = {}
    types: dict[str, str] = {}
    for name, origin in _origins(net, path).items():
        array = np.asarray(weights[name], dtype=np.float32)
        if origin.how == "transposed":
            array = array.T
        for layer in (origin.layer, *origin.copies):
            types[layer] = origin.type
            of_layer = blobs.setdefault(layer, {})
            of_layer[origin.index] = array
            if origin.factor is not None:
                of_layer[origin.factor] = np.ones(1, np.float32)
    layers = [
        CaffemodelLayer(name, types[name], tuple(of_layer[i] for i in sorted(of_layer)))
        for name, of_layer in blobs.items()
    ]
    with replacing(path) as beside, beside.open("wb") as out:
        for piece in caffemodel(net.name, layers):
            out.write(piece)
