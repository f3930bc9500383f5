"""Weight files of all formats, chosen by their suffix."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from netspec.diagnostics import spec_error
from netspec.ops import Tensor
from netspec.syntax.model_source import MODEL_SUFFIXES
from netspec.util.atomic_write import replacing, unwritable, write_bytes
from netspec.weights import deep_compression
from netspec.weights.array import Array
from netspec.weights.caffemodel_file import read_caffemodel
from netspec.weights.darknet_file import read_without_names
from netspec.weights.file_checks import file_size
from netspec.weights.npz_file import npz_unsupported, read_npz, write_npz
from netspec.weights.nsz_file import (
    CodedTensor,
    as_coded,
    nsz_bytes,
    nsz_unsupported,
    read_nsz,
    read_nsz_metadata,
    read_nsz_tensors,
    values_of,
    write_nsz,
)
from netspec.weights.safetensors_file import (
    read_safetensors,
    read_safetensors_metadata,
    safetensors_unsupported,
    write_safetensors,
)
from netspec.weights.stored import read_model
from netspec.weights.torch_file import read_torch, torch_unsupported, write_torch


class WeightFormat(NamedTuple):
    """How one format is read and written; `write` is None where it is only read.

    `unsupported` gives the reason why a file can't hold an array under a name, empty where it can.
    `ordered` says whether files list arrays in the order in which they were written.
    """

    read: Callable[[Path], dict[str, Array]]
    write: Callable[[str, Mapping[str, Array]], None] | None = None
    unsupported: Callable[[str, Array], str] = lambda name, array: ""
    ordered: bool = False


_TORCH = WeightFormat(read_torch, write_torch, torch_unsupported, ordered=True)
FORMATS = {
    ".npz": WeightFormat(read_npz, write_npz, npz_unsupported, ordered=True),
    ".safetensors": WeightFormat(read_safetensors, write_safetensors, safetensors_unsupported),
    ".caffemodel": WeightFormat(read_caffemodel),
    ".weights": WeightFormat(read_without_names),
    ".nsz": WeightFormat(read_nsz, write_nsz, nsz_unsupported, ordered=True),
    ".pt": _TORCH,
    ".pth": _TORCH,
    **{suffix: WeightFormat(read_model, ordered=True) for suffix in MODEL_SUFFIXES},
}
"""The formats by the suffix of their files."""


def read(path: Path, key: str | None = None) -> dict[str, Array]:
    """All arrays of a file by name, of the shapes and types that the file gives them.

    `key` is the dict of tensors that is meant, in a PyTorch file that holds several. Raises
    SpecError (bad-weights) for every error of the file.
    """
    if path.suffix not in FORMATS:
        *others, last = FORMATS
        known = f"{', '.join(others)} or {last}"
        raise spec_error("bad-weights", f"{path} is no {known} file")
    if key is None:
        return FORMATS[path.suffix].read(path)
    if FORMATS[path.suffix] is not _TORCH:
        message = f"--key {key} chooses in a .pt or .pth file, and {path} is none"
        raise spec_error("bad-option", message)
    return read_torch(path, key)


def read_metadata(path: Path) -> dict[str, str]:
    """What a file says of itself beside its arrays, as a few formats can. Raises SpecError."""
    if path.suffix == ".nsz":
        return read_nsz_metadata(path)
    return read_safetensors_metadata(path) if path.suffix == ".safetensors" else {}


def read_with_sizes(path: Path, key: str | None = None) -> tuple[dict[str, Array], dict[str, int]]:
    """What `read` gives, the bytes of each tensor in the file, and those of the file by ``."""
    sizes: dict[str, int] = {}
    if path.suffix == ".nsz" and key is None:
        arrays = values_of(read_nsz_tensors(path, sizes)[1])
    else:
        arrays = read(path, key)
        sizes = {name: array.nbytes for name, array in arrays.items()}
    return arrays, {**sizes, "": file_size(path)}


def read_coded(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, CodedTensor]:
    """The tensors of a file that it has codebooks of, by name, those of a net for a `.bin`.

    None of a file of another format. Raises SpecError (bad-weights).
    """
    found: Mapping[str, Array | CodedTensor] = {}
    if path.suffix == ".nsz":
        found = read_nsz_tensors(path)[1]
    elif path.suffix == ".bin":
        found = deep_compression.read_coded(path, tensors)
    return {name: tensor for name, tensor in found.items() if isinstance(tensor, CodedTensor)}


def write_coded(path: Path, tensors: Mapping[str, Array | CodedTensor], net: str) -> None:
    """Write a `.nsz` file, or a `.bin` of Deep Compression, exactly; codebooks whole.

    Raises SpecError (unwritable-file) where the file can't be written, or can't hold a tensor.
    """
    if path.suffix == ".bin":
        deep_compression.write(path, tensors)
        return
    for name, tensor in tensors.items():
        reason = _no_text(name) or (
            "" if isinstance(tensor, CodedTensor) else nsz_unsupported(name, tensor)
        )
        if reason:
            raise unwritable(path, f"it can't hold {_shortened(name)}, {reason}")
    floats = {n: t for n, t in tensors.items() if not isinstance(t, CodedTensor)}
    write_bytes(path, nsz_bytes({**tensors, **as_coded(floats)}, net))


def write(
    path: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a file, whole or not at all; the same arrays give the same bytes.

    All but `.safetensors` keep the order of the arrays, and it alone keeps `metadata`. Raises
    SpecError (unwritable-file) where the file can't be written, or the format can't hold an array.
    """
    form = FORMATS.get(path.suffix)
    if form is None or form.write is None:
        kind = path.suffix or "a file without suffix"
        formats = ".npz, .safetensors, .nsz, .pt or .pth"
        raise unwritable(path, f"weights are written as {formats}, not as {kind}")
    if "\0" in str(path):
        raise unwritable(path, "no file can have this name")
    for name, array in arrays.items():
        reason = _no_text(name) or form.unsupported(name, array)
        if reason:
            raise unwritable(path, f"it can't hold {_shortened(name)}, {reason}")
    with replacing(path) as beside:
        if metadata and path.suffix == ".safetensors":
            write_safetensors(str(beside), arrays, metadata)
        else:
            form.write(str(beside), arrays)


def _no_text(name: str) -> str:
    """Why no file can hold this name; empty where one can."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return "which is no text"
    return ""


def _shortened(name: str) -> str:
    return repr(name if len(name) <= 60 else f"{name[:57]}...")
