"""All tensors of a net, pruned and quantized as a plan says."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from netspec.compression.codebooks import Start, quantized
from netspec.compression.pruning import pruned
from netspec.diagnostics import spec_error
from netspec.ir import FlatLayer, Net
from netspec.lazy_dataclasses import dataclass
from netspec.metrics.compression import CODEBOOK_BITS, Compressed, Compression, kept
from netspec.weights.array import Array
from netspec.weights.nsz_file import CodedTensor, nsz_bytes

HALF = 16


@dataclass(frozen=True, eq=False)
class CompressedTensors:
    """Tensors by name: coded ones, and floats; those in `halves` are kept in 16 bits."""

    tensors: Mapping[str, Array | CodedTensor]
    halves: frozenset[str]

    def content(
        self,
        net: str = "",
        about: Mapping[str, str] | None = None,
        sizes: dict[str, int] | None = None,
    ) -> bytes:
        """The `.nsz` file of the tensors; the bytes of each tensor's data are put into `sizes`."""
        return nsz_bytes(self.tensors, net, about, self.halves, sizes)


def compressed(
    net: Net,
    arrays: Mapping[str, Array],
    plan: Compression,
    start: Start = "density",
    exact: bool = False,
) -> CompressedTensors:
    """The tensors of a net, compressed. `exact` keeps biases, norms and codebooks as float32.

    Raises SpecError (bad-option) for a number of bits that no weight of a file can have.
    """
    tensors: dict[str, Array | CodedTensor] = dict(arrays)
    halves = frozenset() if exact else frozenset(arrays)
    for layer, part, names in weights_of(net, plan):
        if CODEBOOK_BITS < part.bits != HALF and part.bits != 32:
            message = f"{layer.path} can't have {part.bits} bits: a file has 1 to 8, 16 or 32"
            raise spec_error("bad-option", message)
        for name in names:
            weight = np.asarray(arrays[name], np.float32)
            weight = pruned(weight, kept(part.sparsity, weight.size))
            coded = part.bits <= CODEBOOK_BITS
            tensors[name] = quantized(weight, part.bits, start) if coded else weight
            halves = halves | {name} if part.bits == HALF else halves
            halves = halves - {name} if part.bits > HALF else halves
    return CompressedTensors(tensors, halves)


def weights_of(net: Net, plan: Compression) -> Iterator[tuple[FlatLayer, Compressed, list[str]]]:
    """Each layer with weights that can be compressed, what the plan has for it, and their names."""
    for layer in net.layers:
        part = plan.of(net, layer)
        if part.weights:
            owned = layer.tensors.items()
            local = [n for n, t in owned if t.learnable and len(t.shape) > 1]
            yield layer, part, [f"{layer.path}.{name}" for name in local]
