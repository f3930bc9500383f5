"""The statements of a `forward`: which layers share a line, and what its variables are called.

`x` is the value that flows from line to line, or `out` where an input called x is still needed;
everything else has its name from the spec. Values that different branches of an `if` yield for the
same reader share one variable.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from netspec.codegen.identifiers import Identifiers
from netspec.ir import Block, Layer, Node, Value
from netspec.lazy_dataclasses import dataclass, field
from netspec_torch.variants import Item, MergedBranch, MergedNode, joins

FLOW, OTHER_FLOW = "x", "out"


@dataclass(frozen=True, eq=False)
class MergedValue:
    """A value of the class: result `index` of a merged node, or input `index` of the block."""

    join: MergedNode | None
    index: int
    name: str


@dataclass(frozen=True, eq=False)
class Assignment:
    """`targets = joins[-1](... joins[0](inputs))`; returns the value at once if `returns`.

    `targets` has a variable for each result, None for one that nothing reads; only the first where
    no other is read. `makers` are the joins whose results the line reads, if it is the only one
    that reads them; else there are none.
    """

    joins: tuple[MergedNode, ...]
    inputs: tuple[str, ...]
    targets: tuple[str | None, ...]
    returns: bool
    makers: tuple[MergedNode, ...]


@dataclass(frozen=True, eq=False)
class IfStatement:
    """The `if` of a fork; branches without a line are empty."""

    fork: MergedBranch
    branches: Mapping[int, tuple[Statement, ...]]


@dataclass(frozen=True, eq=False)
class Copy:
    """`target = source`."""

    target: str
    source: str


Statement = Assignment | IfStatement | Copy


@dataclass(frozen=True)
class Flow:
    """`inputs` are the arguments of `forward`; `outputs` the variables that it returns.

    `read` are the results of joins that anything reads.
    """

    inputs: tuple[str, ...]
    statements: tuple[Statement, ...]
    outputs: tuple[str, ...]


Wraps = Callable[[Node, Node], bool]
"""Whether the second of two nodes, which takes what the first yields, is written around it."""


def flow(
    blocks: Sequence[Block], items: Sequence[Item], taken: Sequence[str], wraps: Wraps
) -> Flow | None:
    """The statements for all variants; None where no choice of variables is found for them all."""
    for flowing_phis in (True, False):
        program = _Program(blocks, items, taken, wraps, flowing_phis)
        if program.sound():
            return program.flow()
    return None


# --- the program ---------------------------------------------------------------------------------


@dataclass(eq=False)
class _JoinedExpression:
    """Joins in one expression; `reads[p]` is what each variant reads as input p."""

    joins: list[MergedNode]
    reads: list[dict[int, MergedValue]] = field(default_factory=list)
    place: int = 0


@dataclass(eq=False)
class _Branch:
    fork: MergedBranch
    branches: dict[int, list[_Step]]
    first: int = 0
    last: int = 0
    copies: dict[int, list[tuple[MergedValue, MergedValue]]] = field(default_factory=dict)
    """For each branch the (phi, source) pairs that are copied at its end."""


_Step = _JoinedExpression | _Branch
_Event = tuple[str, "_JoinedExpression | tuple[MergedValue, MergedValue] | None"]


class _BranchNames:
    """Variables of one `forward`; values of branches that exclude each other may share a name."""

    def __init__(self, taken: Sequence[str]) -> None:
        self.names = Identifiers(taken)
        self.given: dict[str, tuple[str, set[int] | None]] = {}

    def name(self, wanted: str, variants: set[int] | None) -> str:
        """`variants` are those that have the value, None for all."""
        wanted = wanted.replace(".", "_")
        known = self.given.get(wanted)
        if known is not None and known[1] is not None and variants is not None:
            if known[1].isdisjoint(variants):
                self.given[wanted] = (known[0], known[1] | variants)
                return known[0]
        name = self.names.identifier(wanted)
        self.given.setdefault(wanted, (name, variants))
        return name


class _Program:
    def __init__(
        self,
        blocks: Sequence[Block],
        items: Sequence[Item],
        taken: Sequence[str],
        wraps: Wraps,
        flowing_phis: bool,
    ) -> None:
        self.blocks = blocks
        self.wraps = wraps
        self.flowing_phis = flowing_phis
        self.slots: list[dict[Value, MergedValue]] = [{} for _ in blocks]
        self.parents: dict[MergedValue, MergedValue] = {}
        self.phis: set[MergedValue] = set()
        self._inputs()
        self.live = self._live(list(joins(items)))
        self.users = self._count_uses()
        self.count = 0
        self.branches: list[_Branch] = []
        self.steps = self._steps(items)
        self.returned = self._returned()
        self._resolve()
        self.shared = {self._find(p) for p in self.phis}
        self.orders = [list(self._order(self.steps, v)) for v in range(len(blocks))]
        self.names = self._name(taken)

    # Values

    def _inputs(self) -> None:
        for i, value in enumerate(self.blocks[0].inputs):
            slot = MergedValue(None, i, value.name)
            for variant, block in enumerate(self.blocks):
                self.slots[variant][block.inputs[i]] = slot

    def _live(self, every: list[MergedNode]) -> set[MergedNode]:
        """The joins that outputs depend on, in any variant; the others need not run."""
        needed = [set(b.outputs) for b in self.blocks]
        live = set()
        for join in reversed(every):
            if any(not needed[v].isdisjoint(n.outputs) for v, n in join.nodes.items()):
                live.add(join)
                for v, node in join.nodes.items():
                    needed[v].update(node.inputs)
        for join in every:
            for i, value in enumerate(join.first.outputs):
                slot = MergedValue(join, i, value.name)
                for v, node in join.nodes.items():
                    self.slots[v][node.outputs[i]] = slot
        return live

    def _count_uses(self) -> dict[MergedValue, int]:
        """How often each value is read, in the variant that reads it most."""
        uses: dict[MergedValue, int] = {}
        for v, block in enumerate(self.blocks):
            counts: dict[MergedValue, int] = {}
            values = [x for j in self.live if v in j.nodes for x in j.nodes[v].inputs]
            for value in (*values, *block.outputs):
                slot = self.slots[v][value]
                counts[slot] = counts.get(slot, 0) + 1
            for slot, count in counts.items():
                uses[slot] = max(uses.get(slot, 0), count)
        return uses

    # Steps

    def _steps(self, items: Sequence[Item]) -> list[_Step]:
        steps: list[_Step] = []
        for item in items:
            if isinstance(item, MergedBranch):
                branch = _Branch(item, {}, first=self.count)
                branch.branches = {a: self._steps(inner) for a, inner in item.branches.items()}
                branch.last = self.count
                if any(branch.branches.values()):
                    steps.append(branch)
                    self.branches.append(branch)
            elif item in self.live:
                last = steps[-1] if steps else None
                if isinstance(last, _JoinedExpression) and self._wrapped(last, item):
                    last.joins.append(item)
                else:
                    steps.append(self._group(item))
        return steps

    def _group(self, join: MergedNode) -> _JoinedExpression:
        group = _JoinedExpression([join], place=self.count)
        self.count += 1
        for p in range(len(join.first.inputs)):
            group.reads.append({v: self.slots[v][n.inputs[p]] for v, n in join.nodes.items()})
        return group

    def _wrapped(self, group: _JoinedExpression, join: MergedNode) -> bool:
        """Whether a join takes just what the group yields, and nothing else takes that."""
        last = group.joins[-1]
        if not isinstance(join.first, Layer) or not self.wraps(last.first, join.first):
            return False
        used = [i for i in range(len(last.first.outputs)) if self.users.get(self._made(last, i))]
        return (
            used == [0]
            and self.users[self._made(last, 0)] == 1
            and all(n.inputs == (last.nodes[v].outputs[0],) for v, n in join.nodes.items())
        )

    def _made(self, join: MergedNode, index: int) -> MergedValue:
        variant, node = next(iter(join.nodes.items()))
        return self.slots[variant][node.outputs[index]]

    def _returned(self) -> list[dict[int, MergedValue]]:
        return [
            {v: self.slots[v][b.outputs[i]] for v, b in enumerate(self.blocks)}
            for i in range(len(self.blocks[0].outputs))
        ]

    # Variables that branches share

    def _resolve(self) -> None:
        reads = [(g.place, r) for g in self._groups(self.steps) for r in g.reads]
        reads += [(self.count, r) for r in self.returned]
        later: dict[MergedValue, list[int]] = {}
        for place, read in reads:
            for slot in set(read.values()):
                later.setdefault(slot, []).append(place)
        for place, read in reads:
            if len(set(read.values())) > 1:
                self._merge(place, read, later)

    def _groups(self, steps: Sequence[_Step]) -> Iterator[_JoinedExpression]:
        for step in steps:
            if isinstance(step, _JoinedExpression):
                yield step
            else:
                for branch in step.branches.values():
                    yield from self._groups(branch)

    def _merge(
        self, place: int, read: dict[int, MergedValue], later: dict[MergedValue, list[int]]
    ) -> None:
        """One variable for what the variants read at a place."""
        decider = self._decider(place, read)
        phi: MergedValue | None = None
        copied = []
        for slot in dict.fromkeys(read.values()):
            before = slot.join is None or (
                decider is not None and self._place(slot) < decider.first
            )
            again = decider is not None and any(
                p >= decider.last and p != place for p in later[slot]
            )
            again = again or later[slot].count(place) > 1
            if before and again:
                copied.append(slot)
            elif phi is None:
                phi = slot
            else:
                self._union(phi, slot)
        if phi is None:
            phi = MergedValue(None, -1, copied[0].name)
        self.phis.add(phi)
        for slot in copied:
            assert decider is not None
            for branch in {decider.fork.taken[v] for v, s in read.items() if s is slot}:
                known = next((p for p, s in decider.copies.get(branch, []) if s is slot), None)
                if known is None:
                    decider.copies.setdefault(branch, []).append((phi, slot))
                else:
                    self._union(known, phi)

    def _decider(self, place: int, read: dict[int, MergedValue]) -> _Branch | None:
        """The last `if` before a place whose branches decide what is read there: one that makes it,
        rather than one that happens to part the variants alike.
        """
        found: _Branch | None = None
        made = {self._place(slot) for slot in read.values()}
        for branch in sorted(self.branches, key=lambda b: b.last, reverse=True):
            if branch.last <= place and set(read) <= set(branch.fork.taken):
                if len({branch.fork.taken[v] for v in read}) > 1:
                    if any(branch.first <= p < branch.last for p in made):
                        return branch
                    found = found or branch
        return found

    def _place(self, slot: MergedValue) -> int:
        for group in self._groups(self.steps):
            if slot.join in group.joins:
                return group.place
        return -1

    def _find(self, slot: MergedValue) -> MergedValue:
        while slot in self.parents:
            slot = self.parents[slot]
        return slot

    def _union(self, a: MergedValue, b: MergedValue) -> None:
        a, b = self._find(a), self._find(b)
        if a is not b:
            # The variable of an input keeps its name.
            if b.join is None and b.index >= 0:
                a, b = b, a
            self.parents[b] = a

    # Names

    def _order(
        self, steps: Sequence[_Step], v: int
    ) -> Iterator[_JoinedExpression | tuple[MergedValue, MergedValue]]:
        """What a variant runs, in order."""
        for step in steps:
            if isinstance(step, _JoinedExpression):
                yield step
            elif v in step.fork.taken:
                branch = step.fork.taken[v]
                yield from self._order(step.branches[branch], v)
                yield from step.copies.get(branch, [])

    def _name(self, taken: Sequence[str]) -> dict[MergedValue, str]:
        flowing = self._flowing()
        names = _BranchNames((*taken, FLOW, OTHER_FLOW))
        given: dict[MergedValue, str] = {}
        inputs = [self._find(s) for s in self._input_slots()]
        current = FLOW
        for slot in inputs:
            if slot.name == FLOW:
                given[slot] = FLOW
                current = FLOW if slot in flowing else OTHER_FLOW
            else:
                given[slot] = names.name(slot.name, None)
        for group in self._groups(self.steps):
            outputs = range(len(group.joins[-1].first.outputs))
            slots = [self._find(self._made(group.joins[-1], i)) for i in outputs]
            for i, slot in enumerate(slots):
                if slot in given or not self._read(group.joins[-1], i):
                    continue
                here = None if slot in self.shared else set(group.joins[-1].nodes)
                given[slot] = current if slot in flowing else names.name(slot.name, here)
        for phi in self.phis:
            slot = self._find(phi)
            if slot not in given:
                given[slot] = current if slot in flowing else names.name(slot.name, None)
        return given

    def _input_slots(self) -> list[MergedValue]:
        return [self.slots[0][v] for v in self.blocks[0].inputs]

    def _read(self, join: MergedNode, index: int) -> bool:
        return bool(self.users.get(self._made(join, index)))

    def _flowing(self) -> set[MergedValue]:
        """The variables that each variant reads right after they are set, and nothing with them."""
        steady: set[MergedValue] = set()
        unsteady: set[MergedValue] = set()
        shared = self.shared
        for v, order in enumerate(self.orders):
            set_at: dict[MergedValue, int] = {self._find(s): -1 for s in self._input_slots()}
            for k, step in enumerate(order):
                if isinstance(step, tuple):
                    unsteady.add(self._find(step[1]))
                    set_at[self._find(step[0])] = k
                    continue
                read = {self._find(r[v]) for r in step.reads}
                for slot in read:
                    alone = len(read) == 1 or (slot in shared and self.flowing_phis)
                    right = alone and set_at.get(slot) == k - 1
                    (steady if right else unsteady).add(slot)
                for i, _ in enumerate(step.joins[-1].first.outputs):
                    if self._read(step.joins[-1], i):
                        set_at[self._find(self._made(step.joins[-1], i))] = k
            for r in self.returned:
                slot = self._find(r[v])
                right = len(self.returned) == 1 and set_at.get(slot) == len(order) - 1
                (steady if right else unsteady).add(slot)
        if not self.flowing_phis:
            unsteady |= shared
        # Two results of one step can't both be what flows.
        for group in self._groups(self.steps):
            last = group.joins[-1]
            used = [i for i, _ in enumerate(last.first.outputs) if self._read(last, i)]
            if len(used) > 1:
                unsteady |= {self._find(self._made(last, i)) for i in used}
        unsteady |= {self._find(s) for s in self._input_slots() if s.name != FLOW}
        return steady - unsteady

    # The proof

    def sound(self) -> bool:
        """Whether every variant finds in each variable what it wants, line by line."""
        for v, order in enumerate(self.orders):
            held = {self.names[self._find(s)]: s for s in self._input_slots()}
            for step in order:
                if isinstance(step, tuple):
                    target, source = step
                    if held.get(self._variable(source)) is not source:
                        return False
                    held[self._variable(target)] = source
                    continue
                for read in step.reads:
                    if held.get(self._variable_read(read)) is not read[v]:
                        return False
                last = step.joins[-1]
                for i, _ in enumerate(last.first.outputs):
                    if self._read(last, i):
                        held[self._variable(self._made(last, i))] = self._made(last, i)
            for read in self.returned:
                if held.get(self._variable_read(read)) is not read[v]:
                    return False
        return True

    def _variable(self, slot: MergedValue) -> str:
        return self.names[self._find(slot)]

    def _variable_read(self, read: dict[int, MergedValue]) -> str:
        """The variable at a place where variants may read different values."""
        slots = list(dict.fromkeys(read.values()))
        if len(slots) == 1:
            return self._variable(slots[0])
        copies = [c for b in self.branches for branch in b.copies.values() for c in branch]
        for slot in slots:
            phis = [p for p, s in copies if s is slot]
            if not phis:
                return self._variable(slot)
        return self._variable(next(p for p, s in copies if s is slots[0]))

    # The result

    def flow(self) -> Flow:
        statements = tuple(self._statements(self.steps, top=True))
        inputs = tuple(self._variable(s) for s in self._input_slots())
        return Flow(inputs, statements, tuple(self._variable_read(r) for r in self.returned))

    def _statements(self, steps: Sequence[_Step], top: bool) -> Iterator[Statement]:
        for step in steps:
            if isinstance(step, _JoinedExpression):
                yield self._line(step, top and step is steps[-1])
                continue
            branches = {}
            for branch, inner in step.branches.items():
                copied = step.copies.get(branch, [])
                copies = [Copy(self._variable(p), self._variable(s)) for p, s in copied]
                branches[branch] = (*self._statements(inner, top=False), *copies)
            yield IfStatement(step.fork, branches)

    def _line(self, group: _JoinedExpression, last: bool) -> Assignment:
        join = group.joins[-1]
        outputs = [self._made(join, i) for i, _ in enumerate(join.first.outputs)]
        returns = last and [set(r.values()) for r in self.returned] == [{s} for s in outputs]
        targets: list[str | None] = [None] * len(outputs)
        if not returns:
            for i, slot in enumerate(outputs):
                if self._read(join, i):
                    targets[i] = self._variable(slot)
            if not any(targets[1:]):
                del targets[1:]
        inputs = tuple(self._variable_read(r) for r in group.reads)
        read = {s for r in group.reads for s in r.values()}
        makers = [s.join for s in read if s.join is not None and self.users[s] == 1 and not s.index]
        if len(makers) < len(read):
            makers = []
        return Assignment(tuple(group.joins), inputs, tuple(targets), returns, tuple(makers))
