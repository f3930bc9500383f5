"""The parts of a net that repeat, as modules: by the names of their layers, or by their wiring.

Runs of chains with the same ops, wired the same way, are instances of one module; what their
fields differ in becomes its parameters.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from netspec.importers.structure.candidates import CandidateFinder
from netspec.importers.structure.chains import NodeChain
from netspec.importers.structure.graph import GraphValue
from netspec.importers.structure.instances import (
    ModuleInstance,
    RepeatedModule,
    chain_signature,
    signature,
)

NAMED = 1.5
"""How much more instances count whose names have a beginning in common."""


def repeated_modules(
    chains: Sequence[NodeChain], outputs: Iterable[GraphValue]
) -> list[RepeatedModule]:
    """The modules that are worthwhile, none overlapping another, best ones first."""
    finder = CandidateFinder(chains, outputs)
    by_shape: dict[object, list[ModuleInstance]] = defaultdict(list)
    seen: set[tuple[int, int]] = set()
    for instance in finder.candidates():
        if (instance.first, instance.end) in seen:
            continue
        seen.add((instance.first, instance.end))
        for key in _keys(instance):
            by_shape[key].append(instance)
    # Of two that begin together, the one with a merge comes first.
    waiting = [sorted(p, key=lambda p: (p.first, -p.end)) for p in by_shape.values()]
    taken = [False] * len(chains)
    chosen: list[RepeatedModule] = []
    while waiting:
        waiting = [_without_overlaps(instances, taken) for instances in waiting]
        waiting = [instances for instances in waiting if _is_worthwhile(instances)]
        if not waiting:
            break
        best = max(waiting, key=_score)
        waiting.remove(best)
        chosen.append(RepeatedModule(best, _kind_of(best)))
        for instance in best:
            for i in range(instance.first, instance.end):
                taken[i] = True
    return chosen


def _keys(instance: ModuleInstance) -> Iterator[object]:
    """Keys of which candidates for one module have one in common, one for each kind of module.

    `equal`: the same wiring. `projecting`: the same body, and an input that is added directly or
    through one more chain. `adding`: the same body, to whose result the input is added or not.
    """
    yield ("equal", signature(instance, instance.chains, instance.outputs))
    if instance.merge is not None:
        main = next(
            v for v in instance.merge.inputs if v in [chain.value for chain in instance.body]
        )
        merge = chain_signature(instance.merge)
        yield ("projecting", signature(instance, instance.body, [main]), merge)
        if instance.shortcut is None and len(instance.merge.nodes) == 1:
            yield ("adding", signature(instance, instance.body, [main]))
    else:
        yield ("adding", signature(instance, instance.chains, instance.outputs))


def _kind_of(instances: Sequence[ModuleInstance]) -> Literal["equal", "projecting", "adding"]:
    if len({p.merge is None for p in instances}) > 1:
        return "adding"
    if len({p.shortcut is None for p in instances}) > 1:
        return "projecting"
    return "equal"


def _without_overlaps(candidates: list[ModuleInstance], taken: list[bool]) -> list[ModuleInstance]:
    """Those candidates, first ones first, that overlap neither each other nor taken chains."""
    kept: list[ModuleInstance] = []
    end = 0
    for instance in candidates:
        if instance.first >= end and not any(taken[instance.first : instance.end]):
            kept.append(instance)
            end = instance.end
    return kept


def _is_worthwhile(candidates: list[ModuleInstance]) -> bool:
    """Whether a module makes the spec shorter, or the names of its layers ask for one."""
    count = len(candidates)
    if count < 2:
        return False
    length = len(candidates[0].chains)
    if all(p.by_name for p in candidates):
        return True
    return count * length > length + 4 + count


def _score(candidates: list[ModuleInstance]) -> float:
    """How many chains the module saves, more where names or equality speak for it."""
    weight = NAMED if all(p.prefix for p in candidates) else 1.0
    size = sum(len(p.chains) for p in candidates) - max(len(p.chains) for p in candidates)
    # Instances that are all alike read more easily.
    return size * weight * (1.0 if _kind_of(candidates) == "equal" else 0.95)
