"""Weight files: reading, fitting to a net, writing. Of pickle only tensors are read, by torch."""

from netspec.weights.caffe import read_caffe, turned, write_caffe
from netspec.weights.deep_compression import read as read_deep_compression
from netspec.weights.files import read, write
from netspec.weights.initialize import fresh
from netspec.weights.matching import Adapted, adapt
from netspec.weights.validate import check

__all__ = [
    "Adapted",
    "adapt",
    "check",
    "fresh",
    "read",
    "read_caffe",
    "read_deep_compression",
    "turned",
    "write",
    "write_caffe",
]
