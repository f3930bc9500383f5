"""`.safetensors` files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from netspec.diagnostics import spec_error
from netspec.weights.array import Array
from netspec.weights.file_checks import file_size, unreadable

TYPES = {
    "BOOL": "bool",
    "U8": "uint8",
    "I8": "int8",
    "U16": "uint16",
    "I16": "int16",
    "U32": "uint32",
    "I32": "int32",
    "U64": "uint64",
    "I64": "int64",
    "F16": "float16",
    "F32": "float32",
    "F64": "float64",
}
"""The types of number that the format and NumPy have in common, by their names in each."""


def read_safetensors(path: Path) -> dict[str, Array]:
    """All arrays of a file by name, of the type that the file gives them.

    Raises SpecError (bad-weights), also for types that TYPES lacks, such as bfloat16.
    """
    from safetensors import SafetensorError, safe_open

    file_size(path)
    arrays: dict[str, Array] = {}
    try:
        with safe_open(str(path), framework="np") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (it is no mapping)
                kind = str(tensors.get_slice(name).get_dtype())
                if kind not in TYPES:
                    raise spec_error(
                        "bad-weights",
                        f"{path} holds {name!r} as {kind}, which netspec does not read",
                        help=("save the weights as float32, or as float16",),
                    )
                arrays[name] = tensors.get_tensor(name)
    except OSError as error:
        raise unreadable(path, error) from None
    except (SafetensorError, ValueError, OverflowError) as error:
        raise spec_error("bad-weights", f"{path} is no sound .safetensors file: {error}") from None
    except MemoryError:
        raise spec_error("bad-weights", f"{path} does not fit into memory") from None
    return arrays


def read_safetensors_metadata(path: Path) -> dict[str, str]:
    """What a file says of itself beside its arrays. Raises SpecError (bad-weights)."""
    from safetensors import SafetensorError, safe_open

    file_size(path)
    try:
        with safe_open(str(path), framework="np") as tensors:
            return dict(tensors.metadata() or {})
    except OSError as error:
        raise unreadable(path, error) from None
    except (SafetensorError, ValueError, OverflowError) as error:
        raise spec_error("bad-weights", f"{path} is no sound .safetensors file: {error}") from None


def write_safetensors(
    path: str, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write arrays for which `safetensors_unsupported` is empty. Raises OSError."""
    from safetensors import SafetensorError
    from safetensors.numpy import save_file

    try:
        save_file(
            {n: np.asarray(a, order="C") for n, a in arrays.items()},
            path,
            dict(metadata or {}) or None,
        )
    except SafetensorError as error:  # so the library calls a full disk
        raise OSError(str(error)) from None


def safetensors_unsupported(name: str, array: Array) -> str:
    """Why a file can't hold this array under this name; empty where it can."""
    if name == "__metadata__":
        return "a name that the format needs for itself"
    if array.dtype.name not in TYPES.values():
        return f"which is of type {array.dtype}"
    return ""
