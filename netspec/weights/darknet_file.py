"""Weights of Darknet: a header, then float32 numbers in the order of the cfg's layers."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from netspec.diagnostics import spec_error
from netspec.importers.darknet.order import DarknetOrigin, LayerNumbers
from netspec.ir import Net
from netspec.weights.array import Array
from netspec.weights.file_checks import file_size


def read_darknet(path: Path, net: Net) -> dict[str, Array]:
    """The weights of a net that was read from a cfg, by name, float32, of its shapes.

    Raises SpecError (bad-weights, weights-mismatch).
    """
    origins: Mapping[str, Any] = net.origins
    if not all(isinstance(origin, DarknetOrigin) for origin in origins.values()) or not origins:
        read_without_names(path)
    blocks: tuple[LayerNumbers, ...] = next(iter(origins.values())).blocks
    places: dict[tuple[int, str], tuple[int, int]] = {}
    count = 0
    for number, block in enumerate(blocks):
        for part, size in block.parts:
            places[number, part] = (count, size)
            count += size
    start = _header(path)
    there = (file_size(path) - start) // 4
    if there < count:
        message = f"{path} has {there:,} numbers, and {net.name} needs {count:,}"
        raise spec_error("weights-mismatch", message)
    numbers = np.fromfile(path, "<f4", count, offset=start)
    found: dict[str, Array] = {}
    for name, tensor in net.tensors.items():
        origin = origins[name]
        first, size = places[origin.number, origin.part]
        block = blocks[origin.number]
        values = numbers[first : first + size]
        if origin.part == "weight" and block.turned and block.dense:
            values = values.reshape(block.shape[::-1]).T
        shape = tuple(int(d) for d in tensor.shape)
        found[name] = np.ascontiguousarray(values.reshape(shape), np.float32)
    return found


def read_without_names(path: Path) -> NoReturn:
    """Raise SpecError (bad-weights): only a cfg says what the numbers of such a file are."""
    message = f"{path} has no names of tensors: the cfg of its net says their order"
    raise spec_error("bad-weights", message, help=("give the cfg as the spec: `NET.cfg`",))


def _header(path: Path) -> int:
    """Where the numbers begin: behind three numbers of the version and one of pictures seen."""
    with path.open("rb") as file:
        head = file.read(20)
    if len(head) < 16:
        raise spec_error("bad-weights", f"{path} ends in its header")
    major, minor, _ = struct.unpack("<3i", head[:12])
    if not (0 <= major < 1000 and 0 <= minor < 1000):
        raise spec_error("bad-weights", f"{path} is no .weights file of Darknet")
    return 20 if major * 10 + minor >= 2 else 16
