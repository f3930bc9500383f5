"""Where the values of a net lie: their layout, and their place in the workspace."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from itertools import accumulate, takewhile
from math import prod

from netspec.codegen.backend import Unsupported
from netspec.ir import Net, Value
from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops.constants import LearnedValue
from netspec.ops.convolution import Conv, ConvTranspose, Linear
from netspec.ops.merging import Concat
from netspec.planning.fusion import (
    FusedLayer,
    FusedNet,
    fold_batch_norms,
    fuse,
    fuse_activations,
    fuse_additions,
)
from netspec.planning.memory_plan import Arena, plan_memory
from netspec_c.convolutions import Kernel, plan_conv, plan_conv_transpose
from netspec_c.emitters import BLOCK, rounded

PASSES = (fold_batch_norms, fuse_activations, fuse_additions)
MOST = 2**28
"""Most numbers of a value: places in it are counted in ints."""


def fused(net: Net) -> FusedNet:
    """The fused layers of a net, of whose inputs the sizes are fixed."""
    found = fuse(net, PASSES)
    layers = (replace(layer, sizes={}) for layer in found.layers)
    # A learned value takes nothing of its input.
    layers = (replace(x, inputs=()) if isinstance(x.op, LearnedValue) else x for x in layers)
    return replace(found, layers=tuple(layers))


def floats(value: Value) -> int:
    """The floats that a value takes in blocks of channels. Raises Unsupported for too many."""
    channels, *sizes = (int(n) for n in value.shape)
    found = rounded(channels) * prod(sizes)
    if found > MOST:
        raise Unsupported(f"{value.name}: its {found:,} numbers are more than {MOST:,}")
    return found


def kernel_of(layer: FusedLayer, plain: bool) -> Kernel:
    """The kernel of a convolution or linear layer; `plain` says whether its input lies so."""
    op, x = layer.op, layer.inputs[-1]
    channels = int(x.shape[0])
    if isinstance(op, Linear):
        one = (1, 1)
        return plan_conv(channels, int(op.units), one, one, one, 1, one, False)
    assert isinstance(op, Conv | ConvTranspose), "others have no weights to pack"
    kernel, stride, dilation = (
        [int(n) for n in pair] for pair in (op.kernel, op.stride, op.dilation)
    )
    filters, groups = int(op.filters), int(op.group_count)
    if isinstance(op, ConvTranspose):
        return plan_conv_transpose(channels, filters, kernel, stride, groups)
    result = [int(n) for n in layer.output.shape[1:]]
    return plan_conv(channels, filters, kernel, stride, dilation, groups, result, plain)


def inside(layer: FusedLayer) -> list[int]:
    """From which channels on the first inputs may lie in the memory of a layer's result."""
    if isinstance(layer.op, Concat):
        starts = accumulate((int(v.shape[0]) for v in layer.inputs[:-1]), initial=0)
        return [*takewhile(lambda start: start % BLOCK == 0, starts)]
    over = layer.op.elementwise or layer.addend is not None
    return [0] if over and layer.inputs[0].shape == layer.output.shape else []


@dataclass(frozen=True, eq=False)
class ValuePlaces:
    """The place of each value. `plain` are the inputs that are read as they are given."""

    net: FusedNet
    plain: frozenset[Value]
    arena: Arena

    @cached_property
    def starts(self) -> Sequence[int]:
        """The first float of each slot."""
        return [0, *accumulate(size // 4 for size in self.arena.sizes)]

    def root(self, value: Value) -> tuple[Value, int]:
        """The value that fills the slot, and how many floats of it come before the value."""
        slot = self.arena.slots[value]
        return slot.owner, slot.first * prod(int(n) for n in value.shape[1:])

    def offset(self, value: Value) -> int:
        """The first float of a value in the workspace."""
        slot = self.arena.slots[value]
        return self.starts[slot.number] + self.root(value)[1]


def places(net: FusedNet) -> ValuePlaces:
    """Where the values of a net lie."""
    readers: dict[Value, list[FusedLayer]] = {}
    for layer in net.layers:
        for value in layer.inputs:
            readers.setdefault(value, []).append(layer)

    def is_plain(value: Value) -> bool:
        if value in net.outputs or len(value.shape) != 3:
            return False
        return all(
            isinstance(layer.op, Conv) and kernel_of(layer, True).name == "conv_plain"
            for layer in readers.get(value, [])
        )

    plain = frozenset(v for v in net.inputs if is_plain(v))
    arena = plan_memory(net, lambda v: 0 if v in plain else 4 * floats(v), inside)
    return ValuePlaces(net, plain, arena)
