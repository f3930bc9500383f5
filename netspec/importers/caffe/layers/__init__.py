"""Caffe's layer types, one family a file: each type has one rule, which adds the layer's nodes.

activation           functions of each element, softmax and argmax
combining            layers of several bottoms, and those that copy
convolution          convolutions and InnerProduct
data                 sources of data
dense_block          DenseBlock, a fork's layer that stands for many
normalization        normalizations, learned factors and shifts
pooling              poolings
rearranging          layers that move or select elements, Reduction
resizing             interpolation and unpooling
without_counterpart  types without a rule, and why
registry             the table of rules, and the decorator that fills it
folded, window_fields  what several families need

A new layer type is a rule in its family, its fields in `schema`, and a case of test_layers.py.
"""

from netspec.importers.caffe.layers import (
    activation,
    combining,
    convolution,
    data,
    dense_block,
    normalization,
    pooling,
    rearranging,
    resizing,
)
from netspec.importers.caffe.layers.registry import RULES, Rule
from netspec.importers.caffe.layers.without_counterpart import (
    REASONS,
    is_measure,
    makes_boxes,
    only_measures,
)

__all__ = [
    "REASONS",
    "RULES",
    "Rule",
    "activation",
    "combining",
    "convolution",
    "data",
    "dense_block",
    "is_measure",
    "makes_boxes",
    "normalization",
    "only_measures",
    "pooling",
    "rearranging",
    "resizing",
]
