"""Memory that training a net takes with PyTorch: what is kept for the backward pass, and the peak.

The emitted classes are followed step by step: each op says what its backward pass needs (`saved`),
tensors that lie in the same memory (views, activations in place) count once, and one iteration is
run through with sizes only: forward, backward, the step of the optimizer.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from netspec.ir import Block, FlatLayer, Layer, Net, Value
from netspec.ir.config import usual_momentum
from netspec.ir.sizes import blocks
from netspec.ir.template import (
    Branches,
    LayerLine,
    Repetition,
    TemplateChoice,
    TemplateOutput,
    TemplateStatement,
)
from netspec.lazy_dataclasses import dataclass, field, replace
from netspec.ops import IndexShape, Learned, Shape
from netspec.ops.convolution import Conv
from netspec.ops.merging import Mul
from netspec.ops.pooling import AvgPool, MaxPool
from netspec.symbolic.expr import expr_of, literal

FLOAT_BYTES = 4
INDEX_BYTES = 8

STATES = {
    "sgd": 0,
    "nesterov": 0,
    "adam": 2,
    "adamw": 2,
    "nadam": 2,
    "radam": 2,
    "adamax": 2,
    "adagrad": 1,
    "adadelta": 2,
    "rmsprop": 1,
}
"""Numbers that each optimizer of PyTorch keeps for each parameter, without momentum."""
TEMPORARIES = {
    "adam": 1,
    "adamw": 1,
    "nadam": 1,
    "radam": 1,
    "adamax": 1,
    "adagrad": 2,
    "adadelta": 2,
    "rmsprop": 1,
}
"""Numbers for each parameter that its step makes, all at once as on a GPU (`foreach`)."""


@dataclass(frozen=True)
class TrainingPlan:
    """How a net is trained, as far as memory depends on it."""

    batch: int = 1
    optimizer: str = "sgd"
    momentum: float | None = None
    weight_decay: bool = False
    frozen: frozenset[str] = frozenset()
    """The paths of layers that stay as they are, beside those that the spec freezes."""

    @property
    def states(self) -> int:
        """Numbers that the optimizer keeps for each parameter."""
        momentum = usual_momentum(self.optimizer) if self.momentum is None else self.momentum
        has_one = self.optimizer in ("sgd", "nesterov", "rmsprop") and momentum > 0
        return STATES[self.optimizer] + has_one

    @property
    def temporaries(self) -> int:
        """Numbers for each parameter that a step of the optimizer makes on the way."""
        made = TEMPORARIES.get(self.optimizer, 0)
        # A decay that is added to the gradients makes new ones; those of adam are gone in time.
        if not self.weight_decay or self.optimizer == "adamw":
            return made
        return max(made, 1) if self.optimizer in ("adam", "radam", "adamax") else made + 1

    @property
    def words(self) -> str:
        """The plan in a few words: `batch 32, sgd without momentum`."""
        bare = not self.states
        return f"batch {self.batch:,}, {self.optimizer}{' without momentum' if bare else ''}"


@dataclass(frozen=True)
class TrainingMemory:
    """Bytes of one iteration of training, in float32.

    `peak` is the most that is alive at once, `at` the layer whose backward (or forward) pass that
    is, or the optimizer's step. `activations` is what is kept for the backward pass, the batch of
    inputs with it; `saved` are its parts by the path of the layer that makes them.
    """

    plan: TrainingPlan
    parameters: int
    gradients: int
    optimizer_state: int
    activations: int
    peak: int
    at: str
    saved: Counter[str] = field(repr=False)

    def data(self) -> dict[str, Any]:
        """All figures by their names in JSON."""
        return {
            "batch": self.plan.batch,
            "optimizer": self.plan.optimizer,
            "parameters": self.parameters,
            "gradients": self.gradients,
            "optimizer_state": self.optimizer_state,
            "activations": self.activations,
            "peak": self.peak,
            "at": self.at,
        }


class _Memory:
    """One piece of memory, alive while anything holds it."""

    __slots__ = ("bytes", "holders", "maker")

    def __init__(self, size: int, maker: str = "") -> None:
        self.bytes = size
        self.holders = 0
        self.maker = maker


class _Alive:
    """What is alive, and the most there was."""

    def __init__(self, begin: int) -> None:
        self.now = self.peak = begin
        self.at = ""
        self.place = ""

    def hold(self, memory: _Memory) -> _Memory:
        if not memory.holders:
            self.now += memory.bytes
            if self.now > self.peak:
                self.peak, self.at = self.now, self.place
        memory.holders += 1
        return memory

    def release(self, memory: _Memory) -> None:
        memory.holders -= 1
        if not memory.holders:
            self.now -= memory.bytes


def training_memory(net: Net, plan: TrainingPlan) -> TrainingMemory:
    """The memory of one iteration of training, beyond the first."""
    return _Iteration(net, plan).run()


def _needed(net: Net) -> tuple[FlatLayer, ...]:
    """The layers that the outputs depend on; what nothing needs is not written."""
    wanted = set(net.flat_outputs)
    found = []
    for layer in reversed(net.layers):
        if not wanted.isdisjoint(layer.outputs):
            wanted.update(layer.inputs)
            found.append(layer)
    return tuple(reversed(found))


def _bodies(block: Block) -> Iterator[tuple[Layer, int]]:
    """Each layer of a block with the number of the statements that it stands in: those of the
    module, of a branch or of a loop; a link with a condition is by itself."""
    places: list[tuple[int, int]] = []

    def number(body: Sequence[TemplateStatement], own: int) -> None:
        for s in body:
            if isinstance(s, LayerLine | TemplateOutput):
                places.append((s.span.start, own))
                for link in s.links:
                    if isinstance(link, TemplateChoice):
                        places.extend((c.span.start, id(link)) for c in link.calls)
                        places.extend((c.span.end, own) for c in link.calls)
            elif isinstance(s, Repetition):
                number(s.body, id(s))
            elif isinstance(s, Branches):
                for inner in (*(b for _, b in s.cases), s.otherwise):
                    number(inner, id(inner))

    if block.template is not None:
        number(block.template.body, 0)
    places.sort()
    for node in block.nodes:
        if isinstance(node, Layer):
            at = bisect_right(places, node.span.start, key=lambda p: p[0])
            yield node, places[at - 1][1] if at else 0


def _pads_first(layer: FlatLayer) -> bool:
    """Whether `pad: same` is worked out from the input's size, in front of the layer.

    PyTorch does it where the stride is 1, whatever the arguments of the class are.
    """
    stated = layer.layer.stated
    strides = getattr(stated, "stride", ())
    return getattr(stated, "pad", None) == "same" and any(expr_of(n) != literal(1) for n in strides)


class _Iteration:
    def __init__(self, net: Net, plan: TrainingPlan) -> None:
        self.net, self.plan = net, plan
        learnable = {n: t.size for n, t in net.tensors.items() if t.learnable}
        trained = {
            name
            for name, (rate, _) in net.multipliers.items()
            if rate > 0 and name.rpartition(".")[0] not in plan.frozen
        }
        self.trained = {n: FLOAT_BYTES * size for n, size in learnable.items() if n in trained}
        """Bytes of the tensors that have a gradient."""
        self.parameters = FLOAT_BYTES * sum(learnable.values())
        statistics = sum(t.size for t in net.tensors.values()) - sum(learnable.values())
        self.gradients = sum(self.trained.values())
        self.state = plan.states * self.gradients
        self.layers = _needed(net)
        self.bodies = {k: v for block in blocks(net.body) for k, v in _bodies(block)}
        self.alive = _Alive(self.parameters + FLOAT_BYTES * statistics + self.state)
        self.memory: dict[Value, _Memory] = {}
        self.moved: set[Value] = set()
        """Views whose elements are not in order, so that a reshape copies them."""
        self.differentiable: set[Value] = set()
        self.saved: list[list[_Memory]] = []
        self.steps: list[FlatLayer] = []
        """The layers that have a backward pass, and what each saves."""

    def run(self) -> TrainingMemory:
        inputs = [self.hold_value(v) for v in self.net.body.inputs]
        self.forward()
        kept = dict.fromkeys([*inputs, *(m for held in self.saved for m in held)])
        by_maker: Counter[str] = Counter()
        for memory in kept:
            by_maker[memory.maker] += memory.bytes
        del by_maker[""]
        self.backward()
        alive = self.alive
        alive.place = "the optimizer's step"
        alive.hold(_Memory(self.plan.temporaries * self.gradients))
        return TrainingMemory(
            self.plan,
            self.parameters,
            self.gradients,
            self.state,
            sum(m.bytes for m in kept),
            alive.peak,
            alive.at,
            by_maker,
        )

    def size(self, shape: Shape) -> int:
        item = INDEX_BYTES if isinstance(shape, IndexShape) else FLOAT_BYTES
        for n in shape:
            item *= int(n)
        return self.plan.batch * item

    def hold_value(self, value: Value, maker: str = "") -> _Memory:
        self.memory[value] = _Memory(self.size(value.shape), maker)
        return self.alive.hold(self.memory[value])

    # --- forward ---------------------------------------------------------------------------------

    def forward(self) -> None:
        layers = self.layers
        last = {v: i for i, layer in enumerate(layers) for v in layer.inputs}
        last |= dict.fromkeys(self.net.flat_outputs, len(layers))
        readers = Counter(v for layer in layers for v in layer.inputs)
        readers.update(self.net.flat_outputs)
        ends: dict[int, list[Value]] = {}
        for value, i in last.items():
            ends.setdefault(i, []).append(value)
        before: FlatLayer | None = None
        for i, layer in enumerate(layers):
            self.alive.place = f"the forward pass of {layer.path}"
            in_place = (
                before is not None
                and layer.op.overwrites
                and before.op.overwritable
                and layer.inputs == before.outputs[:1]
                and readers[layer.inputs[0]] == 1
                and self.follows(layer, before)
            )
            self.make(layer, in_place)
            self.save(layer, in_place)
            for value in layer.outputs:
                if value not in last:
                    self.alive.release(self.memory[value])
            for value in ends.get(i, ()):
                if value not in self.net.body.inputs:
                    self.alive.release(self.memory[value])
            before = layer

    def follows(self, layer: FlatLayer, before: FlatLayer) -> bool:
        """Whether a layer stands behind the other in the same statements, so that one line of
        Python is both."""
        if layer.path.rpartition(".")[0] != before.path.rpartition(".")[0]:
            return False
        same = self.bodies.get(layer.layer) == self.bodies.get(before.layer)
        return same and before.layer.span.start <= layer.layer.span.start

    def make(self, layer: FlatLayer, in_place: bool) -> None:
        """The memory of a layer's results."""
        op = layer.op
        source = layer.inputs[0]
        copied = source in self.moved and op.keyword in ("flatten", "reshape")
        if in_place or (op.is_view and not copied):
            # A view of a parameter takes no memory of its own.
            memory = _Memory(0) if layer.layer.tensors else self.memory[source]
            for value in layer.outputs:
                self.memory[value] = self.alive.hold(memory)
            if op.keyword not in ("flatten", "reshape") and (op.is_view or source in self.moved):
                self.moved.update(layer.outputs if not op.passes_input_on else ())
            return
        for value in layer.outputs:
            self.hold_value(value, layer.path)

    def save(self, layer: FlatLayer, in_place: bool) -> None:
        """What the backward pass of a layer needs, if it has one."""
        trains = any(f"{layer.weights}.{name}" in self.trained for name in layer.layer.tensors)
        if not trains and self.differentiable.isdisjoint(layer.inputs):
            return
        if layer.op.keyword != "argmax":
            self.differentiable.update(
                v for v in layer.outputs if not isinstance(v.shape, IndexShape)
            )
        shapes = [[v.shape for v in values] for values in (layer.inputs, layer.outputs)]
        op = layer.op
        if layer.path in self.plan.frozen and isinstance(op, Learned):
            op = replace(op, frozen=True)
        saved = op.saved(*shapes)
        if in_place and saved.inputs:  # PyTorch copies what it is about to overwrite
            copy = FLOAT_BYTES * layer.inputs[0].elements
            saved = saved._replace(inputs=(), own=saved.own + copy)
        if isinstance(layer.op, Mul):  # each is a factor of the gradients of the others
            places = [i for i, v in enumerate(layer.inputs) if self.is_factor(layer, v)]
            saved = saved._replace(inputs=tuple(places))
        elif isinstance(layer.op, Conv | MaxPool | AvgPool) and saved.inputs and _pads_first(layer):
            copy = layer.op.saved_copy(layer.inputs[0].shape).own
            saved = saved._replace(inputs=(), own=saved.own + copy)
        held = [self.memory[layer.inputs[i]] for i in saved.inputs]
        held += [self.memory[layer.outputs[i]] for i in saved.results]
        own = self.plan.batch * saved.own + saved.once
        held += [_Memory(own, layer.path)] if own else []
        self.saved.append([self.alive.hold(m) for m in dict.fromkeys(held)])
        self.steps.append(layer)

    def is_factor(self, layer: FlatLayer, value: Value) -> bool:
        """Whether a factor of a product is one of another's gradient."""
        others = list(layer.inputs)
        others.remove(value)
        return not self.differentiable.isdisjoint(others)

    # --- backward --------------------------------------------------------------------------------

    def backward(self) -> None:
        alive = self.alive
        gradients: dict[Value, _Memory] = {}
        alive.place = "the loss"
        for value in self.net.flat_outputs:
            if value in self.differentiable and value not in gradients:
                gradients[value] = alive.hold(_Memory(self.size(value.shape)))
        done: set[str] = set()
        while self.steps:
            layer, held = self.steps.pop(), self.saved.pop()
            alive.place = f"the backward pass of {layer.path}"
            given = [gradients.pop(v) for v in layer.outputs if v in gradients]
            again: list[_Memory] = []
            if given:
                results = [(v, self.gradient(layer, v, given)) for v in layer.inputs]
                found = [(v, alive.hold(m)) for v, m in results if m is not None]
                names = {f"{layer.weights}.{name}" for name in layer.layer.tensors}
                made = [alive.hold(_Memory(self.trained[n])) for n in names & self.trained.keys()]
                # Those of a layer that is used again are added to the ones that there are.
                again = made if names & done else []
                done |= names
            for memory in (*held, *given, *again):
                alive.release(memory)
            if given:
                self.collect(gradients, found)

    def gradient(self, layer: FlatLayer, value: Value, given: Sequence[_Memory]) -> _Memory | None:
        """The memory of an input's gradient; None where it has none."""
        if value not in self.differentiable:
            return None
        if layer.op.hands_gradient_on:
            return given[0]
        return _Memory(self.size(value.shape))

    def collect(
        self, gradients: dict[Value, _Memory], found: Iterable[tuple[Value, _Memory]]
    ) -> None:
        """Add gradients of inputs to those that their other readers gave."""
        for value, memory in found:
            other = gradients.get(value)
            if other is None:
                gradients[value] = memory
                continue
            if other.holders > 1:  # others read it, so that the sum is a new one
                gradients[value] = self.alive.hold(_Memory(self.size(value.shape)))
                self.alive.release(other)
            self.alive.release(memory)
