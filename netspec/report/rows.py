"""The rows of a table: a net's layers, with modules folded below a depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from netspec.ir import Block, Instance, Layer, Net, Node
from netspec.ops import Shape, text


@dataclass(frozen=True)
class Row:
    """One layer, or a module that stands for its layers."""

    name: str
    op: str
    output: Shape
    params: int
    macs: int
    folded: bool


def rows(net: Net, depth: int | None = None) -> list[Row]:
    """The rows down to a depth: 0 none, 1 a row for each line of the net, None every layer."""
    return list(_rows(net.body, "", depth))


def _rows(block: Block, prefix: str, depth: int | None) -> Iterator[Row]:
    if depth == 0:
        return
    for line in _lines(block, depth is not None):
        first = line[0]
        if isinstance(first, Instance) and len(line) == 1 and depth != 1:
            inner = None if depth is None else depth - 1
            yield from _rows(first.block, f"{prefix}{first.name}.", inner)
        else:
            yield Row(
                prefix + first.name,
                describe(first),
                line[-1].outputs[0].shape,
                sum(n.params for n in line),
                sum(n.macs for n in line),
                isinstance(first, Instance),
            )


def _lines(block: Block, folded: bool) -> Iterator[list[Node]]:
    """The nodes of a block; those of one chain together where it is `folded`."""
    line: list[Node] = []
    for node in block.nodes:
        if line and not (folded and node.line is not None and node.line == line[-1].line):
            yield line
            line = []
        line.append(node)
    if line:
        yield line


def describe(node: Node) -> str:
    """A layer or instance in a few words: `conv 7x7/2`, `fire 16,64,64`."""
    if isinstance(node, Instance):
        numbers = ",".join(_argument(a.value) for a in node.arguments)
        return f"{node.block.module} {numbers}".rstrip()
    return _layer(node)


def _argument(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ",".join(_argument(v) for v in value) + "]"
    if isinstance(value, float):
        return f"{value:g}"
    return "none" if value is None else str(value)


def _layer(layer: Layer) -> str:
    op: Any = layer.op
    words = [op.keyword]
    if hasattr(op, "kernel"):
        window = text(op.kernel)
        if op.stride != (1, 1):
            stride = op.stride
            window += f"/{stride[0]}" if stride[0] == stride[1] else f"/{text(stride)}"
        words.append(window)
    groups = getattr(op, "groups", 1)
    if groups != 1:
        words.append(f"groups {groups}")
    return " ".join(words)
