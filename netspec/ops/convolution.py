"""Layers that multiply by learned weights: convolutions and linear layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Literal, Self, cast

from netspec.ops.base import Op, Reach, Shape, ShapeError, Tensor, attr, op, spatial, text
from netspec.ops.kinds import Flag, Groups, Integer, Padding, Pads, Pair
from netspec.ops.window import same_pads, slide, window_reach


@op("conv")
class Conv(Op):
    """A 2-D convolution (cross-correlation) with a bias per filter.

    The output is filters x height x width with, along each direction,
    floor((input + pads - dilation * (kernel - 1) - 1) / stride) + 1.
    """

    filters: int = attr(Integer(), "channels of the output")
    kernel: tuple[int, int] = attr(Pair(), "height and width of a filter")
    stride: tuple[int, int] = attr(Pair(), "step of the window", default=(1, 1))
    pad: Pads | Literal["same"] = attr(
        Padding(),
        "zeros around the input; `same`: output = ceil(input / stride)",
        default=(0, 0, 0, 0),
    )
    dilation: tuple[int, int] = attr(Pair(), "distance of neighbours in a filter", default=(1, 1))
    groups: int | Literal["depthwise"] = attr(
        Groups(),
        "how many parts the channels are split into, each with filters of its own",
        default=1,
    )
    bias: bool = attr(
        Flag(), "whether a learned number is added to each filter's result", default=True
    )

    @property
    def pads(self) -> Pads:
        """Top, bottom, left, right, on a bound op."""
        return cast(Pads, self.pad)

    @property
    def group_count(self) -> int:
        """The number of groups, on a bound op."""
        return cast(int, self.groups)

    def bind(self, inputs: Sequence[Shape]) -> Self:
        channels, height, width = spatial(inputs[0], "conv")
        groups = channels if self.groups == "depthwise" else self.groups
        pad = self.pad
        if pad == "same":
            pad = same_pads((height, width), self.kernel, self.stride, self.dilation)
        for count, what in ((channels, "input channels"), (self.filters, "filters")):
            if count % groups:
                at = "filters" if self.groups == "depthwise" else "groups"
                raise ShapeError(
                    "groups-mismatch",
                    f"{groups} groups do not divide the {count} {what} of conv",
                    at,
                    _nearest_divisor(groups, channels, self.filters),
                )
        return self.with_attributes(groups=groups, pad=pad)

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        _, height, width = spatial(inputs[0], "conv")
        size = slide("conv", (height, width), self.kernel, self.stride, self.pads, self.dilation)
        return ((self.filters, *size),)

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        per_group = inputs[0][0] // self.group_count
        tensors = {"weight": Tensor((self.filters, per_group, *self.kernel))}
        if self.bias:
            tensors["bias"] = Tensor((self.filters,), init="zeros")
        return tensors

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        per_output = inputs[0][0] // self.group_count * prod(self.kernel)
        return int(prod(outputs[0]) * per_output)

    def reach(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Reach:
        return window_reach(self.kernel, self.stride, self.pads, self.dilation)


def _nearest_divisor(groups: int, *counts: int) -> str:
    """The number of groups nearest to the one given that would divide all counts."""
    from math import gcd

    common = gcd(*counts)
    divisors = [d for d in range(1, min(common, 4096) + 1) if common % d == 0]
    best = min(divisors, key=lambda d: (abs(d - groups), d))
    return f"`groups: {best}` divides both {' and '.join(str(int(c)) for c in counts)}"


@op("linear")
class Linear(Op):
    """A fully connected layer: units weighted sums of all inputs, with a bias each."""

    units: int = attr(Integer(), "length of the output")
    bias: bool = attr(Flag(), "whether a learned number is added to each result", default=True)

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        if len(inputs[0]) != 1:
            raise ShapeError(
                "wrong-rank",
                f"linear needs a plain vector, but its input is {text(inputs[0])}",
                0,
                "put `flatten` or `global_avgpool` in front of it",
            )
        return ((self.units,),)

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        tensors = {"weight": Tensor((self.units, inputs[0][0]))}
        if self.bias:
            tensors["bias"] = Tensor((self.units,), init="zeros")
        return tensors

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        return int(inputs[0][0] * self.units)
