"""Which values share memory: used when a net is compiled, and copied into emitted files.

x = conv(...)    slot 1
a = conv(x)      slot 2, channels 0 to 63 of 128
b = conv(x)      slot 2, channels 64 to 127 of 128
y = concat(a, b) slot 2: nothing is copied
z = conv(y)      slot 1, as x is no longer needed
"""

from __future__ import annotations

from bisect import bisect
from collections.abc import Sequence
from math import inf
from typing import Any


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
    slots: dict[int, int] = {}
    ranges: list[list[int]] = [[] for _ in values]  # of each slot: first, last, first, ...
    for value in sorted({owner for owner, _ in owners}, key=lambda v: (-values[v][0], v)):
        for slot, ends in enumerate(ranges):
            i = bisect(ends, first[value])
            after = ends[i] if i < len(ends) else inf
            if i % 2 == 0 and last[value] < after and ends[i - 1 : i] != [first[value]]:
                ends[i:i], slots[value] = (first[value], last[value]), slot
                break
    return [(slots[owner], owner, channel) for owner, channel in owners]
