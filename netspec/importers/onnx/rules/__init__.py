"""The rule of each operator, by subject.

windows      convolutions and poolings
products     matrix products
normalizing  normalizations
arithmetic   activations, arithmetic, reductions
layout       shapes, parts and orders of elements
resizing     Resize and Upsample
"""

from netspec.importers.onnx.rules import (
    arithmetic,
    layout,
    normalizing,
    products,
    resizing,
    windows,
)

__all__ = ["arithmetic", "layout", "normalizing", "products", "resizing", "windows"]
