"""Normalizations of arrays, and factors and shifts of channels."""

from __future__ import annotations

import numpy as np

from netspec_numpy.kernels.arrays import Array


def layer_norm(x: Array, weight: Array, bias: Array, eps: float = 1e-5) -> Array:
    """Normalize the channels of each place by their own mean and variance."""
    result: Array = x - x.mean(axis=1, keepdims=True, dtype=x.dtype)
    variance = np.square(result).mean(axis=1, keepdims=True, dtype=x.dtype)
    result /= np.sqrt(variance + eps)
    return scale_channels(result, weight, bias)


def group_norm(
    x: Array,
    groups: int,
    weight: Array | None = None,
    bias: Array | None = None,
    eps: float = 1e-5,
) -> Array:
    """Normalize each group of channels by the mean and variance of all its elements."""
    parts = x.reshape(len(x), groups, -1)
    result: Array = parts - parts.mean(axis=2, keepdims=True, dtype=x.dtype)
    variance = np.square(result).mean(axis=2, keepdims=True, dtype=x.dtype)
    result /= np.sqrt(variance + eps)
    result = result.reshape(x.shape)
    return result if weight is None else scale_channels(result, weight, bias)


def scale_channels(x: Array, weight: Array, bias: Array | None = None) -> Array:
    """Multiply each channel by a factor, and add a shift."""
    per_channel = (-1, *(1 for _ in x.shape[2:]))
    result: Array = x * weight.reshape(per_channel)
    if bias is not None:
        result += bias.reshape(per_channel)
    return result


def shift_channels(x: Array, bias: Array) -> Array:
    """Add a number to each channel."""
    result: Array = x + bias.reshape(-1, *(1 for _ in x.shape[2:]))
    return result


def unit_length(x: Array, everywhere: bool = False, eps: float = 1e-10) -> Array:
    """Divide by the length of each place's vector of channels, or of all elements."""
    axes = tuple(range(1, x.ndim)) if everywhere else 1
    squares: Array = np.square(x).sum(axis=axes, keepdims=True, dtype=x.dtype)
    squares += eps
    result: Array = x / np.sqrt(squares)
    return result


def local_response_norm(
    x: Array, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Array:
    """Divide by a power of the mean square of the `size` channels around each."""
    squares = np.square(x)
    total = squares.copy()
    for away in range(1, min(size // 2, x.shape[1] - 1) + 1):
        total[:, away:] += squares[:, :-away]
        total[:, :-away] += squares[:, away:]
    total *= alpha / size
    total += k
    result: Array = x / total**beta
    return result
