"""Values that are learned, and made of no other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

from netspec.ops.attribute_types import Dimensions
from netspec.ops.base import Family, Learned, Op, Shape, ShapeError, Tensor, attr, op
from netspec.ops.reads import NOTHING, ReceptiveField

CONSTANT = Family("constant", "Values that are learned, and made of no other.")


@op("parameter", CONSTANT)
class LearnedValue(Learned, Op):
    """A learned constant of a given shape, the same for every picture.

    `add`, `mul` and their like take it together with another value: numbers for each place that
    are added (positions), a factor for each channel (layer scale, Touvron et al. 2021,
    arXiv:2103.17239). It begins with zeros unless `init` says otherwise. Of the value that flows
    in, only how many pictures it has matters.
    """

    saves = "nothing"
    is_view = True
    foreign_names = ("PositionalEmbedding", "PosEmbed", "LayerScale")

    example = (
        "gamma: parameter { shape: [64, 1, 1]  init: constant(1e-6) }\n"
        "branch: conv(x) { filters: 64  kernel: 3x3  pad: 1 }\n"
        "mul(branch, gamma)"
    )

    shape: tuple[int, ...] = attr(Dimensions(open=False), "the shape of the constant")

    def bind(self, inputs: Sequence[Shape]) -> Self:
        if self.init is not None and self.init.law not in ("normal", "uniform", "constant"):
            raise ShapeError(
                "unknown-value",
                f"{self.init} depends on how many inputs a layer adds up, and parameter has none",
                "init",
                "write `constant(c)`, `normal(deviation)` or `uniform(a, b)`",
            )
        return self

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        return (self.shape,)

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        return {"weight": Tensor(self.shape, init=self.begun(0))}

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        return ReceptiveField(NOTHING, NOTHING) if len(self.shape) == 3 else None
