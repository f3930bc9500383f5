"""Which values share memory, found in a time in proportion to the net.

The kernel of this name finds the same in fewer lines.

x = conv(...)    slot 1
a = conv(x)      slot 2, channels 0 to 63 of 128
b = conv(x)      slot 2, channels 64 to 127 of 128
y = concat(a, b) slot 2: nothing is copied
z = conv(y)      slot 1, as x is no longer needed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

SLOTS = 8192
"""Slots that are looked for at once: bits of the numbers in the search."""


def memory_slots(values: Sequence[Any], outputs: Sequence[int]) -> list[tuple[int, int, int]]:
    """For each value its memory slot, the value that fills the slot, and the first channel in it.

    Given are bytes, the values that it is computed from, and those that lie inside it from a
    channel on, if nothing else reads them. Live values share no slot; large ones choose first.
    """
    uses, first, last = [0] * len(values), [*range(len(values))], [*range(len(values))]
    for step, read in enumerate([*(reads for _, reads, _ in values), outputs]):
        for value in read:
            uses[value] += 1
            last[value] = step
    owners = [(value, 0) for value in first]
    for value in reversed(range(len(values))):
        owner, start = owners[value]
        first[owner], last[owner] = value, max(last[owner], last[value])
        for part, channel in values[value][2].items():
            if uses[part] == 1:
                owners[part] = (owner, start + channel)
    waiting = sorted({owner for owner, _ in owners}, key=lambda v: (-values[v][0], v))
    slots: dict[int, int] = {}
    half = 1 << len(values).bit_length()
    while waiting:
        base, late = max(slots.values(), default=-1) + 1, []
        # Slots, as bits, that are taken at all the moments of a node of a tree, and at some.
        whole, some = [0] * 2 * half, [0] * 2 * half
        for value in waiting:
            start, end = half + first[value], half + last[value]
            above = [n >> i for n in (start, end) for i in range(half.bit_length())]
            inside = []
            while start <= end:
                inside += [start] * (start & 1) + [end] * (~end & 1)
                start, end = (start + 1) // 2, (end - 1) // 2
            taken = 0
            for node in inside:
                taken |= some[node]
            for node in above:
                taken |= whole[node]
            slot = ~taken & (taken + 1)
            if slot >> SLOTS:  # so that integers stay small
                late.append(value)
                continue
            slots[value] = base + slot.bit_length() - 1
            for node in inside:
                whole[node] |= slot
            for node in (*inside, *above):
                some[node] |= slot
        waiting = late
    return [(slots[owner], owner, channel) for owner, channel in owners]
