"""Ops that only move elements: other shapes, orders and parts of the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from math import prod
from typing import Self, cast

from netspec.ops.attribute_types import (
    DimensionOrder,
    Dimensions,
    Integer,
    OneOf,
    Padding,
    Pads,
    Pair,
    Parts,
    RealNumber,
    Section,
    Size,
)
from netspec.ops.base import (
    Elementwise,
    Family,
    KeepsShape,
    Op,
    Shape,
    ShapeError,
    attr,
    group_size,
    op,
    spatial,
    text,
)
from netspec.ops.reads import ITSELF, Range, ReceptiveField

RESHAPING = Family(
    "reshaping",
    "Ops that only move elements: other shapes, orders and parts of the same numbers.",
)


DIMENSIONS = ("channels", "height", "width")
"""What a value's dimensions are called."""


@op("identity", RESHAPING)
class Identity(Elementwise):
    """Passes x on."""

    saves = "nothing"
    is_view = True
    hands_gradient_on = True
    monotone = True
    passes_input_on = True


@op("flatten", RESHAPING)
class Flatten(Op):
    """All elements as a plain vector: channels outermost, then rows."""

    saves = "nothing"
    is_view = True
    hands_gradient_on = True

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        return ((prod(inputs[0]),),)


@op("reshape", RESHAPING)
class Reshape(Op):
    """The same elements in another shape: channels outermost, then rows."""

    saves = "nothing"
    is_view = True
    hands_gradient_on = True
    foreign_names = ("View",)

    example = "reshape { shape: [128, -1, 28] }"

    shape: tuple[int, ...] = attr(
        Dimensions(), "the new shape; one number may be -1, for what is left"
    )

    def bind(self, inputs: Sequence[Shape]) -> Self:
        elements = prod(inputs[0])
        known = prod(d for d in self.shape if d != -1)
        if elements % known if -1 in self.shape else elements != known:
            raise ShapeError(
                "shape-mismatch",
                f"reshape can't make {text(self.shape)} ({known:,} elements) of "
                f"{text(inputs[0])} ({elements:,})",
                "shape",
            )
        rest = elements // known
        return self.with_attributes(shape=tuple(rest if d == -1 else d for d in self.shape))

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        return (self.shape,)

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        return None


@op("permute", RESHAPING)
class Permute(Op):
    """The dimensions in another order."""

    saves = "nothing"
    is_view = True
    hands_gradient_on = True
    foreign_names = ("Transpose",)

    example = "permute { order: [1, 2, 0] }"

    order: tuple[int, int, int] = attr(
        DimensionOrder(), "which dimension of the input each of the output is"
    )

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        shape = spatial(inputs[0], "permute")
        return (tuple(shape[i] for i in self.order),)

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        return ReceptiveField(order=self.order)


@op("split", RESHAPING)
class Split(Op):
    """The channels in several parts, in order: part1, part2, ..."""

    saves = "nothing"
    is_view = True
    foreign_names = ("Chunk",)
    same_on_vectors = True

    example = "half: split { parts: 2 }\nadd(half.part1, half.part2)"

    parts: int | tuple[int, ...] = attr(
        Parts(), "how many equal parts, or the channels of each in a list"
    )

    def bind(self, inputs: Sequence[Shape]) -> Self:
        channels = inputs[0][0]
        if isinstance(self.parts, int):
            if channels % self.parts:
                raise ShapeError(
                    "groups-mismatch",
                    f"split can't make {self.parts} equal parts of {channels} channels",
                    "parts",
                )
            return self.with_attributes(parts=(channels // self.parts,) * self.parts)
        total = sum(self.parts)
        if total != channels:
            raise ShapeError(
                "groups-mismatch",
                f"the parts of split have {total} channels together, its input has {channels}",
                "parts",
            )
        return self

    @property
    def sizes(self) -> tuple[int, ...]:
        """The channels of each part, on a bound op."""
        return cast(tuple[int, ...], self.parts)

    @property
    def starts(self) -> tuple[int, ...]:
        """The first channel of each part, on a bound op."""
        return (0, *accumulate(int(s) for s in self.sizes[:-1]))

    @property
    def result_names(self) -> tuple[str, ...]:
        return tuple(f"part{i + 1}" for i in range(len(self.sizes)))

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        return tuple((size, *inputs[0][1:]) for size in self.sizes)


@op("channel_shuffle", RESHAPING)
class ChannelShuffle(KeepsShape):
    """Channels dealt out anew: the first of every group, then the second of every group, ...

    Zhang et al. 2017 (arXiv:1707.01083, section 3.1).
    """

    saves = "nothing"
    foreign_names = ("ShuffleChannel",)

    example = "channel_shuffle { groups: 2 }"

    groups: int = attr(Integer(), "how many groups the channels come in")

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        channels, _, _ = spatial(inputs[0], "channel_shuffle")
        group_size(self.groups, channels, "channel_shuffle")
        return (inputs[0],)


@op("pixel_shuffle", RESHAPING)
class PixelShuffle(Op):
    """Channels laid out in height and width: each factor * factor of them become a larger place.

    Channel c * factor * factor + i * factor + j of the input is what channel c of the result has in
    row i and column j of each place: the order of PyTorch, and of ONNX's DepthToSpace with mode CRD
    (Shi et al. 2016, arXiv:1609.05158).
    """

    saves = "nothing"
    foreign_names = ("SubPixel",)

    example = "conv { filters: 12  kernel: 3x3  pad: 1 } -> pixel_shuffle { factor: 2 }"

    factor: int = attr(Integer(), "how many times as high and wide the result is")

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        channels, height, width = spatial(inputs[0], "pixel_shuffle")
        left = channels
        for _ in range(2):  # so that classes see that filters * factor * factor can be divided
            if left % self.factor:
                raise ShapeError(
                    "groups-mismatch",
                    f"pixel_shuffle makes one channel of {self.factor}x{self.factor}, which does "
                    f"not divide {channels}",
                    "factor",
                )
            left = left // self.factor
        return ((left, height * self.factor, width * self.factor),)

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        return ReceptiveField(Range(scale=int(self.factor)), Range(scale=int(self.factor)))


@op("pixel_unshuffle", RESHAPING)
class PixelUnshuffle(Op):
    """The places of factor x factor squares laid out as channels: `pixel_shuffle` undone."""

    saves = "nothing"
    example = "pixel_unshuffle { factor: 2 }"

    factor: int = attr(Integer(), "what height and width are divided by")

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        channels, *size = spatial(inputs[0], "pixel_unshuffle")
        for what, length in zip(("height", "width"), size, strict=True):
            if length % self.factor:
                raise ShapeError(
                    "groups-mismatch",
                    f"the factor {self.factor} of pixel_unshuffle does not divide the {what} "
                    f"of {text(inputs[0])}",
                    "factor",
                )
        height, width = (length // self.factor for length in size)
        return ((channels * self.factor * self.factor, height, width),)

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        square = Range(stride=int(self.factor), last=int(self.factor) - 1)
        return ReceptiveField(square, square)


@op("flip", RESHAPING)
class Flip(KeepsShape):
    """The elements along one dimension in the opposite order."""

    saves = "nothing"
    foreign_names = ("Reverse", "Flipud", "Fliplr")

    example = "flip { axis: width }"

    axis: str = attr(OneOf(DIMENSIONS), "the dimension")

    @property
    def position(self) -> int:
        """The place of the dimension among channels, height and width."""
        return DIMENSIONS.index(self.axis)

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        if self.position:
            spatial(inputs[0], "flip")
        return (inputs[0],)

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        if len(inputs[0]) == 1 or not self.position:
            return super().receptive_field(inputs, outputs)
        last = int(inputs[0][self.position]) - 1
        reads = Range(stride=-1, first=last, last=last)
        return ReceptiveField(*((reads, ITSELF) if self.position == 1 else (ITSELF, reads)))


@op("pad", RESHAPING)
class Pad(Op):
    """Elements of one value around height and width, and before and after the channels."""

    saves = "nothing"
    foreign_names = ("ZeroPad2d", "ZeroPadding")

    example = "pad { pads: [0, 1, 0, 1] }"

    pads: Pads = attr(
        Padding(words=()), "how many at the top, bottom, left and right", default=(0, 0, 0, 0)
    )
    channels: tuple[int, int] = attr(
        Pair(0, sides=("before", "after")),
        "how many channels before and after; one number is for both",
        default=(0, 0),
    )
    value: float = attr(RealNumber(), "what they are", default=0.0)

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        channels, height, width = spatial(inputs[0], "pad")
        top, bottom, left, right = self.pads
        before, after = self.channels
        return ((before + channels + after, top + height + bottom, left + width + right),)

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        return ReceptiveField(_moved(-self.pads[0]), _moved(-self.pads[2]))


Places = tuple[int, int, int]
"""First, end and step of places of a dimension."""


@op("crop", RESHAPING)
class Crop(Op):
    """A part of height and width."""

    saves = "nothing"
    is_view = True
    foreign_names = ("Cropping",)

    example = "crop { size: 48x48  offset: 4 }"

    size: tuple[int, ...] = attr(Size(), "height and width of the part")
    offset: tuple[int, int] = attr(
        Pair(0), "how many rows above it and columns on its left are cut off", default=(0, 0)
    )

    @property
    def sections(self) -> tuple[Places | None, ...]:
        """The places of channels, rows and columns that are kept, on a bound op."""
        rows, columns = (
            (first, first + count, 1) for first, count in zip(self.offset, self.size, strict=True)
        )
        return None, rows, columns

    def bind(self, inputs: Sequence[Shape]) -> Self:
        return self.with_attributes(size=self.size[-2:])

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        channels, *whole = spatial(inputs[0], "crop")
        for size, offset, n in zip(self.size, self.offset, whole, strict=True):
            if offset + size > n:
                where = f" from {text(self.offset)} on" if any(self.offset) else ""
                raise ShapeError(
                    "out-of-range",
                    f"crop can't cut {text(self.size)}{where} out of {text(inputs[0])}",
                    "size",
                )
        return ((channels, *self.size),)

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        return ReceptiveField(_moved(self.offset[0]), _moved(self.offset[1]))


@op("slice", RESHAPING)
class Slice(Op):
    """Some channels, rows or columns, counted from 0; `[first, end]` leaves out the one at `end`.

    `[first, end, step]` takes every `step`-th. What is not named stays whole. `split` gives all
    parts of the channels, `crop` a part of a size.
    """

    saves = "nothing"
    is_view = True
    foreign_names = ("StridedSlice", "Narrow")

    example = "slice { channels: [0, 16]  rows: [0, 56, 2] }"

    channels: Places | None = attr(Section(), "which channels", default=None)
    rows: Places | None = attr(Section(), "which rows", default=None)
    columns: Places | None = attr(Section(), "which columns", default=None)

    @property
    def sections(self) -> tuple[Places | None, ...]:
        """The places of channels, rows and columns that are kept; None for all."""
        return self.channels, self.rows, self.columns

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        if self.sections == (None, None, None):
            raise ShapeError(
                "missing-field",
                "slice needs channels, rows or columns",
                None,
                "for example `slice { channels: [0, 16] }`",
            )
        if self.rows or self.columns:
            spatial(inputs[0], "slice of rows or columns")
        names = ("channels", "rows", "columns")[: len(inputs[0])]
        return (
            tuple(
                length if section is None else self._taken(name, section, length)
                for name, section, length in zip(names, self.sections, inputs[0], strict=False)
            ),
        )

    def _taken(self, name: str, section: Places, length: int) -> int:
        """How many of so many places are taken. Raises ShapeError where there are not as many."""
        first, end, step = section
        # Comparisons with 0, which classes can ask of their arguments.
        if end - first - 1 < 0:
            raise ShapeError(
                "out-of-range", f"there are no {name} from {first} to before {end}", name
            )
        if length - end < 0:
            raise ShapeError(
                "out-of-range", f"slice can't take {name} up to {end} of {length}", name
            )
        count = end - first
        return count if type(step) is int and step == 1 else -(-count // step)

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        if len(inputs[0]) == 1:
            return None
        rows, columns = (
            Range(int(step), int(first), int(first))
            for first, _, step in (section or (0, 0, 1) for section in self.sections[1:])
        )
        return ReceptiveField(rows, columns)


def _moved(by: int) -> Range:
    return Range(first=int(by), last=int(by))
