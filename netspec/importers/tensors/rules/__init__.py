"""How each operation of a program becomes nodes: a rule for each kind, by the vocabulary.

In:  the translation so far, and an operation.
Out: nodes in its graph, and the views of the operation's results.
"""

from __future__ import annotations

from netspec.importers.tensors.rules import (
    arithmetic,
    elementwise,
    norms,
    pooling,
    reshaping,
    weighted,
)
from netspec.importers.tensors.rules.registry import RULES

__all__ = ["RULES", "arithmetic", "elementwise", "norms", "pooling", "reshaping", "weighted"]
