"""Ops that give height and width back: upsampling and max-unpooling."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Self

from netspec.ops.attribute_types import (
    Flag,
    OneOf,
    Pair,
    Size,
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
from netspec.ops.reads import Around, Range, ReceptiveField
from netspec.ops.window import Windowed

RESIZING = Family("resizing", "Ops that give height and width back: upsampling and max-unpooling.")


@op("upsample", RESIZING)
class Upsample(Op):
    """The input stretched to another height and width.

    `nearest` takes, for row i of n, row floor(i * m / n) of the m there are. `bilinear` mixes the
    two nearest rows: those around i * (m - 1) / (n - 1) with `align_corners: true`, where the
    corners of both lie on each other, else around (i + 0.5) * m / n - 0.5, where their edges do.
    `bicubic` mixes four rows around the same places by cubic convolution with a = -0.75 (Keys 1981,
    as PyTorch has it), and takes the rows at the border for those beyond it.
    """

    saves = "nothing"
    foreign_names = (
        "Interpolate",
        "Interp",
        "Resize",
        "Upsampling",
        "UpsamplingNearest2d",
        "UpsamplingBilinear2d",
        "UpsamplingBicubic2d",
    )

    example = "upsample { scale: 2  mode: nearest }"

    scale: tuple[int, int] | None = attr(Pair(), "output = scale * input", default=None)
    size: tuple[int, ...] | None = attr(Size(), "height and width of the output", default=None)
    mode: Literal["nearest", "bilinear", "bicubic"] = attr(
        OneOf(("nearest", "bilinear", "bicubic")), "how elements in between are made"
    )
    align_corners: bool | None = attr(
        Flag(),
        "where bilinear and bicubic lay the input; needed where it changes the result",
        default=None,
    )

    def bind(self, inputs: Sequence[Shape]) -> Self:
        _, height, width = spatial(inputs[0], "upsample")
        if (self.scale is None) == (self.size is None):
            neither = self.size is None
            raise ShapeError(
                "missing-field" if neither else "conflicting-fields",
                f"upsample takes one of scale and size, but has {'neither' if neither else 'both'}",
                None if neither else "size",
                "for example `scale: 2`, or `size: a.shape` for the height and width of a",
            )
        if self.size is not None:
            size = self.size[-2:]
        elif self.scale is not None:
            size = (self.scale[0] * height, self.scale[1] * width)
        if self.mode == "nearest" and self.align_corners is not None:
            raise ShapeError(
                "conflicting-fields",
                "align_corners has no effect with `mode: nearest`",
                "align_corners",
            )
        sizes = zip((height, width), size, strict=True)
        open_ = any(_alignment_matters(m, n, self.mode) for m, n in sizes)
        if self.mode != "nearest" and self.align_corners is None and open_:
            raise ShapeError(
                "ambiguous-alignment",
                f"upsample from {height}x{width} to {text(size)} must say whether it aligns "
                "the corners or the edges of input and output",
                "mode",
                "say `align_corners: true` (the rule of Caffe's Interp) or `align_corners: false` "
                "(the default of PyTorch)",
            )
        return self.with_attributes(scale=None, size=size, align_corners=bool(self.align_corners))

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        channels, _, _ = spatial(inputs[0], "upsample")
        return ((channels, *(self.size or ())),)

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        height, width = (
            self._mixed(int(m), int(n)) for m, n in zip(inputs[0][1:], outputs[0][1:], strict=True)
        )
        return ReceptiveField(height, width)

    def _mixed(self, m: int, n: int) -> Range | Around:
        """Which of m rows a row of n is made of."""
        if self.mode == "nearest":
            return Range(m, scale=n)
        if self.mode == "bicubic":
            if self.align_corners:
                return Around(m - 1, 0, max(n - 1, 1))
            return Around(2 * m, m - n, 2 * n)
        if self.align_corners:  # from floor to ceil of i * (m - 1) / (n - 1)
            return Range(m - 1, 0, n - 2, n - 1) if n > 1 else Range(0)
        return Range(2 * m, m - n, m + n - 1, 2 * n)  # of ((2 * i + 1) * m - n) / (2 * n)


def _alignment_matters(length: int, wanted: int, mode: str) -> bool:
    """Whether rows come from other places with corners than with edges on each other."""
    # From 2 to 3, both of bilinear take the first, the middle and the last.
    equal = (length, wanted) == (2, 3) and mode == "bilinear"
    return length != wanted and length > 1 and not equal


@op("maxunpool", RESIZING)
class MaxUnpool(Op):
    """Puts each element back where a max-pooling found it, and 0 everywhere else.

    The second input is the `indices` of that pooling; the output has the height and width that the
    pooling had before it. `size`, or `kernel` and `stride`, may state them once more and are then
    checked: size = (input - 1) * stride + kernel. Where windows overlapped and one element won
    twice, the later value stays.
    """

    foreign_names = ("MaxUnpooling",)

    example = "pool1: maxpool { kernel: 2x2 }\nmaxunpool(pool1, pool1.indices)"

    arity = (2, 2)
    index_inputs = (1,)

    kernel: tuple[int, int] | None = attr(
        Pair(), "height and width of the pooling's window", default=None
    )
    stride: tuple[int, int] | None = attr(Pair(), "step of the window", default="=kernel")
    size: tuple[int, ...] | None = attr(Size(), "height and width of the output", default=None)

    def bind(self, inputs: Sequence[Shape]) -> Self:
        _, height, width = spatial(inputs[0], "maxunpool")
        indices = inputs[1]
        if inputs[0] != indices:
            raise ShapeError(
                "shape-mismatch",
                f"maxunpool needs an index for each element, but they are "
                f"{text(inputs[0])} and {text(indices)}",
                1,
            )
        plane = indices.plane if isinstance(indices, IndexShape) else (height, width)
        if self.size is not None and self.size[-2:] != plane:
            raise ShapeError(
                "shape-mismatch",
                f"these indices are of a map of {text(plane)}, not of {text(self.size[-2:])}",
                "size",
                "leave out the size: the indices know it",
            )
        if self.kernel is not None and self.stride is not None:
            stated = tuple(
                (n - 1) * s + k
                for n, k, s in zip((height, width), self.kernel, self.stride, strict=True)
            )
            # Rounding up or padding makes the pooled plane smaller than its windows.
            if self.size is None and stated != plane:
                raise ShapeError(
                    "shape-mismatch",
                    f"these indices are of a map of {text(plane)}, not of {text(stated)}",
                    "kernel",
                    "leave out the kernel: the indices know the size",
                )
        return self.with_attributes(size=plane)

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        channels, _, _ = spatial(inputs[0], "maxunpool")
        return ((channels, *(self.size or ())),)

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        indices = inputs[1]
        windows = indices.windows if isinstance(indices, IndexShape) else None
        return windows.reached() if isinstance(windows, Windowed) else None

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        return Saved((1,))
