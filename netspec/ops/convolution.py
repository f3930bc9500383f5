"""Layers that multiply by learned weights: convolutions and linear layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Literal, Self, cast

from netspec.ops.attribute_types import (
    Flag,
    Groups,
    Integer,
    Padding,
    Pads,
    Pair,
)
from netspec.ops.base import (
    Family,
    Saved,
    Shape,
    ShapeError,
    Tensor,
    Weighted,
    attr,
    nearest_divisor,
    op,
    spatial,
    text,
)
from netspec.ops.initializers import UNIFORM
from netspec.ops.reads import ReceptiveField
from netspec.ops.window import Windowed, extent, same_pads, slide

CONVOLUTION = Family(
    "convolution",
    "Layers that multiply by learned weights: convolutions and linear layers.",
)


class _Grouped(Windowed, Weighted):
    """What convolutions share."""

    filters: int
    groups: int | Literal["depthwise"]

    @property
    def group_count(self) -> int:
        """The number of groups, on a bound op."""
        return cast(int, self.groups)

    def _groups(self, channels: int) -> int:
        """The number of groups. Raises ShapeError where it does not divide all channels."""
        groups = channels if self.groups == "depthwise" else self.groups
        for count, what in ((channels, "input channels"), (self.filters, "filters")):
            if count % groups:
                at = "filters" if self.groups == "depthwise" else "groups"
                raise ShapeError(
                    "groups-mismatch",
                    f"{groups} groups do not divide the {count} {what} of {self.keyword}",
                    at,
                    nearest_divisor(groups, channels, self.filters),
                )
        return groups


@op("conv", CONVOLUTION)
class Conv(_Grouped):
    """A 2-D convolution (cross-correlation) with a bias per filter.

    The output is filters x height x width with, along each direction,
    floor((input + pads - dilation * (kernel - 1) - 1) / stride) + 1.
    """

    foreign_names = ("Convolution",)
    overwritable = True

    example = "conv1: conv { filters: 128  kernel: 3x3  pad: 1 }"

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

    def bind(self, inputs: Sequence[Shape]) -> Self:
        channels, height, width = spatial(inputs[0], "conv")
        pad = self.pad
        if pad == "same":
            pad = same_pads((height, width), self.kernel, self.stride, self.dilation)
        return self.with_attributes(groups=self._groups(channels), pad=pad)

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        _, height, width = spatial(inputs[0], "conv")
        size = slide("conv", (height, width), self.kernel, self.stride, self.pads, self.dilation)
        return ((self.filters, *size),)

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        per_group = inputs[0][0] // self.group_count
        tensors = {"weight": Tensor((self.filters, per_group, *self.kernel), init=self.init)}
        if self.bias:
            tensors["bias"] = Tensor((self.filters,), init=self.begun_bias)
        return tensors

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        return self.saved_input(inputs[0])

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        per_output = inputs[0][0] // self.group_count * prod(self.kernel)
        return prod(outputs[0]) * per_output


@op("conv_transpose", CONVOLUTION)
class ConvTranspose(_Grouped):
    """A transposed 2-D convolution: each input element adds its weighted filter to the output.

    The output is filters x height x width with, along each direction,
    (input - 1) * stride - pads + dilation * (kernel - 1) + 1 + output_pad.
    Dumoulin and Visin 2016 (arXiv:1603.07285), chapter 4.
    """

    foreign_names = (
        "ConvTranspose2d",
        "ConvolutionTranspose",
        "Deconvolution",
        "Deconv",
    )
    short_name = "deconv"
    overwritable = True

    example = "conv_transpose { filters: 32  kernel: 4x4  stride: 2  pad: 1 }"

    filters: int = attr(Integer(), "channels of the output")
    kernel: tuple[int, int] = attr(Pair(), "height and width of a filter")
    stride: tuple[int, int] = attr(Pair(), "step of the window in the output", default=(1, 1))
    pad: Pads | Literal["same"] = attr(
        Padding(),
        "what is cut off around the output; `same`: output = input * stride",
        default=(0, 0, 0, 0),
    )
    output_pad: tuple[int, int] = attr(
        Pair(0), "rows and columns added below and on the right", default=(0, 0)
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

    def bind(self, inputs: Sequence[Shape]) -> Self:
        channels, _, _ = spatial(inputs[0], "conv_transpose")
        for extra, stride, dilation in zip(
            self.output_pad, self.stride, self.dilation, strict=True
        ):
            if extra >= max(stride, dilation):
                raise ShapeError(
                    "out-of-range",
                    f"an output_pad of {extra} adds rows that no input reaches: "
                    f"it must be below the stride or the dilation, here {max(stride, dilation)}",
                    "output_pad",
                )
        pad = self._same() if self.pad == "same" else self.pad
        return self.with_attributes(groups=self._groups(channels), pad=pad)

    def _same(self) -> Pads:
        """The padding after which output = input * stride; an odd element goes from the end."""
        pads: list[int] = []
        for k, s, d, extra in zip(
            self.kernel, self.stride, self.dilation, self.output_pad, strict=True
        ):
            total = extent(k, d) + extra - s
            if total < 0:
                raise ShapeError(
                    "out-of-range",
                    f"`pad: same` needs a kernel that spans the stride, but {extent(k, d)} "
                    f"is less than {s}",
                    "pad",
                    f"`output_pad: {s - extent(k, d)}` with `pad: 0` gives output = input * stride",
                )
            pads += [total // 2, total - total // 2]
        top, bottom, left, right = pads
        return top, bottom, left, right

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        _, *size = spatial(inputs[0], "conv_transpose")
        result = []
        for i, n in enumerate(size):
            before, after = self.pads[2 * i : 2 * i + 2]
            span = extent(self.kernel[i], self.dilation[i]) + self.output_pad[i]
            result.append((n - 1) * self.stride[i] + span - before - after)
        if min(result) < 1:
            raise ShapeError(
                "pad-too-large",
                f"the pad of conv_transpose leaves nothing of {size[0]}x{size[1]}",
                "pad",
            )
        return ((self.filters, *result),)

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        per_group = self.filters // self.group_count
        tensors = {"weight": Tensor((inputs[0][0], per_group, *self.kernel), init=self.init)}
        if self.bias:
            tensors["bias"] = Tensor((self.filters,), init=self.begun_bias)
        return tensors

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        per_input = self.filters // self.group_count * prod(self.kernel)
        return prod(inputs[0]) * per_input

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        return self.reached()


@op("linear", CONVOLUTION)
class Linear(Weighted):
    """A fully connected layer: units weighted sums of all inputs, with a bias each."""

    foreign_names = (
        "InnerProduct",
        "FullyConnected",
        "FC",
        "Dense",
        "Gemm",
    )
    short_name = "fc"
    overwritable = True
    default_init = UNIFORM

    example = "flatten -> linear { units: 10 }"

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
        tensors = {"weight": Tensor((self.units, inputs[0][0]), init=self.init)}
        if self.bias:
            tensors["bias"] = Tensor((self.units,), init=self.begun_bias)
        return tensors

    def macs(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> int:
        return inputs[0][0] * self.units
