"""Several instances of a module as one body: what each has, and how it is wired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netspec.importers.structure.graph import GraphValue
from netspec.importers.structure.shared_module import (
    BodyInstance,
    BodyStep,
    OptionalRun,
    SharedBody,
    SlotValue,
    input_refs,
)
from netspec.ops import OPS, Weighted


def single(instance: BodyInstance) -> SharedBody:
    """The body of a module with one instance."""
    body = _wired([instance], [[step] for step in instance.steps])
    assert body is not None, "one instance has nothing optional"
    return body


def joined(body: SharedBody, instance: BodyInstance) -> SharedBody | None:
    """The body of a module that also has this instance; None where they have too little alike."""
    first = body.instances[0]
    if len(instance.inputs) != len(first.inputs) or len(instance.outputs) != len(first.outputs):
        return None
    examples = [body.one(s) for s in range(len(body.slots))]
    pairs = _alignment(examples, instance.steps)
    matched = sum(a is not None and b is not None for a, b in pairs)
    if 2 * matched < max(len(examples), len(instance.steps)):
        return None
    missing: list[BodyStep | None] = [None] * len(body.instances)
    slots = [
        [*(missing if a is None else body.slots[a]), None if b is None else instance.steps[b]]
        for a, b in pairs
    ]
    return _wired([*body.instances, instance], slots)


def extend(body: SharedBody, instance: BodyInstance, alike: int) -> None:
    """Add an instance to a body that has the same steps as instance `alike`, wired as they are."""
    steps = iter(instance.steps)
    for slot in body.slots:
        slot.append(None if slot[alike] is None else next(steps))
    for run in body.optional:
        run.present = (*run.present, run.present[alike])
    body.instances.append(instance)


def _likeness(a: BodyStep, b: BodyStep) -> int:
    """How much speaks for two steps being the same one; 0 where they can't be."""
    if a.kind != b.kind:
        return 0
    heavy = a.module is not None or issubclass(OPS[a.node.op], Weighted)
    return (12 if heavy else 4) + (a.path == b.path)


def _alignment(a: Sequence[BodyStep], b: Sequence[BodyStep]) -> list[tuple[int | None, int | None]]:
    """Pairs of indices of steps that are the same one, in order, as alike as possible."""
    best = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for i in reversed(range(len(a))):
        for j in reversed(range(len(b))):
            likeness = _likeness(a[i], b[j])
            both = likeness + best[i + 1][j + 1] if likeness else 0
            best[i][j] = max(both, best[i + 1][j], best[i][j + 1])
    pairs: list[tuple[int | None, int | None]] = []
    i = j = 0
    while i < len(a) or j < len(b):
        if i < len(a) and j < len(b):
            likeness = _likeness(a[i], b[j])
            if likeness and best[i][j] == likeness + best[i + 1][j + 1]:
                pairs.append((i, j))
                i, j = i + 1, j + 1
                continue
        if j == len(b) or (i < len(a) and best[i][j] == best[i + 1][j]):
            pairs.append((i, None))
            i += 1
        else:
            pairs.append((None, j))
            j += 1
    return pairs


def _wired(instances: list[BodyInstance], slots: list[list[BodyStep | None]]) -> SharedBody | None:
    """The body of these slots; None where instances differ in how they are wired."""
    made: list[dict[GraphValue, SlotValue]] = []
    for i, instance in enumerate(instances):
        places = input_refs(instance.inputs)
        for s, slot in enumerate(slots):
            step = slot[i]
            if step is not None:
                places |= {v: (s, r) for r, v in enumerate(step.outputs)}
        made.append(places)
    body = SharedBody(instances, slots, [], (), _optional_runs(slots))
    for slot in slots:
        having = {i: step for i, step in enumerate(slot) if step is not None}
        if len({len(step.inputs) for step in having.values()}) > 1:
            return None
        taken = []
        for p in range(len(next(iter(having.values())).inputs)):
            ref = _agreed(body, {i: made[i][step.inputs[p]] for i, step in having.items()})
            if ref is None:
                return None
            taken.append(ref)
        body.wiring.append(tuple(taken))
    results = []
    for k in range(len(instances[0].outputs)):
        ref = _agreed(body, {i: made[i][p.outputs[k]] for i, p in enumerate(instances)})
        if ref is None:
            return None
        results.append(ref)
    body.results = tuple(results)
    return body if all(_can_be_written(body, run) for run in body.optional) else None


def _optional_runs(slots: Sequence[Sequence[BodyStep | None]]) -> list[OptionalRun]:
    runs: list[OptionalRun] = []
    for s, slot in enumerate(slots):
        present = tuple(step is not None for step in slot)
        if all(present):
            continue
        if runs and runs[-1].end == s and runs[-1].present == present:
            runs[-1].end = s + 1
        else:
            runs.append(OptionalRun(s, s + 1, present))
    return runs


def _agreed(body: SharedBody, refs: Mapping[int, SlotValue]) -> SlotValue | None:
    """What instances take, which may be missing in some; None where they take different values."""
    last = max(refs.values())
    others = {i: ref for i, ref in refs.items() if ref != last}
    if not others:
        return last
    run = body.run_of(last[0])
    if run is None or any(run.present[i] for i in others):
        return None
    otherwise = _agreed(body, others)
    if otherwise is None or run.out not in (None, last):
        return None
    if run.otherwise not in (None, otherwise):
        return None
    run.out, run.otherwise = last, otherwise
    return last


def _can_be_written(body: SharedBody, run: OptionalRun) -> bool:
    """Whether an `if` can say what an optional run is; sets how."""
    inside = range(run.first, run.end)
    outside = [
        (s, ref)
        for s, taken in enumerate(body.wiring)
        for ref in dict.fromkeys(taken)
        if ref[0] in inside and s not in inside
    ]
    ends = [ref for ref in body.results if ref[0] in inside]
    others = [r.otherwise for r in body.optional if r.otherwise and r.otherwise[0] in inside]
    if run.out is None or run.otherwise is None:
        return False
    if any(ref != run.out for ref in [*ends, *others, *(ref for _, ref in outside)]):
        return False
    if run.out == (run.end - 1, 0) and run.otherwise == (run.first - 1, 0):
        if [s for s, _ in outside] == [run.end] and body.wiring[run.end] == (run.out,):
            return not ends
        if not outside and run.end == len(body.slots):
            return body.results == (run.out,)
    run.merges = True
    if [s for s, _ in outside] != [run.end] or ends or others:
        return False
    merge = body.one(run.end)
    whole = all(step is not None for step in body.slots[run.end])
    other = body.run_of(run.otherwise[0])
    return whole and other is None and merge.module is None and not merge.node.origins
