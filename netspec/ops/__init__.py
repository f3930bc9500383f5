"""The ops of the language, one family a file; each is declared once, here."""

from netspec.ops.activation import Dropout, Relu, Softmax
from netspec.ops.base import (
    OPS,
    Attr,
    Elementwise,
    Op,
    Reach,
    Shape,
    ShapeError,
    Tensor,
    attributes,
    text,
)
from netspec.ops.combining import Add, Concat, Flatten
from netspec.ops.convolution import Conv, Linear
from netspec.ops.normalization import BatchNorm
from netspec.ops.pooling import AvgPool, GlobalAvgPool, MaxPool

__all__ = [
    "OPS",
    "Add",
    "Attr",
    "AvgPool",
    "BatchNorm",
    "Concat",
    "Conv",
    "Dropout",
    "Elementwise",
    "Flatten",
    "GlobalAvgPool",
    "Linear",
    "MaxPool",
    "Op",
    "Reach",
    "Relu",
    "Shape",
    "ShapeError",
    "Softmax",
    "Tensor",
    "attributes",
    "text",
]
