"""Caffe's layer types, one family a file; each is declared once, here."""

from netspec.importers.caffe.layers import (
    activation,
    combining,
    convolution,
    data,
    normalization,
    pooling,
    rearranging,
    resizing,
)
from netspec.importers.caffe.layers.base import RULES, Rule

__all__ = [
    "RULES",
    "Rule",
    "activation",
    "combining",
    "convolution",
    "data",
    "normalization",
    "pooling",
    "rearranging",
    "resizing",
]
