"""Makes the weights of a net small: pruning, codebooks, a `.nsz` file.

In:  a net, its weights, how much to prune and in how many bits to store (metrics.Compression).
Out: tensors of few values (`weights.nsz_file.CodedTensor`), and what each layer takes.

pruning     which weights are left out
codebooks   a few values that stand for all of a weight's
tensors     all tensors of a net, compressed
targets     the pruning that makes a file of a given size

Follows Deep Compression (Han et al. 2016, arXiv:1510.00149); retraining is netspec.training's.
"""

from netspec.compression.codebooks import Start, quantized
from netspec.compression.pruning import pruned
from netspec.compression.targets import for_size
from netspec.compression.tensors import CompressedTensors, compressed

BITS = 6
"""Bits of a weight where none are said."""

__all__ = [
    "BITS",
    "CompressedTensors",
    "Start",
    "compressed",
    "for_size",
    "pruned",
    "quantized",
]
