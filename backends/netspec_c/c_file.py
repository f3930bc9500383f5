"""What a C file is made of: its names, what it needs, and the memory that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import prod
from typing import Any

from netspec.ir import Net, Value
from netspec.lazy_dataclasses import dataclass, field
from netspec_c.c_language import CNames, plain
from netspec_c.places import ValuePlaces, fused, places


@dataclass(eq=False)
class PackedWeights:
    """Weights as kernels read them: where they begin, and the statements that pack them."""

    start: int
    statements: tuple[str, ...]


@dataclass(eq=False)
class CFile:
    """The file of a net, while it is written, and the memory that it takes, in floats."""

    net: Net
    needed: set[str] = field(default_factory=set)
    packed: dict[tuple[str, ...], PackedWeights] = field(default_factory=dict)
    packed_floats: int = 0
    scratch: int = 0
    folded: int = 0

    @cached_property
    def places(self) -> ValuePlaces:
        """Where the values lie."""
        return places(fused(self.net))

    @cached_property
    def prefix(self) -> str:
        """What the file's own functions begin with."""
        return plain(self.net.name)

    @cached_property
    def tensors(self) -> Mapping[str, tuple[int, tuple[int, ...]]]:
        """Where each tensor begins in the weights, in floats, and its shape."""
        found, start = {}, 0
        for name, tensor in self.net.tensors.items():
            shape = tuple(int(n) for n in tensor.shape)
            found[name] = start, shape
            start += prod(shape)
        return found

    @property
    def weights(self) -> int:
        """Floats of all tensors."""
        return sum(prod(shape) for _, shape in self.tensors.values())

    @cached_property
    def values(self) -> int:
        """Floats of the values in the workspace."""
        return self.places.starts[-1]

    @cached_property
    def inputs(self) -> dict[Value, str]:
        """The names of the net's inputs."""
        names = CNames(("ctx", "memory", "weights", "size"))
        return {v: names.identifier(self._argument(v.name)) for v in self.net.body.inputs}

    @cached_property
    def outputs(self) -> list[tuple[str, Value]]:
        """The net's outputs with their names, which are no input's."""
        names, body = CNames(("ctx", *self.inputs.values())), self.net.body
        called = body.output_names or [""] * len(body.outputs)
        found = zip(called, body.outputs, self.places.net.outputs, strict=True)
        named = ((self._argument(name or own.name), value) for name, own, value in found)
        return [(names.identifier(name), value) for name, value in named]

    def _argument(self, name: str) -> str:
        """What an in- or output is called: in the header's macros, so case makes no difference."""
        name = name.lower()
        return f"in_{name}" if name.startswith(f"{self.prefix.lower()}_") else name

    def binary(self, weights: Mapping[str, Any]) -> bytes:
        """The weights as a file: all tensors in order, float32, little endian."""
        return b"".join(weights[name].astype("<f4").tobytes() for name in self.tensors)

    @property
    def context_pointers(self) -> int:
        """Pointers that a context consists of."""
        return 2 + max(1, len(self.packed))
