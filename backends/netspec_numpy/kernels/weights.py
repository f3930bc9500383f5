"""Fresh weights, and those of files."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from netspec_numpy.kernels.arrays import Weights


def initial(shapes: dict[str, tuple[int, ...]], seed: int) -> Weights:
    """Make fresh weights: Kaiming-normal filters, factors of 1, shifts of 0."""
    rng, weights = np.random.default_rng(seed), {}
    for name, shape in shapes.items():
        one = name.endswith((".weight", ".running_var"))
        weights[name] = np.full(shape, one, np.float32)
        if len(shape) > 1:
            weights[name] = rng.standard_normal(shape, np.float32)
            weights[name] *= (2 / math.prod(shape[1:])) ** 0.5
    return weights


def filled(weights: Weights, fills: dict[str, float]) -> Weights:
    """Begin some weights with other numbers."""
    new = {name: np.full_like(weights[name], fills[name]) for name in fills}
    return {**weights, **new}


def checked(found: Weights, shapes: dict[str, tuple[int, ...]]) -> Weights:
    """Return the wanted weights as float32; ValueError where any is amiss.

    Integers may have factors beside them: `NAME.scale`, one for all or one a filter.
    """
    found, weights, amiss = dict(found), {}, []
    for name, shape in shapes.items():
        array, key = found.pop(name, None), f"{name}.scale"
        scale = found.pop(key, None) if key not in shapes else None
        if array is None:
            amiss.append(f"{name} is missing")
        elif array.shape != shape:
            amiss.append(f"{name} is {array.shape}, not {shape}")
        elif array.dtype.kind not in "fiu":
            amiss.append(f"{name} holds {array.dtype}, not real numbers")
        else:
            weights[name] = np.array(array, np.float32, order="C")
            if scale is not None:
                if scale.size not in (1, len(array)) or array.dtype.kind == "f":
                    raise ValueError(f"{key} is no factor of integers")
                weights[name] *= scale.reshape(-1, *[1] * (array.ndim - 1))
    amiss += [f"{n} is left over" for n in found if "num_batches_tracked" not in n]
    if amiss:
        raise ValueError("these weights do not fit: " + "; ".join(amiss))
    return weights


def load_weights(path: str | Path) -> Weights:
    """Read a .npz or .safetensors file; ValueError if it is neither, or damaged."""
    readers = {".npz": read_npz, ".safetensors": read_safetensors}
    suffix = Path(path).suffix
    if suffix not in readers:
        raise ValueError(f"{path} is neither a .npz nor a .safetensors file")
    try:
        return readers[suffix](path)
    except OSError:
        raise
    except Exception as error:  # of zipfile, json or NumPy, by the kind of damage
        raise ValueError(f"{path} is no sound {suffix} file: {error}") from error


def read_npz(path: str | Path) -> Weights:
    """Read a .npz file, without ever unpickling."""
    with np.load(path, allow_pickle=False) as file:
        return {name: np.asarray(file[name]) for name in file.files}


def read_safetensors(path: str | Path) -> Weights:
    """Read the header's length, a JSON header, then the data; bfloat16 as float32."""
    types = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?"}
    types |= {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1"}
    types |= {"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1"}
    data, weights = Path(path).read_bytes(), {}
    start = 8 + int.from_bytes(data[:8], "little")
    if start > len(data):
        raise ValueError("its header is cut off")
    for name, entry in json.loads(data[8:start]).items():
        if name != "__metadata__":
            kind, shape, (first, end) = map(
                entry.get, ("dtype", "shape", "data_offsets")
            )
            if kind not in types:
                raise ValueError(f"{name} has the type {kind}, which NumPy lacks")
            if not 0 <= first <= end <= len(data) - start:
                raise ValueError(f"{name} lies outside the file")
            array = np.frombuffer(data[start + first : start + end], types[kind])
            if kind == "BF16":
                array = (array.astype(np.uint32) << 16).view(np.float32)
            if list(array.reshape(shape).shape) != shape:
                raise ValueError(f"{name} does not fit its shape")
            weights[name] = array.reshape(shape)
    return weights
