"""Where the places of a picture are in a net's input, and those of the input in its output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from netspec.codegen.preprocess import MOST_ELONGATED
from netspec.diagnostics import spec_error
from netspec.ir import Net


class GridAxis(NamedTuple):
    """A coordinate of another grid: `x * factor + offset`, in pixels from the edge."""

    factor: float = 1.0
    offset: float = 0.0

    def __call__(self, x: Any) -> Any:
        return x * self.factor + self.offset

    def back(self) -> GridAxis:
        """The other way round."""
        return GridAxis(1 / self.factor, -self.offset / self.factor)

    def then(self, other: GridAxis) -> GridAxis:
        """First this one, then another."""
        return GridAxis(self.factor * other.factor, other(self.offset))


Axes = tuple[GridAxis, GridAxis]
"""Of height and width."""


def input_axes(net: Net, picture: tuple[int, int]) -> Axes:
    """From a picture of this height and width to the net's input, as its preprocessing places it.

    Raises ValueError for a long and narrow one, which would become too large.
    """
    height, width = (int(d) for d in net.body.inputs[0].shape[1:])
    stated = net.preprocessing[0]
    resize = stated.resize if stated is not None else None
    resized = resized_to(picture, resize, (height, width))
    top, left = (resized[0] - height) // 2, (resized[1] - width) // 2
    return GridAxis(resized[0] / picture[0], -top), GridAxis(resized[1] / picture[1], -left)


def resized_to(
    picture: tuple[int, int], resize: int | tuple[int, int] | None, window: tuple[int, int]
) -> tuple[int, int]:
    """The size that a picture is resized to: as stated, or that of the input.

    Raises ValueError for a long and narrow one whose shorter side is to have a length.
    """
    if resize is None:
        return window
    if isinstance(resize, tuple):
        return resize
    shorter = min(picture)
    if max(picture) > MOST_ELONGATED * shorter:
        raise ValueError(f"a side is more than {MOST_ELONGATED} times as long as the other")
    return round(picture[0] * resize / shorter), round(picture[1] * resize / shorter)


def output_axes(net: Net) -> Axes:
    """From the input to the net's planes.

    A plane that is a fraction of the input is of all of it. One that is a bit smaller lacks an
    edge, which convolutions without pads take.
    """
    sizes = zip(net.body.inputs[0].shape[1:], net.body.outputs[0].shape[1:], strict=True)
    y, x = (_output_axis(int(a), int(b)) for a, b in sizes)
    return y, x


def _output_axis(size: int, made: int) -> GridAxis:
    factor = round(size / made)
    if factor >= 2 and -(-size // factor) == made:
        return GridAxis(made / size)
    if made > size:
        return GridAxis(made / size)
    return GridAxis(1.0, (made - size) / 2)


def places(count: int, axis: GridAxis, size: int) -> Any:
    """Where the middles of `count` pixels lie in a grid of `size`; -1 where they are beyond it."""
    found = np.floor(axis(np.arange(count) + 0.5)).astype(np.int64)
    return np.where((found >= 0) & (found < size), found, -1)


def sampled(plane: Any, axes: Axes, size: Sequence[int], outside: int) -> Any:
    """A plane of whole numbers at the places of another grid, the nearest one of each.

    `axes` lead from the new grid to the plane; what is beyond that becomes `outside`.
    """
    rows = places(size[0], axes[0], plane.shape[0])
    columns = places(size[1], axes[1], plane.shape[1])
    found = plane[np.ix_(rows, columns)]
    found[rows < 0] = outside
    found[:, columns < 0] = outside
    return found


def makes_planes(net: Net) -> bool:
    """Whether a net makes planes of scores, one a class, of one picture."""
    if net.detection is not None or len(net.body.inputs) != 1 or len(net.body.outputs) != 1:
        return False
    shape, made = net.body.inputs[0].shape, net.body.outputs[0].shape
    return len(shape) == 3 and len(made) == 3 and made[1:] != (1, 1) and made[0] > 1


def plane_count(net: Net) -> int:
    """The number of classes of a net that makes planes. Raises SpecError where 255 are too few."""
    count = int(net.body.outputs[0].shape[0])
    if count > 255:
        message = f"{net.name} makes {count:,} planes; masks tell at most 255 classes apart"
        raise spec_error("too-large", message)
    return count
