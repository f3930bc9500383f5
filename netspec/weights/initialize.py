"""Fresh weights, drawn as the declarations of tensors say."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from netspec.ops import KAIMING, Init, Tensor, bilinear_row
from netspec.weights.array import Array


def fresh(wanted: Mapping[str, Tensor], seed: int = 0, varied: bool = False) -> dict[str, Array]:
    """Float32 tensors of the wanted shapes, the same for the same seed.

    Filters are drawn as they say (`netspec.ops.Init`), those that say nothing Kaiming-normal. The
    others are filled with the number of their declaration: factors and variances with 1, shifts
    and means with 0. With `varied`, the former are uniform within half of that, and the latter
    normal with deviation 0.1, so that a tensor in the wrong place shows; variances are uniform
    between that and its triple, for a convolution with no ReLU before it doubles the variance of
    its input.
    """
    rng = np.random.default_rng(seed)
    tensors: dict[str, Array] = {}
    for name, tensor in wanted.items():
        shape = tuple(int(d) for d in tensor.shape)
        init: Init | float = KAIMING if tensor.init is None else tensor.init
        if isinstance(init, Init) and init.value is not None:
            init = init.value
        if isinstance(init, Init):
            if init.law == "bilinear" and not varied:
                rows, columns = (bilinear_row(n) for n in shape[-2:])
                array = np.broadcast_to(np.outer(rows, columns), shape)
            elif init.law in ("xavier", "uniform"):
                array = rng.uniform(*init.limits(shape), shape)
            else:
                array = rng.standard_normal(shape) * init.deviation(shape)
        elif not varied:
            array = np.full(shape, float(init))
        elif init and not tensor.learnable:
            array = rng.uniform(1, 3, shape) * init
        elif init:
            array = rng.uniform(0.5, 1.5, shape) * init
        else:
            array = rng.standard_normal(shape) * 0.1
        tensors[name] = array.astype(np.float32)
    return tensors
