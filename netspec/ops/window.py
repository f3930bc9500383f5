"""The window formula, once for convolutions and poolings."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, cast

from netspec.ops.attribute_types import Pads
from netspec.ops.base import Op, Saved, Shape, ShapeError
from netspec.ops.reads import Covering, ReceptiveField, Window
from netspec.symbolic.expr import least

Rounding = Literal["floor", "ceil"]


class Windowed(Op):
    """An op whose window slides over the padded input."""

    # Declared by the subclasses, each in its own order:
    kernel: tuple[int, int]
    stride: tuple[int, int]
    pad: Pads | Literal["same"]
    dilation: tuple[int, int]

    @property
    def pads(self) -> Pads:
        """Top, bottom, left, right, on a bound op."""
        return cast(Pads, self.pad)

    @property
    def extents(self) -> tuple[int, int]:
        """Height and width of what a window spans, gaps of a dilation included."""
        return extent(self.kernel[0], self.dilation[0]), extent(self.kernel[1], self.dilation[1])

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        height, width = (Window(*direction) for direction in self._directions)
        return ReceptiveField(height, width)

    def reached(self) -> ReceptiveField:
        """Which windows hold a place, for an op that goes from windows to places."""
        height, width = (Covering(*direction) for direction in self._directions)
        return ReceptiveField(height, width)

    def padded_by_torch(self) -> bool:
        """Whether PyTorch's own layer can pad like this, on a bound op."""
        top, bottom, left, right = self.pads
        return bool(top == bottom and left == right)

    def saved_input(self, shape: Shape) -> Saved:
        """The input, or the padded copy of it that takes its place."""
        return Saved((0,)) if self.padded_by_torch() else self.saved_copy(shape)

    def saved_copy(self, shape: Shape) -> Saved:
        """The input with its padding."""
        top, bottom, left, right = map(int, self.padded(shape))
        channels, height, width = map(int, shape)
        return Saved(own=4 * channels * (top + height + bottom) * (left + width + right))

    def padded(self, shape: Shape) -> Pads:
        """The padding of an input in front of PyTorch's layer, where that can't pad like this."""
        return self.pads

    @property
    def _directions(self) -> Iterable[tuple[int, int, int, int]]:
        """Kernel, stride, pad in front and dilation, along height and along width."""
        numbers = zip(self.kernel, self.stride, self.pads[::2], self.dilation, strict=True)
        return ((int(k), int(s), int(p), int(d)) for k, s, p, d in numbers)


def extent(kernel: int, dilation: int = 1) -> int:
    """How many elements a window spans, gaps of a dilation included."""
    return dilation * (kernel - 1) + 1


def positions(
    size: int, kernel: int, stride: int, before: int, after: int, dilation: int, rounding: Rounding
) -> int:
    """How many places a window takes along one direction of `size` elements.

    `ceil` lets a last window hang over the end, but drops it where it would start behind the input
    and its first padding, as PyTorch does. Less than 1 where the window is too large.
    """
    free = size + before + after - extent(kernel, dilation)
    if free < 0:
        return 0
    if rounding == "floor":
        return free // stride + 1
    count = -(-free // stride) + 1
    if after + stride <= extent(kernel, dilation):
        return count  # no window starts behind the input
    return least(count, -(-(size + before) // stride))


def same_pads(
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> Pads:
    """The padding that makes output = ceil(input / stride); an odd element goes to the end."""
    pads: list[int] = []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        total = max((-(-n // s) - 1) * s + extent(k, d) - n, 0)
        pads += [total // 2, total - total // 2]
    top, bottom, left, right = pads
    return top, bottom, left, right


def slide(
    keyword: str,
    size: tuple[int, int],
    kernel: tuple[int, int],
    stride: tuple[int, int],
    pad: Pads,
    dilation: tuple[int, int] = (1, 1),
    rounding: Rounding = "floor",
) -> tuple[int, int]:
    """Height and width that a window leaves. Raises ShapeError where it does not fit once."""
    results = []
    for n, k, s, d, before, after in zip(
        size, kernel, stride, dilation, pad[::2], pad[1::2], strict=True
    ):
        count = positions(n, k, s, before, after, d, rounding)
        if count < 1:
            raise _too_large(keyword, size, kernel, pad, dilation)
        results.append(count)
    return results[0], results[1]


def _too_large(
    keyword: str,
    size: tuple[int, int],
    kernel: tuple[int, int],
    pad: Pads,
    dilation: tuple[int, int],
) -> ShapeError:
    window = f"{kernel[0]}x{kernel[1]} window"
    if dilation != (1, 1):
        spans = [extent(k, d) for k, d in zip(kernel, dilation, strict=True)]
        window += f" (spanning {spans[0]}x{spans[1]} with its dilation)"
    padded = f"input of {size[0]}x{size[1]}"
    if any(pad):
        padded += f" (padded to {size[0] + pad[0] + pad[1]}x{size[1] + pad[2] + pad[3]})"
    return ShapeError(
        "window-too-large", f"the {window} of {keyword} exceeds its {padded}", "kernel"
    )
