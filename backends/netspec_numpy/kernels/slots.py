"""Which values of a plan share memory; `netspec_numpy.memory_slots` finds the same for huge nets.

x = conv(...)    slot 1
a = conv(x)      slot 2, channels 0 to 63 of 128
b = conv(x)      slot 2, channels 64 to 127 of 128
y = concat(a, b) slot 2: nothing is copied
z = conv(y)      slot 1, as x is no longer needed
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import chain
from typing import Any


def memory_slots(values: Sequence[Any], outputs: Sequence[int]) -> list[tuple[int, int, int]]:
    """For each value its memory slot, the value that fills the slot, and the first channel in it.

    Given are bytes, the values that it is computed from, and those that lie inside it from a
    channel on, if nothing else reads them. Live values share no slot; large ones choose first.
    """
    reads = [*(read for _, read, _ in values), outputs]
    uses = Counter(chain(*reads))
    last = {value: step for step, read in enumerate(reads) for value in (step, *read)}
    first: dict[int, int] = {}
    owners = [(value, 0) for value in range(len(values))]
    for value in reversed(range(len(values))):
        owner, start = owners[value]
        first[owner], last[owner] = value, max(last[owner], last[value])
        for part, channel in values[value][2].items():
            if uses[part] == 1:
                owners[part] = (owner, start + channel)
    slots: dict[int, int] = {}
    ranges: list[list[int]] = [[] for _ in values]  # of each slot: first, last, first, ...
    for value in sorted(first, key=lambda v: (-values[v][0], v)):
        for slot, ends in enumerate(ranges):
            i = bisect_left(ends, first[value])
            if i % 2 == 0 and i == bisect_right(ends, last[value]):
                ends[i:i], slots[value] = (first[value], last[value]), slot
                break
    return [(slots[owner], owner, channel) for owner, channel in owners]
