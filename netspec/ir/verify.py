"""The invariants of a net, for tests of what makes nets: elaboration and passes.

A net that breaks one is a bug of netspec, whatever the spec says. tests/conftest.py verifies every
net that a test makes; `problems` lists what is wrong, `verify` raises it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from math import isclose
from typing import Any
from weakref import WeakSet

from netspec.ir.nodes import Block, Instance, Layer, Net, Node, Value, is_alike, tensor_shapes
from netspec.ir.printer import block_labels, expression_text, shape_text, symbol_text, value_labels
from netspec.lazy_dataclasses import fields
from netspec.ops import Shape
from netspec.ops.base import IndexShape, ShapeError
from netspec.symbolic.expr import (
    Channels,
    Dim,
    Expr,
    Parameter,
    ParameterItem,
    Real,
    SizeOf,
    Symbol,
    evaluate,
)
from netspec.symbolic.terms import leaves


class MalformedNet(Exception):
    """A net that breaks invariants; `problems` has a line for each."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(self.problems))


def verify(net: Net) -> None:
    """Raise MalformedNet if the net breaks an invariant."""
    found = problems(net)
    if found:
        raise MalformedNet(found)


_SOUND: WeakSet[Block] = WeakSet()
"""Blocks in which nothing was wrong; passes share what they do not change."""


def problems(net: Net) -> list[str]:
    """What is wrong with a net, each with the block and the value or node that it is about."""
    labels = block_labels(net.body)
    done: set[Block] = set()
    for block, label in labels.items():
        done.add(block)
        for node in block.nodes:
            if isinstance(node, Instance) and node.block not in done - {block}:
                # Nothing below is safe to ask of such a net.
                return [f"{label}: {node.name} is an instance of a block that contains this one"]
    arguments: dict[Block, Mapping[str, Any]] = {
        net.body: {p.name: p.value for p in net.parameters}
    }
    found = [f"{net.name}: {problem}" for problem in _of_net(net)]
    for block, label in reversed(labels.items()):
        for node in block.nodes:
            if isinstance(node, Instance):
                given = {a.name: a.value for a in node.arguments}
                if arguments.setdefault(node.block, given) != given:
                    inner = labels[node.block]
                    found.append(f"{label}: {node.name} has other arguments than {inner} before")
        if block not in _SOUND:
            wrong = list(_Block(block, arguments.get(block, {})).problems())
            found += (f"{label}: {problem}" for problem in wrong)
            if not wrong:
                _SOUND.add(block)
    return found


def _of_net(net: Net) -> Iterator[str]:
    body = net.body
    if body.kind != "net":
        yield f"its body is the block of a {body.kind}"
    if len(net.preprocessing) != len(body.inputs):
        count = len(net.preprocessing)
        yield f"{len(body.inputs)} inputs, but {count} are given a preprocessing or None"
    found = net.detection
    if found is not None:
        shapes = [v.shape for v in body.outputs]
        if len(shapes) != 1 or len(shapes[0]) != 3 or not found.classes(int(shapes[0][0])):
            yield f"its outputs are no planes of {len(found.anchors)} anchors"
    yield from _repeated("parameters", (p.name for p in net.parameters))
    for p in net.parameters:
        if p.static != (Parameter(p.name) in body.static):
            where = "net" if p.static else "block"
            yield f"whether {p.name} is static: only the {where} says so"


def _repeated(what: str, names: Iterable[str]) -> Iterator[str]:
    for name, count in Counter(names).items():
        if count > 1:
            yield f"{count} {what} are called {name or '(nothing)'}"


class _Block:
    """Checks one block, whose parameters have these values."""

    def __init__(self, block: Block, parameters: Mapping[str, Any]) -> None:
        self.block = block
        self.labels = value_labels(block)
        self.values: dict[Symbol, Any] = {Parameter(n): v for n, v in parameters.items()}
        lists = ((n, enumerate(v)) for n, v in parameters.items() if isinstance(v, tuple))
        self.values |= {ParameterItem(n, i): item for n, items in lists for i, item in items}
        self.values |= {Channels(v.name): int(v.shape[0]) for v in block.inputs if v.shape}
        for value in (*block.inputs, *(v for node in block.nodes for v in node.outputs)):
            sizes = enumerate(value.shape[1:], 1)
            self.values |= {SizeOf(value, axis): int(size) for axis, size in sizes}

    def problems(self) -> Iterator[str]:
        block = self.block
        yield from self._names()
        yield from self._uses()
        for value in block.inputs:
            yield from self._shape(value)
        for node in block.nodes:
            for value in node.outputs:
                yield from self._shape(value)
            yield from self._layer(node) if isinstance(node, Layer) else self._instance(node)
        yield from self._shared()
        for symbol in sorted(block.static, key=symbol_text):
            if symbol not in self.values:
                yield f"static: {symbol_text(symbol)} is no parameter or input of this block"

    def _label(self, value: Value) -> str:
        return self.labels.get(value, value.name)

    # --- names and values ------------------------------------------------------------------------

    def _names(self) -> Iterator[str]:
        block = self.block
        yield from _repeated("inputs", (v.name for v in block.inputs))
        yield from _repeated("nodes", (n.name for n in block.nodes))
        yield from _repeated("outputs", filter(None, block.output_names))
        for name in (*(v.name for v in block.inputs), *(n.name for n in block.nodes)):
            if not all(name.split(".")):
                yield f"{name!r} is no name"
        if len(block.output_names) != len(block.outputs):
            yield f"{len(block.outputs)} outputs, but {len(block.output_names)} names of outputs"
        if not block.outputs:
            yield "no output"

    def _uses(self) -> Iterator[str]:
        """Values are made once, and before they are used."""
        block = self.block
        made = Counter([*block.inputs, *(v for n in block.nodes for v in n.outputs)])
        for value, count in made.items():
            if count > 1:
                yield f"{self._label(value)} is made {count} times"
        known = set(block.inputs)
        for node in block.nodes:
            for value in node.inputs:
                yield from self._known(
                    f"{node.name} takes {self._label(value)}", value, known, made
                )
            if not node.outputs:
                yield f"{node.name} makes nothing"
            known.update(node.outputs)
        for value in block.outputs:
            yield from self._known(f"{self._label(value)} is an output", value, known, made)

    def _known(
        self, what: str, value: Value, known: set[Value], made: Mapping[Value, int]
    ) -> Iterator[str]:
        if value not in known:
            how = "is made later" if value in made else "no node or input of this block makes"
            yield f"{what}, which {how}"

    def _shared(self) -> Iterator[str]:
        """Weights that are shared are those of an equal node above, which has its own."""
        owners: dict[str, Node] = {}
        for node in self.block.nodes:
            if node.shares is None:
                owners[node.name] = node
                continue
            owner = owners.get(node.shares)
            if owner is None:
                yield f"{node.name} shares the weights of {node.shares}, which has none above it"
            elif not is_alike(node, owner):
                yield f"{node.name} is no {node.shares} once more, whose weights it has"
            elif tensor_shapes(node) != tensor_shapes(owner) or not tensor_shapes(node):
                yield f"{node.name} has other tensors than {node.shares}, whose weights it has"

    # --- shapes ----------------------------------------------------------------------------------

    def _shape(self, value: Value) -> Iterator[str]:
        shape = value.shape
        name = self._label(value)
        if len(shape) not in (1, 3) or any(int(d) < 1 for d in shape):
            yield f"{name} has the shape {shape_text(shape)}"
        yield from self._numbers(name, tuple(shape))

    def _layer(self, layer: Layer) -> Iterator[str]:
        op, shapes = layer.op, [v.shape for v in layer.inputs]
        least, most = op.arity
        if len(shapes) < least or (most is not None and len(shapes) > most):
            yield f"{layer.name}: {op.keyword} takes no {len(shapes)} inputs"
            return
        for i, value in enumerate(layer.inputs):
            if isinstance(value.shape, IndexShape) != (i in op.index_inputs):
                has = "holds values" if i in op.index_inputs else "holds indices"
                yield f"{layer.name}: {op.keyword} can't take {self._label(value)}, which {has}"
        for f in fields(op):
            yield from self._numbers(f"{f.name} of {layer.name}", getattr(op, f.name))
        try:
            wanted = op.outputs(shapes)
        except ShapeError as error:
            yield f"{layer.name}: {error.message}"
            return
        yield from self._agree(layer, wanted, f"the rule of {op.keyword}")

    def _instance(self, instance: Instance) -> Iterator[str]:
        inner = instance.block
        if inner.kind != "module":
            yield f"{instance.name} is an instance of a {inner.kind}"
        yield from _repeated(f"arguments of {instance.name}", (a.name for a in instance.arguments))
        for a in instance.arguments:
            if a.expr is not None:
                yield from self._number(f"{a.name} of {instance.name}", a.value, a.expr)
            for place, expr in a.items:
                item = a.value[place]
                yield from self._number(f"{a.name}[{place}] of {instance.name}", item, expr)
        if len(instance.inputs) != len(inner.inputs):
            count = len(instance.inputs)
            yield f"{instance.name} takes {count} inputs, its block {len(inner.inputs)}"
        for value, wanted in zip(instance.inputs, inner.inputs, strict=False):
            if not _same(value.shape, wanted.shape):
                yield (
                    f"{instance.name} takes {self._label(value)} of {shape_text(value.shape)}, "
                    f"its block {wanted.name} of {shape_text(wanted.shape)}"
                )
        yield from self._agree(instance, [v.shape for v in inner.outputs], "its block")

    def _agree(self, node: Node, wanted: Iterable[Shape], source: str) -> Iterator[str]:
        """What a node makes has the shapes that its op or block gives."""
        shapes = list(wanted)
        if len(shapes) != len(node.outputs):
            yield f"{node.name} has {len(node.outputs)} outputs, {source} gives {len(shapes)}"
        for value, shape in zip(node.outputs, shapes, strict=False):
            if not _same(value.shape, shape):
                has = shape_text(value.shape)
                yield f"{self._label(value)} is {has}, {source} gives {shape_text(shape)}"

    # --- numbers with expressions ----------------------------------------------------------------

    def _numbers(self, what: str, value: Any) -> Iterator[str]:
        if isinstance(value, tuple):
            for item in value:
                yield from self._numbers(what, item)
        elif isinstance(value, Dim | Real):
            yield from self._number(what, value, value.expr)

    def _number(self, what: str, number: Any, expr: Expr) -> Iterator[str]:
        """A number is the value of its expression, in terms of this block."""
        unknown = [s for s in leaves(expr) if s not in self.values]
        if unknown:
            name = symbol_text(unknown[0])
            yield f"{what}: {name} is no parameter or input of this block"
            return
        value = self.values[expr] if isinstance(expr, Parameter) else self._evaluated(expr)
        text = expression_text(expr)
        if isinstance(number, int | float) and isinstance(value, int | float):
            if not isclose(number, value, rel_tol=1e-9):
                yield f"{what} is {number}, but {text} is {value}"
        elif number != value:
            yield f"{what} is {number!r}, but {text} is {value!r}"

    def _evaluated(self, expr: Expr) -> int | float | None:
        return evaluate(expr, self.values.__getitem__)


def _same(a: Shape, b: Shape) -> bool:
    plane = getattr(a, "plane", None) == getattr(b, "plane", None)
    return plane and tuple(map(int, a)) == tuple(map(int, b))
