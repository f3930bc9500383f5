"""A little net's tensors, and what an error looks like."""

from __future__ import annotations

import pytest

from netspec.diagnostics import Diagnostic, SpecError
from netspec.ops import Tensor

WANTED = {
    "a.weight": Tensor((4, 3, 3, 3)),
    "a.bias": Tensor((4,), init=0),
    "b.weight": Tensor((2, 4, 1, 1)),
    "b.bias": Tensor((2,), init=0),
}


def only(error: pytest.ExceptionInfo[SpecError], code: str) -> Diagnostic:
    """The one diagnostic of an error, which has this code."""
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.code == code
    return diagnostic
