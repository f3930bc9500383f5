"""Which values share memory: for the compiler's figures, and copied into emitted files.

x = conv(...)    slot 1
a = conv(x)      slot 2, channels 0 to 63 of 128
b = conv(x)      slot 2, channels 64 to 127 of 128
y = concat(a, b) slot 2: nothing is copied
z = conv(y)      slot 1, as x is no longer needed
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def memory_slots(values: Sequence[Any], outputs: Sequence[int]) -> list[tuple[int, int, int]]:
    """For each value its memory slot, the value that fills the slot, and the first channel in it.

    Given are bytes, the values that it is computed from, and where the first of these lie inside
    it if nothing reads them later. Live values share no slot; large ones choose first.
    """
    first, last = {}, dict.fromkeys(outputs, len(values))
    owners = [(value, 0) for value in range(len(values))]
    for value, (_, reads, channels, *_) in reversed([*enumerate(values)]):
        owner, start = owners[value]
        first[owner], last[owner] = value, max(last.setdefault(value, value), last.get(owner, 0))
        for i, read in reversed([*enumerate(reads)]):
            if read not in last and i < len(channels):
                owners[read] = owner, start + channels[i]
            last.setdefault(read, value)
    slots: dict[int, int] = {}
    taken = [0] * (256 + len(values))  # of each slot: a bit for each step
    for value in sorted(first, key=lambda v: (-values[v][0], v)):
        steps = (2 << last[value]) - (1 << first[value])
        slots[value] = next((s for s in range(256) if not taken[s] & steps), 256 + value)
        taken[slots[value]] |= steps
    return [(slots[owner], owner, channel) for owner, channel in owners]
