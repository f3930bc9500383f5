"""Weight files by their suffix: `.npz`, `.safetensors`, and `.pt` or `.pth`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from netspec.diagnostics import spec_error
from netspec.util.atomic_write import replacing, unwritable
from netspec.weights.array import Array
from netspec.weights.caffemodel_file import read_caffemodel
from netspec.weights.npz_file import npz_lacks, read_npz, write_npz
from netspec.weights.safetensors_file import read_safetensors, safetensors_lack, write_safetensors
from netspec.weights.torch_file import read_torch, torch_lacks, write_torch

READERS = {
    ".npz": read_npz,
    ".safetensors": read_safetensors,
    ".caffemodel": read_caffemodel,
    ".pt": read_torch,
    ".pth": read_torch,
}
WRITERS = {
    ".npz": write_npz,
    ".safetensors": write_safetensors,
    ".pt": write_torch,
    ".pth": write_torch,
}
LACKS = {
    ".npz": npz_lacks,
    ".safetensors": safetensors_lack,
    ".pt": torch_lacks,
    ".pth": torch_lacks,
}
KEEP_ORDER = (".npz", ".pt", ".pth")
"""Formats whose files list arrays in the order in which they were written."""


def read(path: Path) -> dict[str, Array]:
    """All arrays of a file by name, of the shapes and types that the file gives them.

    Raises SpecError (bad-weights) for every error of the file.
    """
    if path.suffix not in READERS:
        raise spec_error(
            "bad-weights", f"{path} is no .npz, .safetensors, .pt or .pth file, nor a .caffemodel"
        )
    return READERS[path.suffix](path)


def write(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write a file, whole or not at all; the same arrays give the same bytes.

    All but `.safetensors` keep the order of the arrays. Raises SpecError (unwritable-file) where
    the place can't be written to, or the format can't hold what it shall.
    """
    if path.suffix not in WRITERS:
        kind = path.suffix or "a file without suffix"
        formats = ".npz, .safetensors, .pt or .pth"
        raise unwritable(path, f"weights are written as {formats}, not as {kind}")
    if "\0" in str(path):
        raise unwritable(path, "no file can have this name")
    for name, array in arrays.items():
        reason = _no_text(name) or LACKS[path.suffix](name, array)
        if reason:
            raise unwritable(path, f"it can't hold {_shortened(name)}, {reason}")
    with replacing(path) as beside:
        WRITERS[path.suffix](str(beside), arrays)


def _no_text(name: str) -> str:
    """Why no file can hold this name; empty where one can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "which is no text"
    return ""


def _shortened(name: str) -> str:
    return repr(name if len(name) <= 60 else f"{name[:57]}...")
