"""The slots of a body as lines, such as a convolution with its norm and activation, with names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from netspec.importers.structure.attributes import attribute_values
from netspec.importers.structure.names import (
    GENERAL,
    UniqueNames,
    free_name,
    joined_name,
    path_name,
    short_name,
    use_place,
)
from netspec.importers.structure.paths import MAX_DEPTH, parent_path
from netspec.importers.structure.shared_module import BodyLine, BodyStep, SharedBody, SlotValue
from netspec.ops import OPS, Weighted


def lines_of(body: SharedBody, taken: Sequence[str], is_net: bool) -> list[BodyLine]:
    """The lines of a body, whose names are none of `taken`."""
    rows = _Rows(body)
    ends = [s + 1 for s in range(len(body.slots)) if not rows.continues(s + 1)]
    starts = [0, *ends[:-1]]
    paths = [rows.path(first, end) for first, end in zip(starts, ends, strict=True)]
    namer = _LineNamer(body, taken, is_net, paths)
    places = list(zip(starts, ends, paths, strict=True))
    stated = {
        first: _has_weights(body, first, end) or namer.says_more(path, body.one(first))
        for first, end, path in places
    }
    names = {
        first: namer.name(first, end, path)
        for first, end, path in sorted(places, key=lambda p: not stated[p[0]])
    }
    return [BodyLine(first, end, p, names[first], stated[first]) for first, end, p in places]


class _Rows:
    """Which slots follow each other in one line."""

    def __init__(self, body: SharedBody) -> None:
        self.body = body
        self.steps = [body.one(s) for s in range(len(body.slots))]
        self.runs = {s: run for run in body.optional for s in range(run.first, run.end)}
        self.merges = {run.end for run in body.optional if run.merges}
        self.results = {s for s, _ in body.results}
        self.users: dict[int, list[tuple[SlotValue, int]]] = {}
        for ref, count in body.users().items():
            self.users.setdefault(ref[0], []).append((ref, count))
        self.inside: dict[str, list[int]] = {}
        """The slots below each path, by the first instance that has them."""
        for s, step in enumerate(self.steps):
            for around in _around(step.path):
                self.inside.setdefault(around, []).append(s)
        self.counts = [
            Counter(a for slot in body.slots if (o := slot[i]) for a in _around(o.path))
            for i in range(len(body.instances))
        ]
        """How many steps of each instance are below each path."""

    def continues(self, s: int) -> bool:
        """Whether a slot belongs to the line of the slot in front of it."""
        body = self.body
        if s >= len(body.slots) or body.wiring[s] != ((s - 1, 0),) or s - 1 in self.results:
            return False
        before, step = self.steps[s - 1], self.steps[s]
        if self.runs.get(s - 1) is not self.runs.get(s) or s - 1 in self.merges:
            return False
        if self.users[s - 1] != [((s - 1, 0), 1)] or before.module or step.module:
            return False
        op, last = OPS[step.node.op], OPS[before.node.op]
        if op.activation or before.node.op == "flatten":
            return op.activation and before.node.op != "flatten"
        if not (op.channel_affine or op.training_only):
            return False
        if not _is_weighted(before) and (op.channel_affine or not last.activation):
            return False
        own = parent_path(step.path)
        numbered = step.path.rpartition(".")[2].isdigit()
        return own == parent_path(before.path) and (numbered or self._is_row(own))

    def _is_row(self, path: str) -> bool:
        """Whether the steps below a path are one convolution or the like, and what follows it."""
        inside = self.inside[path]
        if inside[-1] - inside[0] + 1 != len(inside) or any(self.steps[s].module for s in inside):
            return False
        weighted = sum(_is_weighted(self.steps[s]) for s in inside)
        follows = all(self.body.wiring[s] == ((s - 1, 0),) for s in inside[1:])
        return weighted == 1 and follows and _is_weighted(self.steps[inside[0]])

    def path(self, first: int, end: int) -> str:
        """What instances call a line: all of its steps together, else the first one."""
        found: Counter[str] = Counter()
        for i, counts in enumerate(self.counts):
            steps = [self.body.slots[s][i] for s in range(first, end)]
            inside = [step.path for step in steps if step is not None]
            if not inside:
                continue
            around = parent_path(inside[0])
            alone = inside[0].rpartition(".")[2] in ("conv", "linear", "fc")
            together = around and counts[around] == len(inside) and (len(inside) > 1 or alone)
            together = together and all(p.startswith(f"{around}.") for p in inside)
            found[around if together else inside[0]] += 1
        (path, count), *_ = found.most_common(1)
        return path if 2 * count > found.total() else ""


def _around(path: str) -> list[str]:
    """The paths that a path is below of, the empty one included."""
    parts = path.split(".")
    return [".".join(parts[:i]) for i in range(min(len(parts), MAX_DEPTH))]


def _is_weighted(step: BodyStep) -> bool:
    return step.module is None and issubclass(OPS[step.node.op], Weighted)


def _has_weights(body: SharedBody, first: int, end: int) -> bool:
    steps = [body.one(s) for s in range(first, end)]
    return any(s.module is not None or s.node.origins for s in steps)


def _path(body: SharedBody, first: int, end: int) -> str:
    """What instances call a line: all of its steps together, else the first one."""
    found: Counter[str] = Counter()
    for i in range(len(body.instances)):
        steps = [body.slots[s][i] for s in range(first, end)]
        inside = [step.path for step in steps if step is not None]
        if not inside:
            continue
        around = parent_path(inside[0])
        below = [s[i] for s in body.slots]
        count = sum(o is not None and f"{o.path}.".startswith(f"{around}.") for o in below)
        alone = inside[0].rpartition(".")[2] in ("conv", "linear", "fc")
        together = around and count == len(inside) and (count > 1 or alone)
        together = together and all(p.startswith(f"{around}.") for p in inside)
        found[around if together else inside[0]] += 1
    (path, count), *_ = found.most_common(1)
    return path if 2 * count > found.total() else ""


class _LineNamer:
    """Names for the lines of one body."""

    def __init__(
        self, body: SharedBody, taken: Sequence[str], is_net: bool, paths: Sequence[str]
    ) -> None:
        self.body = body
        self.is_net = is_net
        self.names = UniqueNames(taken)
        self.depthwise = [s for s in range(len(body.slots)) if _is_depthwise(body.one(s))]
        self.tails = Counter(t for p in paths for t in _tails(p))

    def name(self, first: int, end: int, path: str) -> str:
        """A name for these slots, which no other line has."""
        step = self.body.one(first)
        wanted = self._wanted(first, path)
        further = [self.body.one(s) for s in range(first + 1, end)]
        words = {s.node.op for s in further} | {"act" for s in further if s.activates}
        while True:
            name = free_name(wanted or short_name(step.node.op), self.names)
            layers = {f"{name}_{word}" for word in words}  # what its further layers are called
            if not layers & self.names.taken:
                self.names.taken |= layers
                return name

    def says_more(self, path: str, step: BodyStep) -> bool:
        """Whether the author's name says more than the op."""
        last = path.rpartition(".")[2]
        word = last.rstrip("0123456789_")
        known = {step.node.op, short_name(step.node.op), "flatten", "cat", "mean", ""}
        return self.is_net and word not in known and bool(last) and not last.isdigit()

    def _wanted(self, first: int, path: str) -> str:
        step = self.body.one(first)
        own = path.rpartition(".")[2]
        words = {p.rstrip("0123456789_") for p in path.split(".")} - {""}
        if not self.is_net and (not path or (own.isdigit() and words <= GENERAL)):
            return step.module.name.split("_")[0] if step.module is not None else self._role(first)
        if step.module is not None:
            found = use_place(path, step.module.name)
            if found is not None:
                return joined_name(*found)
        if not path:
            return ""
        tail = min((t for t in _tails(path) if self.tails[t] == 1), key=len, default=path)
        return path_name(tail, step.node.op)

    def _role(self, first: int) -> str:
        """What a layer without a name does."""
        step = self.body.one(first)
        if step.node.op != "conv" or not self.depthwise:
            return short_name(step.node.op)
        if first in self.depthwise:
            return "depthwise"
        values = attribute_values(step.node)
        if values["kernel"] != (1, 1):
            return "conv"
        widens = int(step.outputs[0].shape[0]) > int(step.inputs[0].shape[0])
        return "expand" if widens or first < self.depthwise[0] else "project"


def _is_depthwise(step: BodyStep) -> bool:
    if step.module is not None or step.node.op != "conv":
        return False
    return attribute_values(step.node).get("groups") == "depthwise"


def _tails(path: str) -> list[str]:
    """The ends of a path that begin with a word, or are all of it."""
    parts = path.split(".")
    return [".".join(parts[i:]) for i, p in enumerate(parts) if i == 0 or not p.isdigit()]
