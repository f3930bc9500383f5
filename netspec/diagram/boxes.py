"""What a picture shows: the boxes of each block, and the wires between them.

A block has one sheet, however many instances use it. A box is a stack of layers, the use of a
module, or an input or output of the net. A layer and what only scales or bends its values
(`conv -> batchnorm -> relu`) are one stack.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from functools import cached_property
from typing import Literal

from netspec.ir import Block, Instance, Layer, Net, Node, Value
from netspec.lazy_dataclasses import dataclass
from netspec.ops import IndexShape

TALLEST = 6
"""Most layers of a stack."""


@dataclass(frozen=True, eq=False)
class Box:
    """A stack of layers, an instance, or (`end`) an input or output of the net.

    `inputs` are the values that it takes and `results` those that others can take from it, each
    a port, in order. `sheet` is the inside of an instance.
    """

    name: str
    inputs: tuple[Value, ...]
    results: tuple[Value, ...]
    layers: tuple[Layer, ...] = ()
    instance: Instance | None = None
    sheet: Sheet | None = None
    end: Literal["", "input", "output"] = ""

    @property
    def params(self) -> int:
        return sum(int(node.params) for node in self.nodes)

    @property
    def macs(self) -> int:
        """For batch 1."""
        return sum(int(node.macs) for node in self.nodes)

    @property
    def shares(self) -> str | None:
        """The layer or instance of the sheet whose weights it has; None where it has its own."""
        return next((node.shares for node in self.nodes if node.shares), None)

    @property
    def nodes(self) -> tuple[Node, ...]:
        return self.layers if self.instance is None else (self.instance,)


End = tuple[int, int]
"""A box of the sheet and one of its ports. The box is OUTSIDE for the sheet's own ports."""
OUTSIDE = -1


@dataclass(frozen=True)
class Wire:
    """A value on its way from a result to an input."""

    source: End
    target: End
    value: Value

    @property
    def indices(self) -> bool:
        """Whether it carries the places that a pooling found."""
        return isinstance(self.value.shape, IndexShape)


@dataclass(frozen=True, eq=False)
class Sheet:
    """The boxes of a block in order of execution, and its wires.

    `inputs` and `outputs` are the numbers of its own ports; the net has none, but boxes for them.
    """

    boxes: tuple[Box, ...]
    wires: tuple[Wire, ...]
    inputs: int
    outputs: int

    @cached_property
    def labels(self) -> Mapping[End, Value]:
        """The results whose shape is written at their wire: once, where the value is made.

        What a module takes or hands out is labelled outside of it. A pooling's indices have the
        shape of its values.
        """
        inner: dict[End, Value] = {}
        for wire in self.wires:
            inside = OUTSIDE not in (wire.source[0], wire.target[0])
            if inside and not (wire.indices and self.boxes[wire.source[0]].layers):
                inner[wire.source] = wire.value
        return inner

    def count(self, depth: int) -> int:
        """How many boxes are drawn, with this and `depth - 1` levels of modules below it open."""
        counts: dict[tuple[Sheet, int], int] = {}

        def visit(sheet: Sheet, levels: int) -> int:
            key = sheet, levels
            if key not in counts:
                counts[key] = sum(
                    visit(box.sheet, levels - 1) if box.sheet and levels > 1 else 1
                    for box in sheet.boxes
                )
            return counts[key]

        return visit(self, depth)

    @cached_property
    def levels(self) -> int:
        """How deep the modules go: 1 for a sheet without any."""
        return 1 + max((box.sheet.levels for box in self.boxes if box.sheet), default=0)


def sheet_of(net: Net) -> Sheet:
    """The sheet of the net itself."""
    return _SheetBuilder({}).sheet(net.body)


def whole(net: Net) -> Sheet:
    """The net as a single box between its inputs and outputs."""
    body = net.body
    if not body.nodes:
        return sheet_of(net)
    use = Instance(net.name, None, body, (), body.inputs, body.outputs, net.body.nodes[0].span)
    box = Box(net.name, use.inputs, use.outputs, instance=use, sheet=sheet_of(net))
    count = len(body.inputs)
    boxes = [Box(v.name, (), (v,), end="input") for v in body.inputs]
    boxes += [box, *(Box(v.name, (v,), (), end="output") for v in body.outputs)]
    wires = [Wire((i, 0), (count, i), v) for i, v in enumerate(body.inputs)]
    wires += [Wire((count, i), (count + 1 + i, 0), v) for i, v in enumerate(body.outputs)]
    return Sheet(tuple(boxes), tuple(wires), 0, 0)


class _SheetBuilder:
    def __init__(self, known: dict[Block, Sheet]) -> None:
        self.known = known

    def sheet(self, block: Block) -> Sheet:
        if block not in self.known:
            self.known[block] = self._draft(block)
        return self.known[block]

    def _draft(self, block: Block) -> Sheet:
        boxes: list[Box] = []
        wires: list[Wire] = []
        origins: dict[Value, End] = {}
        """Where each value comes from; a value that is only handed on comes from its maker."""
        uses = Counter(v for node in block.nodes for v in node.inputs)
        uses.update(block.outputs)
        for i, value in enumerate(block.inputs):
            if block.kind == "net":
                origins[value] = len(boxes), 0
                boxes.append(Box(value.name, (), (value,), end="input"))
            else:
                origins[value] = OUTSIDE, i
        line: str | None = None
        for node in block.nodes:
            if isinstance(node, Instance) and not node.block.layer_count:
                # It only hands on; such blocks may be inside each other by the million.
                for value, (_, i) in zip(node.outputs, node.block.forwarding.sources, strict=True):
                    origins[value] = origins[node.inputs[i]]
                continue
            if isinstance(node, Layer) and boxes and _continues(boxes[-1], line, node, uses):
                last = boxes[-1]
                results = (*node.outputs, *last.results[1:])
                boxes[-1] = Box(last.name, last.inputs, results, (*last.layers, node))
                origins.update({v: (len(boxes) - 1, k) for k, v in enumerate(results)})
                continue
            line = node.line
            at = len(boxes)
            wires += [Wire(origins[v], (at, k), v) for k, v in enumerate(node.inputs)]
            origins.update({v: (at, k) for k, v in enumerate(node.outputs)})
            if isinstance(node, Layer):
                boxes.append(Box(node.name, node.inputs, node.outputs, (node,)))
            else:
                inside = self.sheet(node.block)
                boxes.append(Box(node.name, node.inputs, node.outputs, instance=node, sheet=inside))
        for k, value in enumerate(block.outputs):
            target = OUTSIDE, k
            if block.kind == "net":
                target = len(boxes), 0
                boxes.append(Box(value.name, (value,), (), end="output"))
            wires.append(Wire(origins[value], target, value))
        ports = (0, 0) if block.kind == "net" else (len(block.inputs), len(block.outputs))
        return Sheet(tuple(boxes), tuple(wires), *ports)


def _continues(last: Box, line: str | None, layer: Layer, uses: Mapping[Value, int]) -> bool:
    """Whether a layer is the next of a stack: alone in taking its value, whose shape it keeps."""
    if not last.layers or line != layer.line or len(layer.inputs) != 1:
        return False
    if len(last.layers) >= TALLEST or not layer.op.family.follows:
        return False
    (value,) = layer.inputs
    made = last.layers[-1].outputs[0]
    return value is made and uses[value] == 1 and layer.outputs[0].shape == value.shape
