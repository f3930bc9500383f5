"""The order of numbers in a .weights file of Darknet, as its cfg says it."""

from __future__ import annotations

from math import prod
from typing import Literal

from netspec.lazy_dataclasses import dataclass

Part = Literal["bias", "scales", "mean", "variance", "weight"]


@dataclass(frozen=True)
class LayerNumbers:
    """The numbers of one layer: its weights of this shape, a bias or a batch norm of its outputs.

    Those of a `dense` layer come behind its bias and in front of the rest of its batch norm;
    `turned` has inputs before outputs.
    """

    shape: tuple[int, ...]
    normal: bool
    dense: bool
    turned: bool

    @property
    def parts(self) -> tuple[tuple[Part, int], ...]:
        """Each part with its count of numbers, in the order of the file (parser.c)."""
        outputs, weights = self.shape[0], ("weight", prod(self.shape))
        norm: tuple[tuple[Part, int], ...] = (
            (("scales", outputs), ("mean", outputs), ("variance", outputs)) if self.normal else ()
        )
        first: tuple[tuple[Part, int], ...] = (("bias", outputs),)
        last: tuple[tuple[Part, int], ...] = (("weight", weights[1]),)
        return first + last + norm if self.dense else first + norm + last


@dataclass(frozen=True)
class DarknetOrigin:
    """The layer whose numbers a tensor has, the part of it, and the blocks of the whole file."""

    number: int
    part: Part
    blocks: tuple[LayerNumbers, ...]
