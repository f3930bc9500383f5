"""The rows of a table: a net's layers, with modules folded below a depth."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from netspec.ir import Block, Instance, Layer, Net, Node
from netspec.ops import Shape, Windowed, text

LONGEST = 40
"""Characters of a module's arguments that a row shows."""


@dataclass(frozen=True)
class Row:
    """One layer, or a line or module that stands for its layers.

    `output` is the first result of its last layer; `macs` are for batch 1. `folded` says that
    the row stands for the inside of a module.
    """

    name: str
    op: str
    output: Shape
    params: int
    macs: int
    folded: bool


def rows(net: Net, depth: int | None = None) -> list[Row]:
    """The rows down to a depth: 0 none, 1 a row for each line of the net, None every layer.

    At every depth, the rows' `params` and `macs` sum to the net's where there is any row.
    """
    return list(_rows(net.body, "", depth))


def _rows(block: Block, prefix: str, depth: int | None) -> Iterator[Row]:
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
                yield _row(part, prefix)


def _row(line: list[Node], prefix: str) -> Row:
    return Row(
        prefix + line[0].name,
        # What a line is there for: not the dropout before its convolution.
        describe(next((node for node in line if node.params), line[0])),
        line[-1].outputs[0].shape,
        sum(int(node.params) for node in line),
        sum(int(node.macs) for node in line),
        any(isinstance(node, Instance) for node in line),
    )


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
        arguments = ",".join(_argument(a.value) for a in node.arguments)
        if len(arguments) > LONGEST:
            arguments = arguments[: LONGEST - 3] + "..."
        return f"{node.block.module} {arguments}".rstrip()
    return _layer(node)


def _argument(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return "[" + ",".join(_argument(v) for v in value) + "]"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, str):
        # Quoted, so that no line break or control character reaches the table.
        return value if value.isidentifier() else repr(value)
    return "none" if value is None else str(value)


def _layer(layer: Layer) -> str:
    op: Any = layer.op
    words = [op.keyword]
    if isinstance(op, Windowed):
        window = text(op.kernel)
        if op.stride != (1, 1):
            stride = op.stride
            window += f"/{stride[0]}" if stride[0] == stride[1] else f"/{text(stride)}"
        words.append(window)
    groups = getattr(op, "groups", 1)
    if groups != 1:
        words.append(f"groups {groups}")
    return " ".join(words)
