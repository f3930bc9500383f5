"""The file as protobuf, and the tensors in it, or in files beside it, as constants.

Nothing of a file is trusted: what its tensors say of their sizes is held against the bytes that
there are, and data lies in the file's own folder or is refused.
"""

from __future__ import annotations

from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]
from onnx import ModelProto, TensorProto, numpy_helper

from netspec.diagnostics import SpecError, spec_error
from netspec.importers.onnx.listing import shown
from netspec.importers.tensors.program import ProgramConstant
from netspec.util.inputs import note_input

MOST_BYTES = 2**31
"""Most bytes of a protobuf file."""
MOST_ELEMENTS = 2**33
"""Most numbers of a tensor."""

TYPES: dict[int, tuple[str, int, str]] = {
    TensorProto.FLOAT: ("float32", 4, "float_data"),
    TensorProto.DOUBLE: ("float64", 8, "double_data"),
    TensorProto.FLOAT16: ("float16", 2, "int32_data"),
    TensorProto.BFLOAT16: ("bfloat16", 2, "int32_data"),
    TensorProto.INT8: ("int8", 1, "int32_data"),
    TensorProto.INT16: ("int16", 2, "int32_data"),
    TensorProto.INT32: ("int32", 4, "int32_data"),
    TensorProto.INT64: ("int64", 8, "int64_data"),
    TensorProto.UINT8: ("uint8", 1, "int32_data"),
    TensorProto.UINT16: ("uint16", 2, "int32_data"),
    TensorProto.UINT32: ("uint32", 4, "uint64_data"),
    TensorProto.UINT64: ("uint64", 8, "uint64_data"),
    TensorProto.BOOL: ("bool", 1, "int32_data"),
}
"""The types of number that are read: NumPy's name, bytes, the field for those not in raw bytes."""


def parse(path: Path) -> ModelProto:
    """The model of a file. Raises SpecError."""
    note_input(path)
    model = ModelProto()
    try:
        if path.stat().st_size > MOST_BYTES:
            raise spec_error("too-large", f"{path} is larger than the 2 GiB of a protobuf file")
        model.ParseFromString(path.read_bytes())
    except OSError as error:
        message = f"{path} can't be read: {error.strerror or error}"
        raise spec_error("unreadable-file", message) from None
    except (DecodeError, RuntimeError, ValueError):
        message = f"{path} is no sound .onnx file: it is cut off, or damaged"
        raise spec_error("unreadable-file", message) from None
    if not model.graph.node and not model.graph.output:
        raise spec_error("unreadable-file", f"{path} is no .onnx file: it has no graph")
    return model


def type_name(kind: int) -> str | None:
    """NumPy's name of a type of number; None for those that are not read."""
    return TYPES[kind][0] if kind in TYPES else None


def constant(tensor: TensorProto, path: Path, key: object) -> tuple[ProgramConstant, str]:
    """A tensor of the file at `path`, and NumPy's name of its type. Raises SpecError."""
    name, shape = shown(tensor.name), tuple(tensor.dims)
    if tensor.data_type not in TYPES:
        known = TensorProto.DataType.keys()
        kinds = dict(zip(TensorProto.DataType.values(), known, strict=True))
        kind = kinds.get(tensor.data_type, str(tensor.data_type))
        raise bad(f"{name} has numbers of type {kind}, which netspec does not read")
    kind, width, field = TYPES[tensor.data_type]
    if any(n < 0 for n in shape) or prod(shape) > MOST_ELEMENTS:
        raise spec_error("too-large", f"{name} says that its shape is {_times(shape)}")
    size = prod(shape)
    if tensor.data_location == TensorProto.EXTERNAL:
        where, offset = _external(tensor, path, size * width)

        def load() -> Any:
            return _from_file(where, offset, size * width, kind, shape)

        return ProgramConstant(shape, load, key, path), kind
    stored = len(tensor.raw_data) if tensor.HasField("raw_data") else None
    given = stored // width if stored is not None else len(getattr(tensor, field))
    if given != size or (stored is not None and stored % width):
        raise bad(f"{name} is {_times(shape)}, {size:,} numbers, and the file has {given:,}")
    return ProgramConstant(shape, lambda: numpy_helper.to_array(tensor), key, path), kind


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape[:10])) or "a single number"


def _external(tensor: TensorProto, path: Path, size: int) -> tuple[Path, int]:
    """Where the bytes of a tensor begin in a file of the folder. Raises SpecError."""
    name = shown(tensor.name)
    said = {entry.key: entry.value for entry in tensor.external_data}
    location = said.get("location", "")
    folder = path.parent.resolve()
    try:
        where = (folder / location).resolve()
        inside = bool(location) and "\0" not in location and where.is_relative_to(folder)
    except (OSError, ValueError, RuntimeError):
        inside = False
    if not inside or Path(location).is_absolute():
        raise bad(f"the data of {name} is said to be in {shown(location)}, outside of the folder")
    if not where.is_file():
        raise bad(f"the data of {name} is in {shown(location)}, and there is no such file")
    note_input(where)
    try:
        offset = int(said.get("offset") or 0)
        length = int(said.get("length") or size)
    except ValueError:
        raise bad(f"where the data of {name} begins is no number") from None
    if length != size or offset < 0 or offset + size > where.stat().st_size:
        raise bad(f"{shown(location)} does not have the {size:,} bytes of {name}")
    return where, offset


def _from_file(where: Path, offset: int, size: int, kind: str, shape: tuple[int, ...]) -> Any:
    try:
        with where.open("rb") as file:
            file.seek(offset)
            content = file.read(size)
    except OSError as error:
        raise bad(f"{where} can't be read: {error.strerror or error}") from None
    if len(content) != size:
        raise bad(f"{where} is shorter than it was")
    if kind == "bfloat16":  # the upper half of a float32
        halves = np.frombuffer(content, "<u2").astype(np.uint32) << 16
        return halves.view(np.float32).reshape(shape)
    return np.frombuffer(content, np.dtype(kind).newbyteorder("<")).reshape(shape)


def bad(message: str) -> SpecError:
    """The error of a file whose tensors are not sound, to be raised."""
    return spec_error("bad-weights", message)
