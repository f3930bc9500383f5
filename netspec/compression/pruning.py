"""Pruning by magnitude (Han et al. 2015, arXiv:1506.02626)."""

from __future__ import annotations

import numpy as np

from netspec.weights.array import Array


def pruned(weight: Array, kept: int) -> Array:
    """A weight of which all but the `kept` largest numbers are 0; of equal ones, the first stay."""
    flat = weight.reshape(-1)
    if kept >= flat.size:
        return weight
    order = np.argsort(-np.abs(flat), kind="stable")
    found = flat.copy()
    found[order[kept:]] = 0
    return found.reshape(weight.shape)
