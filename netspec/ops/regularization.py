"""What acts while training only."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from netspec.ops.attribute_types import Flag, RealNumber
from netspec.ops.base import Elementwise, Family, Saved, Shape, attr, op, spatial

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

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        if not self.ratio:
            return Saved()
        # On a GPU, a mask of a byte for each element.
        return Saved(own=4 * int(inputs[0][0]) if self.spatial else prod(map(int, inputs[0])))


@op("drop_path", REGULARIZATION)
class DropPath(Elementwise):
    """Zeroes some pictures as a whole while training and scales up the rest; else passes x on.

    In front of an `add`, that leaves a residual branch out for some pictures of a batch: stochastic
    depth (Huang et al. 2016, arXiv:1603.09382).
    """

    foreign_names = ("StochasticDepth", "DropConnect")
    monotone = True
    training_only = True

    example = (
        "branch: conv(x) { filters: 64  kernel: 3x3  pad: 1 } -> drop_path { ratio: 10% }\n"
        "add(x, branch)"
    )

    ratio: float = attr(
        RealNumber(0, 1, below=True), "share of pictures for which the value is zeroed"
    )

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        return Saved(own=4 if self.ratio else 0)
