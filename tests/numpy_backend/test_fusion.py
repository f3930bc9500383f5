"""Stages: what they take on, where their values lie, and how convolutions are computed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
from netspec_numpy.cost_model import choose, memory
from netspec_numpy.fusion import (
    FusedLayer,
    FusedNet,
    flat,
    staged,
)
from netspec_numpy.memory_plan import Arena, place

import netspec
from netspec.ir import Net, Value
from netspec.ir.liveness import peak_activations
from netspec.ops import Concat, Conv, MaxPool, Relu, Relu6
from tests.backends.nets import BODIES, net_of, of_layers
from tests.backends.test_agreement import BRANCHES


def named(program: FusedNet, name: str) -> FusedLayer:
    return next(s for s in program.stages if s.layer.path == name)


def keywords(program: FusedNet) -> list[str]:
    return [stage.op.keyword for stage in program.stages]


def test_squeezenet_has_a_stage_for_each_convolution_pooling_and_concat() -> None:
    program = staged(netspec.load("squeezenet1_0"))
    found = keywords(program)
    assert {k: found.count(k) for k in set(found)} == {
        "conv": 26,
        "maxpool": 3,
        "concat": 8,
        "global_avgpool": 1,
        "softmax": 1,
    }
    # Its relu is put off until there is less to do.
    assert named(program, "conv1").cut is None
    assert isinstance(named(program, "pool1").cut, Relu)
    joined = [s for s in program.stages if isinstance(s.op, Concat)]
    pooled = {v for s in program.stages if isinstance(s.op, MaxPool) for v in s.inputs}
    assert [isinstance(s.cut, Relu) for s in joined] == [s.output not in pooled for s in joined]
    assert isinstance(named(program, "pool8").cut, Relu)


def test_a_batch_norm_goes_into_the_weights_before_it() -> None:
    net = of_layers("a: conv { filters: 4 kernel: 3 bias: false } -> batchnorm -> relu6")
    (stage,) = staged(net).stages
    assert stage.norm is not None
    assert isinstance(stage.cut, Relu6)


@pytest.mark.parametrize(
    "layers",
    [
        "a: conv { filters: 4 kernel: 1 }\n b: batchnorm(a)\n add(a, b)",
        "a: conv { filters: 4 kernel: 1 }\n b: relu(a)\n output a, b",
        "a: conv { filters: 4 kernel: 1 } -> relu -> batchnorm\n b: relu\n output a, b",
    ],
)
def test_what_others_need_stays(layers: str) -> None:
    net = of_layers(layers)
    before, after = flat(net), staged(net)
    assert after.outputs == before.outputs
    assert len(after.stages) > 1
    made = {v for stage in after.stages for v in stage.outputs}
    for stage in after.stages:
        assert set(stage.inputs) <= made | set(after.inputs)
    assert named(after, "a").cut is None or named(after, "a").norm is None


def test_a_finish_is_put_off_only_if_all_parts_agree() -> None:
    text = "a: conv { filters: 4 kernel: 1 } -> relu\n b: conv(data) { filters: 4 kernel: 1 }\n"
    program = staged(of_layers(text + "concat(a, b)"))
    assert program.stages[-1].cut is None
    assert isinstance(program.stages[0].cut, Relu)
    pooled = "p: conv { filters: 4 kernel: 1 } -> relu -> maxpool { kernel: 2 round: floor }\n"
    stages = staged(of_layers(pooled + "output p.indices")).stages
    assert stages[0].cut, "indices are those of the values without any doubt"


NETS: dict[str, Callable[[], Net]] = {
    "squeezenet1_0": lambda: netspec.load("squeezenet1_0"),
    "complex_bypass": lambda: netspec.load("squeezenet1_0_complex_bypass"),
    "densenet121": lambda: netspec.load("densenet121"),
    "branches": lambda: net_of(BRANCHES),
    **{k: partial(of_layers, *BODIES[k]) for k in ("concat", "add", "split", "unpool_up")},
}


@pytest.mark.parametrize("name", NETS)
def test_no_value_is_written_over_while_it_is_needed(name: str) -> None:
    """Every stage finds in its inputs' places what was put there, channel by channel."""
    program = staged(NETS[name]())
    arena = place(program)
    lying: dict[tuple[int, int], Value] = {}

    def put(value: Value) -> None:
        p = arena.places[value]
        if p.channels is None:
            for key in [k for k in lying if k[0] == p.slot]:
                del lying[key]
        for channel in range(int(value.shape[0])):
            lying[p.slot, p.first + channel] = value

    def lies(value: Value, parts: dict[Value, list[Value]]) -> bool:
        p = arena.places[value]
        whole = {value, *parts.get(value, [])}
        return all(lying.get((p.slot, p.first + c)) in whole for c in range(int(value.shape[0])))

    parts: dict[Value, list[Value]] = {}
    for value in program.inputs:
        put(value)
    for stage in program.stages:
        for value in stage.inputs:
            assert lies(value, parts), (stage.layer.path, value.name)
        if isinstance(stage.op, Concat):
            inside = [v for v in stage.inputs if _inside(arena, v, stage.output)]
            parts[stage.output] = [w for v in inside for w in (v, *parts.get(v, []))]
            for value in inside:
                assert lies(value, parts)
        else:
            for value in stage.outputs:
                if value in arena.places:
                    put(value)
            continue
        put(stage.output)
    for value in program.outputs:
        assert lies(value, parts)


def _inside(arena: Arena, part: Value, whole: Value) -> bool:
    a, b = arena.places[part], arena.places[whole]
    return a.slot == b.slot and a.channels is not None


def test_slots_are_shared() -> None:
    net = netspec.load("squeezenet1_0")
    arena = place(staged(net))
    values = {v for s in staged(net).stages for v in s.outputs}
    assert len(arena.sizes) < 5 < len(values)
    assert arena.bytes <= 1.2 * 4 * peak_activations(net.body)


def test_winograd_where_it_pays() -> None:
    kinds = {}
    for name in ("squeezenet1_0", "resnet18", "mobilenet_v1"):
        for stage in staged(netspec.load(name)).stages:
            if isinstance(stage.op, Conv):
                kinds[f"{name}.{stage.layer.path}"] = choose(stage).kind
    assert kinds["squeezenet1_0.conv1"] == "gather"
    assert kinds["squeezenet1_0.fire2.squeeze"] == "product"
    for i in range(2, 9):
        assert kinds[f"squeezenet1_0.fire{i}.expand3x3"] == "winograd"
    # 13x13 pixels are few for so many more calls, and the tiles hang over.
    assert kinds["squeezenet1_0.fire9.expand3x3"] == "gather"
    assert "depthwise" in {k for name, k in kinds.items() if name.startswith("mobilenet")}


def test_planned_memory() -> None:
    program = staged(netspec.load("squeezenet1_0"))
    one, two = memory(program, 1), memory(program, 2)
    assert two.arena == one.arena
    assert one.scratch < two.scratch <= 2 * one.scratch
    assert one.total == one.arena + one.scratch + one.weights
    pools = [s for s in program.stages if isinstance(s.op, MaxPool)]
    assert len(pools) == 3
