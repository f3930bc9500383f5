"""Repeated parts of a net: by the names of their layers first, then by how they are wired.

A part is a run of lines of which only one value is used behind it. Parts with the same ops, wired
the same way, are one module; what their fields differ in becomes its parameters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from netspec.importers.caffe.attributes import values
from netspec.importers.caffe.graph import Constant, GraphValue
from netspec.importers.caffe.lines import NodeChain
from netspec.importers.caffe.names import (
    common,
    common_end,
    parts,
    tokens,
)

MAX_LENGTH = 60
"""Most lines of a part."""
MAX_INPUTS = 3
"""Most values that a part may take."""
MAX_DEPTH = 4
"""Most pieces of names between slashes that are looked at."""
MAX_FRONT = 3
"""Most lines in front of a branching that may belong to it."""
MIN_RUN = 3
"""Fewest lines of a run without branches that is a part by its names' common end or beginning."""
NAMED = 1.5
"""How much more a part counts whose names have a beginning in common."""


@dataclass(eq=False)
class ModuleInstance:
    """A run of lines that is an instance of a module."""

    first: int
    lines: list[NodeChain]
    inputs: list[GraphValue]
    """The values that it takes, in the order in which it first does."""
    output: GraphValue
    prefix: str
    """What its names begin with, or end with, empty for nothing."""
    by_name: bool
    """Whether its names set it apart from what is around it."""
    join: NodeChain | None = None
    """The line that adds a shortcut, if it is the last one and adds two values."""
    shortcut: NodeChain | None = None
    """The line between input and join; without one, the join takes the input itself."""

    @property
    def end(self) -> int:
        return self.first + len(self.lines)

    @property
    def body(self) -> list[NodeChain]:
        """The lines without join and shortcut."""
        return [line for line in self.lines if line is not self.join and line is not self.shortcut]


@dataclass(frozen=True)
class ModuleInstances:
    """The instances of one module.

    Of a `projecting` one, some have a shortcut with a line on it and others an input that is added
    as it is; of an `adding` one, some add their input at the end and others do not.
    """

    parts: list[ModuleInstance]
    kind: Literal["equal", "projecting", "adding"] = "equal"


def groups_of(lines: Sequence[NodeChain], outputs: Iterable[GraphValue]) -> list[ModuleInstances]:
    """The parts that are worth a module, those of one module together."""
    net = _Net(lines, outputs)
    by_shape: dict[object, list[ModuleInstance]] = defaultdict(list)
    seen: set[tuple[int, int]] = set()
    for part in net.candidates():
        if (part.first, part.end) in seen:
            continue
        seen.add((part.first, part.end))
        for key in _keys(part):
            by_shape[key].append(part)
    # Of two that begin together, the one with a join comes first.
    waiting = [sorted(p, key=lambda p: (p.first, -p.end)) for p in by_shape.values()]
    taken = [False] * len(lines)
    chosen: list[ModuleInstances] = []
    while waiting:
        waiting = [_apart(parts, taken) for parts in waiting]
        waiting = [parts for parts in waiting if _worth(parts)]
        if not waiting:
            break
        best = max(waiting, key=_score)
        waiting.remove(best)
        chosen.append(ModuleInstances(best, _group_kind(best)))
        for part in best:
            for i in range(part.first, part.end):
                taken[i] = True
    return chosen


def _keys(part: ModuleInstance) -> Iterator[object]:
    """Parts that have a key in common may be instances of one module.

    The same wiring is one; so is the same body with an input that is added directly, or through
    one more line; and the same body whose result the input is added to, or not.
    """
    yield ("equal", signature(part, part.lines, part.output))
    if part.join is not None:
        main = next(v for v in part.join.inputs if v in [line.value for line in part.body])
        kinds = tuple(_kind(node.op, values(node)) for node in part.join.nodes)
        yield ("projecting", signature(part, part.body, main), kinds)
        if part.shortcut is None and len(part.join.nodes) == 1:
            yield ("adding", signature(part, part.body, main))
    else:
        yield ("adding", signature(part, part.lines, part.output))


def _group_kind(parts: Sequence[ModuleInstance]) -> Literal["equal", "projecting", "adding"]:
    if len({p.join is None for p in parts}) > 1:
        return "adding"
    if len({p.shortcut is None for p in parts}) > 1:
        return "projecting"
    return "equal"


def _apart(candidates: list[ModuleInstance], taken: list[bool]) -> list[ModuleInstance]:
    """Those parts, from the front, that overlap neither each other nor what is taken."""
    kept: list[ModuleInstance] = []
    end = 0
    for part in candidates:
        if part.first >= end and not any(taken[part.first : part.end]):
            kept.append(part)
            end = part.end
    return kept


def _worth(candidates: list[ModuleInstance]) -> bool:
    """Whether a module makes the spec shorter, or its author's names ask for one."""
    count = len(candidates)
    if count < 2:
        return False
    length = len(candidates[0].lines)
    if all(p.by_name for p in candidates):
        return True
    return count * length > length + 4 + count


def _score(candidates: list[ModuleInstance]) -> float:
    weight = NAMED if all(p.prefix for p in candidates) else 1.0
    size = sum(len(p.lines) for p in candidates) - max(len(p.lines) for p in candidates)
    # What is all of one kind reads more easily.
    return size * weight * (1.0 if _group_kind(candidates) == "equal" else 0.95)


class _Net:
    """Where each value is made and used."""

    def __init__(self, lines: Sequence[NodeChain], outputs: Iterable[GraphValue]) -> None:
        self.lines = lines
        self.made: dict[GraphValue, int] = {}
        self.last: dict[GraphValue, int] = {}
        """The last line that uses a value."""
        self.users: dict[GraphValue, int] = {}
        for i, line in enumerate(lines):
            for value in line.outputs:
                self.made[value] = i
            for value in dict.fromkeys(line.inputs):
                self.last[value] = i
                self.users[value] = self.users.get(value, 0) + 1
        for value in outputs:
            self.last[value] = len(lines)

    def candidates(self) -> Iterator[ModuleInstance]:
        yield from self._by_names()
        for end in range(len(self.lines)):
            if len(set(self.lines[end].inputs)) > 1:
                yield from self._branching(end)
            if self._is_depthwise(end):
                yield from self._around_depthwise(end)
        yield from self._runs()

    def _runs(self) -> Iterator[ModuleInstance]:
        """Lines one after the other between two places where the net branches or comes together."""
        first = 0
        while first < len(self.lines):
            end = first + 1
            while end < len(self.lines) and self._follows(end):
                end += 1
            if MIN_RUN <= end - first <= MAX_LENGTH and len(self.lines[first].inputs) == 1:
                part = self.part(first, end, 1, by_name=False)
                if part is not None:
                    names = [line.head.name for line in part.lines]
                    part.prefix = part.prefix or common_end(names) or common(names)
                    if part.prefix:
                        yield part
            first = end

    def _follows(self, i: int) -> bool:
        """Whether a line takes just what the one before it gives, which nothing else takes."""
        before, line = self.lines[i - 1], self.lines[i]
        alone = self.users.get(before.value, 0) == 1 and self.last[before.value] == i
        return line.inputs == [before.value] and alone

    def _is_depthwise(self, i: int) -> bool:
        head = self.lines[i].head
        return head.op == "conv" and values(head)["groups"] == "depthwise"

    def _around_depthwise(self, i: int) -> Iterator[ModuleInstance]:
        """A depthwise convolution with the convolution behind it, and the one in front of it."""
        for first, end in ((i, i + 2), (i - 1, i + 2)):
            inside = self.lines[max(first, 0) : end]
            if first >= 0 and len(inside) == end - first:
                if all(line.head.op == "conv" for line in inside):
                    part = self.part(first, end, 1, by_name=False)
                    if part is not None:
                        yield part

    def part(self, first: int, end: int, most: int, by_name: bool) -> ModuleInstance | None:
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
        part = ModuleInstance(first, lines, list(taken), given[0], _prefix(lines), by_name)
        _find_join(part)
        return part

    def _by_names(self) -> Iterator[ModuleInstance]:
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

    def _branching(self, last: int) -> Iterator[ModuleInstance]:
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


def _prefix(lines: Sequence[NodeChain]) -> str:
    """What the names of the lines have in common; those without weights need not."""
    names = [line.head.name for line in lines]
    together = common(names)
    if together or len(lines) < 3:
        return "" if together in names[:-1] else together
    weighted = [line.head.name for line in lines if any(node.blobs for node in line.nodes)]
    together = common(weighted) if len(weighted) > 1 else ""
    return "" if together in names else together


def _find_join(part: ModuleInstance) -> None:
    """See whether the last line adds a shortcut to what the others make of the input."""
    last, (x, *more) = part.lines[-1], part.inputs
    if more or last.head.op != "add" or len(set(last.inputs)) != 2 or len(last.inputs) != 2:
        return
    if part.output is not last.value or len(part.lines) < 3:
        return
    makers = {line.value: line for line in part.lines}
    if x in last.inputs:
        part.join = last
        return
    for value in last.inputs:
        line = makers.get(value)
        alone = sum(value in other.inputs for other in part.lines) == 1
        if line is not None and line.inputs == [x] and alone and line.head.op == "conv":
            # Of two single lines, neither is more of a shortcut than the other.
            if part.shortcut is not None:
                part.join = part.shortcut = None
                return
            part.join, part.shortcut = last, line


# --- equality ------------------------------------------------------------------------------------


def signature(part: ModuleInstance, lines: Sequence[NodeChain], output: GraphValue) -> object:
    """Equal for runs of lines that are the same but for numbers."""
    places: dict[GraphValue, object] = {v: ("input", i) for i, v in enumerate(part.inputs)}
    result: list[object] = []
    for i, line in enumerate(lines):
        wiring = tuple(places[v] for v in line.inputs)
        result.append((wiring, tuple(_kind(node.op, values(node)) for node in line.nodes)))
        for j, value in enumerate(line.outputs):
            places[value] = (i, j)
    return (tuple(result), places[output], len(part.inputs))


def line_signature(line: NodeChain) -> object:
    """Equal for lines of the same ops but for numbers."""
    return tuple(_kind(node.op, values(node)) for node in line.nodes)


def _kind(op: str, given: Mapping[str, Constant]) -> object:
    """An op with all of its fields but numbers; a filter of another size is another design."""
    fields: list[tuple[str, object]] = []
    for name, value in sorted(given.items()):
        if name == "kernel" and "filters" in given:
            fields.append((name, value))
        elif isinstance(value, Fraction):
            fields.append((name, "number"))
        elif isinstance(value, tuple):
            fields.append((name, len(value)))
        else:
            fields.append((name, value))
    return (op, tuple(fields))


def label(part: ModuleInstance) -> str:
    """What an instance is called: what its names have in common, or the name of its last line."""
    if part.prefix:
        return part.prefix
    return part.lines[-1].head.name or (tokens(part.lines[0].head.name) or [""])[0]
