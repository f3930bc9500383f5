"""Ops that keep one number of several channels or places."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from netspec.ops.attribute_types import OneOf
from netspec.ops.base import Family, Op, Shape, attr, op, spatial
from netspec.ops.reads import ReceptiveField

REDUCING = Family("reducing", "Ops that keep one number of several channels or places.")


@op("argmax", REDUCING)
class ArgMax(Op):
    """Which channel has the largest value, counted from 0, at each place; the first of equal ones.

    The result has one channel, of numbers like the input's.
    """

    saves = "nothing"
    same_on_vectors = True

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        return ((1, *inputs[0][1:]),)


Across = Literal["channels", "spatial"]
ACROSS = OneOf(("channels", "spatial"))


class _Reduction(Op):
    """What keeps one number of all channels, or of all places."""

    saves = "nothing"

    across: Across

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        if self.across == "channels":
            return ((1, *inputs[0][1:]),)
        channels, _, _ = spatial(inputs[0], self.keyword)
        return ((channels, 1, 1),)

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        return None if self.across == "spatial" else super().receptive_field(inputs, outputs)


@op("mean", REDUCING)
class Mean(_Reduction):
    """The mean over the channels of each place, or over height and width of each channel.

    `across: channels` makes 1xHxW of CxHxW, `across: spatial` Cx1x1; `add`, `mul` and their like
    spread such a result over the whole map. `global_avgpool` is the mean over height and width as a
    plain vector.
    """

    foreign_names = ("ReduceMean",)

    example = "avg: mean { across: channels }\nsub(x, avg)"

    across: Across = attr(ACROSS, "what the mean is over")


@op("sum", REDUCING)
class Sum(_Reduction):
    """The sum over the channels of each place, or over height and width of each channel.

    Shapes are those of `mean`. The sum of several values is `add`.
    """

    foreign_names = ("ReduceSum",)

    example = "sum { across: spatial }"

    across: Across = attr(ACROSS, "what the sum is over")
