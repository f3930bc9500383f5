"""Poolings: windows that keep the largest value or the mean."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import ClassVar, Literal, Self

from netspec.ops.attribute_types import (
    Flag,
    OneOf,
    Padding,
    Pads,
    Pair,
    RealNumber,
)
from netspec.ops.base import (
    Family,
    IndexShape,
    Op,
    Saved,
    Shape,
    ShapeError,
    attr,
    op,
    spatial,
    text,
)
from netspec.ops.reads import Range, ReceptiveField
from netspec.ops.window import Rounding, Windowed, extent, same_pads, slide

INDEX_BYTES = 8
"""Of an index in PyTorch."""

POOLING = Family("pooling", "Poolings: windows that keep the largest value or the mean.")


class _Pool(Windowed):
    """What the windowed poolings share."""

    round: Rounding | None

    @property
    def rounding(self) -> Rounding:
        """How the window count is rounded, on a bound op."""
        return self.round or "floor"

    def bind(self, inputs: Sequence[Shape]) -> Self:
        _, height, width = spatial(inputs[0], self.keyword)
        size = (height, width)
        pad = self.pad
        if pad == "same":
            pad = same_pads(size, self.kernel, self.stride, self.dilation)
        for k, d, before, after in zip(
            self.kernel, self.dilation, pad[::2], pad[1::2], strict=True
        ):
            if max(before, after) >= extent(k, d):
                raise ShapeError(
                    "pad-too-large",
                    f"a pad of {max(before, after)} gives {self.keyword} windows of "
                    f"{extent(k, d)} that hold nothing but padding",
                    "pad",
                )
        bound = self.with_attributes(pad=pad, round=self.round or "floor")
        if self.round is None:
            floor = bound._size(size, "floor")
            ceil = bound._size(size, "ceil")
            if floor != ceil:
                raise ShapeError(
                    "ambiguous-rounding",
                    f"{self.keyword} on {height}x{width} is {floor[0]}x{floor[1]} rounded down "
                    f"and {ceil[0]}x{ceil[1]} rounded up",
                    None,
                    "say `round: floor` (the rule of PyTorch) or `round: ceil` (the rule of Caffe)",
                )
        return bound

    def padded_by_torch(self) -> bool:
        small = all(p <= k // 2 for p, k in zip(self.pads[::2], self.kernel, strict=True))
        return small and super().padded_by_torch()

    def padded(self, shape: Shape) -> Pads:
        if self.rounding == "floor":
            return self.pads
        # No more than the last window reaches.
        pads: list[int] = []
        counts = self._size((shape[1], shape[2]), "ceil")
        windows = zip(counts, self.stride, self.extents, shape[1:], strict=True)
        for (count, stride, span, length), i in zip(windows, (0, 2), strict=True):
            before, after = self.pads[i : i + 2]
            pads += [before, min(after, (count - 1) * stride + span - length - before)]
        top, bottom, left, right = pads
        return top, bottom, left, right

    def _size(self, size: tuple[int, int], rounding: Rounding) -> tuple[int, int]:
        return slide(
            self.keyword, size, self.kernel, self.stride, self.pads, self.dilation, rounding
        )

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        channels, height, width = spatial(inputs[0], self.keyword)
        return ((channels, *self._size((height, width), self.rounding)),)


_ROUND_DOC = "how a last, partial window counts; needed only where it changes the result"


@op("maxpool", POOLING)
class MaxPool(_Pool):
    """The largest value of each window; `indices` says where in the input it stood.

    The window formula is that of conv, rounded as `round` says; `ceil` drops a last window that
    would start behind the input and its first padding. Padding never wins.
    """

    foreign_names = ("MaxPooling",)
    short_name = "pool"

    example = "maxpool { kernel: 3x3  stride: 2  round: ceil }"

    results = ("value", "indices")

    kernel: tuple[int, int] = attr(Pair(), "height and width of the window")
    stride: tuple[int, int] = attr(Pair(), "step of the window", default="=kernel")
    pad: Pads | Literal["same"] = attr(Padding(), "padding around the input", default=(0, 0, 0, 0))
    dilation: tuple[int, int] = attr(Pair(), "distance of neighbours in the window", default=(1, 1))
    round: Rounding | None = attr(OneOf(("floor", "ceil")), _ROUND_DOC, default=None)

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        (shape,) = super().outputs(inputs)
        _, height, width = inputs[0]
        return shape, IndexShape.of(shape, (height, width), self)

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        return self.saved_input(inputs[0])._replace(results=(1,))


@op("avgpool", POOLING)
class AvgPool(_Pool):
    """The mean of each window.

    Rounds as maxpool does. A window that hangs over the end of the padded input is divided by what
    it holds; `count_include_pad` says whether padding is part of that.
    """

    foreign_names = ("AvgPooling", "AveragePool", "AveragePooling")
    short_name = "pool"

    example = "avgpool { kernel: 2x2 }"

    dilation: ClassVar[tuple[int, int]] = (1, 1)  # type: ignore[misc]

    kernel: tuple[int, int] = attr(Pair(), "height and width of the window")
    stride: tuple[int, int] = attr(Pair(), "step of the window", default="=kernel")
    pad: Pads | Literal["same"] = attr(Padding(), "zeros around the input", default=(0, 0, 0, 0))
    round: Rounding | None = attr(OneOf(("floor", "ceil")), _ROUND_DOC, default=None)
    count_include_pad: bool | None = attr(
        Flag(),
        "whether padding counts as elements of the mean; needed where there is a pad",
        default=None,
    )

    def bind(self, inputs: Sequence[Shape]) -> Self:
        bound = super().bind(inputs)
        if self.count_include_pad is None and bound._meets_padding(inputs[0]):
            raise ShapeError(
                "ambiguous-average",
                "avgpool must say whether padding counts in the mean",
                "pad",
                "say `count_include_pad: true` (the rule of Caffe and PyTorch) or "
                "`count_include_pad: false`",
            )
        return bound.with_attributes(count_include_pad=bool(self.count_include_pad))

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        found = self.saved_input(inputs[0])
        if found.inputs or self.count_include_pad:
            return found
        return found._replace(own=found.own + 4 * prod(map(int, outputs[0])))  # what it divides by

    def _meets_padding(self, shape: Shape) -> bool:
        """Whether any window of the bound op holds padding."""
        _, *counts = self.outputs([shape])[0]
        for i, (size, count) in enumerate(zip(shape[1:], counts, strict=True)):
            before, after = self.pads[2 * i : 2 * i + 2]
            end = (count - 1) * self.stride[i] + self.kernel[i] - before
            if before or (after and end > size):
                return True
        return False


@op("global_avgpool", POOLING)
class GlobalAvgPool(Op):
    """The mean over height and width: a plain vector of one number per channel."""

    foreign_names = ("GlobalAveragePool", "GlobalAveragePooling", "GAP")
    short_name = "pool"
    saves = "nothing"

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        channels, _, _ = spatial(inputs[0], "global_avgpool")
        return ((channels,),)


@op("global_maxpool", POOLING)
class GlobalMaxPool(Op):
    """The largest value over height and width: a plain vector of one number per channel."""

    foreign_names = ("GlobalMaxPooling",)

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        channels, _, _ = spatial(inputs[0], "global_maxpool")
        return ((channels,),)

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        return Saved((0,), (0,))


class _AdaptivePool(Op):
    """What the poolings share whose windows follow from the size of the result."""

    short_name = "pool"

    size: tuple[int, int]

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        channels, _, _ = spatial(inputs[0], self.keyword)
        return ((channels, *self.size),)

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        height, width = (
            None if n == 1 else Range(int(m), 0, int(m) - 1, int(n))
            for m, n in zip(inputs[0][1:], self.size, strict=True)
        )
        return ReceptiveField(height, width)


@op("adaptive_avgpool", POOLING)
class AdaptiveAvgPool(_AdaptivePool):
    """The mean of each of height x width nearly equal parts of the input.

    Part i of n in a direction of m elements is i * m // n to ceil((i + 1) * m / n); neighbours
    share an element where n does not divide m (the rule of PyTorch).
    """

    example = "adaptive_avgpool { size: 7x7 }"

    size: tuple[int, int] = attr(Pair(), "height and width of the output")

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        # Of a single part, PyTorch takes the mean.
        return Saved() if tuple(self.size) == (1, 1) else Saved((0,))


@op("adaptive_maxpool", POOLING)
class AdaptiveMaxPool(_AdaptivePool):
    """The largest value of each of height x width nearly equal parts of the input.

    The parts are those of `adaptive_avgpool`.
    """

    example = "adaptive_maxpool { size: 7x7 }"

    size: tuple[int, int] = attr(Pair(), "height and width of the output")

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        return Saved((0,), own=INDEX_BYTES * prod(map(int, outputs[0])))


@op("roi_pool", POOLING)
class RoiPool(Op):
    """The largest value of each of height x width parts of regions of the first input.

    The second input holds the regions: 4xRx1 for R of them, or 4xHxW, each picture its own. Its
    channels are left, top, right and bottom; times `scale` and rounded (halves up) they are places
    of the first input, and both ends belong to the region. What a region comes to, channels
    outermost, are the channels of its place in the result, so that a `conv { kernel: 1 }` behind it
    does what a linear layer does on each region. Parts outside of the input are 0. Girshick 2015
    (arXiv:1504.08083, section 2.1).
    """

    foreign_names = ("RoiPooling", "MaxRoiPool")
    short_name = "roi_pool"
    arity = (2, 2)
    equal_inputs = None

    example = (
        "input x: 64x56x56\n"
        "input regions: 4x100x1\n"
        "roi_pool(x, regions) { size: 7x7  scale: 1/4 } -> conv { filters: 256  kernel: 1 }"
    )

    size: tuple[int, int] = attr(Pair(), "how many parts each region is cut into")
    scale: float = attr(
        RealNumber(positive=True), "factor from coordinates of regions to those of x", default=1.0
    )

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        channels, _, _ = spatial(inputs[0], "roi_pool")
        coordinates, *places = spatial(inputs[1], "roi_pool", 1)
        if coordinates != 4:
            raise ShapeError(
                "shape-mismatch",
                f"the regions of roi_pool are 4xRx1 (left, top, right, bottom), not "
                f"{text(inputs[1])}",
            )
        return ((channels * self.size[0] * self.size[1], *places),)

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        # Maxima of 2**i x 2**j elements, each of two of the ones before; four of them make a part.
        channels, height, width = map(int, inputs[0])
        rows, columns = height.bit_length(), width.bit_length()
        maxima = (3 * columns - 1) * rows * channels * height * width
        places = prod(map(int, (*self.size, *inputs[1][1:])))
        return Saved((0,), own=4 * maxima + (4 * INDEX_BYTES + 20 * channels + 1) * places)

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        return None
