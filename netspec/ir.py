"""The intermediate representation: a network as blocks of layers and module instances.

The hierarchy of the spec is kept: an `Instance` says which module it is a use of and with which
arguments, and holds the block that these arguments gave. Equal uses of a module (same arguments,
same input shapes) share one `Block` object, so a deep net costs what its different parts cost.

Inside a block, names and values are the block's own: `Instance.inputs[i]` outside is
`Block.inputs[i]` inside. `layers()` gives the flat view with full paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any, Literal

from netspec.ops import Op, Shape, Tensor
from netspec.source import Span
from netspec.symbolic import Expr, Symbol


@dataclass(frozen=True, eq=False)
class Value:
    """What a layer, an instance or an input yields. Two values are equal if they are one object.

    `name` is what the spec calls it: the name of its line, or of the layer inside a chain, with the
    name of the result behind it where there are several (`pool1.indices`).
    """

    name: str
    shape: Shape

    @property
    def elements(self) -> int:
        return prod(self.shape)


@dataclass(frozen=True, eq=False)
class Layer:
    """One use of an op. `line` is the name of the chain that it stands in, if that has one."""

    name: str
    line: str | None
    op: Op
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    span: Span

    @cached_property
    def tensors(self) -> Mapping[str, Tensor]:
        """The tensors that the layer owns, by local name (`weight`)."""
        return self.op.tensors([v.shape for v in self.inputs])

    @cached_property
    def params(self) -> int:
        """The number of learnable parameters."""
        return sum(t.size for t in self.tensors.values() if t.learnable)

    @cached_property
    def macs(self) -> int:
        """Multiplications of convolutions and linear layers, for batch 1."""
        return self.op.macs([v.shape for v in self.inputs], [v.shape for v in self.outputs])


@dataclass(frozen=True)
class Argument:
    """A module's parameter in one use: its value there, and the expression that gave it.

    `value` is an int, float, str, bool, None or a tuple of these; `expr` is in terms of the
    parameters of the block in which the instance stands, None for what is not a number.
    """

    name: str
    value: Any
    expr: Expr | None


@dataclass(frozen=True, eq=False)
class Instance:
    """One use of a module."""

    name: str
    line: str | None
    block: Block
    arguments: tuple[Argument, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    span: Span

    @property
    def params(self) -> int:
        return self.block.params

    @property
    def macs(self) -> int:
        return self.block.macs


Node = Layer | Instance


@dataclass(frozen=True, eq=False)
class Block:
    """The body of the net, or of a module for certain arguments and input shapes.

    `outputs` are in order; the first is what the instance's bare name stands for. `output_names`
    are the names of several results, or empty. `structural` are the parameters and input channels
    that decided what the block is made of, rather than only set numbers of its layers.
    """

    kind: Literal["net", "module"]
    module: str
    doc: str
    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]
    output_names: tuple[str, ...]
    structural: frozenset[Symbol] = frozenset()

    @cached_property
    def layer_count(self) -> int:
        return sum(n.block.layer_count if isinstance(n, Instance) else 1 for n in self.nodes)

    @cached_property
    def params(self) -> int:
        return sum(n.params for n in self.nodes)

    @cached_property
    def macs(self) -> int:
        return sum(n.macs for n in self.nodes)

    @cached_property
    def activations(self) -> int:
        """Most elements alive at once while the block runs, its inputs and outputs included."""
        return _peak(self)


def _peak(block: Block) -> int:
    last_use: dict[Value, int] = {}
    for i, node in enumerate(block.nodes):
        for value in (*node.inputs, *node.outputs):
            last_use[value] = i
    for value in block.outputs:
        last_use[value] = len(block.nodes)
    expiring: dict[int, int] = {}
    for value, i in last_use.items():
        expiring[i] = expiring.get(i, 0) + value.elements
    live = sum(v.elements for v in block.inputs)
    # An input that nothing uses is there from the start all the same.
    peak = live
    for i, node in enumerate(block.nodes):
        made = sum(v.elements for v in node.outputs)
        if isinstance(node, Instance):
            # Its own peak counts its inputs, which are alive here already.
            held = sum(v.elements for v in dict.fromkeys(node.inputs))
            peak = max(peak, live - held + node.block.activations)
        live += made
        peak = max(peak, live)
        live -= expiring.get(i, 0)
    return peak


@dataclass(frozen=True)
class Preprocessing:
    """How a picture (values 0 to 255) becomes an input: (pixel * scale - mean) / std.

    `resize` is the length of the shorter side or (height, width); `crop` takes the centre.
    `mean` and `std` have one number, or one per channel in the order of `channels`.
    """

    channels: Literal["rgb", "bgr", "gray"] = "rgb"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)
    resize: int | tuple[int, int] | None = None
    crop: Literal["center"] | None = None


@dataclass(frozen=True)
class Training:
    """How a net is trained, as its `train` block says (netspec/protocol.py has the fields).

    Rates are per iteration, an iteration is one step of the optimizer on `batch_size` samples.
    Just one of `iterations` and `epochs` is given. `steps` are the iterations at which the rate
    falls by `gamma`; with one number, all multiples of it.
    """

    learning_rate: float
    batch_size: int
    iterations: int | None = None
    epochs: float | None = None
    optimizer: Literal["sgd", "nesterov", "adam", "adamw"] = "sgd"
    schedule: Literal["constant", "poly", "step", "cosine"] = "constant"
    power: float = 1.0
    steps: tuple[int, ...] = ()
    gamma: float = 0.1
    final_rate: float = 0.0
    warmup: int = 0
    momentum: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.0
    decay_all: bool = True
    clip_norm: float | None = None
    label_smoothing: float = 0.0
    mirror: bool = False
    random_crop: bool = False
    shift: int = 0


@dataclass(frozen=True)
class NetParameter:
    """A parameter of the net: its value, and whether it only sets numbers of layers.

    A `structural` one decides what the network is made of (through `if`, `for`, names or input
    shapes), so that emitted code can't offer it.
    """

    name: str
    value: Any
    structural: bool


@dataclass(frozen=True)
class FlatLayer:
    """A layer with its full path (`fire2.squeeze`) and the values of the flat net."""

    path: str
    layer: Layer
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]

    @property
    def op(self) -> Op:
        return self.layer.op

    @property
    def params(self) -> int:
        return self.layer.params

    @property
    def macs(self) -> int:
        return self.layer.macs


@dataclass(frozen=True)
class Net:
    """A checked network. `body` is the block of the net; its inputs are the data inputs."""

    name: str
    file: str
    parameters: tuple[NetParameter, ...]
    preprocessing: tuple[Preprocessing | None, ...]
    body: Block
    warnings: tuple[Any, ...] = field(default=(), compare=False)
    training: Training | None = None

    @property
    def doc(self) -> str:
        return self.body.doc

    @property
    def params(self) -> int:
        """Learnable parameters."""
        return self.body.params

    @property
    def macs(self) -> int:
        """Multiplications of convolutions and linear layers, for batch 1."""
        return self.body.macs

    @cached_property
    def _flat(self) -> tuple[tuple[FlatLayer, ...], tuple[Value, ...]]:
        values = {v: v for v in self.body.inputs}
        layers = tuple(_flatten(self.body, "", values))
        return layers, tuple(values[v] for v in self.body.outputs)

    @property
    def layers(self) -> tuple[FlatLayer, ...]:
        """Every layer, in order of execution."""
        return self._flat[0]

    @property
    def flat_outputs(self) -> tuple[Value, ...]:
        """The net's outputs among the values of `layers`."""
        return self._flat[1]

    @cached_property
    def tensors(self) -> dict[str, Tensor]:
        """Every tensor of the net by its name in weight files (`fire2.squeeze.weight`)."""
        return {
            f"{layer.path}.{name}": tensor
            for layer in self.layers
            for name, tensor in layer.layer.tensors.items()
        }


def _flatten(block: Block, prefix: str, outer: dict[Value, Value]) -> Iterator[FlatLayer]:
    """`outer` maps the values of this block to those of the flat net, and is completed."""
    for node in block.nodes:
        inputs = tuple(outer[v] for v in node.inputs)
        if isinstance(node, Layer):
            # A block may be shared by instances; each use yields values of its own.
            outputs = tuple(Value(prefix + v.name, v.shape) for v in node.outputs)
            yield FlatLayer(prefix + node.name, node, inputs, outputs)
        else:
            inner = dict(zip(node.block.inputs, inputs, strict=True))
            yield from _flatten(node.block, f"{prefix}{node.name}.", inner)
            outputs = tuple(inner[v] for v in node.block.outputs)
        outer.update(zip(node.outputs, outputs, strict=True))
