"""Weight files: reading, matching to a net, writing.

In:  a file (.npz, .safetensors, .pt, .caffemodel, Deep Compression), the tensors of a net.
Out: NumPy arrays by the net's names; files. Of pickle only tensors are read, by torch.

loading                                   the weights of a net from a file under any names
files                                     reads and writes by suffix
npz_file, safetensors_file, torch_file,   one format each
caffemodel_file, deep_compression
matching, validate                        arrays to the tensors of a net; what does not fit
name_maps                                 what other libraries call a net's layers and tensors
trained                                   what a file of trained weights says of itself
caffe                                     from and to the layers of a caffemodel
nsz_file, nsz_reader                      weights of few values, entropy coded
small_numbers                             float16, int8 with scales
initialize                                fresh weights
array, file_checks                        the type of weights; whether a file can be read
"""

from netspec.weights.caffe import read_caffe, reverse_channels, write_caffe
from netspec.weights.deep_compression import read as read_deep_compression
from netspec.weights.files import read, write
from netspec.weights.initialize import fresh
from netspec.weights.loading import read_for, weights_for
from netspec.weights.matching import Adapted, adapt
from netspec.weights.name_maps import NameMaps, renamed_each
from netspec.weights.validate import check

__all__ = [
    "Adapted",
    "NameMaps",
    "adapt",
    "check",
    "fresh",
    "read",
    "read_caffe",
    "read_deep_compression",
    "read_for",
    "renamed_each",
    "reverse_channels",
    "weights_for",
    "write",
    "write_caffe",
]
