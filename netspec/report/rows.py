"""The rows of a table: a net's layers, with modules folded below a depth."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from netspec.ir import Block, FlatLayer, Instance, Layer, Net, Node
from netspec.ops import Shape, text
from netspec.report import number_format

LONGEST = 40
"""Characters of a module's arguments that a row shows."""


class Row(NamedTuple):
    """One layer, or a line or module that stands for its layers.

    `nodes` are what the row stands for in its `block`, `layers` the layers of these, those inside
    modules included.
    """

    name: str
    block: Block
    nodes: tuple[Node, ...]
    layers: tuple[FlatLayer, ...]

    @property
    def main(self) -> Node:
        """The first node with parameters, or the first: not the dropout before a convolution."""
        return next((n for n in self.nodes if n.params or n.shares), self.nodes[0])

    @property
    def op(self) -> str:
        """The op, or the module with its arguments: `conv`, `fire 16,64,64`."""
        main = self.main
        return describe(main) if isinstance(main, Instance) else main.op.keyword

    @property
    def kernel(self) -> str:
        """The window of an op that has one: `7x7/2`."""
        return window(self.main) if isinstance(self.main, Layer) else ""

    @property
    def input(self) -> Shape | None:
        """The shape of the first input."""
        inputs = self.nodes[0].inputs
        return inputs[0].shape if inputs else None

    @property
    def output(self) -> Shape:
        """The shape of the first result of the last layer."""
        return self.nodes[-1].outputs[0].shape

    @property
    def source(self) -> FlatLayer | None:
        """The layer that makes the first result; None where an input of a module passes through."""
        last = self.nodes[-1]
        return _source(last, self.layers[len(self.layers) - _count(last) :])

    @property
    def params(self) -> int:
        """Learnable parameters."""
        return sum(int(layer.params) for layer in self.layers)

    @property
    def shares(self) -> str | None:
        """The line, layer or instance whose weights it has; None where it has some of its own."""
        found = [layer for layer in self.layers if layer.layer.tensors]
        if not found or any(layer.shares is None for layer in found):
            return None
        return found[0].weights.removesuffix(found[0].path.removeprefix(self.name))

    @property
    def macs(self) -> int:
        """Multiplications of convolutions and linear layers, for batch 1."""
        return sum(int(node.macs) for node in self.nodes)

    @property
    def folded(self) -> bool:
        """Whether the row stands for the inside of a module."""
        return any(isinstance(node, Instance) for node in self.nodes)


def rows(net: Net, depth: int | None = None) -> list[Row]:
    """The rows down to a depth: 0 none, 1 a row for each line of the net, None every layer.

    At every depth, the rows' layers are those of the net, in order, where there is any row.
    """
    layers = iter(net.layers)
    return [
        Row(name, block, nodes, tuple(islice(layers, sum(map(_count, nodes)))))
        for name, block, nodes in _rows(net.body, "", depth)
    ]


class TreeRow(NamedTuple):
    """A row of a tree and how deep in it; whether rows of its inside follow, and show at first."""

    row: Row
    level: int
    opens: bool = False
    open: bool = False


def tree(net: Net, depth: int | None = None) -> list[TreeRow]:
    """The rows down to a depth as `rows` has them, modules before their inside, and all below them.

    The rows of level 0 have the net's layers, and each that opens has those one level below it.
    """
    found: list[TreeRow] = []

    def add(name: str, block: Block, nodes: tuple[Node, ...], at: int, level: int) -> None:
        end = at + sum(map(_count, nodes))
        found.append(TreeRow(Row(name, block, nodes, net.layers[at:end]), level))

    def walk(block: Block, prefix: str, depth: int | None, level: int, at: int) -> None:
        for line in _lines(block):
            # A line is one row where the table has no modules open; its layers are inside.
            plain = not any(isinstance(node, Instance) for node in line)
            whole = len(line) > 1 and (depth == 1 or (depth is not None and plain))
            if whole:
                add(prefix + line[0].name, block, tuple(line), at, level)
                found[-1] = found[-1]._replace(opens=True)
            inside = level + whole
            for node in line:
                if isinstance(node, Instance) and not node.block.layer_count:
                    continue  # such blocks may be inside each other by the million
                add(prefix + node.name, block, (node,), at, inside)
                if isinstance(node, Instance):
                    opened = depth is None or depth > 1
                    found[-1] = found[-1]._replace(opens=True, open=opened)
                    deeper = None if depth is None else max(depth - 1, 1)
                    walk(node.block, f"{prefix}{node.name}.", deeper, inside + 1, at)
                at += _count(node)

    if depth != 0:
        walk(net.body, "", depth, 0, 0)
    return found


def _count(node: Node) -> int:
    return node.block.layer_count if isinstance(node, Instance) else 1


def _source(node: Node, layers: tuple[FlatLayer, ...]) -> FlatLayer | None:
    if isinstance(node, Layer):
        return layers[0]
    at = 0
    for inner in node.block.nodes:
        count = _count(inner)
        if node.block.outputs[0] in inner.outputs:
            return _source(inner, layers[at : at + count])
        at += count
    return None


def _rows(
    block: Block, prefix: str, depth: int | None
) -> Iterator[tuple[str, Block, tuple[Node, ...]]]:
    if depth == 0:
        return
    for line in _lines(block):
        modules = any(isinstance(node, Instance) for node in line)
        # A line is one row, unless a module in it is to be opened.
        whole = depth == 1 or (depth is not None and not modules)
        for part in (line,) if whole else ([node] for node in line):
            first = part[0]
            if isinstance(first, Instance) and depth != 1:
                inner = None if depth is None else depth - 1
                if not first.block.layer_count:
                    continue  # such blocks may be inside each other by the million
                yield from _rows(first.block, f"{prefix}{first.name}.", inner)
            else:
                yield prefix + first.name, block, tuple(part)


def _lines(block: Block) -> Iterator[list[Node]]:
    """The nodes of a block, those of one chain together."""
    line: list[Node] = []
    for node in block.nodes:
        if line and (node.line is None or node.line != line[-1].line):
            yield line
            line = []
        line.append(node)
    if line:
        yield line


def describe(node: Node) -> str:
    """A layer or instance in a few words: `conv 7x7/2`, `fire 16,64,64`."""
    if isinstance(node, Instance):
        arguments = ",".join(argument(a.value) for a in node.arguments)
        if len(arguments) > LONGEST:
            arguments = arguments[: LONGEST - 3] + "..."
        return f"{node.block.module} {arguments}".rstrip()
    return f"{node.op.keyword} {window(node)}".rstrip()


def argument(value: Any) -> str:
    """A constant of the language in a few characters, safe to print."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ",".join(argument(v) for v in value) + "]"
    if isinstance(value, float):
        return number_format.number(value)
    if isinstance(value, str):
        # Quoted, so that no line break or control character reaches the table.
        return value if value.isidentifier() else repr(value)
    return "none" if value is None else str(value)


def window(layer: Layer) -> str:
    """Kernel, stride, dilation and groups, as far as the op has them: `3x3/2 groups 32`."""
    op: Any = layer.op
    words = []
    if getattr(op, "kernel", None) is not None:
        text_ = text(op.kernel)
        if op.stride != (1, 1):
            text_ += "/" + pair(op.stride)
        words.append(text_)
    if getattr(op, "dilation", (1, 1)) != (1, 1):
        words.append(f"dilation {pair(op.dilation)}")
    if getattr(op, "groups", 1) != 1:
        words.append(f"groups {op.groups}")
    return " ".join(words)


def pair(values: tuple[Any, Any]) -> str:
    """One number where both are equal: `2`, else `1x2`."""
    first, second = values
    return str(first) if first == second else f"{first}x{second}"
