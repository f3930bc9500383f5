"""Weights as float16, or as int8 with a scale for each channel, in `.safetensors` and `.npz`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import numpy as np

from netspec.weights.array import Array

SCALE = ".scale"
"""The end of the name of an int8 tensor's scales: float32, one for each of its first dimension."""
MOST = 127


def converted(arrays: Mapping[str, Array], to: Literal["float16", "int8"]) -> dict[str, Array]:
    """Arrays as float16; or those of more than one dimension as int8, with their scales.

    What float16 has no room for becomes its largest number.
    """
    found: dict[str, Array] = {}
    for name, array in arrays.items():
        if to == "float16":
            most = float(np.finfo(np.float16).max)
            found[name] = array.clip(-most, most).astype(np.float16)
        elif array.ndim > 1:
            rows = np.abs(array.reshape(len(array), -1)).max(1)
            scale = np.where(rows > 0, rows / MOST, 1).astype(np.float32)
            found[name] = np.rint(array / _spread(scale, array)).astype(np.int8)
            found[f"{name}{SCALE}"] = scale
        else:
            found[name] = array
    return found


def restored(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """Arrays of which int8 ones with scales are float32 again."""
    scales = {
        n.removesuffix(SCALE): a
        for n, a in arrays.items()
        if n.endswith(SCALE) and _is_scaled(arrays.get(n.removesuffix(SCALE)), a)
    }
    return {
        name: (array * _spread(scales[name], array)).astype(np.float32) if name in scales else array
        for name, array in arrays.items()
        if name.removesuffix(SCALE) not in scales or name in scales
    }


def _is_scaled(array: Array | None, scale: Array) -> bool:
    return array is not None and array.dtype == np.int8 and scale.shape == array.shape[:1]


def _spread(scale: Array, array: Array) -> Array:
    return scale.reshape(-1, *[1] * (array.ndim - 1))
