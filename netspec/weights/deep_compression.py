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
from netspec.util.atomic_write import unwritable, write_bytes
from netspec.weights.array import Array
from netspec.weights.file_checks import file_size, unreadable
from netspec.weights.nsz_file import CodedTensor, coded, values_of

CODEBOOK = 256
"""Values in a layer's codebook, the first of them 0."""


def read(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Array]:
    """The weights of a net as `read_coded` finds them, float32."""
    return values_of(read_coded(path, tensors))


def read_coded(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Array | CodedTensor]:
    """The tensors of a net with these, by name, of their shapes; weights with their codebooks.

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
    weights: dict[str, Array | CodedTensor] = {}
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
) -> tuple[CodedTensor, Array]:
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
    dense = np.zeros(size, np.uint8)
    dense[places] = codes
    return (
        CodedTensor(codebook.astype(np.float32), dense.reshape(shape)),
        biases.astype(np.float32).reshape(bias_shape),
    )


# --- writing -------------------------------------------------------------------------------------


def write(path: Path, arrays: Mapping[str, Array | CodedTensor]) -> None:
    """Write an archive, whole or not at all. Raises SpecError (unwritable-file).

    Each weight must have a bias and at most 256 values, 0 counted. Codebooks that are shorter are
    filled with 0.
    """
    heads, layers = [], []
    for name in arrays:
        if not name.endswith(".weight"):
            if name.removesuffix(".bias") + ".weight" not in arrays or not name.endswith(".bias"):
                raise unwritable(path, f"it holds weights with their biases alone, and no {name}")
            continue
        tensor, bias = arrays[name], arrays.get(f"{name.removesuffix('.weight')}.bias")
        found = tensor if isinstance(tensor, CodedTensor) else coded(tensor)
        if bias is None or isinstance(bias, CodedTensor):
            raise unwritable(path, f"it pairs weights and biases, and {name} has none")
        if found is None:
            raise unwritable(
                path, f"it holds at most {CODEBOOK} values of a tensor, and {name} has more"
            )
        entries, data = _entries(found)
        heads.append(entries)
        codebook = np.zeros(CODEBOOK, "<f4")
        codebook[: len(found.codebook)] = found.codebook
        layers += [codebook.tobytes(), bias.astype("<f4").tobytes(), data]
    write_bytes(path, np.array(heads, "<u4").tobytes() + b"".join(layers))


def _entries(tensor: CodedTensor) -> tuple[int, bytes]:
    """The number of entries of a weight, and their codes and gaps.

    What is not stored is 0, so more than 15 such places in a row have entries of code 0 between.
    """
    dense = tensor.codes.reshape(-1)
    places = np.flatnonzero(dense)
    if not len(places):
        places = np.zeros(1, np.int64)  # an archive has no layer without entries
    zeros = np.diff(places, prepend=-1) - 1
    fillers = zeros // 16
    last = np.cumsum(fillers + 1) - 1
    gaps = np.full(int(last[-1]) + 1, 15, np.uint8)
    gaps[last] = zeros % 16
    codes = np.zeros(len(gaps), np.uint8)
    codes[last] = dense[places]
    pairs = np.append(gaps, np.zeros(len(gaps) % 2, np.uint8)).reshape(-1, 2)
    return len(codes), codes.tobytes() + (pairs[:, 0] | pairs[:, 1] << 4).tobytes()
