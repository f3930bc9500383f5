"""Functions that emitted NumPy files get copies of."""

from __future__ import annotations

import numpy as np
from netspec_numpy.kernels.arrays import Array


def snake(x: Array, a: Array) -> Array:
    """Add sin(a * x) ** 2 / a, with a number a for each channel of (N, C, ...); a may be 0."""
    a = a.reshape(-1, *(1 for _ in x.shape[2:]))
    result: Array = x + a * np.square(x * np.sinc(a * x / np.pi))
    return result
