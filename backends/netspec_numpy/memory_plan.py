"""Where the values of a program lie while it runs: slots of one piece of memory.

Values that are alive at different times share a slot. The parts of a concat are written where the
concat's value lies, and what works element by element may write over its input.
"""

from __future__ import annotations

from dataclasses import dataclass

from netspec.ir import Value
from netspec.ops import Arithmetic, BatchNorm, Concat, IndexShape, Relu, Relu6
from netspec_numpy.fusion import FusedLayer, FusedNet, can_finish

ALIGNMENT = 64
"""Bytes; the size of a cache line."""


@dataclass(frozen=True)
class MemorySlot:
    """A value's slot, and where it is part of a concat: the concat's channels, its first one."""

    slot: int
    channels: int | None = None
    first: int = 0


@dataclass(frozen=True)
class Arena:
    """`sizes` are the bytes of each slot, for one image and float32."""

    places: dict[Value, MemorySlot]
    sizes: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return sum(self.sizes)


def place(program: FusedNet) -> Arena:
    """Give each value its slot. The program's inputs have slots 0, 1, ..."""
    homes = _homes(program)
    spans = _spans(program, homes)
    slots: list[list[Value]] = []
    sizes: list[int] = []
    number: dict[Value, int] = {}
    fixed = {v: i for i, v in enumerate(program.inputs)}
    for root in sorted(spans, key=lambda v: (fixed.get(v, len(fixed)), -_bytes(v), spans[v])):
        free = (
            slot
            for slot, others in enumerate(slots)
            if root not in fixed and not any(_meet(spans[root], spans[v]) for v in others)
        )
        slot = next(free, len(slots))
        if slot == len(slots):
            slots.append([])
            sizes.append(0)
        slots[slot].append(root)
        sizes[slot] = max(sizes[slot], _bytes(root))
        number[root] = slot
    places = {}
    for value, (root, first) in homes.items():
        part = root is not value and value.shape != root.shape
        places[value] = MemorySlot(number[root], int(root.shape[0]) if part else None, first)
    return Arena(places, tuple(sizes))


_Homes = dict[Value, tuple[Value, int]]


def _homes(program: FusedNet) -> _Homes:
    """For each value the one whose memory it lies in, and from which channel on."""
    uses = program.uses()
    homes: _Homes = {v: (v, 0) for v in program.inputs}
    made = {v for stage in program.stages for v in stage.outputs}
    for stage in reversed(program.stages):
        for value in stage.outputs:
            homes.setdefault(value, (value, 0))
        if isinstance(stage.op, Concat):
            root, first = homes[stage.output]
            for value in stage.inputs:
                if value in made and uses[value] == 1:
                    homes[value] = (root, first)
                first += int(value.shape[0])
    for stage in program.stages:
        value = stage.inputs[0]
        own = homes[value][0], homes[stage.output][0]
        if _in_place(stage) and uses[value] == 1 and own == (value, stage.output):
            for other, (root, first) in homes.items():
                if root is stage.output:
                    homes[other] = (value, first)
    return homes


def _in_place(stage: FusedLayer) -> bool:
    """Whether a stage may write its value over its first input."""
    if isinstance(stage.op, Arithmetic):
        return can_finish(stage)
    return isinstance(stage.op, Relu | Relu6 | BatchNorm)


def _spans(program: FusedNet, homes: _Homes) -> dict[Value, tuple[int, int]]:
    """For each piece of memory the first and the last stage at which it is needed."""
    ends = len(program.stages)
    spans: dict[Value, tuple[int, int]] = {}

    def needed(value: Value, at: int) -> None:
        root = homes[value][0]
        first, last = spans.get(root, (at, at))
        spans[root] = (min(first, at), max(last, at))

    for value in program.inputs:
        needed(value, -1)
    for i, stage in enumerate(program.stages):
        for value in (*stage.inputs, *stage.outputs):
            needed(value, i)
    for value in program.outputs:
        needed(value, ends)
    return spans


def _meet(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] <= b[1] and b[0] <= a[1]


def _bytes(value: Value) -> int:
    size = int(value.elements) * (8 if isinstance(value.shape, IndexShape) else 4)
    return -(-size // ALIGNMENT) * ALIGNMENT
