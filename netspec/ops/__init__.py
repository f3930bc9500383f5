"""The ops of the language, each declared once.

In:  nothing but numbers: shapes of inputs and values of attributes.
Out: op classes: attributes with their types and documentation, rules for shapes, tensors,
     multiplications and receptive fields.

base             what an op is; `Op`, `attr`, `op`, `ShapeError`
attribute_types  types of attributes: which constants of the language they take
initializers     distributions that weights are drawn from
window           what convolutions and poolings share
Every other file is a family of ops.
"""

from netspec.ops.activation import (
    Abs,
    Elu,
    Exp,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Log,
    LogSoftmax,
    Power,
    PRelu,
    Relu,
    Relu6,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Tanh,
)
from netspec.ops.base import (
    OPS,
    REQUIRED,
    Attr,
    Elementwise,
    IndexShape,
    Op,
    ReceptiveField,
    Shape,
    ShapeError,
    Tensor,
    attributes,
    like,
    text,
)
from netspec.ops.convolution import Conv, ConvTranspose, Linear
from netspec.ops.initializers import KAIMING, Init, Initial
from netspec.ops.merging import (
    Add,
    Arithmetic,
    Concat,
    Maximum,
    Mul,
    Sub,
)
from netspec.ops.normalization import BatchNorm, LayerNorm, Lrn, Normalize, Scale, Shift
from netspec.ops.pooling import AdaptiveAvgPool, AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool
from netspec.ops.reducing import ArgMax
from netspec.ops.regularization import Dropout
from netspec.ops.reshaping import (
    ChannelShuffle,
    Crop,
    Flatten,
    Identity,
    Pad,
    Permute,
    Reshape,
    Split,
)
from netspec.ops.resizing import MaxUnpool, Upsample
from netspec.ops.window import Windowed

__all__ = [
    "KAIMING",
    "OPS",
    "REQUIRED",
    "Abs",
    "AdaptiveAvgPool",
    "Add",
    "ArgMax",
    "Arithmetic",
    "Attr",
    "AvgPool",
    "BatchNorm",
    "ChannelShuffle",
    "Concat",
    "Conv",
    "ConvTranspose",
    "Crop",
    "Dropout",
    "Elementwise",
    "Elu",
    "Exp",
    "Flatten",
    "Gelu",
    "GlobalAvgPool",
    "GlobalMaxPool",
    "HardSigmoid",
    "HardSwish",
    "Identity",
    "IndexShape",
    "Init",
    "Initial",
    "LayerNorm",
    "LeakyRelu",
    "Linear",
    "Log",
    "LogSoftmax",
    "Lrn",
    "MaxPool",
    "MaxUnpool",
    "Maximum",
    "Mul",
    "Normalize",
    "Op",
    "PRelu",
    "Pad",
    "Permute",
    "Power",
    "ReceptiveField",
    "Relu",
    "Relu6",
    "Reshape",
    "Scale",
    "Shape",
    "ShapeError",
    "Shift",
    "Sigmoid",
    "Silu",
    "Softmax",
    "Softplus",
    "Split",
    "Sub",
    "Tanh",
    "Tensor",
    "Upsample",
    "Windowed",
    "attributes",
    "like",
    "text",
]
