"""Activations and what else works on single elements or over channels."""

from __future__ import annotations

from typing import ClassVar

from netspec.ops.base import Elementwise, attr, op
from netspec.ops.kinds import Number


@op("relu")
class Relu(Elementwise):
    """max(x, 0)."""


@op("softmax")
class Softmax(Elementwise):
    """exp(x), divided by its sum over the channels."""


@op("dropout")
class Dropout(Elementwise):
    """Zeroes elements at random while training and scales up the rest; else passes x on."""

    example: ClassVar[str] = "dropout { ratio: 50% }"

    ratio: float = attr(Number(0, 1, below=True), "share of elements that are zeroed", default=0.5)
