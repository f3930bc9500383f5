"""Merges the blocks that a module's uses gave, for one class with the `if`s of the spec.

blocks:  conv1 short add relu        (stride 2)
         conv1 add relu              (stride 1)
merged:  conv1 MergedBranch(0: short add, 1: add) relu
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from netspec.ir import Argument, Block, Choice, Instance, Layer, Node, Value
from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops import attributes, like
from netspec.symbolic.conditions import Condition
from netspec.symbolic.expr import Dim, Real


@dataclass(frozen=True, eq=False)
class MergedNode:
    """A node as each variant that reaches it has it."""

    nodes: Mapping[int, Node]

    @property
    def first(self) -> Node:
        return next(iter(self.nodes.values()))


@dataclass(frozen=True, eq=False)
class MergedBranch:
    """An `if` of which variants take different branches.

    `branches` are those that any takes; the last index stands for `else`. `taken` is the branch of
    each variant. `tests[i]` is the condition of branch i, for all but the last in `branches`.
    """

    branches: Mapping[int, tuple[Item, ...]]
    taken: Mapping[int, int]
    tests: Mapping[int, Condition]


Item = MergedNode | MergedBranch


class _Different(Exception):
    """The blocks differ in more than the branches that they take."""


def unify(blocks: Sequence[Block]) -> tuple[Item, ...] | None:
    """The items of all blocks, by their index; None where one class can't stand for them."""
    first = blocks[0]
    for block in blocks:
        if len(block.inputs) != len(first.inputs) or len(block.outputs) != len(first.outputs):
            return None
    traces = {i: list(_trace(b, b.choices, 0, len(b.nodes))) for i, b in enumerate(blocks)}
    try:
        return tuple(_unify(traces))
    except _Different:
        return None


def without_identities(block: Block) -> Block:
    """The block, its identities being other names of what they take.

    One that is all that a branch of an `if` has is kept: it is what the branch chooses.
    """
    kept = {i for c in block.all_choices() for i in _alone(block, c)}
    aliases: dict[Value, Value] = {}
    nodes: list[Node] = []
    places = [0]
    for i, node in enumerate(block.nodes):
        if isinstance(node, Layer) and node.op.passes_input_on and i not in kept:
            (value,) = node.inputs
            aliases[node.outputs[0]] = aliases.get(value, value)
        else:
            inputs = tuple(aliases.get(v, v) for v in node.inputs)
            nodes.append(node if inputs == node.inputs else replace(node, inputs=inputs))
        places.append(len(nodes))
    if not aliases:
        return block
    return replace(
        block,
        nodes=tuple(nodes),
        outputs=tuple(aliases.get(v, v) for v in block.outputs),
        choices=tuple(_moved(c, places) for c in block.choices),
        loops=(),
    )


def _alone(block: Block, choice: Choice) -> range:
    """The places of a branch that is made of identities only."""
    inside = block.nodes[choice.start : choice.end]
    if all(isinstance(n, Layer) and n.op.passes_input_on for n in inside):
        return range(choice.start, choice.end)
    return range(0)


def _moved(choice: Choice, places: Sequence[int]) -> Choice:
    inner = tuple(_moved(c, places) for c in choice.inner)
    return replace(choice, start=places[choice.start], end=places[choice.end], inner=inner)


@dataclass(frozen=True, eq=False)
class _Taken:
    """An `if` in one block, and what that block has of it."""

    choice: Choice
    inside: list[_Entry]


_Entry = Node | _Taken


def _trace(block: Block, choices: Sequence[Choice], start: int, end: int) -> Iterator[_Entry]:
    for choice in choices:
        yield from block.nodes[start : choice.start]
        inside = list(_trace(block, choice.inner, choice.start, choice.end))
        yield _Taken(choice, inside)
        start = choice.end
    yield from block.nodes[start:end]


def _unify(traces: Mapping[int, list[_Entry]]) -> Iterator[Item]:
    if len({len(t) for t in traces.values()}) > 1:
        raise _Different
    for entries in zip(*traces.values(), strict=True):
        row = dict(zip(traces, entries, strict=True))
        ifs = {i: e for i, e in row.items() if isinstance(e, _Taken)}
        if not ifs:
            yield _join({i: e for i, e in row.items() if not isinstance(e, _Taken)})
        elif len(ifs) == len(row):
            yield from _fork(ifs)
        else:
            raise _Different


def _join(nodes: dict[int, Node]) -> MergedNode:
    first = next(iter(nodes.values()))
    for node in nodes.values():
        alike = node.name == first.name and node.line == first.line
        alike = alike and len(node.inputs) == len(first.inputs)
        alike = alike and len(node.outputs) == len(first.outputs)
        if isinstance(node, Layer) and isinstance(first, Layer):
            alike = alike and type(node.op) is type(first.op)
        elif isinstance(node, Instance) and isinstance(first, Instance):
            alike = alike and node.block.module == first.block.module
        else:
            alike = False
        if not alike:
            raise _Different
    return MergedNode(nodes)


def _fork(ifs: dict[int, _Taken]) -> Iterator[Item]:
    if len({e.choice.span for e in ifs.values()}) > 1:
        raise _Different
    taken = {i: e.choice.taken for i, e in ifs.items()}
    branches = {
        branch: tuple(_unify({i: e.inside for i, e in ifs.items() if taken[i] == branch}))
        for branch in sorted(set(taken.values()))
    }
    if len(branches) == 1:
        yield from next(iter(branches.values()))
        return
    tests: dict[int, Condition] = {}
    for branch in list(branches)[:-1]:
        stated = {e.choice.conditions[branch] for e in ifs.values()}
        condition = stated.pop()
        if stated or condition is None:
            raise _Different
        tests[branch] = condition
    yield MergedBranch(branches, taken, tests)


def joins(items: Sequence[Item]) -> Iterator[MergedNode]:
    """All joins, those of branches included, in the order of the spec."""
    for item in items:
        if isinstance(item, MergedNode):
            yield item
        else:
            for branch in item.branches.values():
                yield from joins(branch)


def forks(items: Sequence[Item]) -> Iterator[MergedBranch]:
    """All forks, outer ones before those in their branches."""
    for item in items:
        if isinstance(item, MergedBranch):
            yield item
            for branch in item.branches.values():
                yield from forks(branch)


def restated(node: Node, other: Node) -> Node:
    """A node whose numbers are said to come about as those of another variant's node do."""
    return combined(node, other, _as, lambda own, others: replace(own, expr=others.expr))


def combined(
    node: Node,
    other: Node,
    number: Callable[[Any, Any], Any],
    argument: Callable[[Argument, Argument], Argument],
) -> Node:
    """A node whose numbers, and arguments if it is an instance, are made of its own and those of
    another node. Its name, outputs and all else stay; a node of another kind changes nothing.
    """
    inputs = tuple(
        Value(v.name, like(v.shape, (_each(number, v.shape[0], o.shape[0]), *v.shape[1:])))
        for v, o in zip(node.inputs, other.inputs, strict=True)
    )
    if isinstance(node, Layer) and isinstance(other, Layer):
        numbers = {
            a.name: _each(number, getattr(node.op, a.name), getattr(other.op, a.name))
            for a in attributes(type(node.op))
        }
        return replace(node, op=node.op.with_attributes(**numbers), inputs=inputs)
    if isinstance(node, Instance) and isinstance(other, Instance):
        pairs = zip(node.arguments, other.arguments, strict=True)
        return replace(node, arguments=tuple(argument(a, b) for a, b in pairs), inputs=inputs)
    return node


def _each(number: Callable[[Any, Any], Any], value: Any, other: Any) -> Any:
    if isinstance(value, tuple) and isinstance(other, tuple) and len(value) == len(other):
        return tuple(_each(number, v, o) for v, o in zip(value, other, strict=True))
    return number(value, other)


def _as(value: Any, other: Any) -> Any:
    """A value with the expression of another."""
    if isinstance(value, float) and isinstance(other, Real):
        return Real(value, other.expr)
    if isinstance(value, int) and isinstance(other, Dim):
        return Dim(int(value), other.expr)
    if isinstance(value, Dim):
        return int(value)
    return float(value) if isinstance(value, Real) else value
