"""Random arrays, comparisons, and steps of a plan that are run on their own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from netspec_numpy import kernels
from netspec_numpy.kernels import Model, without_bias

Array = kernels.Array
Pads = tuple[int, int, int, int]
Pair = tuple[int, int]

NO_PADS: Pads = (0, 0, 0, 0)
TYPES = (np.float32, np.float64)


def normal(*shape: int, seed: int = 0, dtype: Any = np.float32) -> Array:
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def doubles(*shape: int, seed: int = 0) -> Array:
    return normal(*shape, seed=seed, dtype=np.float64)


def tensor(x: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(x))


def padded(x: Array, pads: Pads, value: float = 0.0) -> torch.Tensor:
    top, bottom, left, right = pads
    return F.pad(tensor(x), (left, right, top, bottom), value=value)


def close(found: Array, wanted: Any, dtype: Any = np.float32) -> None:
    """Equal in type and shape, and in value up to rounding."""
    wanted = np.asarray(wanted)
    assert found.dtype == wanted.dtype == dtype
    assert found.shape == wanted.shape
    tolerance = 2e-5 if dtype == np.float32 else 1e-12
    np.testing.assert_allclose(found, wanted, rtol=tolerance, atol=tolerance)


def close_by_largest(found: Array, wanted: Any, double: bool) -> None:
    """Equal up to rounding, by the largest magnitude."""
    wanted = np.asarray(wanted)
    assert found.shape == wanted.shape
    assert found.dtype == (np.float64 if double else np.float32)
    limit = (1e-12 if double else 1e-5) * max(np.abs(wanted).max(initial=0), 1)
    assert np.abs(found - wanted).max(initial=0) <= limit


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
                without_bias(p, name)
        return [step(p, data, *args, **keys)]

    model: Any = type(
        "Emitted", (Model,), {"network": staticmethod(network), "sizes": [x.shape[1:]]}
    )(threads=threads)
    model.weights = weights or {}
    result: Array = model.run(x)[0]
    return result


@st.composite
def spans(draw: st.DrawFn) -> tuple[int, int, int, int, int, int]:
    """Size, kernel, stride, pads and dilation of one direction in which a window fits."""
    kernel, dilation = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    before, after = draw(st.integers(0, 3)), draw(st.integers(0, 3))
    least = max(dilation * (kernel - 1) + 1 - before - after, 1)
    return (
        draw(st.integers(least, least + 7)),
        kernel,
        draw(st.integers(1, 6)),
        before,
        after,
        dilation,
    )
