"""Making initial weights, and reading and checking those of files."""

from __future__ import annotations

import json
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from netspec_numpy.kernels.arrays import Array, Weights


def initial_weights(shapes: dict[str, tuple[int, ...]], seed: int, inits: Any) -> Weights:
    """Fresh weights: filters as `inits` says for `*`, factors of 1, shifts of 0, or as it names."""
    rng, weights = np.random.default_rng(seed), {}
    for name, shape in shapes.items():
        one = 1.0 if name.endswith((".weight", ".running_var")) else 0.0
        init = inits.get(name, inits["*"] if len(shape) > 1 else one)
        draws = isinstance(init, tuple)
        weights[name] = draw(rng, shape, *init) if draws else np.full(shape, init, np.float32)
    return weights


def draw(rng: Any, shape: Any, kind: str, std: float, fan: str = "", mean: float = 0) -> Array:
    """`normal` or `uniform` numbers, their standard deviation divided by the root of a fan."""
    into, out = prod(shape[1:]), prod(shape[:1] + shape[2:])
    std /= {"": 1, "in": into, "out": out, "mean": (into + out) / 2}[fan] ** 0.5
    uniform = kind == "uniform"
    x: Array = (rng.random if uniform else rng.standard_normal)(shape, np.float32)
    x *= 12**0.5 * std if uniform else std
    x += mean - 3**0.5 * std if uniform else mean
    return x


def read_weights(path: str | Path) -> Weights:
    """Read a .npz or .safetensors file; ValueError if it is neither, or damaged."""
    try:
        if str(path).endswith(".npz"):
            with np.load(path, allow_pickle=False) as file:
                return {name: np.asarray(file[name]) for name in file}
        types = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "BOOL": "?"}
        types |= {f"{c}{8 * n}": f"<{c.lower()}{n}" for c in "IU" for n in (1, 2, 4, 8)}
        data, weights = memoryview(Path(path).read_bytes()), {}
        start = 8 + int.from_bytes(data[:8], "little")
        for name, entry in json.loads(bytes(data[8:start])).items():
            if name != "__metadata__":
                (first, end), dtype = entry["data_offsets"], entry["dtype"]
                array = np.frombuffer(data[start:][first:end], types[dtype])
                if dtype == "BF16":  # the upper halves of float32
                    array = (array.astype(np.uint32) << 16).view(np.float32)
                weights[name] = array.reshape(entry["shape"])
        return weights
    except OSError:
        raise
    except Exception as error:  # of zipfile, json or NumPy, by the kind of damage
        hint = " (.nsz files are for `compile --nsz`)" * str(path).endswith(".nsz")
        raise ValueError(f"{path} holds no sound weights{hint}: {error!r}") from error


def check_weights(found: Weights, shapes: dict[str, tuple[int, ...]]) -> Weights:
    """The wanted weights in float32, times any `NAME.scale`; ValueError if one is amiss."""
    found, weights, problems = dict(found), {}, []
    for name, shape in shapes.items():
        array, scale = found.pop(name, None), found.pop(f"{name}.scale", np.ones(1))
        if array is None:
            problems.append(f"{name} is missing")
        elif array.shape != shape or array.dtype.kind not in "fiu":
            problems.append(f"{name} is {array.dtype} of {array.shape}, not {shape}")
        elif scale.shape not in ((), (1,), (shape[0],)) or scale.dtype.kind not in "fiu":
            problems.append(f"{name}.scale is {scale.dtype} of {scale.shape}")
        else:
            factor = scale.reshape(-1, *[1] * (len(shape) - 1))
            weights[name] = np.multiply(array, factor, order="C", dtype=np.float32)
    problems += [f"{n} is left over" for n in found if "num_batches_tracked" not in n]
    if problems:
        raise ValueError("these weights do not fit: " + "; ".join(problems))
    return weights
