"""Pruning and quantization: what is kept of a net's weights, and the bytes that this takes.

The storage is that of Deep Compression (Han et al. 2016, arXiv:1510.00149, section 3), before its
Huffman coding: a pruned layer stores beside each kept weight its distance from the last one, and
weights of 8 bits or less are places in a codebook of float32 values that the layer has to itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from fractions import Fraction

from netspec.ir import FlatLayer, Net
from netspec.lazy_dataclasses import dataclass

FLOAT = 32
"""Bits of a number that is not quantized."""
CODEBOOK_BITS = 8
"""Most bits of a weight that is a place in a codebook."""


@dataclass(frozen=True)
class LayerRule:
    """A number for the layers whose paths match a pattern (`*`, `?`, `[...]`).

    `NET:PATTERN` holds for the nets whose names match NET alone.
    """

    pattern: str
    number: Fraction

    def matches(self, net: str, path: str) -> bool:
        """Whether the rule holds for a layer of this path in a net of this name."""
        name, colon, pattern = self.pattern.rpartition(":")
        return (not colon or fnmatchcase(net, name)) and fnmatchcase(path, pattern)


@dataclass(frozen=True)
class Compression:
    """Pruning and quantization of convolutions and linear layers; a later rule wins.

    `sparsity` is the share of a layer's weights that are zero and not stored, `bits` the bits of
    each weight that is. `index_bits` is what a pruned layer spends on the place of a weight.
    Biases, and the parameters of all other layers, stay as they are: float32.
    """

    sparsity: tuple[LayerRule, ...] = ()
    bits: tuple[LayerRule, ...] = ()
    index_bits: int = 4

    def unmatched(self, nets: Sequence[Net]) -> tuple[str, ...]:
        """The patterns that no weight of these nets matches."""
        names = [(net.name, f.path) for net in nets for f in net.layers if weights(f)]
        return tuple(
            rule.pattern
            for rule in (*self.sparsity, *self.bits)
            if not any(rule.matches(*name) for name in names)
        )

    def of(self, net: Net, layer: FlatLayer) -> Compressed:
        """A layer after compression."""
        total = weights(layer)
        sparsity, bits = Fraction(0), FLOAT
        if total:
            sparsity = self._last(self.sparsity, net, layer, sparsity)
            bits = int(self._last(self.bits, net, layer, Fraction(bits)))
        others = layer.params - total
        return Compressed(total, others, kept(sparsity, total), sparsity, bits, self.index_bits)

    @staticmethod
    def _last(
        rules: tuple[LayerRule, ...], net: Net, layer: FlatLayer, default: Fraction
    ) -> Fraction:
        for rule in reversed(rules):
            if rule.matches(net.name, layer.path):
                return rule.number
        return default


@dataclass(frozen=True)
class Compressed:
    """A layer's weights, how many of them are kept, and its other parameters, which all are."""

    weights: int
    others: int
    kept_weights: int
    sparsity: Fraction
    bits: int
    index_bits: int

    @property
    def kept(self) -> int:
        """Parameters that are kept."""
        return self.kept_weights + self.others

    @property
    def size_bits(self) -> int:
        """Bits that the layer takes: weights, their places, the codebook, the other parameters."""
        index = self.index_bits if self.sparsity else 0
        codebook = FLOAT * 2**self.bits if self.weights and self.bits <= CODEBOOK_BITS else 0
        return self.kept_weights * (self.bits + index) + codebook + FLOAT * self.others


def kept(sparsity: Fraction, count: int) -> int:
    """How many of so many weights are kept, rounded up: at least the share that was asked for."""
    return int(-((sparsity - 1) * count // 1))


def weights(layer: FlatLayer) -> int:
    """Parameters that can be pruned and quantized: those of more than one dimension."""
    tensors = layer.tensors.values()
    return sum(int(t.size) for t in tensors if t.learnable and len(t.shape) > 1)


def size(parts: Sequence[Compressed]) -> int:
    """Bytes that compressed layers take together; a last, partial byte is whole."""
    return -(-sum(p.size_bits for p in parts) // 8)
