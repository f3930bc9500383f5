"""The archive format of Deep Compression (Han et al. 2016, arXiv:1510.00149).

Little endian. First `uint32` n for each layer, its number of stored entries. Then, layer by layer:
`float32[256]` codebook, `float32[out]` bias, `uint8[n]` codes, `uint8[(n - 1) // 2 + 1]` gaps, two
to a byte, the low four bits first. Entry k is at place gap_0 + ... + gap_k + k of the weight
and has the value codebook[code_k]; all other places have codebook[0].
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np

from netspec.diagnostics import spec_error
from netspec.ops import Tensor
from netspec.weights.array import Array
from netspec.weights.file_checks import file_size, unreadable

CODEBOOK = 256


def read(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    """The weights of a net with these tensors, by name, float32, of the tensors' shapes.

    The layers of the archive are the net's weights in order, each with its bias. Raises SpecError
    (bad-weights) where the net has other tensors, or the file does not fit them to the byte.
    """
    layers = _layers(path, tensors)
    size = file_size(path)
    most = sum(4 + _most_bytes(tensors[f"{n}.weight"], tensors[f"{n}.bias"]) for n in layers)
    if size > most:
        raise spec_error(
            "bad-weights", f"{path} has {size:,} bytes, and the net's layers take at most {most:,}"
        )
    try:
        data = path.read_bytes()
    except OSError as error:
        raise unreadable(path, error) from None
    reader = _Reader(path, data)
    counts = reader.take("the end of the numbers of entries", "<u4", len(layers))
    weights: dict[str, Array] = {}
    for name, count in zip(layers, counts, strict=True):
        weight, bias = f"{name}.weight", f"{name}.bias"
        weights[weight], weights[bias] = _layer(
            reader, name, int(count), tensors[weight], tensors[bias]
        )
    if reader.place != len(data):
        raise spec_error(
            "bad-weights",
            f"{path} has {len(data) - reader.place:,} bytes more than the net's layers take",
        )
    return {name: weights[name] for name in tensors}


def _layers(path: Path, tensors: Mapping[str, Tensor]) -> list[str]:
    """The names of the net's layers, which must each have a weight, a bias and nothing else."""
    for name in tensors:
        owner, _, kind = name.rpartition(".")
        if kind not in ("weight", "bias"):
            raise spec_error(
                "bad-weights", f"{path} holds weights and biases only, but the net also has {name}"
            )
        partner = f"{owner}.{'bias' if kind == 'weight' else 'weight'}"
        if partner not in tensors:
            raise spec_error(
                "bad-weights",
                f"{path} pairs weights and biases, but the net has {name} and no {partner}",
            )
    return [name.removesuffix(".weight") for name in tensors if name.endswith(".weight")]


def _most_bytes(weight: Tensor, bias: Tensor) -> int:
    """The bytes of a layer with an entry for every place."""
    places = prod(int(d) for d in weight.shape)
    return 4 * CODEBOOK + 4 * prod(int(d) for d in bias.shape) + places + (places + 1) // 2


class _Reader:
    """Takes arrays from the data, front to back; refuses those that go beyond its end."""

    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.data = data
        self.place = 0

    def take(self, what: str, kind: str, count: int) -> Array:
        dtype = np.dtype(kind)
        end = self.place + count * dtype.itemsize
        if end > len(self.data):
            raise spec_error(
                "bad-weights", f"{self.path} ends before {what}: it is cut off, or of another net"
            )
        array = np.frombuffer(self.data, dtype, count, self.place)
        self.place = end
        return array


def _layer(
    reader: _Reader, name: str, count: int, weight: Tensor, bias: Tensor
) -> tuple[Array, Array]:
    """Weight and bias of one layer with this count of entries."""
    shape = tuple(int(d) for d in weight.shape)
    bias_shape = tuple(int(d) for d in bias.shape)
    size = prod(shape)
    if not 0 < count <= size:
        raise spec_error(
            "bad-weights",
            f"{reader.path} has {count:,} entries for {name}, which has {size:,} weights",
        )
    codebook = reader.take(f"the end of the codebook of {name}", "<f4", CODEBOOK)
    biases = reader.take(f"the end of the bias of {name}", "<f4", prod(bias_shape))
    codes = reader.take(f"the end of the codes of {name}", "u1", count)
    packed = reader.take(f"the end of the gaps of {name}", "u1", (count - 1) // 2 + 1)
    gaps = np.stack((packed & 15, packed >> 4), axis=1).reshape(-1)[:count]
    places = np.cumsum(gaps, dtype=np.int64) + np.arange(count)
    if places[-1] >= size:
        raise spec_error("bad-weights", f"{reader.path} has entries behind the end of {name}")
    flat = np.full(size, codebook[0], dtype=np.float32)
    flat[places] = codebook[codes]
    return flat.reshape(shape), biases.astype(np.float32).reshape(bias_shape)
