"""Memory slots: no value is overwritten while it is needed, and memory is shared."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from netspec_numpy.cost_model import planned_memory

from netspec.ir import Net, Value
from netspec.ir.liveness import peak_activations
from netspec.ops.merging import Concat
from netspec.planning.fusion import fuse
from netspec.planning.memory_plan import Arena, plan_memory
from netspec.planning.memory_slots import memory_slots
from tests.backends.nets import BODIES, net_of, of_layers
from tests.backends.test_agreement import BRANCHES

from ..helpers import loaded, one_of_each_text

NETS: dict[str, Callable[[], Net]] = {
    **{name: partial(loaded, name) for name in one_of_each_text()},
    "branches": lambda: net_of(BRANCHES),
    **{k: partial(of_layers, *BODIES[k]) for k in ("concat", "add", "split", "unpool_up")},
}


@pytest.mark.parametrize("name", NETS)
def test_no_value_is_overwritten_while_it_is_needed(name: str) -> None:
    """Every layer finds its inputs where they were written, channel by channel."""
    net = fuse(NETS[name]())
    arena = plan_memory(net)
    content: dict[tuple[int, int], Value] = {}

    def write(value: Value) -> None:
        slot = arena.slots[value]
        if slot.owner.shape == value.shape:
            for key in [k for k in content if k[0] == slot.number]:
                del content[key]
        for channel in range(int(value.shape[0])):
            content[slot.number, slot.first + channel] = value

    def intact(value: Value, parts: dict[Value, list[Value]]) -> bool:
        slot = arena.slots[value]
        whole = {value, *parts.get(value, [])}
        channels = range(slot.first, slot.first + int(value.shape[0]))
        return all(content.get((slot.number, c)) in whole for c in channels)

    parts: dict[Value, list[Value]] = {}
    for value in net.inputs:
        write(value)
    for layer in net.layers:
        for value in layer.inputs:
            assert intact(value, parts), (layer.layer.path, value.name)
        if isinstance(layer.op, Concat):
            inside = [v for v in layer.inputs if _inside(arena, v, layer.output)]
            parts[layer.output] = [w for v in inside for w in (v, *parts.get(v, []))]
            for value in inside:
                assert intact(value, parts)
        else:
            for value in layer.outputs:
                if value in arena.slots:
                    write(value)
            continue
        write(layer.output)
    for value in net.outputs:
        assert intact(value, parts)


def _inside(arena: Arena, part: Value, whole: Value) -> bool:
    a, b = arena.slots[part], arena.slots[whole]
    return a.owner is b.owner


def test_slots_are_shared() -> None:
    net = loaded("squeezenet1_0")
    fused = fuse(net)
    arena = plan_memory(fused)
    values = {v for layer in fused.layers for v in layer.outputs}
    assert len(arena.sizes) < 5 < len(values)
    assert arena.bytes <= 1.2 * 4 * peak_activations(net.body)


Given = list[tuple[int, list[int], list[int]]]


@st.composite
def values_and_outputs(draw: st.DrawFn) -> tuple[Given, list[int]]:
    values: Given = []
    for i in range(draw(st.integers(1, 40))):
        reads = draw(st.lists(st.integers(0, i - 1), max_size=3)) if i else []
        inside = list(range(draw(st.integers(0, len(reads)))))  # values of a channel each
        values.append((draw(st.sampled_from([64, 128])), reads, inside))
    return values, draw(st.lists(st.integers(0, len(values) - 1), min_size=1, max_size=3))


@given(values_and_outputs())
def test_each_value_has_the_first_slot_that_is_free(given_: tuple[Given, list[int]]) -> None:
    values, outputs = given_
    places = memory_slots(values, outputs)
    alive: dict[int, set[int]] = {}
    for i, (_, owner, _) in enumerate(places):
        reads = [k for k, (_, r, _) in enumerate([*values, (0, outputs, [])]) if i in r]
        alive.setdefault(owner, set()).update(range(i, max([i, *reads]) + 1))
    expected: dict[int, int] = {}
    spans = {owner: set(range(min(at), max(at) + 1)) for owner, at in alive.items()}
    for owner in sorted(spans, key=lambda v: (-values[v][0], v)):
        taken = {slot for other, slot in expected.items() if spans[owner] & spans[other]}
        expected[owner] = min(set(range(len(taken) + 1)) - taken)
    assert [slot for slot, _, _ in places] == [expected[owner] for _, owner, _ in places]


def test_many_values_alive_at_once() -> None:
    """Looking at every other slot for each value would take minutes."""
    count = 20_000
    values: Given = [(64, [], [])] * count
    places = memory_slots(values, list(range(count)))
    assert len({slot for slot, _, _ in places}) == count


def test_planned_memory() -> None:
    net = fuse(loaded("squeezenet1_0"))
    one, two = planned_memory(net, 1), planned_memory(net, 2)
    assert one.arena == two.arena == plan_memory(net).bytes
    assert one.scratch < two.scratch <= 2 * one.scratch
    assert one.total == one.arena + one.scratch + one.weights
