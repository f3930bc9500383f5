"""The memory that a net's values are planned to take: one allocation (the arena), in slots.

The emitted model itself gives values their slots when it knows the sizes of its inputs, with the
same function, `memory_slots`.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate

from netspec.ir import Value
from netspec.lazy_dataclasses import dataclass
from netspec.ops import IndexShape
from netspec.ops.merging import Concat
from netspec.planning.fusion import CLIPS, FusedLayer, FusedNet, can_end_with_activation
from netspec.planning.memory_slots import memory_slots

ALIGNMENT = 64
"""Bytes; the size of a cache line."""


@dataclass(frozen=True)
class MemorySlot:
    """Where a value lies: the number of its slot, the value that fills it, the first channel."""

    number: int
    owner: Value
    first: int


@dataclass(frozen=True)
class Arena:
    """The slot of each value, and the size of each slot in bytes, for one image in float32."""

    slots: dict[Value, MemorySlot]
    sizes: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """The size of all slots together."""
        return sum(self.sizes)


def plan_memory(
    net: FusedNet,
    size: Callable[[Value], int] | None = None,
    inside: Callable[[FusedLayer], list[int]] | None = None,
) -> Arena:
    """The slot of each value; `Plan.value` in a NumPy model asks for the same ones.

    `size` are the bytes of a value, `inside` from which channels on the first inputs of a layer may
    lie in the memory of its result; without, those of NumPy models.
    """
    size, inside = size or _bytes, inside or _inside
    used = net.uses()
    values: list[Value] = list(net.inputs)
    given: list[tuple[int, list[int], list[int]]] = [(size(v), [], []) for v in values]
    numbers = {v: i for i, v in enumerate(values)}
    for layer in net.layers:
        several = any(v in used for v in layer.outputs[1:])
        for value in layer.outputs if several else layer.outputs[:1]:
            numbers[value] = len(values)
            values.append(value)
            reads = [numbers[v] for v in layer.inputs]
            given.append((size(value), reads, inside(layer)))
    places = memory_slots(given, [numbers[v] for v in net.outputs])
    slots = {v: MemorySlot(s, values[o], c) for v, (s, o, c) in zip(values, places, strict=True)}
    largest = [0] * (1 + max(slot for slot, _, _ in places))
    for slot, owner, _ in places:
        largest[slot] = max(largest[slot], given[owner][0])
    return Arena(slots, tuple(largest))


def _inside(layer: FusedLayer) -> list[int]:
    """From which channels on the first inputs may lie in the memory of a layer's result."""
    if isinstance(layer.op, Concat):
        return [0, *accumulate(int(v.shape[0]) for v in layer.inputs[:-1])]
    over = layer.op.elementwise and (can_end_with_activation(layer) or layer.op.clip in CLIPS)
    return [0] if over and layer.inputs[0].shape == layer.output.shape else []


def _bytes(value: Value) -> int:
    size = int(value.elements) * (8 if isinstance(value.shape, IndexShape) else 4)
    return -(-size // ALIGNMENT) * ALIGNMENT
