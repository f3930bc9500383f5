"""`.pt` and `.pth` files: the state dict of a PyTorch model. Only torch reads and writes them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netspec.diagnostics import spec_error
from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.weights.array import Array
from netspec.weights.file_checks import file_size, unreadable
from netspec.weights.safetensors_file import TYPES

WRAPPERS = ("module.", "_orig_mod.")
"""What DataParallel and torch.compile put in front of all names."""


def read_torch(path: Path, key: str | None = None) -> dict[str, Array]:
    """All tensors of a file by name, in the order of the file, bfloat16 as float32.

    A checkpoint that holds one dict of tensors beside other things is read as that dict; of
    several, `key` is the one that is meant. Only tensors and plain data are unpickled
    (`weights_only`), so a file can't run code. Raises SpecError (bad-weights, or missing-package
    without torch).
    """
    torch = _torch(path)
    file_size(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about formats of old
            data = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise unreadable(path, error) from None
    except MemoryError:
        raise spec_error("bad-weights", f"{path} does not fit into memory") from None
    except Exception as error:
        # The unpickler lets through whatever a broken file brings about: KeyError, IndexError, ...
        first = str(error).strip().split("\n")[0].split(". ")[0][:200]
        raise spec_error(
            "bad-weights",
            f"{path} is no sound PyTorch file of weights: {first or type(error).__name__}",
            help=("only tensors are read, no Python objects: save `model.state_dict()`",),
        ) from None
    state = _state_dict(path, data, torch, key)
    for wrapper in WRAPPERS:
        if state and all(name.startswith(wrapper) for name in state):
            state = {name.removeprefix(wrapper): tensor for name, tensor in state.items()}
    return {name: _array(path, name, tensor, torch) for name, tensor in state.items()}


def _torch(path: Path) -> Any:
    try:
        import torch
    except ImportError:
        message = f"{path} is a PyTorch file, and needs torch, which is not installed"
        raise spec_error("missing-package", message, help=("pip install torch",)) from None
    return torch


def _state_dict(path: Path, data: Any, torch: Any, key: str | None) -> dict[str, Any]:
    """The one dict of tensors in what a file holds, or that of a key."""

    def is_state(value: Any) -> bool:
        return (
            isinstance(value, Mapping)
            and bool(value)
            and all(isinstance(n, str) and isinstance(t, torch.Tensor) for n, t in value.items())
        )

    if key is None and (is_state(data) or (isinstance(data, Mapping) and not data)):
        return dict(data)
    inner = [name for name, value in data.items() if is_state(value)] if _is_dict(data) else []
    if key in inner:
        return dict(data[key])
    if key is not None:
        message = f"{path} has no dict of tensors {key}"
        help_ = did_you_mean(key, inner) or ((f"there are {one_of(inner)}",) if inner else ())
        raise spec_error("bad-weights", message, help=help_)
    if len(inner) == 1:
        return dict(data[inner[0]])
    if inner:
        message = f"{path} holds several dicts of tensors: {one_of(inner)}"
        help_ = (f"say which: `--key {inner[0]}`",)
        raise spec_error("bad-weights", message, help=help_)
    raise spec_error(
        "bad-weights",
        f"{path} holds no dict of tensors by name",
        help=("save `model.state_dict()`",),
    )


def _is_dict(data: Any) -> bool:
    return isinstance(data, Mapping) and all(isinstance(name, str) for name in data)


def _array(path: Path, name: str, tensor: Any, torch: Any) -> Array:
    if tensor.layout != torch.strided or tensor.is_quantized:
        raise spec_error(
            "bad-weights",
            f"{path} holds {name!r} as a sparse or quantized tensor, which is not read",
        )
    tensor = tensor.detach()
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    try:
        array: Array = tensor.contiguous().numpy()
    except (TypeError, RuntimeError):
        raise spec_error(
            "bad-weights",
            f"{path} holds {name!r} as {str(tensor.dtype).removeprefix('torch.')}, which netspec "
            "does not read",
        ) from None
    return array.copy()  # tensors may share memory


def write_torch(path: str, arrays: Mapping[str, Array]) -> None:
    """Write arrays for which `torch_unsupported` is empty; equal arrays give equal bytes.

    Raises OSError.
    """
    torch = _torch(Path(path))
    state = {name: torch.from_numpy(np.array(array, order="C")) for name, array in arrays.items()}
    try:
        with open(path, "wb") as file:  # given a path, torch.save would write its name as well
            torch.save(state, file)
    except RuntimeError as error:  # so the library calls a full disk
        raise OSError(str(error)) from None


def torch_unsupported(name: str, array: Array) -> str:
    """Why a file can't hold this array under this name; empty where it can."""
    if array.dtype.name not in TYPES.values():
        return f"which is of type {array.dtype}"
    return ""
