"""The intermediate representation: a network as blocks of layers and module instances.

The hierarchy of the spec is kept: an `Instance` says which module it is a use of and with which
arguments, and holds the block that these arguments gave. Equal uses of a module (same arguments,
same input shapes) share one `Block` object, so a deep net costs what its different parts cost.

Inside a block, names and values are the block's own: `Instance.inputs[i]` outside is
`Block.inputs[i]` inside. `layers()` gives the flat view with full paths.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from math import prod
from typing import Any, Literal

from netspec.diagnostics.source import Source, Span
from netspec.ir.config import Detection, NetParameter, Preprocessing, Training
from netspec.ir.names import NameMap
from netspec.ir.template import Template
from netspec.lazy_dataclasses import dataclass, field, replace
from netspec.ops import KAIMING, REQUIRED, Init, Learned, Op, Shape, Tensor, Weighted
from netspec.symbolic.expr import Expr, Parameter, ParameterItem, Symbol


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
    """One use of an op. `line` is the name of the chain that it stands in, if that has one.

    `stated` is the op as the spec has it, `op` as it is settled for these inputs: what `pad: same`
    comes to depends on their size. `shares` is the layer of the same block whose weights it has,
    by its name; None where they are its own. `defaults` are the places of the fields that it has
    from a `default` of its op. `bare`: its only tensor is called as the layer itself.
    """

    name: str
    line: str | None
    op: Op
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    span: Span
    stated: Op | None = None
    shares: str | None = None
    defaults: tuple[Span, ...] = ()
    bare: bool = False

    def key(self, path: str, tensor: str) -> str:
        """What a tensor of it is called in weight files, by the layer's path."""
        return path if self.bare else f"{path}.{tensor}"

    @cached_property
    def tensors(self) -> Mapping[str, Tensor]:
        """The tensors that the layer computes with, by local name (`weight`)."""
        return self.op.tensors([v.shape for v in self.inputs])

    @cached_property
    def learnable(self) -> int:
        """The number of learnable parameters that the layer computes with."""
        return sum(t.size for t in self.tensors.values() if t.learnable)

    @property
    def params(self) -> int:
        """The number of learnable parameters of its own."""
        return self.learnable if self.shares is None else 0

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
    is handed on, or None. `default` is what the module has for it, `REQUIRED` if nothing or nothing
    that always is the same. `items` are the expressions of those numbers of a list that follow the
    height or width of a value, by their places.
    """

    name: str
    value: Any
    expr: Expr | None
    default: Any = REQUIRED
    items: tuple[tuple[int, Expr], ...] = ()

    def meanings(self) -> Iterator[tuple[Symbol, Expr]]:
        """The symbols that the module has for the argument, and what the caller has for them."""
        if self.expr is not None:
            yield Parameter(self.name), self.expr
        for place, expr in self.items:
            yield ParameterItem(self.name, place), expr


@dataclass(frozen=True, eq=False)
class Instance:
    """One use of a module. `shares` is as for a layer: the instance whose weights it has."""

    name: str
    line: str | None
    block: Block
    arguments: tuple[Argument, ...]
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    span: Span
    shares: str | None = None

    @property
    def params(self) -> int:
        """The number of learnable parameters of its own."""
        return self.block.params if self.shares is None else 0

    @property
    def macs(self) -> int:
        return self.block.macs


Node = Layer | Instance


@dataclass(frozen=True, eq=False)
class Block:
    """The body of the net, or of a module for certain arguments and input shapes.

    `outputs` are in order; the first is what the instance's bare name stands for. `output_names`
    are the names of several results, or empty. `static` are the parameters, input channels,
    and heights and widths of values that decided what the block is made of, rather than only set
    numbers of its layers.
    """

    kind: Literal["net", "module"]
    module: str
    doc: str
    inputs: tuple[Value, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[Value, ...]
    output_names: tuple[str, ...]
    static: frozenset[Symbol] = frozenset()
    template: Template | None = field(default=None, repr=False)
    """The definition whose body this is; None where a pass made it."""
    names: NameMap | None = field(default=None, repr=False)
    """What the layers are called instead of their names in the template."""

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
    def tensor_shapes(self) -> Mapping[str, Shape]:
        """The shapes of the tensors that the block owns, by their paths in it."""
        found: dict[str, Shape] = {}
        for node in self.nodes:
            if node.shares is None:
                found |= {f"{node.name}.{name}": s for name, s in tensor_shapes(node).items()}
        return found

    @cached_property
    def forwarding(self) -> Forwarding:
        """Which inputs the layers of this block take, and which outputs are inputs handed on."""
        return Forwarding(self)


def tensor_shapes(node: Node) -> Mapping[str, Shape]:
    """The shapes of the tensors that a node computes with, by their paths in it."""
    if isinstance(node, Instance):
        return node.block.tensor_shapes
    return {name: tuple(map(int, t.shape)) for name, t in node.tensors.items()}


def is_alike(a: Node, b: Node | None) -> bool:
    """Whether two nodes are one op with the same attributes, or one module with its arguments."""
    if isinstance(a, Layer) and isinstance(b, Layer):
        return (a.stated or a.op) == (b.stated or b.op)
    if isinstance(a, Instance) and isinstance(b, Instance):
        given = [{x.name: x.value for x in node.arguments} for node in (a, b)]
        return a.block.module == b.block.module and given[0] == given[1]
    return False


class Forwarding:
    """Which inputs some layer of a block takes, and what its outputs are.

    `reads` are the positions of the inputs that some layer takes. `sources` says of each output
    what it is: (True, the first output that is the same value), or (False, the input that it is).
    """

    def __init__(self, block: Block) -> None:
        self._origins: dict[Value, Value] = {}
        read: set[Value] = set()
        for node in block.nodes:
            if isinstance(node, Layer):
                read.update(map(self.origin, node.inputs))
                continue
            inner = node.block.forwarding
            for i, value in enumerate(node.inputs):
                if i in inner.reads:
                    read.add(self.origin(value))
            for value, (made, i) in zip(node.outputs, inner.sources, strict=True):
                origin = node.outputs[i] if made else self.origin(node.inputs[i])
                if origin is not value:
                    self._origins[value] = origin
        self.reads: frozenset[int] = frozenset(i for i, v in enumerate(block.inputs) if v in read)
        positions = {v: (False, i) for i, v in enumerate(block.inputs)}
        self.sources: tuple[tuple[bool, int], ...] = tuple(
            positions.setdefault(self.origin(v), (True, i)) for i, v in enumerate(block.outputs)
        )

    def origin(self, value: Value) -> Value:
        """The value that an instance's output is, where the instance only hands it on."""
        return self._origins.get(value, value)


@dataclass(frozen=True)
class FlatLayer:
    """A layer with its full path (`fire2.squeeze`) and the values of the flat net.

    `weights` is the path that its tensors are under in weight files: its own, or that of the layer
    whose weights it has.
    """

    path: str
    layer: Layer
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    weights: str

    @property
    def shares(self) -> str | None:
        """The path of the layer whose weights it has; None where it has its own, or none."""
        return self.weights if self.weights != self.path and self.layer.tensors else None

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """The tensors that the layer owns, by local name."""
        return self.layer.tensors if self.weights == self.path else {}

    @property
    def op(self) -> Op:
        return self.layer.op

    @property
    def params(self) -> int:
        """The number of learnable parameters of its own."""
        return self.layer.params if self.weights == self.path else 0

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
    detection: Detection | None = None
    origins: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """Of a net that was read from a prototxt: where each tensor lies in a caffemodel."""
    variant: str = ""
    """Of a variant of a net: what it is called there. `name` is its full name."""
    variant_of: str = ""
    """Of a variant: the name of its net."""
    varied: frozenset[str] = frozenset()
    """Of a variant: the parameters that it sets."""
    settings: Mapping[str, str] = field(default_factory=dict, compare=False)
    """What was set from outside when the spec was read, by name, as `--set` takes it."""
    texts: tuple[Source, ...] = field(default=(), compare=False, repr=False)
    """What the net was read from: the text of its file, then those that it imports."""

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
        layers = tuple(_flatten(self.body, "", "", values))
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
            layer.layer.key(layer.path, name): tensor
            for layer in self.layers
            if layer.weights == layer.path
            for name, tensor in self._settled(layer.layer).items()
        }

    def init_of(self, op: Op) -> Init:
        """How the weights of a layer are drawn: as it says, or the net, or its op."""
        own = op.init if isinstance(op, Weighted) else None
        stated = own or (self.training and self.training.init)
        return stated or (op.default_init if isinstance(op, Weighted) else KAIMING)

    @cached_property
    def multipliers(self) -> dict[str, tuple[float, float]]:
        """Factors of the learning rate and of the weight decay of each learned tensor, by its name.

        A frozen layer's rate is 0.
        """
        found: dict[str, tuple[float, float]] = {}
        usual = (self.training.lr_mult if self.training else None) or (1.0, 1.0)
        all_decay = self.training is None or self.training.decay_all
        for layer in self.layers:
            op = layer.op
            for name, tensor in layer.tensors.items():
                if not tensor.learnable:
                    continue
                which = int(name == "bias")
                rate, decay = usual[which], 1.0 if all_decay or len(tensor.shape) > 1 else 0.0
                if isinstance(op, Learned):
                    rate = op.lr_mult[which] if op.lr_mult is not None else rate
                    rate = 0.0 if op.frozen else rate
                    decay = op.decay_mult[which] if op.decay_mult is not None else decay
                found[layer.layer.key(layer.path, name)] = rate, decay
        return found

    def _settled(self, layer: Layer) -> Mapping[str, Tensor]:
        init = self.init_of(layer.op)
        if init.law != "uniform" or init.bounds is not None:
            return {
                name: tensor if tensor.init is not None else replace(tensor, init=init)
                for name, tensor in layer.tensors.items()
            }
        # The bias too, which does not know the weight's fan_in.
        own = layer.op.bias_init if isinstance(layer.op, Weighted) else None
        init = Init("uniform", bounds=init.limits(layer.tensors["weight"].shape))
        return {
            name: tensor if own is not None and name == "bias" else replace(tensor, init=init)
            for name, tensor in layer.tensors.items()
        }


def _flatten(
    block: Block, prefix: str, weights: str, outer: dict[Value, Value]
) -> Iterator[FlatLayer]:
    """`outer` maps the values of this block to those of the flat net, and is completed.

    The block's tensors are under the path `weights`.
    """
    for node in block.nodes:
        owner = weights + (node.shares or node.name)
        inputs = tuple(outer[v] for v in node.inputs)
        if isinstance(node, Layer):
            # A block may be shared by instances; each use yields values of its own.
            outputs = tuple(Value(prefix + v.name, v.shape) for v in node.outputs)
            yield FlatLayer(prefix + node.name, node, inputs, outputs, owner)
        elif not node.block.layer_count:
            # Such blocks may be inside each other by the million.
            outputs = tuple(inputs[i] for _, i in node.block.forwarding.sources)
        else:
            inner = dict(zip(node.block.inputs, inputs, strict=True))
            yield from _flatten(node.block, f"{prefix}{node.name}.", f"{owner}.", inner)
            outputs = tuple(inner[v] for v in node.block.outputs)
        outer.update(zip(node.outputs, outputs, strict=True))
