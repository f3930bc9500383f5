"""`.caffemodel` files: a NetParameter of caffe.proto in protobuf's wire format.

Only what weights need is read (https://protobuf.dev/programming-guides/encoding/). Every length is
checked against what is left of the message around it, so that no file makes more memory than it
has bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import prod
from pathlib import Path

import numpy as np

from netspec.diagnostics import spec_error
from netspec.lazy_dataclasses import dataclass
from netspec.weights.array import Array
from netspec.weights.file_checks import file_size, unreadable

MAX_LAYERS = 100_000
MAX_BLOBS = 100
"""Most blobs of a layer."""
MAX_ALL_BLOBS = 200_000
"""Most blobs of a file: each is an object, however few bytes it takes up in the file."""
MAX_AXES = 32
"""As in Caffe."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_RAW_TYPES = {0: "<f8", 1: "<f4", 2: "<f2"}
"""NVIDIA's Caffe keeps numbers as plain bytes, of one of these types."""


@dataclass(frozen=True)
class CaffemodelLayer:
    """A layer that has weights: its name, its type where the file says one, and its blobs."""

    name: str
    type: str
    blobs: tuple[Array, ...]


class _Broken(Exception):
    """The file is no valid message."""


def read_caffemodel(path: Path) -> dict[str, Array]:
    """The blobs of all layers, as `conv1.0`, `conv1.1`; of equal names the first counts.

    Raises SpecError (bad-weights).
    """
    arrays: dict[str, Array] = {}
    for layer in read_layers(path):
        for i, blob in enumerate(layer.blobs):
            arrays.setdefault(f"{layer.name}.{i}", blob)
    return arrays


def read_layers(path: Path) -> list[CaffemodelLayer]:
    """The layers with weights, in order. Raises SpecError (bad-weights)."""
    if file_size(path) == 0:
        raise spec_error("bad-weights", f"{path} is empty")
    try:
        data = path.read_bytes()
        return _net(memoryview(data))
    except OSError as error:
        raise unreadable(path, error) from None
    except _Broken as error:
        raise spec_error("bad-weights", f"{path} is no sound .caffemodel file: {error}") from None
    except MemoryError:
        raise spec_error("bad-weights", f"{path} does not fit into memory") from None


def _net(data: memoryview) -> list[CaffemodelLayer]:
    layers: list[CaffemodelLayer] = []
    blobs = 0
    for number, kind, value in _fields(data):
        # `layer` is 100, the older `layers` 2; names and blobs have other numbers in them.
        if number in (2, 100) and kind == _BYTES:
            assert isinstance(value, memoryview)
            layer = _layer(value, (1, 2, 7) if number == 100 else (4, 5, 6))
            if layer.blobs:
                layers.append(layer)
            blobs += len(layer.blobs)
            if len(layers) > MAX_LAYERS or blobs > MAX_ALL_BLOBS:
                what = f"{MAX_LAYERS:,} layers or {MAX_ALL_BLOBS:,} blobs"
                raise _Broken(f"it has more than {what}")
    if not layers:
        raise _Broken("it has no layer with weights")
    return layers


def _layer(data: memoryview, numbers: tuple[int, int, int]) -> CaffemodelLayer:
    name = type_ = ""
    blobs: list[Array] = []
    for number, kind, value in _fields(data):
        if not isinstance(value, memoryview):
            continue
        if number == numbers[0]:
            name = _text(value)
        elif number == numbers[1]:
            type_ = _text(value)
        elif number == numbers[2] and kind == _BYTES:
            if len(blobs) >= MAX_BLOBS:
                raise _Broken(f"a layer has more than {MAX_BLOBS} blobs")
            blobs.append(_blob(value, name))
    return CaffemodelLayer(name, type_, tuple(blobs))


def _text(value: memoryview) -> str:
    if len(value) > 10_000:
        raise _Broken("a name is too long")
    return bytes(value).decode("utf-8", "replace")


def _blob(data: memoryview, layer: str) -> Array:
    chunks: dict[int, bytearray | memoryview] = {}
    legacy: dict[int, int] = {}
    shape: list[int] | None = None
    raw_type = 1
    for number, kind, value in _fields(data):
        if number in (5, 8, 12) and isinstance(value, memoryview):
            if number == 12 or kind == _BYTES or kind == {5: _FIXED32, 8: _FIXED64}[number]:
                _append(chunks, number, value)
        elif number == 7 and isinstance(value, memoryview):
            shape = (shape or []) + _shape(value)
        elif number in (1, 2, 3, 4) and isinstance(value, int):
            legacy[number] = value
        elif number == 10 and isinstance(value, int):
            raw_type = value
    array = _numbers(chunks, raw_type, layer)
    if shape is None and legacy:
        shape = [legacy.get(i, 0) for i in (1, 2, 3, 4)]
    if shape is None:
        return array
    if len(shape) > MAX_AXES or any(not 0 <= d < 2**40 for d in shape):
        raise _Broken(f"a blob of {layer or 'a layer'} has a shape that no blob has")
    if prod(shape) != array.size:
        text = "x".join(map(str, shape))
        raise _Broken(f"a blob of {layer or 'a layer'} is {text}, but has {array.size:,} numbers")
    return array.reshape(shape)


def _append(chunks: dict[int, bytearray | memoryview], number: int, value: memoryview) -> None:
    """Packed fields may come in several pieces."""
    known = chunks.get(number)
    if known is None:
        chunks[number] = value
    elif isinstance(known, bytearray):
        known += value
    else:
        chunks[number] = bytearray(known) + value


def _numbers(chunks: Mapping[int, bytearray | memoryview], raw_type: int, layer: str) -> Array:
    for number, kind in ((5, "<f4"), (8, "<f8"), (12, _RAW_TYPES.get(raw_type, ""))):
        if number not in chunks:
            continue
        if not kind:
            raise _Broken(f"{layer or 'a layer'} has numbers of a type that is not known")
        data = chunks[number]
        size = np.dtype(kind).itemsize
        if len(data) % size:
            raise _Broken(f"a blob of {layer or 'a layer'} ends in the middle of a number")
        # A copy, since the file is closed behind it; in the byte order of this machine.
        return np.frombuffer(data, kind).astype(np.dtype(kind).newbyteorder("="))
    return np.zeros(0, np.float32)


def _shape(data: memoryview) -> list[int]:
    dims: list[int] = []
    for number, _, value in _fields(data):
        if number != 1:
            continue
        if isinstance(value, int):
            dims.append(value)
        else:
            place = 0
            while place < len(value):
                dim, place = _varint(value, place)
                dims.append(dim)
                if len(dims) > MAX_AXES:
                    break
        if len(dims) > MAX_AXES:
            raise _Broken(f"a blob has more than {MAX_AXES} axes")
    return dims


# --- the wire format -----------------------------------------------------------------------------


def _fields(data: memoryview) -> Iterator[tuple[int, int, int | memoryview]]:
    """Number, wire type and value of each field: an int, or a view of its bytes. Raises _Broken."""
    place, end = 0, len(data)
    while place < end:
        key, place = _varint(data, place)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise _Broken("a field has the number 0")
        if kind == _VARINT:
            value, place = _varint(data, place)
            yield number, kind, value
            continue
        if kind == _BYTES:
            length, place = _varint(data, place)
        elif kind in (_FIXED32, _FIXED64):
            length = 4 if kind == _FIXED32 else 8
        else:
            raise _Broken(f"a field is of the wire type {kind}")
        if not 0 <= length <= end - place:
            raise _Broken("it ends in the middle of a field")
        yield number, kind, data[place : place + length]
        place += length


def _varint(data: memoryview, place: int) -> tuple[int, int]:
    result = 0
    for i in range(10):
        if place + i >= len(data):
            raise _Broken("it ends in the middle of a number")
        byte = data[place + i]
        result |= (byte & 127) << (7 * i)
        if byte < 128:
            # Negative numbers are written as 64 bits.
            return (result - 2**64 if result >= 2**63 else result), place + i + 1
    raise _Broken("a number has more than 64 bits")


# --- writing -------------------------------------------------------------------------------------


def caffemodel(name: str, layers: Sequence[CaffemodelLayer]) -> Iterator[bytes]:
    """A file with these layers in today's form, as float32, piece by piece."""
    yield _field(1, name.encode())
    for layer in layers:
        head = _field(1, layer.name.encode()) + _field(2, layer.type.encode())
        blobs = []
        for array in layer.blobs:
            dims = b"".join(_written(d) for d in array.shape)
            data = np.ascontiguousarray(array, dtype="<f4").tobytes()
            # `data` is 5, `shape` 7; both are packed.
            blobs.append(_field(7, _field(1, dims)) + _head(5, len(data)) + data)
        size = len(head) + sum(len(_head(7, len(b))) + len(b) for b in blobs)
        yield _head(100, size) + head
        for blob in blobs:
            yield _head(7, len(blob)) + blob


def _field(number: int, data: bytes) -> bytes:
    return _head(number, len(data)) + data


def _head(number: int, length: int) -> bytes:
    return _written(number << 3 | _BYTES) + _written(length)


def _written(number: int) -> bytes:
    result = bytearray()
    while number > 127:
        result.append(number & 127 | 128)
        number >>= 7
    result.append(number)
    return bytes(result)
