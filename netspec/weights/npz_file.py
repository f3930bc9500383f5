"""`.npz` files: a zip archive with one `.npy` member for each array."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np

from netspec.diagnostics import spec_error
from netspec.weights.array import Array
from netspec.weights.file_checks import file_size, unreadable

MAX_BYTES = 2**34
"""Most bytes that a file may unpack to."""
MODEST_BYTES = 2**30
"""Up to here a file may unpack to any multiple of its own size, and beyond to MAX_RATIO times."""
MAX_RATIO = 100
MAX_NAME_BYTES = 60_000
"""A zip archive has 16 bits for the length of a name."""
CHUNK = 2**22
HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def read_npz(path: Path) -> dict[str, Array]:
    """All arrays of a file by name, each writable and of the type that the file gives it.

    Sizes are checked before anything is unpacked, objects are never read. Raises SpecError
    (bad-weights).
    """
    size = file_size(path)
    arrays: dict[str, Array] = {}
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _check_members(path, size, members)
            for member in members:
                name = member.filename.removesuffix(".npy")
                with archive.open(member) as stream:
                    arrays[name] = _read_npy(path, name, stream, member.file_size)
    except OSError as error:
        raise unreadable(path, error) from None
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        ValueError,
        OverflowError,
        NotImplementedError,  # an unknown flag or version of zip
        RuntimeError,  # an encrypted member
    ) as error:
        raise spec_error("bad-weights", f"{path} is no sound .npz file: {error}") from None
    except MemoryError:
        raise spec_error("bad-weights", f"{path} does not fit into memory") from None
    return arrays


def _check_members(path: Path, size: int, members: list[zipfile.ZipInfo]) -> None:
    """Raise SpecError where the directory of the archive is not one of arrays."""
    seen = set()
    for member in members:
        if not member.filename.endswith(".npy"):
            raise spec_error("bad-weights", f"{path} holds {member.filename!r}, which is no array")
        if member.filename in seen:
            raise spec_error("bad-weights", f"{path} holds {member.filename!r} twice")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise spec_error(
                "bad-weights", f"{path} is compressed in another way than .npz files are"
            )
        seen.add(member.filename)
    total = sum(member.file_size for member in members)
    if total > min(MAX_BYTES, max(MODEST_BYTES, MAX_RATIO * size)):
        raise spec_error(
            "bad-weights",
            f"{path} has {size:,} bytes and claims to unpack to {total:,}, which is refused",
        )


def _read_npy(path: Path, name: str, stream: IO[bytes], size: int) -> Array:
    """One member of `size` bytes, its header checked before it is used."""
    shape, fortran, dtype = _read_header(name, stream)
    if dtype.hasobject:
        raise spec_error(
            "bad-weights", f"{path} holds Python objects under {name!r}, which are not read"
        )
    length = prod(shape) * dtype.itemsize
    if length > size:
        raise ValueError(f"{name!r} is cut off, or its shape is wrong")
    data = bytearray()
    while len(data) < length and (chunk := stream.read(min(CHUNK, length - len(data)))):
        data += chunk
    if len(data) != length:
        raise ValueError(f"{name!r} is cut off")
    if stream.read(1):  # at the end of a member its checksum is compared, too
        raise ValueError(f"{name!r} goes on after its last element")
    array = np.frombuffer(data, dtype=dtype)
    return array.reshape(shape[::-1]).T if fortran else array.reshape(shape)


def _read_header(name: str, stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether in Fortran order, and type. Raises ValueError."""
    try:
        version = np.lib.format.read_magic(stream)
        shape, fortran, dtype = HEADERS[version](stream)
    except (zipfile.BadZipFile, zlib.error, OSError):  # of the archive, not of the header
        raise
    except Exception:
        # NumPy evaluates the header as a Python literal, and lets through whatever the tokenizer,
        # the parser and the evaluation raise: TokenError, MemoryError, TypeError, ...
        raise ValueError(f"the header of {name!r} can't be read") from None
    if not all(type(d) is int and d >= 0 for d in shape):
        raise ValueError(f"{name!r} has no possible shape")
    return shape, fortran, dtype


def write_npz(path: str, arrays: Mapping[str, Array]) -> None:
    """Write as numpy.savez_compressed does, but equal arrays give equal bytes. Raises OSError."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            member.compress_type = zipfile.ZIP_DEFLATED
            member.create_system = 3  # else it is different on Windows
            with archive.open(member, "w", force_zip64=True) as stream:
                np.lib.format.write_array(stream, np.asarray(array, order="C"), allow_pickle=False)


def npz_unsupported(name: str, array: Array) -> str:
    """Why a file can't hold this array under this name; empty where it can."""
    if "\0" in name or len(name.encode(errors="replace")) > MAX_NAME_BYTES:
        return "which is no name that a member of a zip archive can have"
    if array.dtype.hasobject:
        return "which holds Python objects"
    return ""
