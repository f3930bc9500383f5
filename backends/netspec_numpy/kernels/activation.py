"""Activations of arrays: functions of each element, softmax and log-softmax, and argmax."""

from __future__ import annotations

import math

import numpy as np

from netspec_numpy.kernels.arrays import Array


def leaky_relu(x: Array, slope: float = 0.01) -> Array:
    """Multiply what is below 0 by a slope."""
    return np.where(x > 0, x, x * slope)


def prelu(x: Array, weight: Array) -> Array:
    """Multiply what is below 0 by the slope of its channel, or the only one."""
    slope = weight.reshape(-1, *(1 for _ in x.shape[2:]))
    return np.where(x > 0, x, x * slope)


def elu(x: Array, alpha: float = 1.0) -> Array:
    """Replace what is below 0 by alpha * (exp(x) - 1)."""
    below = np.minimum(x, 0)
    np.expm1(below, out=below)
    below *= alpha
    return np.where(x > 0, x, below)


def sigmoid(x: Array) -> Array:
    """Compute 1 / (1 + exp(-x)), without overflow."""
    power = np.exp(-np.abs(x))
    result: Array = np.where(x >= 0, 1, power) / (1 + power)
    return result


def silu(x: Array) -> Array:
    """Multiply x by its sigmoid."""
    result = sigmoid(x)
    result *= x
    return result


def hard_sigmoid(x: Array) -> Array:
    """Compute (x + 3) / 6, held between 0 and 1."""
    result: Array = np.clip(x + 3, 0, 6)
    result /= 6
    return result


def hard_swish(x: Array) -> Array:
    """Multiply x by (x + 3) / 6, held between 0 and 1."""
    result = hard_sigmoid(x)
    result *= x
    return result


def gelu(x: Array) -> Array:
    """Multiply x by the normal distribution's share below x."""
    share = erf(x * math.sqrt(0.5))
    share += 1
    share *= x
    share *= 0.5
    return share


def erf(x: Array) -> Array:
    """The error function, by its Taylor series at the nearest multiple of 1/32."""
    steps, most = 32, 6 * 32
    grid = np.arange(-most, most + 1) / steps
    terms = [np.array([math.erf(g) for g in grid])]
    terms.append(2 / math.sqrt(math.pi) * np.exp(-(grid**2)))
    for n in range(1, 8):
        last, before = terms[n], terms[n - 1]
        terms.append(-2 * (grid * last + (n - 1) / n * before) / (n + 1))
    # Beyond 6 the function is 1 in every type; NaN stays NaN by the distance.
    inside = np.clip(x, -6, 6)
    nearest = np.rint(np.nan_to_num(inside) * steps).astype(np.int32)
    distance = inside - nearest.astype(x.dtype) / steps
    nearest += most
    result: Array = np.zeros_like(x)
    for term in reversed(terms):
        result *= distance
        result += term.astype(x.dtype)[nearest]
    return result


def softplus(x: Array) -> Array:
    """Compute log(1 + exp(x)), without overflow."""
    result: Array = np.log1p(np.exp(-np.abs(x)))
    result += np.maximum(x, 0)
    return result


def softmax(x: Array) -> Array:
    """Exponentials over the channels, scaled to a sum of 1."""
    powers: Array = np.exp(x - x.max(axis=1, keepdims=True))
    powers /= powers.sum(axis=1, keepdims=True)
    return powers


def log_softmax(x: Array) -> Array:
    """The logarithm of softmax."""
    result: Array = x - x.max(axis=1, keepdims=True)
    result -= np.log(np.exp(result).sum(axis=1, keepdims=True))
    return result


def argmax(x: Array) -> Array:
    """Which channel is largest, as a number of x; the first of equal ones."""
    result: Array = x.argmax(axis=1)[:, None]
    return result.astype(x.dtype)
