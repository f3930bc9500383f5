"""Fresh weights."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np

from netspec.ops import Tensor
from netspec.weights.files import Array


def fresh(wanted: Mapping[str, Tensor], seed: int = 0, varied: bool = False) -> dict[str, Array]:
    """Float32 tensors, the same for the same seed.

    Filters are Kaiming-normal with fan-in (He et al. 2015, arXiv:1502.01852, section 2.2), factors
    1, shifts 0. With `varied`, factors and shifts are random as well, so that a tensor in the
    wrong place shows.
    """
    rng = np.random.default_rng(seed)
    tensors: dict[str, Array] = {}
    for name, tensor in wanted.items():
        shape = tuple(int(d) for d in tensor.shape)
        if tensor.init == "kaiming":
            deviation = (2 / max(prod(shape[1:]), 1)) ** 0.5
            array = rng.standard_normal(shape) * deviation
        elif not varied:
            array = np.full(shape, float(tensor.init == "ones"))
        elif tensor.init == "ones":
            array = rng.uniform(0.5, 1.5, shape)
        else:
            array = rng.standard_normal(shape) * 0.1
        tensors[name] = array.astype(np.float32)
    return tensors
