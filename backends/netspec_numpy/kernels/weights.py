"""Fresh weights, and those of files."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np

from netspec_numpy.kernels.arrays import Array, Weights


def initial(
    shapes: dict[str, tuple[int, ...]], seed: int, fills: dict[str, float] | None = None
) -> Weights:
    """Make fresh weights: Kaiming-normal filters, factors of 1, shifts of 0.

    `fills` are the tensors that are filled with other numbers.
    """
    rng = np.random.default_rng(seed)
    weights: Weights = {}
    for name, shape in shapes.items():
        if name in (fills or {}):
            weights[name] = np.full(shape, (fills or {})[name], dtype=np.float32)
        elif len(shape) > 1:
            deviation = (2 / np.prod(shape[1:])) ** 0.5
            weights[name] = rng.normal(0, deviation, shape).astype(np.float32)
        else:
            one = name.endswith((".weight", ".running_var"))
            weights[name] = np.full(shape, float(one), dtype=np.float32)
    return weights


def checked(found: Weights, shapes: dict[str, tuple[int, ...]]) -> Weights:
    """Return the wanted weights as float32; ValueError where any is amiss.

    Integers may have factors beside them: `NAME.scale`, one for all or one a filter.
    """
    found = dict(found)
    scales = [n for n in found if n.endswith(".scale") and n not in shapes]
    for name in [n for n in scales if n.removesuffix(".scale") in found]:
        scale, weight = found.pop(name), found[name.removesuffix(".scale")]
        if scale.size not in (1, len(weight)) or weight.dtype.kind not in "iu":
            raise ValueError(
                f"these weights do not fit: {name} is no factor of integers"
            )
        factors = scale.reshape(-1, *[1] * (weight.ndim - 1))
        found[name.removesuffix(".scale")] = weight * factors.astype(np.float32)
    amiss = [f"{name} is missing" for name in shapes if name not in found]
    for name, array in found.items():
        if name not in shapes:
            if not name.endswith(".num_batches_tracked"):
                amiss.append(f"{name} is left over")
        elif array.shape != shapes[name]:
            amiss.append(f"{name} is {array.shape}, not {shapes[name]}")
        elif array.dtype.kind not in "fiu":
            amiss.append(f"{name} holds {array.dtype}, not real numbers")
    if amiss:
        raise ValueError("these weights do not fit: " + "; ".join(amiss))
    return {name: np.array(found[name], np.float32, order="C") for name in shapes}


def load_weights(path: str | Path) -> Weights:
    """Read a .npz or .safetensors file."""
    if Path(path).suffix == ".npz":
        return read_npz(path)
    if Path(path).suffix == ".safetensors":
        return read_safetensors(path)
    raise ValueError(f"{path} is neither a .npz nor a .safetensors file")


def read_npz(path: str | Path) -> Weights:
    """Read a .npz file, without ever unpickling."""
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: np.asarray(file[name]) for name in file.files}
    except OSError:
        raise
    except Exception as error:  # of zipfile, zlib and NumPy, by the kind of damage
        raise ValueError(f"{path} is no sound .npz file: {error}") from error


def read_safetensors(path: str | Path) -> Weights:
    """Read a .safetensors file: the header's length, a JSON header, then the data."""
    data = memoryview(Path(path).read_bytes())
    start = 8 + int.from_bytes(data[:8], "little")
    try:
        if start > len(data):
            raise ValueError("its header is cut off")
        header = json.loads(bytes(data[8:start]))
        header.pop("__metadata__", None)
        return {n: tensor_of(n, entry, data[start:]) for n, entry in header.items()}
    except ValueError as error:
        reason = str(error)
    except (AttributeError, KeyError, OverflowError, RecursionError, TypeError):
        reason = "its header is malformed"
    raise ValueError(f"{path} is no sound .safetensors file: {reason}")


def tensor_of(name: str, entry: dict[str, Any], data: memoryview) -> Array:
    """What an entry of a .safetensors header describes; bfloat16 as float32."""
    types = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?"}
    types |= {"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "<i1"}
    types |= {"U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "<u1"}
    if entry["dtype"] not in types:
        raise ValueError(f"{name} has the type {entry['dtype']}, which NumPy lacks")
    kind = np.dtype(types[entry["dtype"]])
    shape, (first, end) = entry["shape"], entry["data_offsets"]
    if not 0 <= first <= end <= len(data):
        raise ValueError(f"{name} lies outside the file")
    if min(shape, default=0) < 0 or math.prod(shape) * kind.itemsize != end - first:
        raise ValueError(f"{name} has {end - first} bytes, which do not fit its shape")
    array = np.frombuffer(data[first:end], dtype=kind).reshape(shape)
    if entry["dtype"] == "BF16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array
