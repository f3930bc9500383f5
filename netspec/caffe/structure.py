"""Repeated parts of a net: by the names of their layers first, then by how they are wired.

A part is a run of lines of which only one value is used behind it. Parts with the same ops, wired the
same way, are one module; what their fields differ in becomes its parameters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from netspec.caffe.attributes import values
from netspec.caffe.graph import Value
from netspec.caffe.lines import Line
from netspec.caffe.names import common, parts, tokens

MAX_LENGTH = 60
"""Most lines of a part."""
MAX_INPUTS = 3
"""Most values that a part may take."""
MAX_DEPTH = 4
"""Most pieces of names between slashes that are looked at."""
MAX_FRONT = 3
"""Most lines in front of a branching that may belong to it."""
NAMED = 1.5
"""How much more a part counts whose names have a beginning in common."""


@dataclass(eq=False)
class Part:
    """A run of lines that is an instance of a module."""

    first: int
    lines: list[Line]
    inputs: list[Value]
    """The values that it takes, in the order in which it first does."""
    output: Value
    prefix: str
    """What its names have in common, empty for nothing."""
    by_name: bool
    """Whether its names set it apart from what is around it."""

    @property
    def end(self) -> int:
        return self.first + len(self.lines)


def groups_of(lines: Sequence[Line], outputs: Iterable[Value]) -> list[list[Part]]:
    """The parts that are worth a module, those of one module together."""
    net = _Net(lines, outputs)
    by_shape: dict[object, list[Part]] = defaultdict(list)
    seen: set[tuple[int, int]] = set()
    for part in net.candidates():
        if (part.first, part.end) not in seen:
            seen.add((part.first, part.end))
            by_shape[signature(part)].append(part)
    waiting = [sorted(parts, key=lambda p: p.first) for parts in by_shape.values()]
    taken = [False] * len(lines)
    chosen: list[list[Part]] = []
    while waiting:
        waiting = [_apart(parts, taken) for parts in waiting]
        waiting = [parts for parts in waiting if _worth(parts)]
        if not waiting:
            break
        best = max(waiting, key=_score)
        waiting.remove(best)
        chosen.append(best)
        for part in best:
            for i in range(part.first, part.end):
                taken[i] = True
    return chosen


def _apart(candidates: list[Part], taken: list[bool]) -> list[Part]:
    """Those parts, from the front, that overlap neither each other nor what is taken."""
    kept: list[Part] = []
    end = 0
    for part in candidates:
        if part.first >= end and not any(taken[part.first : part.end]):
            kept.append(part)
            end = part.end
    return kept


def _worth(candidates: list[Part]) -> bool:
    """Whether a module makes the spec shorter, or its author's names ask for one."""
    count = len(candidates)
    if count < 2:
        return False
    length = len(candidates[0].lines)
    if all(p.by_name for p in candidates):
        return True
    return count * length > length + 4 + count


def _score(candidates: list[Part]) -> float:
    weight = NAMED if all(p.prefix for p in candidates) else 1.0
    return (len(candidates) - 1) * len(candidates[0].lines) * weight


class _Net:
    """Where each value is made and used."""

    def __init__(self, lines: Sequence[Line], outputs: Iterable[Value]) -> None:
        self.lines = lines
        self.made: dict[Value, int] = {}
        self.last: dict[Value, int] = {}
        """The last line that uses a value."""
        self.users: dict[Value, int] = {}
        for i, line in enumerate(lines):
            for value in line.outputs:
                self.made[value] = i
            for value in dict.fromkeys(line.inputs):
                self.last[value] = i
                self.users[value] = self.users.get(value, 0) + 1
        for value in outputs:
            self.last[value] = len(lines)

    def candidates(self) -> Iterator[Part]:
        yield from self._by_names()
        for end in range(len(self.lines)):
            if len(set(self.lines[end].inputs)) > 1:
                yield from self._branching(end)

    def part(self, first: int, end: int, most: int, by_name: bool) -> Part | None:
        """The lines as a part, where they give one value and take at most `most`."""
        lines = list(self.lines[first:end])
        given = [v for line in lines for v in line.outputs if self.last.get(v, -1) >= end]
        if len(given) != 1 or given[0] not in [line.value for line in lines]:
            return None
        taken = dict.fromkeys(
            v for line in lines for v in line.inputs if self.made.get(v, -1) < first
        )
        if not 1 <= len(taken) <= most:
            return None
        return Part(first, lines, list(taken), given[0], _prefix(lines), by_name)

    def _by_names(self) -> Iterator[Part]:
        """Runs of lines whose names have the same pieces in front of a slash."""
        for depth in range(1, MAX_DEPTH + 1):
            first = 0
            while first < len(self.lines):
                key = parts(self.lines[first].head.name)[:depth]
                end = first + 1
                while end < len(self.lines):
                    other = parts(self.lines[end].head.name)
                    if other[:depth] != key:
                        break
                    end += 1
                inside = all(len(parts(line.head.name)) > depth for line in self.lines[first:end])
                if len(key) == depth and inside and 2 <= end - first <= MAX_LENGTH:
                    part = self.part(first, end, MAX_INPUTS, by_name=True)
                    if part is not None:
                        part.prefix = "/".join(key)
                        yield part
                first = end

    def _branching(self, last: int) -> Iterator[Part]:
        """What begins with one value and comes together in the line `last`, and lines in front."""
        for first in range(last - 1, max(-1, last - MAX_LENGTH), -1):
            part = self.part(first, last + 1, 1, by_name=False)
            if part is None:
                continue
            yield part
            for front in range(first - 1, max(-1, first - 1 - MAX_FRONT), -1):
                value = self.lines[front].value
                if part.inputs != [value] or len(self.lines[front].inputs) != 1:
                    break
                longer = self.part(front, last + 1, 1, by_name=False)
                if longer is None:
                    break
                yield longer
                part = longer
            return


def _prefix(lines: Sequence[Line]) -> str:
    """What the names of the lines have in common; those of a line that only joins need not."""
    names = [line.head.name for line in lines]
    together = common(names)
    if together or len(lines) < 3:
        return "" if together in names[:-1] else together
    together = common([n for line, n in zip(lines, names, strict=True) if len(line.inputs) == 1])
    return "" if together in names else together


# --- equality ------------------------------------------------------------------------------------


def signature(part: Part) -> object:
    """Equal for parts that are instances of one module."""
    places: dict[Value, object] = {v: ("input", i) for i, v in enumerate(part.inputs)}
    result: list[object] = []
    for i, line in enumerate(part.lines):
        wiring = tuple(places[v] for v in line.inputs)
        result.append((wiring, tuple(_kind(node.op, values(node)) for node in line.nodes)))
        for j, value in enumerate(line.outputs):
            places[value] = (i, j)
    return (tuple(result), places[part.output], len(part.inputs))


def _kind(op: str, given: dict[str, object] | dict[str, Fraction]) -> object:
    """An op with all of its fields but numbers."""
    fields = []
    for name, value in sorted(given.items()):
        if isinstance(value, Fraction):
            fields.append((name, "number"))
        elif isinstance(value, tuple):
            fields.append((name, len(value)))
        else:
            fields.append((name, value))
    return (op, tuple(fields))


def label(part: Part) -> str:
    """What an instance is called: what its names have in common, or the name of its last line."""
    if part.prefix:
        return part.prefix
    return part.lines[-1].head.name or (tokens(part.lines[0].head.name) or [""])[0]
