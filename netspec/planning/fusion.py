"""Merges layers that are computed together.

    conv -> batchnorm -> relu    conv, with the batch norm in its weights, ends with relu
    conv -> relu -> maxpool      conv, maxpool ends with relu
    concat(a -> relu, b -> relu) a, b, concat ends with relu
    add(conv, b) -> relu         conv, to which b is added, ends with relu

The result is a `FusedNet`: fused layers in the order in which they are computed. What the net
computes stays the same: relu gives the same before and after the largest element of a window is
taken, and before and after channels are joined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from math import inf

from netspec.ir import FlatLayer, Net, Value
from netspec.ir.sizes import followed_sizes
from netspec.lazy_dataclasses import dataclass, field, replace
from netspec.ops import Op
from netspec.ops.convolution import Conv, Linear
from netspec.ops.merging import Add, Concat, Sub
from netspec.ops.normalization import BatchNorm
from netspec.ops.pooling import MaxPool
from netspec.symbolic.expr import Expr, SizeOf, Symbol
from netspec.symbolic.terms import leaves, substitute

CLIPS: dict[tuple[float, float] | None, str] = {(0, inf): "RELU", (0, 6): "RELU6"}
"""The kernels that apply an activation to what others compute, by the bounds of its result."""


@dataclass(frozen=True)
class FusedLayer:
    """A layer and those that are computed with it.

    `batch_norm` is multiplied into the layer's weights; `addend`, then the first of the inputs, is
    added to what the layer computes; `activation` (one of CLIPS) is applied last. `inputs` are
    those of the first, `outputs` those of the last of them. `sizes` says what the symbols of the
    layer's numbers come to if some of these follow sizes of values.
    """

    layer: FlatLayer
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    batch_norm: FlatLayer | None = None
    activation: Op | None = None
    addend: Value | None = None
    sizes: Mapping[Symbol, Expr] = field(default_factory=dict, compare=False)

    @cached_property
    def sized(self) -> tuple[Value, ...]:
        """The values whose height or width some number follows."""
        found = (s.value for e in self.sizes.values() for s in leaves(e) if isinstance(s, SizeOf))
        return tuple(dict.fromkeys(found))

    @property
    def op(self) -> Op:
        """The op of the layer that the others were merged into."""
        return self.layer.op

    @property
    def output(self) -> Value:
        """The first output."""
        return self.outputs[0]


@dataclass(frozen=True)
class FusedNet:
    """A net's fused layers in order. `outputs` may be inputs, or hold the same value twice."""

    inputs: tuple[Value, ...]
    layers: tuple[FusedLayer, ...]
    outputs: tuple[Value, ...]

    def uses(self) -> dict[Value, int]:
        """How often each value is an input of a layer, gives it a size, or is an output."""
        counts: dict[Value, int] = {}
        read = (v for layer in self.layers for v in (*layer.inputs, *layer.sized))
        for value in (*self.outputs, *read):
            counts[value] = counts.get(value, 0) + 1
        return counts

    def producers(self) -> dict[Value, FusedLayer]:
        """The layer that yields each value; inputs of the net have none."""
        return {v: layer for layer in self.layers for v in layer.outputs}


def fuse(net: Net, passes: Sequence[Pass] | None = None) -> FusedNet:
    """The fused layers of a net, after all passes, or those that are given."""
    fused = unfused(net)
    for step in PASSES if passes is None else passes:
        fused = step(fused)
    return fused


def unfused(net: Net) -> FusedNet:
    """The layers that outputs depend on, each on its own.

    Layers that change nothing at inference (dropout, identity) are left out.
    """
    same: dict[Value, Value] = {}
    sizes = followed_sizes(net)

    def known(symbol: Symbol) -> Expr:
        if isinstance(symbol, SizeOf) and symbol.value in same:
            return SizeOf(same[symbol.value], symbol.axis)
        return symbol

    layers = []
    for layer in net.layers:
        inputs = tuple(same.get(v, v) for v in layer.inputs)
        if layer.op.training_only or layer.op.passes_input_on:
            same[layer.outputs[0]] = inputs[0]
            continue
        own = {s: substitute(e, known) for s, e in sizes.get(layer.path, {}).items()}
        layers.append(FusedLayer(layer, inputs, layer.outputs, sizes=own))
    outputs = tuple(same.get(v, v) for v in net.flat_outputs)
    needed = set(outputs)
    live = []
    for fused in reversed(layers):
        if not needed.isdisjoint(fused.outputs):
            live.append(fused)
            needed.update((*fused.inputs, *fused.sized))
    return FusedNet(net.body.inputs, tuple(live[::-1]), outputs)


def fold_batch_norms(net: FusedNet) -> FusedNet:
    """Multiply batch norms into the weights of the convolution or linear layer before them."""
    return _merged(net, _with_batch_norm)


def fuse_activations(net: FusedNet) -> FusedNet:
    """Let the layer before a relu or relu6 end with it."""
    return _merged(net, _with_activation)


def _with_batch_norm(before: FusedLayer, layer: FusedLayer) -> FusedLayer | None:
    free = before.batch_norm is None and before.activation is None
    if isinstance(layer.op, BatchNorm) and isinstance(before.op, Conv | Linear) and free:
        return replace(before, batch_norm=layer.layer)
    return None


def _with_activation(before: FusedLayer, layer: FusedLayer) -> FusedLayer | None:
    free = before.activation is None and can_end_with_activation(before)
    if layer.op.clip in CLIPS and free:
        return replace(before, activation=layer.op)
    return None


def can_end_with_activation(layer: FusedLayer) -> bool:
    """Whether the kernel that computes a layer can apply an activation to its result."""
    if isinstance(layer.op, MaxPool):
        return layer.op.dilation == (1, 1)
    return isinstance(layer.op, Conv | Linear | BatchNorm | Concat | Add | Sub)


def _merged(
    net: FusedNet, merge: Callable[[FusedLayer, FusedLayer], FusedLayer | None]
) -> FusedNet:
    """Merge layers into the one that yields their only input, where nothing else uses that.

    `merge` returns both as one layer, or None for two that stay apart.
    """
    uses = net.uses()
    index_of: dict[Value, int] = {}
    layers: list[FusedLayer] = []
    for layer in net.layers:
        index = index_of.get(layer.inputs[0]) if len(layer.inputs) == 1 else None
        if index is not None and uses[layer.inputs[0]] == 1:
            before = layers[index]
            merged = merge(before, layer) if _only_first_used(before, uses) else None
            if merged is not None:
                layers[index] = replace(merged, outputs=layer.outputs)
                index_of[layer.output] = index
                continue
        index_of[layer.output] = len(layers)
        layers.append(layer)
    return replace(net, layers=tuple(layers))


def _only_first_used(layer: FusedLayer, uses: dict[Value, int]) -> bool:
    return not any(v in uses for v in layer.outputs[1:])


def delay_activations(net: FusedNet) -> FusedNet:
    """Move the activations of all inputs of a max pooling or concat behind it.

    A pooling leaves fewer elements to apply it to. Behind a concat one call does what one for each
    input did; this pays where the inputs come from convolutions, other layers apply an activation
    as they go.
    """
    uses, producers = net.uses(), net.producers()
    activations = {layer.output: layer.activation for layer in net.layers}
    for layer in net.layers:
        free = not layer.activation and can_end_with_activation(layer)
        if not (free and isinstance(layer.op, MaxPool | Concat)):
            continue
        if not _only_first_used(layer, uses) or any(uses[v] > 1 for v in layer.inputs):
            continue
        before = [producers.get(v) for v in layer.inputs]
        if isinstance(layer.op, Concat) and not all(b and isinstance(b.op, Conv) for b in before):
            continue
        found = [activations.get(v) for v in layer.inputs]
        first = found[0]
        if first and first.monotone and all(a and a.clip == first.clip for a in found):
            activations |= dict.fromkeys(layer.inputs)
            activations[layer.output] = first
    layers = (replace(layer, activation=activations[layer.output]) for layer in net.layers)
    return replace(net, layers=tuple(layers))


def fuse_additions(net: FusedNet) -> FusedNet:
    """Let a convolution add to its result what a sum of two adds to it."""
    uses = net.uses()
    made = {layer.output: i for i, layer in enumerate(net.layers)}
    layers: list[FusedLayer | None] = list(net.layers)
    for i, layer in enumerate(net.layers):
        if not isinstance(layer.op, Add) or len(layer.inputs) != 2:
            continue
        if any(v.shape != layer.output.shape for v in layer.inputs):
            continue
        other, last = sorted(layer.inputs, key=lambda v: made.get(v, -1))
        place = made.get(last)
        before = layers[place] if place is not None else None
        if before is None or place is None or uses[last] > 1 or other is last:
            continue
        free = before.activation is None and before.addend is None
        if isinstance(before.op, Conv) and free and before.inputs[0] not in net.inputs:
            added = replace(before, inputs=(other, *before.inputs), addend=other)
            layers[place] = replace(added, outputs=layer.outputs, activation=layer.activation)
            layers[i] = None
            made[layer.output] = place
    return replace(net, layers=tuple(layer for layer in layers if layer is not None))


Pass = Callable[[FusedNet], FusedNet]

PASSES: tuple[Pass, ...] = (
    fold_batch_norms,
    fuse_activations,
    delay_activations,
)
"""What `fuse` applies, in order."""
