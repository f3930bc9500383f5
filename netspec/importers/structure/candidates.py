"""Runs of chains that may be instances of a module: by their names, or by how they are wired."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from netspec.importers.structure.attributes import attribute_values
from netspec.importers.structure.chains import NodeChain
from netspec.importers.structure.graph import GraphValue
from netspec.importers.structure.instances import ModuleInstance
from netspec.importers.structure.names import common_prefix, common_suffix, path_parts
from netspec.importers.structure.sharing import sharing_nodes

MAX_LENGTH = 60
"""Most chains of an instance."""
MAX_INPUTS = 3
"""Most values that an instance may take as its inputs."""
MAX_DEPTH = 4
"""Most parts of a name between slashes that are compared."""
MAX_FRONT = 3
"""Most chains in front of branches that may belong to the same instance."""
MIN_RUN = 3
"""Fewest chains of an instance without branches."""
MIN_DUAL = 4
"""Fewest chains of an instance that takes two values and gives two."""


class CandidateFinder:
    """Finds candidates by where each value is made and used (indices of chains)."""

    def __init__(self, chains: Sequence[NodeChain], outputs: Iterable[GraphValue]) -> None:
        self.chains = chains
        self.made: dict[GraphValue, int] = {}
        self.last: dict[GraphValue, int] = {}
        """The last chain that takes a value; the number of chains for a result of the net."""
        self.users: dict[GraphValue, int] = {}
        """How many chains take a value."""
        for i, chain in enumerate(chains):
            for value in chain.outputs:
                self.made[value] = i
            for value in dict.fromkeys(chain.inputs):
                self.last[value] = i
                self.users[value] = self.users.get(value, 0) + 1
        for value in outputs:
            self.last[value] = len(chains)
        self.sharing = sharing_nodes(chains)
        """What shares weights across lines, which no module can say."""

    def candidates(self) -> Iterator[ModuleInstance]:
        """All candidates, which may overlap, and may come more than once."""
        yield from self._by_names()
        for end in range(len(self.chains)):
            if len(set(self.chains[end].inputs)) > 1:
                yield from self._branching(end)
            if self._is_depthwise(end):
                yield from self._around_depthwise(end)
        yield from self._runs()
        yield from self._dual_paths()

    def _dual_paths(self) -> Iterator[ModuleInstance]:
        """Runs between places that two values pass, both of which the run takes and makes anew."""
        cuts, passing = [], 0
        ends: dict[int, int] = {}
        for i, chain in enumerate(self.chains):
            passing -= ends.pop(i - 1, 0)
            if passing == 2:
                cuts.append(i)
            for value in chain.outputs:
                if (last := self.last.get(value, i)) > i:
                    passing += 1
                    ends[last] = ends.get(last, 0) + 1
        passing -= ends.pop(len(self.chains) - 1, 0)
        if passing == 2:
            cuts.append(len(self.chains))
        for first, end in pairwise(cuts):
            if MIN_DUAL <= end - first <= MAX_LENGTH:
                instance = self.instance(first, end, 2, by_name=False, gives=2)
                if instance is not None and len(instance.inputs) == 2:
                    yield instance

    def _runs(self) -> Iterator[ModuleInstance]:
        """Runs of chains without branches, whose names have a beginning or an end in common."""
        first = 0
        while first < len(self.chains):
            end = first + 1
            while end < len(self.chains) and self._follows(end):
                end += 1
            if MIN_RUN <= end - first <= MAX_LENGTH and len(self.chains[first].inputs) == 1:
                instance = self.instance(first, end, 1, by_name=False)
                if instance is not None:
                    names = [chain.head.name for chain in instance.chains]
                    instance.prefix = (
                        instance.prefix or common_suffix(names) or common_prefix(names)
                    )
                    if instance.prefix:
                        yield instance
            first = end

    def _follows(self, i: int) -> bool:
        """Whether a chain takes only the value of the one before, which nothing else takes."""
        before, chain = self.chains[i - 1], self.chains[i]
        alone = self.users.get(before.value, 0) == 1 and self.last[before.value] == i
        return chain.inputs == [before.value] and alone

    def _is_depthwise(self, i: int) -> bool:
        head = self.chains[i].head
        return head.op == "conv" and attribute_values(head)["groups"] == "depthwise"

    def _around_depthwise(self, i: int) -> Iterator[ModuleInstance]:
        """A depthwise convolution with the convolution behind it, also with the one before it."""
        for first, end in ((i, i + 2), (i - 1, i + 2)):
            inside = self.chains[max(first, 0) : end]
            if first >= 0 and len(inside) == end - first:
                if all(chain.head.op == "conv" for chain in inside):
                    instance = self.instance(first, end, 1, by_name=False)
                    if instance is not None:
                        yield instance

    def instance(
        self, first: int, end: int, most: int, by_name: bool, gives: int = 1
    ) -> ModuleInstance | None:
        """These chains as a candidate; None unless they take 1 to `most` values and give `gives`.

        Further results of an op, such as the indices of a pooling, are not given.
        """
        chains = list(self.chains[first:end])
        if any(id(n) in self.sharing for chain in chains for n in chain.nodes):
            return None
        given = [v for chain in chains for v in chain.outputs if self.last.get(v, -1) >= end]
        values = [chain.value for chain in chains]
        if len(given) != gives or any(v not in values for v in given):
            return None
        taken = dict.fromkeys(
            v for chain in chains for v in chain.inputs if self.made.get(v, -1) < first
        )
        if not 1 <= len(taken) <= most:
            return None
        instance = ModuleInstance(first, chains, list(taken), given, _prefix(chains), by_name)
        _find_merge(instance)
        return instance

    def _by_names(self) -> Iterator[ModuleInstance]:
        """Runs of chains whose names have the same parts in front of a slash."""
        for depth in range(1, MAX_DEPTH + 1):
            first = 0
            while first < len(self.chains):
                key = path_parts(self.chains[first].head.name)[:depth]
                end = first + 1
                while end < len(self.chains):
                    other = path_parts(self.chains[end].head.name)
                    if other[:depth] != key:
                        break
                    end += 1
                inside = all(
                    len(path_parts(chain.head.name)) > depth for chain in self.chains[first:end]
                )
                if len(key) == depth and inside and 2 <= end - first <= MAX_LENGTH:
                    instance = self.instance(first, end, MAX_INPUTS, by_name=True)
                    if instance is not None:
                        instance.prefix = "/".join(key)
                        yield instance
                first = end

    def _branching(self, last: int) -> Iterator[ModuleInstance]:
        """From one value to the chain `last`, which merges branches; also with chains in front."""
        for first in range(last - 1, max(-1, last - MAX_LENGTH), -1):
            instance = self.instance(first, last + 1, 1, by_name=False)
            if instance is None:
                continue
            yield instance
            for front in range(first - 1, max(-1, first - 1 - MAX_FRONT), -1):
                value = self.chains[front].value
                if instance.inputs != [value] or len(self.chains[front].inputs) != 1:
                    break
                longer = self.instance(front, last + 1, 1, by_name=False)
                if longer is None:
                    break
                yield longer
                instance = longer
            return


def _prefix(chains: Sequence[NodeChain]) -> str:
    """What the names of all chains begin with, else those of the chains with weights."""
    # Steps have the name of the layer that they lead to.
    names = [c.head.name for c in chains if not c.only_steps or c is chains[-1]]
    together = common_prefix(names)
    if together or len(chains) < 3:
        return "" if together in names[:-1] else together
    weighted = [chain.head.name for chain in chains if any(node.origins for node in chain.nodes)]
    together = common_prefix(weighted) if len(weighted) > 1 else ""
    return "" if together in names else together


def _find_merge(instance: ModuleInstance) -> None:
    """Set `merge` and `shortcut` where the last chain adds a shortcut to the others' result."""
    last, (x, *more) = instance.chains[-1], instance.inputs
    if more or last.head.op != "add" or len(set(last.inputs)) != 2 or len(last.inputs) != 2:
        return
    if instance.output is not last.value or len(instance.chains) < 3:
        return
    makers = {chain.value: chain for chain in instance.chains}
    if x in last.inputs:
        instance.merge = last
        return
    for value in last.inputs:
        chain = makers.get(value)
        alone = sum(value in other.inputs for other in instance.chains) == 1
        if chain is not None and chain.inputs == [x] and alone and chain.head.op == "conv":
            # Of two single chains, neither is more of a shortcut than the other.
            if instance.shortcut is not None:
                instance.merge = instance.shortcut = None
                return
            instance.merge, instance.shortcut = last, chain
