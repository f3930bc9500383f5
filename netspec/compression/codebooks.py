"""Codebooks: a few values that stand for all weights of a layer."""

from __future__ import annotations

from typing import Literal

import numpy as np

from netspec.weights.array import Array
from netspec.weights.nsz_file import CodedTensor, coded

BINS = 2048
MAX_ITERATIONS = 300
Start = Literal["linear", "density"]
"""Where k-means begins: as dense as the weights, or at evenly spaced values, as the paper does.

Evenly spaced ones end with twice the squared error at 6 bits, and take a fifth less when coded, as
some are used far more than others. docs/compression.md has measurements.
"""
GROWTH = 1.2
"""How much larger the squared error may become for values that take fewer bytes."""
PRICES = (0.4, 0.2, 0.1, 0.05, 0.025)
"""What a bit may cost, in squares of the distance of evenly spaced values."""


def quantized(
    weight: Array, bits: int, start: Start = "density", growth: float = GROWTH
) -> CodedTensor:
    """A weight with at most 2**bits values, one of which is 0 and stands for the zeros alone.

    The others are the means of the groups that k-means finds (Deep Compression, section 3), at the
    highest of PRICES at which the squared error is at most `growth` times that without. A weight
    that has no more values keeps its own.
    """
    exact = coded(weight)
    if exact is not None and len(exact.codebook) <= 2**bits:
        return exact
    values = np.sort(weight[weight != 0].astype(np.float64))
    begin = _even if start == "linear" else _as_dense
    first = begin(values, 2**bits - 1)
    best = kmeans(values, first)
    most = growth * _error(values, *best)
    distance = (values[-1] - values[0]) / 2**bits
    for price in PRICES if growth > 1 else ():
        found = kmeans(values, first, price * distance**2)
        if _error(values, *found) <= most:
            best = found
            break
    centroids, firsts = best
    place = np.searchsorted(values[firsts[1:]], weight, side="right") + 1
    codes = np.where(weight == 0, 0, place).astype(np.uint8)
    return CodedTensor(np.append(0, centroids).astype(np.float32), codes)


def _error(values: Array, centroids: Array, firsts: Array) -> float:
    """The sum of squared differences of sorted values from their groups' means."""
    counts = np.diff(np.append(firsts, len(values)))
    return float(np.square(values - np.repeat(centroids, counts)).sum())


def _even(values: Array, count: int) -> Array:
    return np.linspace(values[0], values[-1], count)


def _as_dense(values: Array, count: int) -> Array:
    """As dense as the cube root of the values' density, as the best codebook of many values is.

    So says Panter and Dite 1951.
    """
    density, edges = np.histogram(values, BINS)
    share = np.append(0, np.cumsum(np.cbrt(density)))
    middles = (np.arange(count) + 0.5) / count * share[-1]
    found: Array = np.interp(middles, share, edges)
    return found


def kmeans(values: Array, centroids: Array, price: float = 0.0) -> tuple[Array, Array]:
    """The means of groups of sorted values, each of what is nearest to its mean, from low to high.

    And where in the values each group begins. From the given centroids on (Lloyd 1982); a group
    that becomes empty is left out. With a `price` of a bit, in squared differences, rare groups
    give up what is nearly as near to others (Chou, Lookabaugh and Gray 1989).
    """
    sums = np.append(0, np.cumsum(values))
    bits = np.zeros(len(centroids))
    bounds: Array | None = None
    for _ in range(MAX_ITERATIONS):
        middle = (centroids[:-1] + centroids[1:]) / 2
        middle += price * np.diff(bits) / (2 * np.diff(centroids))
        found = np.searchsorted(values, np.maximum.accumulate(middle))
        found = np.unique(np.concatenate(([0], found, [len(values)])))
        if bounds is not None and np.array_equal(found, bounds):
            break
        bounds = found
        counts = np.diff(bounds)
        centroids = np.diff(sums[bounds]) / counts
        bits = -np.log2(counts / len(values))
    assert bounds is not None, "there is an iteration"
    return centroids, bounds[:-1]
