"""What each operator of ATen is in the vocabulary of `tensors.program`, by subject.

Arguments have the names and defaults of the operators' schemas
(aten/src/ATen/native/native_functions.yaml); those that a program leaves out have their default.

weighted    layers with weights, matrix products
pooling     poolings and reductions
arithmetic  arithmetic and activations
reshaping   shapes, orders, parts and sizes
"""

from netspec.importers.torch.arguments import CASTS, RULES, VIEWS
from netspec.importers.torch.operators import arithmetic, pooling, reshaping, weighted

assert all((arithmetic, pooling, reshaping, weighted)), "they register their rules"
__all__ = ["CASTS", "RULES", "VIEWS"]
