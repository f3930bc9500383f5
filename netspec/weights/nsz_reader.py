"""Reads `.nsz` files: weights as symbols of a codebook for each tensor, entropy coded.

Files that are compiled with `--nsz` get a copy of what is below the imports. All numbers
are little endian; a number without a size has 7 bits a byte, lowest first, the highest bit set but
in the last (LEB128); a string is its length in bytes and its UTF-8.

    "nsz" 0x01, uint32 bytes of the file
    net's name (string), metadata (string: JSON of texts by name, or empty), number of layers
    layer by layer: how many characters of the path are those of the layer before, the rest of it
      (string), bytes of its data, uint32 CRC-32 of them, number of tensors
      tensor by tensor: a byte, 8 times the place of its kind in NSZ_KINDS and that of its name in
      NSZ_TENSORS (4: a string follows), number of dimensions, the dimensions
    uint32 CRC-32 of all above
    the data of the layers: that of their tensors in order

A tensor that is no float is coded by rANS (Duda 2013, arXiv:1311.2540), interleaved over lanes:
number of symbols k; the k - 1 values of the codebook behind the first, which is 0 (kinds `codes`);
byte 2 and a byte for each symbol's frequency, or 1 and half a byte, low half first, or 0 where all
are as frequent; number of lanes, uint32 state of each; number of words, uint16 words. Symbol i is
of lane i % lanes. Where one symbol is all there is, there are no lanes and no words. In the kinds
`sparse`, symbol 1 stands for the next of the values behind the words.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import numpy as np

from netspec.weights.array import Array

NSZ_TENSORS = ("weight", "bias", "running_mean", "running_var")
NSZ_KINDS = (
    *("float32", "float16"),
    *("codes float32", "codes float16"),
    *("sparse float32", "sparse float16"),
)
NSZ_TOTAL = 1 << 14
"""The sum of the frequencies of all symbols."""
NSZ_LEAST = 1 << 16
"""The least state of a lane that takes no word."""
NSZ_STEPS = 1 << 18
"""Most steps in which all tensors of a file are decoded, as each takes Python's time."""
NSZ_BYTES = 1 << 30
"""Most bytes that the tensors of a file may take, if these are more than 200 times its size."""


class NszTensor(NamedTuple):
    """A tensor of a file: its float values, or the codebook and the place of each value in it."""

    name: str
    kind: str
    values: Array
    codes: Array | None = None


class NszBytes:
    """Takes numbers from bytes, front to back. ValueError behind their end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, count: int) -> bytes:
        self.place += count
        if self.place > len(self.data):
            raise ValueError("it is cut off")
        return self.data[self.place - count : self.place]

    def array(self, kind: str, count: int) -> Array:
        found: Array = np.frombuffer(self.take(count * np.dtype(kind).itemsize), kind)
        return found

    def number(self, size: int = 0) -> int:
        if size:
            return int.from_bytes(self.take(size), "little")
        found = shift = 0
        while shift < 63:
            byte = self.take(1)[0]
            found |= (byte & 127) << shift
            if byte < 128:
                return found
            shift += 7
        raise ValueError("it has a number without end")

    def text(self) -> str:
        return self.take(self.number()).decode()


def nsz_frequencies(table: Array) -> Array:
    """How often of NSZ_TOTAL times each symbol comes, from a byte for each: 0 is never.

    A byte's high half is an exponent of 2, its low half a fraction.
    """
    weights = np.where(table == 0, 0, (16 + table % 16) << (table // 16)).astype(np.int64)
    if not weights.any():
        raise ValueError("it has a table without symbols")
    found = np.maximum(weights * NSZ_TOTAL // weights.sum(), weights > 0)
    left = NSZ_TOTAL - int(found.sum())
    for _ in range(abs(left)):  # fewer than there are symbols
        found[found.argmax()] += 1 if left > 0 else -1
    result: Array = found
    return result


def nsz_table(data: NszBytes, kinds: int) -> Array:
    """A byte for each symbol's frequency; of half bytes, three bits are the exponent."""
    form = data.number(1)
    if form == 0:
        return np.full(kinds, 16)
    table = data.array("u1", kinds if form == 2 else (kinds + 1) // 2).astype(np.int64)
    if form == 1:
        halves = np.stack((table % 16, table // 16), 1).reshape(-1)[:kinds]
        table = np.where(halves == 0, 0, 16 + halves // 2 * 16 + halves % 2 * 8)
    return table


def nsz_symbols(data: NszBytes, count: int, kinds: int, steps: list[int]) -> Array:
    """So many symbols below `kinds`, as uint8; the steps that it takes are added to `steps`."""
    frequency = nsz_frequencies(nsz_table(data, kinds))
    if frequency.max() == NSZ_TOTAL:
        return np.full(count, frequency.argmax(), np.uint8)
    lanes = data.number()
    if not 0 < lanes <= count:
        raise ValueError("it has an impossible number of lanes")
    steps.append(-(-count // lanes))
    if sum(steps) > NSZ_STEPS:
        raise ValueError("it would take too many steps to decode")
    states = data.array("<u4", lanes).astype(np.uint32)
    words = data.array("<u2", data.number()).astype(np.uint32)
    symbol_at = np.repeat(np.arange(kinds, dtype=np.uint8), frequency)
    width = frequency.astype(np.uint32)[symbol_at]
    offset = (np.arange(NSZ_TOTAL) - (frequency.cumsum() - frequency)[symbol_at]).astype(np.uint32)
    found = np.empty(count, np.uint8)
    shift, mask, place = np.uint32(14), np.uint32(NSZ_TOTAL - 1), 0
    for first in range(0, count, lanes):
        active = states[: count - first]
        slot = active & mask
        found[first : first + lanes] = symbol_at[slot]
        active[:] = width[slot] * (active >> shift) + offset[slot]
        low = np.flatnonzero(active < NSZ_LEAST)
        if place + len(low) > len(words):
            raise ValueError("it is cut off")
        active[low] = active[low] << np.uint32(16) | words[place : place + len(low)]
        place += len(low)
    if place < len(words) or (states != NSZ_LEAST).any():
        raise ValueError("its symbols do not end where they should")
    return found


def nsz_tensor(
    data: NszBytes, name: str, kind: str, shape: tuple[int, ...], steps: list[int]
) -> NszTensor:
    """The tensor of a name, a kind and a shape."""
    count, form = prod(shape), "<f2" if kind.endswith("16") else "<f4"
    if kind.startswith("float"):
        return NszTensor(name, kind, data.array(form, count).astype(np.float32).reshape(shape))
    kinds = data.number()
    if not 0 < kinds <= 256 or not count:
        raise ValueError(f"{name} has {kinds} symbols")
    values = data.array(form, kinds - 1) if kind.startswith("codes") else None
    codes = nsz_symbols(data, count, kinds, steps).reshape(shape)
    if values is not None:
        return NszTensor(name, kind, np.append(np.float32(0), values.astype(np.float32)), codes)
    found = np.zeros(shape, np.float32)
    found[codes > 0] = data.array(form, int((codes > 0).sum()))
    return NszTensor(name, kind, found)


def nsz_layers(
    content: bytes, sizes: dict[str, int] | None = None
) -> tuple[dict[str, str], Iterator[list[NszTensor]]]:
    """What a file says of itself, its net's name as `net`; and the tensors of each layer.

    The bytes of each tensor's data are put into `sizes` when it is read.

    Raises ValueError for what is no such file, or not whole.
    """
    data = NszBytes(content)
    if data.take(4) != b"nsz\1":
        raise ValueError("it does not begin as a .nsz file of version 1 does")
    if data.number(4) != len(content):
        raise ValueError("it is cut off, or longer than it says")
    net, about = data.text(), data.text()
    heads: list[tuple[int, int, list[tuple[str, str, tuple[int, ...]]]]] = []
    path, names, most = "", set(), 0
    for _ in range(data.number()):
        path = path[: data.number()] + data.text()
        size, check, tensors = data.number(), data.number(4), []
        for _ in range(data.number()):
            kind, which = divmod(data.number(1), 8)
            name = data.text() if which == 4 else NSZ_TENSORS[which] if which < 4 else ""
            shape = tuple(data.number() for _ in range(data.number()))
            full = f"{path}.{name}" if path else name
            most += 4 * prod(shape)
            if full in names or not name or kind >= len(NSZ_KINDS) or len(shape) > 8:
                raise ValueError(f"it has an impossible tensor {full!r}")
            names.add(full)
            tensors.append((full, NSZ_KINDS[kind], shape))
        heads.append((size, check, tensors))
    if crc32(content[: data.place]) != data.number(4):
        raise ValueError("its first part is damaged: the checksum differs")
    if most > max(NSZ_BYTES, 200 * len(content)):
        raise ValueError(f"it claims to unpack to {most:,} bytes, which is refused")

    def layers() -> Iterator[list[NszTensor]]:
        steps: list[int] = []
        for size, check, tensors in heads:
            part = data.take(size)
            if crc32(part) != check:
                raise ValueError(f"{tensors[0][0]} is damaged: the checksum differs")
            inside, found = NszBytes(part), []
            for tensor in tensors:
                begin = inside.place
                found.append(nsz_tensor(inside, *tensor, steps))
                if sizes is not None:
                    sizes[tensor[0]] = inside.place - begin
            yield found
            if inside.place != size:
                raise ValueError(f"{tensors[-1][0]} is longer than it should be")
        if data.place != len(content):
            raise ValueError("it is longer than its layers")

    metadata = json.loads(about) if about else {}
    texts = {k: v for k, v in metadata.items() if isinstance(v, str)}
    return {**texts, "net": net}, layers()


def read_nsz(path: str | Path) -> dict[str, Array]:
    """The arrays of a file by name, float32. ValueError where it is no sound .nsz file."""
    found = {}
    for layer in nsz_layers(Path(path).read_bytes())[1]:
        for name, _, values, codes in layer:
            found[name] = values if codes is None else values[codes]
    return found
