"""PyTorch's exported programs, read as specs.

In:  a `.pt2` file (`torch.export.save`), read without PyTorch, or a module that PyTorch traces.
Out: an `ImportedNet`, the origins of its tensors in the file or in the module.

archive    the zip file: its JSON, its tensors; pickled ones are refused
schema     the JSON of an exported program
traced     a module, traced by torch.export
exported   what both give: calls of operators, tensors by name
listing    an exported program as a text, which diagnostics point into
program    an exported program as a `tensors.program.TensorProgram`
arguments  what the rule of an operator is given, and how it adds operations
operators  what each operator of ATen is in that vocabulary
folding    operators of constants, computed
"""

from __future__ import annotations

from netspec.importers.torch.read_model import read, read_module

__all__ = ["read", "read_module"]
