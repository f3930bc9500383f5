"""`.npz` and `.safetensors` files."""

from __future__ import annotations

import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from netspec.diagnostics import Diagnostic, SpecError

Array = np.ndarray[Any, np.dtype[Any]]

SUFFIXES = (".npz", ".safetensors")
MAX_BYTES = 2**34
"""Most bytes of arrays that a file may unpack to."""


def bad(message: str, *help: str) -> SpecError:
    """The error of a weight file that can't be used."""
    return SpecError([Diagnostic("bad-weights", message, help=help)])


def read(path: Path) -> dict[str, Array]:
    """All arrays of a file by name. Raises SpecError."""
    if path.suffix not in SUFFIXES:
        raise bad(f"{path} is neither a .npz nor a .safetensors file")
    try:
        return _read_npz(path) if path.suffix == ".npz" else _read_safetensors(path)
    except FileNotFoundError:
        raise bad(f"there is no weight file {path}") from None
    except OSError as error:
        raise bad(f"{path} can't be read: {error.strerror or error}") from None


def _read_npz(path: Path) -> dict[str, Array]:
    arrays: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(".npy"):
                    raise bad(f"{path} holds {member.filename!r}, which is no array")
                with archive.open(member) as stream:
                    name = member.filename.removesuffix(".npy")
                    arrays[name] = _read_npy(path, name, stream, member.file_size)
    except (zipfile.BadZipFile, EOFError, ValueError, NotImplementedError, RuntimeError) as error:
        raise bad(f"{path} is no sound .npz file: {error}") from None
    except Exception as error:
        if type(error).__module__ == "zlib":
            raise bad(f"{path} is no sound .npz file: {error}") from None
        raise
    return arrays


def _read_npy(path: Path, name: str, stream: Any, size: int) -> Array:
    """One member, its header checked before anything of its size is allocated."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name} has version {version}")
    header = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    shape, fortran, dtype = header[version](stream)
    if dtype.hasobject:
        raise bad(f"{path} holds Python objects under {name}, which are not read")
    count = 1
    for d in shape:
        count *= d
    if count * dtype.itemsize > min(size, MAX_BYTES):
        raise ValueError(f"{name} is cut off, or too large")
    data = stream.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise ValueError(f"{name} is cut off")
    array = np.frombuffer(data, dtype=dtype)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def _read_safetensors(path: Path) -> dict[str, Array]:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if path.is_dir():
        raise IsADirectoryError(21, "it is a folder")
    try:
        return dict(load_file(path))
    except SafetensorError as error:
        raise bad(f"{path} is no sound .safetensors file: {error}") from None
    except (TypeError, KeyError, AttributeError) as error:
        raise bad(f"{path} has a type of number that NumPy lacks: {error}") from None


def write(path: Path, arrays: Mapping[str, Array]) -> None:
    """Write a file, whole or not at all; the same arrays give the same bytes. Raises SpecError."""
    if path.suffix not in SUFFIXES:
        raise bad(f"weights are written as .npz or .safetensors, not as {path.suffix or path.name}")
    beside: str | None = None
    try:
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        os.close(handle)
        if path.suffix == ".npz":
            _write_npz(beside, arrays)
        else:
            from safetensors.numpy import save_file

            save_file({n: np.ascontiguousarray(a) for n, a in arrays.items()}, beside)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(beside, 0o666 & ~umask)
        os.replace(beside, path)
    except OSError as error:
        message = f"{path} can't be written: {error.strerror or error}"
        raise SpecError([Diagnostic("unwritable-file", message)]) from None
    finally:
        if beside is not None and os.path.exists(beside):
            os.unlink(beside)


def _write_npz(path: str, arrays: Mapping[str, Array]) -> None:
    """As numpy.savez_compressed does, but with a fixed date."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.ascontiguousarray(array), allow_pickle=False)
