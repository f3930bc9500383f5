"""The archive format of Deep Compression (Han et al. 2016, arXiv:1510.00149).

Little endian. First `uint32` n for each layer, its number of stored entries. Then, layer by layer:
`float32[256]` codebook, `float32[out]` bias, `uint8[n]` codes, `uint8[(n - 1) // 2 + 1]` gaps, two
to a byte, the low four bits first. Entry k stands at place gap_0 + ... + gap_k + k of the weight
and has the value codebook[code_k]; all other places have codebook[0].
"""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from pathlib import Path

import numpy as np

from netspec.ops import Tensor
from netspec.weights.files import Array, bad

CODEBOOK = 256


def read(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    """The weights of a net with these tensors, by name.

    The layers of the archive are the net's weights in order. Raises SpecError where the file does
    not fit them to the byte.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise bad(f"{path} can't be read: {error.strerror or error}") from None
    layers = [name.removesuffix(".weight") for name in tensors if name.endswith(".weight")]
    for name in tensors:
        owner, _, kind = name.rpartition(".")
        if kind not in ("weight", "bias") or f"{owner}.bias" not in tensors:
            raise bad(f"{path} holds weights and biases only, but the net also has {name}")
    reader = _Reader(path, data)
    counts = reader.take("the numbers of entries", "<u4", len(layers))
    weights: dict[str, Array] = {}
    for name, count in zip(layers, counts, strict=True):
        shape = tuple(int(d) for d in tensors[f"{name}.weight"].shape)
        weights[f"{name}.weight"], weights[f"{name}.bias"] = _layer(reader, name, int(count), shape)
    if reader.place != len(data):
        raise bad(f"{path} has {len(data) - reader.place:,} bytes more than the net's layers take")
    return {name: weights[name] for name in tensors}


class _Reader:
    def __init__(self, path: Path, data: bytes) -> None:
        self.path = path
        self.data = data
        self.place = 0

    def take(self, what: str, kind: str, count: int) -> Array:
        dtype = np.dtype(kind)
        end = self.place + count * dtype.itemsize
        if end > len(self.data):
            raise bad(f"{self.path} ends before {what}: it is cut off, or of another net")
        array = np.frombuffer(self.data, dtype, count, self.place)
        self.place = end
        return array


def _layer(reader: _Reader, name: str, count: int, shape: tuple[int, ...]) -> tuple[Array, Array]:
    """Weight and bias of one layer."""
    size = prod(shape)
    if not 0 < count <= size:
        raise bad(f"{reader.path} has {count:,} entries for {name}, which has {size:,} weights")
    codebook = reader.take(f"the codebook of {name}", "<f4", CODEBOOK)
    bias = reader.take(f"the bias of {name}", "<f4", shape[0])
    codes = reader.take(f"the codes of {name}", "u1", count)
    packed = reader.take(f"the gaps of {name}", "u1", (count - 1) // 2 + 1)
    gaps = np.stack((packed & 15, packed >> 4), axis=1).reshape(-1)[:count]
    places = np.cumsum(gaps, dtype=np.int64) + np.arange(count)
    if places[-1] >= size:
        raise bad(f"{reader.path} has entries behind the end of {name}")
    flat = np.full(size, codebook[0], dtype=np.float32)
    flat[places] = codebook[codes]
    return flat.reshape(shape), bias.astype(np.float32)
