"""Steps of a plan, run on their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netspec_numpy.kernels import Array, Model, unbiased


def computed(
    step: Callable[..., Any],
    x: Array,
    *args: Any,
    weights: Any = None,
    threads: int = 1,
    **keys: Any,
) -> Array:
    """What a step makes of (N, C, H, W) or (N, F); layers without a bias in `weights` have none."""

    def network(p: Any, data: Any) -> list[Any]:
        for name in (n.removesuffix(".weight") for n in weights or {}):
            if f"{name}.bias" not in weights:
                unbiased(p, name)
        return [step(p, 1, data, *args, **keys)]

    model = Model(network, [x.shape[1:]], 0, threads)
    model.weights = weights or {}
    return model.run(x)[0]
