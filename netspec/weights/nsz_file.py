"""Writes and reads `.nsz` files; nsz_reader.py says what they are made of."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator, Mapping
from contextlib import contextmanager
from itertools import groupby, takewhile
from pathlib import Path
from zlib import crc32

import numpy as np

from netspec.diagnostics import spec_error
from netspec.lazy_dataclasses import dataclass
from netspec.weights.array import Array
from netspec.weights.file_checks import file_size, unreadable
from netspec.weights.nsz_reader import (
    NSZ_KINDS,
    NSZ_LEAST,
    NSZ_TENSORS,
    NSZ_TOTAL,
    nsz_frequencies,
    nsz_layers,
)

STEPS = 6000
"""About how many steps decoding a file takes; fewer cost two bytes for each lane."""
CODEBOOK = 256
"""Most values of a tensor that are coded."""


@dataclass(frozen=True, eq=False)
class CodedTensor:
    """A tensor whose numbers are a few: `codebook` (float32, first 0), and the place of each.

    `codes` is uint8, of the tensor's shape.
    """

    codebook: Array
    codes: Array

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.codes.shape)

    @property
    def values(self) -> Array:
        """The tensor, float32."""
        found: Array = self.codebook[self.codes]
        return found


def coded(array: Array) -> CodedTensor | None:
    """An array as a coded tensor, exactly; None where it has more than 256 values, 0 counted.

    -0 counts as a value of its own.
    """
    bits = np.unique(np.append(np.float32(0), array.astype("<f4")).view(np.uint32))
    if len(bits) > CODEBOOK:
        return None
    place = np.searchsorted(bits, np.ascontiguousarray(array, "<f4").view(np.uint32))
    return CodedTensor(bits.view(np.float32), place.astype(np.uint8))


Tensors = Mapping[str, Array | CodedTensor]


def values_of(tensors: Tensors) -> dict[str, Array]:
    """Tensors by name as arrays."""
    return {n: t.values if isinstance(t, CodedTensor) else t for n, t in tensors.items()}


# --- reading -------------------------------------------------------------------------------------


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Raise SpecError (bad-weights) for what is wrong with a file that is read in the block."""
    file_size(path)
    try:
        yield
    except OSError as error:
        raise unreadable(path, error) from None
    except (ValueError, OverflowError, RecursionError) as error:
        raise spec_error("bad-weights", f"{path} is no sound .nsz file: {error}") from None
    except MemoryError:
        raise spec_error("bad-weights", f"{path} does not fit into memory") from None


def read_nsz_metadata(path: Path) -> dict[str, str]:
    """What a file says of itself. Raises SpecError (bad-weights)."""
    with _reported(path):
        return nsz_layers(path.read_bytes())[0]


def read_nsz_tensors(
    path: Path, sizes: dict[str, int] | None = None
) -> tuple[dict[str, str], dict[str, Array | CodedTensor]]:
    """What a file says of itself, and its tensors by name. Raises SpecError (bad-weights).

    The bytes that each tensor takes are put into `sizes`.
    """
    found: dict[str, Array | CodedTensor] = {}
    with _reported(path):
        about, layers = nsz_layers(path.read_bytes(), sizes)
        for name, _, values, codes in (tensor for layer in layers for tensor in layer):
            if codes is not None and codes.max() >= len(values):
                raise ValueError(f"{name} has a code without a value")
            found[name] = values if codes is None else CodedTensor(values, codes)
    return about, found


def read_nsz(path: Path) -> dict[str, Array]:
    """The arrays of a file by name, float32. Raises SpecError (bad-weights)."""
    return values_of(read_nsz_tensors(path)[1])


# --- writing -------------------------------------------------------------------------------------


def nsz_bytes(
    tensors: Tensors,
    net: str = "",
    about: Mapping[str, str] | None = None,
    halves: Container[str] = (),
    sizes: dict[str, int] | None = None,
) -> bytes:
    """The content of a file with these tensors; the same tensors give the same bytes.

    Floats and codebooks of the tensors in `halves` are float16 where that is precise, others
    float32. The bytes of each tensor's data are put into `sizes`.
    """
    groups = [(p, list(g)) for p, g in groupby(tensors, lambda name: name.rpartition(".")[0])]
    roots = sum(t.codes.size**0.5 for t in tensors.values() if isinstance(t, CodedTensor))
    head = [_text(net), _text(json.dumps(dict(about), sort_keys=True) if about else "")]
    head.append(_number(len(groups)))
    parts, before = [], ""
    for path, names in groups:
        pairs = zip(before, path, strict=False)
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        described, data = [_number(len(names))], []
        for name in names:
            kind, part = _data(tensors[name], name in halves, roots)
            local = name.rpartition(".")[2]
            which = NSZ_TENSORS.index(local) if local in NSZ_TENSORS else 4
            described.append(bytes((8 * NSZ_KINDS.index(kind) + which,)))
            described.append(_text(local) if which == 4 else b"")
            described += [_number(n) for n in (len(tensors[name].shape), *tensors[name].shape)]
            data.append(part)
            if sizes is not None:
                sizes[name] = len(part)
        whole = b"".join(data)
        head += [_number(shared), _text(path[shared:]), _number(len(whole))]
        head += [crc32(whole).to_bytes(4, "little"), *described]
        parts.append(whole)
        before = path
    header = b"".join(head)
    length = 4 + 4 + len(header) + 4 + sum(map(len, parts))
    header = b"nsz\1" + length.to_bytes(4, "little") + header
    return b"".join((header, crc32(header).to_bytes(4, "little"), *parts))


def _data(tensor: Array | CodedTensor, halved: bool, roots: float) -> tuple[str, bytes]:
    """The kind of a tensor's data, and the data."""
    if isinstance(tensor, CodedTensor) and tensor.codebook[:1].view(np.uint32)[0]:
        tensor = coded(tensor.values) or tensor.values  # no file has another first value than 0
    if isinstance(tensor, CodedTensor):
        values = tensor.codebook[1:]
        form = "float16" if halved and _is_precise(values) else "float32"
        symbols = _symbols(tensor.codes.reshape(-1), len(tensor.codebook), roots)
        return f"codes {form}", _number(len(tensor.codebook)) + _floats(values, form) + symbols
    form = "float16" if halved and _is_precise(tensor) else "float32"
    plain = _floats(tensor, form)
    mask = tensor.reshape(-1) != 0
    if (
        tensor.ndim > 1
        and tensor.size
        and not (mask.all() or (np.signbit(tensor) & ~mask.reshape(tensor.shape)).any())
    ):
        symbols = _symbols(mask.astype(np.uint8), 2, max(roots, float(np.sqrt(tensor.size))))
        sparse = _number(2) + symbols + _floats(tensor.reshape(-1)[mask], form)
        if len(sparse) < len(plain):
            return f"sparse {form}", sparse
    return form, plain


def _is_precise(values: Array) -> bool:
    """Whether float16 keeps numbers to a thousandth of them, or of their root mean square."""
    if not values.size:
        return True
    with np.errstate(over="ignore", invalid="ignore"):
        errors = np.abs(values.astype(np.float16).astype(np.float32) - values)
    usual = float(np.sqrt(np.mean(np.square(values, dtype=np.float64))))
    return bool((errors <= np.maximum(np.abs(values), usual) * 2.0**-10).all())


def _floats(values: Array, form: str) -> bytes:
    return values.astype("<f2" if form == "float16" else "<f4").tobytes()


def _number(n: int) -> bytes:
    found = bytearray()
    while n > 127:
        found.append(n & 127 | 128)
        n >>= 7
    return bytes((*found, n))


def _text(text: str) -> bytes:
    data = text.encode()
    return _number(len(data)) + data


def _symbols(symbols: Array, kinds: int, roots: float) -> bytes:
    """Symbols as `nsz_symbols` reads them. `roots` is the sum of the roots of the file's counts."""
    counts = np.bincount(symbols, minlength=kinds)
    tables = _tables(counts)
    costs = [len(head) + _bits(counts, table) / 8 for head, table in tables]
    head, table = tables[costs.index(min(costs))]
    frequency = nsz_frequencies(table)
    if frequency.max() == NSZ_TOTAL:
        return head
    size = len(symbols)
    lanes = max(1, -(-size >> 14), min(size, round(np.sqrt(size) * roots / STEPS)))
    states, words = _encoded(symbols, frequency, lanes)
    streams = [_number(lanes), states.astype("<u4").tobytes(), _number(len(words))]
    return b"".join((head, *streams, words.astype("<u2").tobytes()))


def _tables(counts: Array) -> list[tuple[bytes, Array]]:
    """The ways to say how frequent symbols are: as in the file, and as bytes.

    With bytes, frequencies come as near to the counts as these can; half bytes are shorter.
    """
    bytes_ = np.arange(1, 256)
    halves = np.arange(1, 16)
    fine = _nearest(counts, bytes_)
    rough = _nearest(counts, 16 + halves // 2 * 16 + halves % 2 * 8)
    place = np.where(rough == 0, 0, (rough - 16) // 16 * 2 + rough % 16 // 8)
    place = np.append(place, np.zeros(len(place) % 2, np.int64)).reshape(-1, 2)
    packed = (place[:, 0] | place[:, 1] << 4).astype(np.uint8).tobytes()
    flat = np.full(len(counts), 16)
    found = [(b"\2" + fine.astype(np.uint8).tobytes(), fine), (b"\1" + packed, rough)]
    return found if np.count_nonzero(counts) == 1 else [*found, (b"\0", flat)]


def _nearest(counts: Array, bytes_: Array) -> Array:
    """The byte for each count, the largest for the largest; 0 for 0."""
    sizes = ((16 + bytes_ % 16) << (bytes_ // 16)).astype(np.int64)
    wanted = counts * (int(sizes[-1]) / max(1, int(counts.max())))
    place = np.searchsorted(np.sqrt(sizes[:-1] * sizes[1:]), wanted)
    found: Array = np.where(counts > 0, bytes_[place], 0)
    return found


def _bits(counts: Array, table: Array) -> float:
    """The bits that symbols of these counts take with a table."""
    used = counts > 0
    return float((counts[used] * np.log2(NSZ_TOTAL / nsz_frequencies(table)[used])).sum())


def _encoded(symbols: Array, frequency: Array, lanes: int) -> tuple[Array, Array]:
    """The states of the lanes before the first symbol, and the words in the order of reading."""
    start = (frequency.cumsum() - frequency).astype(np.uint64)
    width = frequency.astype(np.uint64)
    states = np.full(lanes, NSZ_LEAST, np.uint64)
    taken: list[Array] = []
    for first in reversed(range(0, len(symbols), lanes)):
        these = symbols[first : first + lanes]
        active = states[: len(these)]
        high = np.flatnonzero(active >= width[these] << np.uint64(18))
        taken.append((active[high] & np.uint64(0xFFFF))[::-1])
        active[high] >>= np.uint64(16)
        steps, rest = np.divmod(active, width[these])
        active[:] = steps * np.uint64(NSZ_TOTAL) + rest + start[these]
    words = np.concatenate(taken)[::-1] if taken else np.zeros(0, np.uint64)
    return states, words


# --- bytes ---------------------------------------------------------------------------------------


def write_nsz(path: str, arrays: Mapping[str, Array]) -> None:
    """Write arrays exactly: those of few values coded, all others as float32. Raises OSError."""
    Path(path).write_bytes(nsz_bytes(as_coded(arrays)))


def as_coded(arrays: Mapping[str, Array]) -> dict[str, Array | CodedTensor]:
    """Arrays of more than one dimension as coded tensors, where they have few values."""
    return {
        name: (coded(array) if array.ndim > 1 else None) or np.asarray(array, np.float32)
        for name, array in arrays.items()
    }


def nsz_unsupported(name: str, array: Array) -> str:
    """Why a file can't hold this array under this name; empty where it can."""
    if array.dtype.kind != "f" or array.dtype.itemsize > 4:
        return f"which is of type {array.dtype}, and not float32"
    return "which has more than 8 dimensions" if array.ndim > 8 else ""
