"""The ops: attributes, tensors, traits, documentation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netspec.ops import Shape, Tensor, attr, op
from netspec.ops.activation import ACTIVATION, Activation
from netspec.ops.attribute_types import RealNumber


@op("squareplus", ACTIVATION)
class SquarePlus(Activation):
    """(x + sqrt(x * x + b)) / 2.

    Barron 2021 (arXiv:2112.11687).
    """

    monotone = True
    example = "squareplus { b: 4 }"

    b: float = attr(RealNumber(least=0), "how far the result is from relu near 0", default=4.0)


@op("snake", ACTIVATION)
class Snake(Activation):
    """x + sin(a * x) * sin(a * x) / a, with a learned number a for each channel.

    Ziyin et al. 2020 (arXiv:2006.08195).
    """

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        return {"weight": Tensor((inputs[0][0],), init=1)}
