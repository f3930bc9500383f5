"""A net as stages: layers in order, each with what it takes on of its neighbours' work.

    before: conv1 -> batchnorm -> relu -> maxpool, concat(a -> relu, b -> relu)
    after:  conv1 (batch norm in its weights), maxpool (cuts off below 0), a, b, concat (cuts off)

For backends that compute layer by layer. Nothing changes in what comes out: cutting off commutes
with taking the largest, and with putting channels together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from netspec.ir import FlatLayer, Net, Value
from netspec.ops import (
    Add,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    Identity,
    Linear,
    MaxPool,
    Op,
    Relu,
    Relu6,
    Sub,
)


@dataclass(frozen=True)
class FusedLayer:
    """One layer at work.

    `norm` is a batch norm that is multiplied into the weights, `cut` the relu or relu6 that
    comes last.
    """

    layer: FlatLayer
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    norm: FlatLayer | None = None
    cut: Op | None = None

    @property
    def op(self) -> Op:
        return self.layer.op

    @property
    def output(self) -> Value:
        return self.outputs[0]


@dataclass(frozen=True)
class FusedNet:
    """The stages of a net in order. `outputs` may be inputs, or the same value twice."""

    inputs: tuple[Value, ...]
    stages: tuple[FusedLayer, ...]
    outputs: tuple[Value, ...]

    def uses(self) -> dict[Value, int]:
        """How often each value is an input of a stage or an output of the program."""
        counts: dict[Value, int] = {}
        for value in (*self.outputs, *(v for stage in self.stages for v in stage.inputs)):
            counts[value] = counts.get(value, 0) + 1
        return counts

    def makers(self) -> dict[Value, FusedLayer]:
        """The stage that yields each value."""
        return {v: stage for stage in self.stages for v in stage.outputs}


def staged(net: Net) -> FusedNet:
    """The stages of a net, all passes applied."""
    program = flat(net)
    for step in PASSES:
        program = step(program)
    return program


def flat(net: Net) -> FusedNet:
    """A stage for each layer that outputs depend on; what changes nothing is left out."""
    same: dict[Value, Value] = {}
    stages = []
    for layer in net.layers:
        inputs = tuple(same.get(v, v) for v in layer.inputs)
        if isinstance(layer.op, Dropout | Identity):
            same[layer.outputs[0]] = inputs[0]
            continue
        stages.append(FusedLayer(layer, inputs, layer.outputs))
    outputs = tuple(same.get(v, v) for v in net.flat_outputs)
    needed = set(outputs)
    live = []
    for stage in reversed(stages):
        if not needed.isdisjoint(stage.outputs):
            live.append(stage)
            needed.update(stage.inputs)
    return FusedNet(net.body.inputs, tuple(live[::-1]), outputs)


def fold_norms(program: FusedNet) -> FusedNet:
    """Batch norms go into the weights of the convolution or linear layer before them."""
    return _merged(program, _norm)


def fuse_cuts(program: FusedNet) -> FusedNet:
    """A relu or relu6 becomes the end of the stage before it."""
    return _merged(program, _cut)


def _norm(before: FusedLayer, stage: FusedLayer) -> FusedLayer | None:
    free = before.norm is None and before.cut is None
    if isinstance(stage.op, BatchNorm) and isinstance(before.op, Conv | Linear) and free:
        return replace(before, norm=stage.layer)
    return None


def _cut(before: FusedLayer, stage: FusedLayer) -> FusedLayer | None:
    if isinstance(stage.op, Relu | Relu6) and before.cut is None and can_finish(before):
        return replace(before, cut=stage.op)
    return None


def can_finish(stage: FusedLayer) -> bool:
    """Whether a stage may end with a cut."""
    if isinstance(stage.op, Add | Sub):
        return len({v.shape for v in stage.inputs}) == 1
    if isinstance(stage.op, MaxPool):
        return stage.op.dilation == (1, 1)
    return isinstance(stage.op, Conv | Linear | BatchNorm | Concat)


def _merged(
    program: FusedNet, merge: Callable[[FusedLayer, FusedLayer], FusedLayer | None]
) -> FusedNet:
    """Put a stage into the one that makes its only input, where nothing else takes that."""
    uses = program.uses()
    done: dict[Value, int] = {}
    stages: list[FusedLayer] = []
    for stage in program.stages:
        place = done.get(stage.inputs[0]) if len(stage.inputs) == 1 else None
        if place is not None and uses[stage.inputs[0]] == 1:
            before = stages[place]
            merged = merge(before, stage) if _only_first(before, uses) else None
            if merged is not None:
                stages[place] = replace(merged, outputs=stage.outputs)
                done[stage.output] = place
                continue
        done[stage.output] = len(stages)
        stages.append(stage)
    return replace(program, stages=tuple(stages))


def _only_first(stage: FusedLayer, uses: dict[Value, int]) -> bool:
    return not any(v in uses for v in stage.outputs[1:])


def delay_cuts(program: FusedNet) -> FusedNet:
    """A relu waits until a max pooling or a concat is done, if all that goes there has one.

    A pooling leaves fewer elements to cut off. What a concat joins is cut off at once, if it comes
    from convolutions; other stages do it as they go.
    """
    uses, makers = program.uses(), program.makers()
    cuts = {stage.output: stage.cut for stage in program.stages}
    for stage in program.stages:
        if stage.cut or not (isinstance(stage.op, MaxPool | Concat) and can_finish(stage)):
            continue
        if not _only_first(stage, uses) or any(uses[v] > 1 for v in stage.inputs):
            continue
        before = [makers.get(v) for v in stage.inputs]
        if isinstance(stage.op, Concat) and not all(b and isinstance(b.op, Conv) for b in before):
            continue
        found = [cuts.get(v) for v in stage.inputs]
        if len({type(cut) for cut in found}) == 1 and found[0]:
            cuts |= dict.fromkeys(stage.inputs)
            cuts[stage.output] = found[0]
    stages = (replace(s, cut=cuts[s.output]) for s in program.stages)
    return replace(program, stages=tuple(stages))


PASSES: tuple[Callable[[FusedNet], FusedNet], ...] = (fold_norms, fuse_cuts, delay_cuts)
"""What every program goes through, in order."""
