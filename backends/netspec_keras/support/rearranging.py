"""What counts channels first, as the weights of a spec do, on values that have them last."""

from __future__ import annotations

import math
from typing import Any

from keras import ops

Tensor = Any


def flatten(x: Tensor) -> Tensor:
    """All elements in one row, channel by channel."""
    return reshape(x, -1)


def reshape(x: Tensor, *shape: int) -> Tensor:
    """Other channels, height and width, or a row, for elements counted channel by channel."""
    if len(x.shape) == 4:
        x = ops.transpose(x, (0, 3, 1, 2))
    rest = math.prod(x.shape[1:]) // abs(math.prod(shape))
    x = ops.reshape(x, (-1, *(rest if n == -1 else n for n in shape)))
    return ops.transpose(x, (0, 2, 3, 1)) if len(shape) == 3 else x


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """The channels of all groups in turn."""
    height, width, channels = x.shape[1:]
    x = ops.reshape(x, (-1, height, width, groups, channels // groups))
    return ops.reshape(ops.swapaxes(x, 3, 4), (-1, height, width, channels))


def pixel_shuffle(x: Tensor, factor: int) -> Tensor:
    """factor x factor channels as places of a larger map."""
    height, width, channels = x.shape[1:]
    x = ops.reshape(x, (-1, height, width, channels // factor**2, factor, factor))
    x = ops.transpose(x, (0, 1, 4, 2, 5, 3))
    return ops.reshape(x, (-1, height * factor, width * factor, channels // factor**2))


def pixel_unshuffle(x: Tensor, factor: int) -> Tensor:
    """factor x factor places as channels of a smaller map."""
    height, width, channels = x.shape[1] // factor, x.shape[2] // factor, x.shape[3]
    x = ops.reshape(x, (-1, height, factor, width, factor, channels))
    x = ops.transpose(x, (0, 1, 3, 5, 2, 4))
    return ops.reshape(x, (-1, height, width, channels * factor**2))


def local_response_norm(
    x: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Divide by (k + alpha * the mean of squares of `size` channels around) ** beta."""
    sides = [(0, 0)] * (len(x.shape) - 1)
    squares = ops.pad(ops.square(x), [*sides, (size // 2, size // 2)])
    total = sum(squares[..., i : i + x.shape[-1]] for i in range(size))
    return x / (k + alpha / size * total) ** beta
