"""The intermediate representation: a network as blocks of layers and module instances.

The hierarchy of the spec is kept: an `Instance` says which module it is a use of and with which
arguments, and holds the block that these arguments gave. Equal uses of a module (same arguments,
same input shapes) share one `Block` object, so a deep net costs what its different parts cost.

Inside a block, names and values are the block's own: `Instance.inputs[i]` outside is
`Block.inputs[i]` inside. `layers()` gives the flat view with full paths.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import prod
from typing import Any, Literal

from netspec.conditions import Condition
from netspec.ops import KAIMING, REQUIRED, Init, Op, Shape, Tensor
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
        return prod(map(int, self.shape))  # a plain number, not one with its expression


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
        inputs, outputs = ([v.shape for v in values] for values in (self.inputs, self.outputs))
        return int(self.op.macs(inputs, outputs))


@dataclass(frozen=True)
class Argument:
    """A module's parameter in one use: its value there, and the expression that gave it.

    `value` is an int, float, str, bool, None or a tuple of these; `expr` is in terms of the
    parameters of the block in which the instance stands; for what is no number, the parameter that
    is handed on, or None. `default`
    is what the module has for it, `REQUIRED` if nothing or nothing that always is the same.
    """

    name: str
    value: Any
    expr: Expr | None
    default: Any = REQUIRED


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
class Choice:
    """An `if` of a module as one block has it: `nodes[start:end]` stand in the arm it took.

    `conditions` are those of the arms, None for what a block of other arguments could not decide
    by; `taken` is the index of the arm, for `else` the number of conditions. `inner` are the
    choices inside the arm.
    """

    span: Span
    conditions: tuple[Condition | None, ...]
    taken: int
    start: int
    end: int
    inner: tuple[Choice, ...]


@dataclass(frozen=True, eq=False)
class Loop:
    """A `for` over a range as one block of a module has it, unless it stands in another.

    Turn t is `nodes[turns[t]:turns[t + 1]]`; `count` is how many turns there are.
    """

    count: Expr
    turns: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Block:
    """The body of the net, or of a module for certain arguments and input shapes.

    `outputs` are in order; the first is what the instance's bare name stands for. `output_names`
    are the names of several results, or empty. `structural` are the parameters and input channels
    that decided what the block is made of, rather than only set numbers of its layers; `firm` are
    those of them that did so otherwise than through the `choices` of modules. `choices` are a
    module's `if`s around layers, in order, and `loops` its outermost loops over ranges.
    """

    kind: Literal["net", "module"]
    module: str
    doc: str
    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]
    output_names: tuple[str, ...]
    structural: frozenset[Symbol] = frozenset()
    firm: frozenset[Symbol] = frozenset()
    choices: tuple[Choice, ...] = ()
    loops: tuple[Loop, ...] = ()

    def all_choices(self) -> Iterator[Choice]:
        """The `if`s, each followed by those inside it."""
        return _nested(self.choices)

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
        """Most elements alive at once while the layers of this block run one after the other.

        While a layer runs its inputs and its results are alive. A value is alive from its making
        (an input from the start) to its last use, or to the end if it is an output of the block;
        a result that nothing uses is not counted.
        """
        return self.lives.peak(self.lives.alone)

    @cached_property
    def lives(self) -> Lives:
        """When the values of this block are made and last used."""
        return Lives(self)


@dataclass(frozen=True)
class Surroundings:
    """What a use of a block makes of its inputs and outputs, by position.

    `same[i]` is the first input that is the same value as input i. `kept` are inputs, of equal
    ones the first, that are alive when the block is done; `wanted` are outputs that are.
    """

    same: tuple[int, ...]
    kept: frozenset[int]
    wanted: frozenset[int]


class Lives:
    """When the values of a block are made and last used; its use decides about the outermost.

    The peak is that of the flat net, but worked out in the hierarchy: once for each block and each
    way of using it, so that a module which doubles itself twenty times costs twenty steps.
    """

    def __init__(self, block: Block) -> None:
        self.block = block
        self.alone = Surroundings(
            tuple(range(len(block.inputs))), frozenset(), frozenset(range(len(block.outputs)))
        )
        self._peaks: dict[Surroundings, int] = {}
        self._origins: dict[Value, Value] = {}
        """Of an instance's output that the instance only hands on: the value that it is."""
        read: set[Value] = set()
        for node in block.nodes:
            if isinstance(node, Layer):
                read.update(map(self.origin, node.inputs))
                continue
            inner = node.block.lives
            for i, value in enumerate(node.inputs):
                if i in inner.reads:
                    read.add(self.origin(value))
            for value, (made, i) in zip(node.outputs, inner.sources, strict=True):
                origin = node.outputs[i] if made else self.origin(node.inputs[i])
                if origin is not value:
                    self._origins[value] = origin
        self.reads: frozenset[int] = frozenset(i for i, v in enumerate(block.inputs) if v in read)
        """The inputs that some layer takes."""
        places = {v: (False, i) for i, v in enumerate(block.inputs)}
        self.sources: tuple[tuple[bool, int], ...] = tuple(
            places.setdefault(self.origin(v), (True, i)) for i, v in enumerate(block.outputs)
        )
        """Of each output: (True, the first output that is the same value), or (False, the input
        that it is)."""

    def origin(self, value: Value) -> Value:
        return self._origins.get(value, value)

    def peak(self, use: Surroundings) -> int:
        """Most elements alive at once, of the values that this block knows of."""
        if use not in self._peaks:
            self._peaks[use] = max((m.alive for m in self.moments(use)), default=0)
        return self._peaks[use]

    def moments(self, use: Surroundings) -> Iterator[Moment]:
        """What is alive while each of the nodes runs that have layers."""
        last, end = self._last_uses(use)
        live = {v: None for v in self.block.inputs if v in last}
        total = sum(v.elements for v in live)
        for i, node in enumerate(self.block.nodes):
            made = [v for v in node.outputs if self.origin(v) is v and last.get(v, i) > i]
            if isinstance(node, Instance):
                if node.block.layer_count:
                    inside = self._inside(node, use, last, i)
                    passed = frozenset(self.seen(v, use) for v in node.inputs)
                    held = sum(v.elements for v in passed if v in live)
                    alive = total - held + node.block.lives.peak(inside)
                    yield Moment(node, alive, live, passed, inside)
            live.update(dict.fromkeys(made))
            total += sum(v.elements for v in made)
            if isinstance(node, Layer):
                yield Moment(node, total, live, frozenset(), None)
            for value in end.get(i, ()):
                if value in live:
                    del live[value]
                    total -= value.elements

    def seen(self, value: Value, use: Surroundings) -> Value:
        """Of values that are equal in a use, the one that stands for them."""
        value = self.origin(value)
        place = self._places.get(value)
        return value if place is None else self.block.inputs[use.same[place]]

    @cached_property
    def _places(self) -> dict[Value, int]:
        return {v: i for i, v in enumerate(self.block.inputs)}

    def _last_uses(self, use: Surroundings) -> tuple[dict[Value, int], dict[int, list[Value]]]:
        """The position of each value's last use, and the values that each position is last to."""
        last: dict[Value, int] = {}
        for i, node in enumerate(self.block.nodes):
            for k, value in enumerate(node.inputs):
                if isinstance(node, Layer) or k in node.block.lives.reads:
                    last[self.seen(value, use)] = i
        for i in use.kept:
            last[self.block.inputs[i]] = len(self.block.nodes)
        for i in use.wanted:
            last[self.seen(self.block.outputs[i], use)] = len(self.block.nodes)
        end: dict[int, list[Value]] = {}
        for value, i in last.items():
            end.setdefault(i, []).append(value)
        return last, end

    def _inside(
        self, node: Instance, use: Surroundings, last: Mapping[Value, int], i: int
    ) -> Surroundings:
        """How an instance at position i uses its block."""
        seen = [self.seen(v, use) for v in node.inputs]
        first: dict[Value, int] = {}
        same = tuple(first.setdefault(v, k) for k, v in enumerate(seen))
        kept = frozenset(k for v, k in first.items() if last.get(v, -1) > i)
        wanted = frozenset(
            k for k, v in enumerate(node.outputs) if self.origin(v) is v and last.get(v, -1) > i
        )
        return Surroundings(same, kept, wanted)


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
    inside: Surroundings | None


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
    falls by `gamma`; with one number, all multiples of it. `init` is how weights without a
    distribution of their own are drawn.
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
    init: Init = KAIMING
    label_smoothing: float = 0.0
    mirror: bool = False
    random_crop: bool = False
    shift: int = 0


@dataclass(frozen=True)
class NetParameter:
    """A parameter of the net: its value, and whether it only sets numbers of layers.

    A `structural` one decides what the network is made of (through `if`, `for`, names or input
    shapes). A `firm` one does so otherwise than through `if`s that stand in modules, so that
    emitted code, which may decide those itself, can't offer it.
    """

    name: str
    value: Any
    structural: bool
    firm: bool = False


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
    origins: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """Of a net that was read from a prototxt: where each tensor lies in a caffemodel."""

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
        """Every tensor of the net by its name in weight files (`fire2.squeeze.weight`).

        Each says how a fresh model fills it.
        """
        return {
            f"{layer.path}.{name}": tensor if tensor.init is not None else self._settled(tensor)
            for layer in self.layers
            for name, tensor in layer.layer.tensors.items()
        }

    @property
    def init(self) -> Init:
        """How the weights of layers that do not say it are drawn."""
        return self.training.init if self.training is not None else KAIMING

    def _settled(self, tensor: Tensor) -> Tensor:
        return replace(tensor, init=self.init)


def _nested(choices: Iterable[Choice]) -> Iterator[Choice]:
    for choice in choices:
        yield choice
        yield from _nested(choice.inner)


def _flatten(block: Block, prefix: str, outer: dict[Value, Value]) -> Iterator[FlatLayer]:
    """`outer` maps the values of this block to those of the flat net, and is completed."""
    for node in block.nodes:
        inputs = tuple(outer[v] for v in node.inputs)
        if isinstance(node, Layer):
            # A block may be shared by instances; each use yields values of its own.
            outputs = tuple(Value(prefix + v.name, v.shape) for v in node.outputs)
            yield FlatLayer(prefix + node.name, node, inputs, outputs)
        elif not node.block.layer_count:
            # Such blocks may be inside each other by the million.
            outputs = tuple(inputs[i] for _, i in node.block.lives.sources)
        else:
            inner = dict(zip(node.block.inputs, inputs, strict=True))
            yield from _flatten(node.block, f"{prefix}{node.name}.", inner)
            outputs = tuple(inner[v] for v in node.block.outputs)
        outer.update(zip(node.outputs, outputs, strict=True))
