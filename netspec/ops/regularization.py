"""What acts while training only."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.ops.attribute_types import Flag, RealNumber
from netspec.ops.base import Elementwise, Family, Shape, attr, op, spatial

REGULARIZATION = Family("regularization", "What acts while training only.", follows=True)


@op("dropout", REGULARIZATION)
class Dropout(Elementwise):
    """Zeroes elements at random while training and scales up the rest; else passes x on.

    `spatial` zeroes whole channels: Tompson et al. 2014 (arXiv:1411.4280, section 3.2).
    """

    monotone = True
    training_only = True

    example = "dropout { ratio: 50% }"

    ratio: float = attr(
        RealNumber(0, 1, below=True), "share of elements that are zeroed", default=0.5
    )
    spatial: bool = attr(Flag(), "whether channels are zeroed as a whole", default=False)

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        if self.spatial:
            spatial(inputs[0], "spatial dropout")
        return (inputs[0],)
