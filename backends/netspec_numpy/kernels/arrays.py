"""The types of arguments and results of kernels, and `Value`, an array with a bias to be added."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, np.dtype[Any]]
Pads = tuple[int, int, int, int]
Pair = tuple[int, int]
Then = tuple[tuple[np.ufunc, float], ...] | None
Weights = dict[str, Array]

RELU = ((np.maximum, 0.0),)
RELU6 = ((np.maximum, 0.0), (np.minimum, 6.0))


def whole_number(number: Any) -> int:
    """A number as int; ValueError where it is none."""
    if number % 1:
        raise ValueError(f"a height or width would be {number}")
    return int(number)


class Value(NamedTuple):
    """Data (H, W, C) or (F,), what is still to be added to its channels, and its number."""

    data: Array
    bias: Array
    number: int
    plane: tuple[int, ...] = ()  # of indices: the height and width that they are places in

    def channels_first(self) -> tuple[Array, Array]:
        """The data as (1, C, H, W) or (1, F), and the bias in a shape to be added."""
        x: Array = np.moveaxis(self.data[None], -1, 1)
        return x, self.bias.reshape(-1, *[1] * (x.ndim - 2))
