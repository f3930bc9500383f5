"""Plans where the values of a net lie in memory: one allocation (the arena), divided into slots.

    x = conv(...)    slot 1
    a = conv(x)      slot 2, channels 0 to 63 of 128
    b = conv(x)      slot 2, channels 64 to 127 of 128
    y = concat(a, b) slot 2: nothing is copied
    z = conv(y)      slot 1, as x is no longer needed

Values that are live at different times share a slot. The parts of a concat are written where its
result lies, and layers that work element by element may write over their input.
"""

from __future__ import annotations

from netspec.ir import Value
from netspec.lazy_dataclasses import dataclass
from netspec.ops import IndexShape
from netspec.ops.merging import Concat
from netspec_numpy.fusion import CLIPS, FusedLayer, FusedNet, can_end_with_activation

ALIGNMENT = 64
"""Bytes; the size of a cache line."""


@dataclass(frozen=True)
class MemorySlot:
    """Where a value lies: the number of its slot.

    A part of a concat lies in the concat's value, which has so many `channels`, from the channel
    `first` on; for other values `channels` is None.
    """

    number: int
    channels: int | None = None
    first: int = 0


@dataclass(frozen=True)
class Arena:
    """The slot of each value, and the size of each slot in bytes, for one image in float32."""

    slots: dict[Value, MemorySlot]
    sizes: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """The size of all slots together."""
        return sum(self.sizes)


def plan_memory(net: FusedNet) -> Arena:
    """Give each value its slot. The net's inputs have slots 0, 1, ...

    Large values first; each takes the first slot whose values are all live at other times.
    """
    owners = _owners(net)
    ranges = _live_ranges(net, owners)
    slots: list[list[Value]] = []
    sizes: list[int] = []
    number: dict[Value, int] = {}
    fixed = {v: i for i, v in enumerate(net.inputs)}
    for owner in sorted(ranges, key=lambda v: (fixed.get(v, len(fixed)), -_bytes(v), ranges[v])):
        free = (
            slot
            for slot, others in enumerate(slots)
            if owner not in fixed and not any(_overlap(ranges[owner], ranges[v]) for v in others)
        )
        slot = next(free, len(slots))
        if slot == len(slots):
            slots.append([])
            sizes.append(0)
        slots[slot].append(owner)
        sizes[slot] = max(sizes[slot], _bytes(owner))
        number[owner] = slot
    found = {}
    for value, (owner, first) in owners.items():
        part = owner is not value and value.shape != owner.shape
        found[value] = MemorySlot(number[owner], int(owner.shape[0]) if part else None, first)
    return Arena(found, tuple(sizes))


_Owners = dict[Value, tuple[Value, int]]
"""For each value the value in whose memory it lies, often itself, and from which channel on."""


def _owners(net: FusedNet) -> _Owners:
    uses = net.uses()
    owners: _Owners = {v: (v, 0) for v in net.inputs}
    made = {v for layer in net.layers for v in layer.outputs}
    for layer in reversed(net.layers):
        for value in layer.outputs:
            owners.setdefault(value, (value, 0))
        if isinstance(layer.op, Concat):
            owner, first = owners[layer.output]
            for value in layer.inputs:
                if value in made and uses[value] == 1:
                    owners[value] = (owner, first)
                first += int(value.shape[0])
    for layer in net.layers:
        value = layer.inputs[0]
        both = owners[value][0], owners[layer.output][0]
        if _can_overwrite(layer) and uses[value] == 1 and both == (value, layer.output):
            for other, (owner, first) in owners.items():
                if owner is layer.output:
                    owners[other] = (value, first)
    return owners


def _can_overwrite(layer: FusedLayer) -> bool:
    """Whether a layer may write its result over its first input."""
    return layer.op.elementwise and (can_end_with_activation(layer) or layer.op.clip in CLIPS)


def _live_ranges(net: FusedNet, owners: _Owners) -> dict[Value, tuple[int, int]]:
    """For each owner the first and the last layer at which its memory is needed."""
    ranges: dict[Value, tuple[int, int]] = {}

    def needed(value: Value, at: int) -> None:
        owner = owners[value][0]
        first, last = ranges.get(owner, (at, at))
        ranges[owner] = (min(first, at), max(last, at))

    for value in net.inputs:
        needed(value, -1)
    for i, layer in enumerate(net.layers):
        for value in (*layer.inputs, *layer.outputs):
            needed(value, i)
    for value in net.outputs:
        needed(value, len(net.layers))
    return ranges


def _overlap(a: tuple[int, int], b: tuple[int, int]) -> bool:
    return a[0] <= b[1] and b[0] <= a[1]


def _bytes(value: Value) -> int:
    size = int(value.elements) * (8 if isinstance(value.shape, IndexShape) else 4)
    return -(-size // ALIGNMENT) * ALIGNMENT
