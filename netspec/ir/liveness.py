"""Which values of a net are alive at once, worked out block by block."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from weakref import WeakKeyDictionary

from netspec.ir.nodes import Block, Instance, Layer, Node, Value
from netspec.lazy_dataclasses import dataclass


@dataclass(frozen=True)
class BlockUse:
    """What a use of a block makes of its inputs and outputs, by position.

    `same[i]` is the first input that is the same value as input i. `kept` are inputs, of equal
    ones the first, that are alive when the block is done; `wanted` are outputs that are.
    """

    same: tuple[int, ...]
    kept: frozenset[int]
    wanted: frozenset[int]


class Liveness:
    """When the values of a block are made and last used; its use decides about the outermost.

    The peak is that of the flat net, but worked out in the hierarchy: once for each block and each
    way of using it, so that a module which doubles itself twenty times costs twenty steps.
    """

    def __init__(self, block: Block) -> None:
        # Not the block itself, so that it can go: what is found here is kept by it, weakly.
        self.inputs, self.nodes, self.outputs = block.inputs, block.nodes, block.outputs
        self.forwarding = block.forwarding
        self.origin = self.forwarding.origin
        self.alone = BlockUse(
            tuple(range(len(block.inputs))), frozenset(), frozenset(range(len(block.outputs)))
        )
        self._peaks: dict[BlockUse, int] = {}

    def peak(self, use: BlockUse) -> int:
        """Most elements alive at once, of the values that this block knows of."""
        if use not in self._peaks:
            self._peaks[use] = max((m.alive for m in self.moments(use)), default=0)
        return self._peaks[use]

    def moments(self, use: BlockUse) -> Iterator[Moment]:
        """What is alive while each of the nodes runs that have layers."""
        last, end = self._last_uses(use)
        live = {v: None for v in self.inputs if v in last}
        total = sum(v.elements for v in live)
        for i, node in enumerate(self.nodes):
            made = [v for v in node.outputs if self.origin(v) is v and last.get(v, i) > i]
            if isinstance(node, Instance):
                if node.block.layer_count:
                    inside = self._inside(node, use, last, i)
                    passed = frozenset(self.seen(v, use) for v in node.inputs)
                    held = sum(v.elements for v in passed if v in live)
                    alive = total - held + liveness(node.block).peak(inside)
                    yield Moment(node, alive, live, passed, inside)
            live.update(dict.fromkeys(made))
            total += sum(v.elements for v in made)
            if isinstance(node, Layer):
                yield Moment(node, total, live, frozenset(), None)
            for value in end.get(i, ()):
                if value in live:
                    del live[value]
                    total -= value.elements

    def seen(self, value: Value, use: BlockUse) -> Value:
        """Of values that are equal in a use, the one that stands for them."""
        value = self.origin(value)
        place = self._places.get(value)
        return value if place is None else self.inputs[use.same[place]]

    @cached_property
    def _places(self) -> dict[Value, int]:
        return {v: i for i, v in enumerate(self.inputs)}

    def _last_uses(self, use: BlockUse) -> tuple[dict[Value, int], dict[int, list[Value]]]:
        """The position of each value's last use, and the values that each position is last to."""
        last: dict[Value, int] = {}
        for i, node in enumerate(self.nodes):
            for k, value in enumerate(node.inputs):
                if isinstance(node, Layer) or k in node.block.forwarding.reads:
                    last[self.seen(value, use)] = i
        for i in use.kept:
            last[self.inputs[i]] = len(self.nodes)
        for i in use.wanted:
            last[self.seen(self.outputs[i], use)] = len(self.nodes)
        end: dict[int, list[Value]] = {}
        for value, i in last.items():
            end.setdefault(i, []).append(value)
        return last, end

    def _inside(self, node: Instance, use: BlockUse, last: Mapping[Value, int], i: int) -> BlockUse:
        """How an instance at position i uses its block."""
        seen = [self.seen(v, use) for v in node.inputs]
        first: dict[Value, int] = {}
        same = tuple(first.setdefault(v, k) for k, v in enumerate(seen))
        kept = frozenset(k for v, k in first.items() if last.get(v, -1) > i)
        wanted = frozenset(
            k for k, v in enumerate(node.outputs) if self.origin(v) is v and last.get(v, -1) > i
        )
        return BlockUse(same, kept, wanted)


@dataclass(frozen=True)
class Moment:
    """What is alive while a node runs; for the step of `moments` that yields it only.

    `alive` counts elements, `live` are the values of this block. An instance knows those of them
    that are `passed` to it by names of its own; its block is used as `inside` says.
    """

    node: Node
    alive: int
    live: Mapping[Value, None]
    passed: frozenset[Value]
    inside: BlockUse | None


_KNOWN: WeakKeyDictionary[Block, Liveness] = WeakKeyDictionary()


def liveness(block: Block) -> Liveness:
    """When the values of a block are made and last used; worked out once for each block."""
    if block not in _KNOWN:
        _KNOWN[block] = Liveness(block)
    return _KNOWN[block]


def peak_activations(block: Block) -> int:
    """Most elements alive at once while the layers of a block run one after the other.

    While a layer runs its inputs and its results are alive. A value is alive from its making
    (an input from the start) to its last use, or to the end if it is an output of the block;
    a result that nothing uses is not counted.
    """
    found = liveness(block)
    return found.peak(found.alone)
