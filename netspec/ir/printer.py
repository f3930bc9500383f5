"""The text of a net, block by block; docs/ir.md has its grammar.

    block fire#1(squeeze = 16, expand = 64) {
      input x: 96<x.channels>x54x54
      squeeze: 16<squeeze>x54x54 = conv(x) { filters: 16<squeeze>, kernel: 1x1 }
      ...

Each block stands once, before the blocks that use it, so that a text is as long as the net's parts
differ. A net that is not well-formed (ir/verify.py) is printed as well, as far as it goes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from netspec.ir.config import Preprocessing
from netspec.ir.nodes import Argument, Block, Instance, Layer, Net, Node, Value
from netspec.ir.op_value import OpValue
from netspec.lazy_dataclasses import fields
from netspec.ops import Init, Op, Shape
from netspec.ops.attribute_types import Dimensions, Pair, Size
from netspec.ops.base import Attr, IndexShape, attributes
from netspec.symbolic.expr import (
    Channels,
    Dim,
    Expr,
    Num,
    NumberLiteral,
    ParameterItem,
    Real,
    SizeOf,
    Symbol,
    constant_source,
    expression_source,
)

INDENT = "  "


def text(net: Net) -> str:
    """The net's blocks, those of modules first; ends with a line break."""
    labels = block_labels(net.body)
    uses = _first_uses(labels)
    sections = []
    for block, label in labels.items():
        if block is net.body:
            header = f"net {net.name}{_parameters((p.name, p.value) for p in net.parameters)}"
        else:
            use = uses.get(block, ())
            header = f"block {label}{_parameters((a.name, a.value) for a in use)}"
        sections.append("\n".join([f"{header} {{", *_BlockText(net, block, labels).lines(), "}"]))
    return "\n\n".join(sections) + "\n"


def blocks_of(body: Block) -> list[Block]:
    """A block and those that it uses, each once and behind all that it uses itself."""
    found: dict[Block, None] = {}
    open_: set[Block] = set()
    stack: list[tuple[Block, bool]] = [(body, False)]
    while stack:
        block, complete = stack.pop()
        if complete:
            found[block] = None
        elif block not in open_:
            open_.add(block)
            stack.append((block, True))
            inner = [n.block for n in block.nodes if isinstance(n, Instance)]
            stack += ((b, False) for b in reversed(inner))
    return list(found)


def value_labels(block: Block) -> dict[Value, str]:
    """What the text calls each value of a block.

    That is the name of the input or node, for further results of a node with a dot and their name
    or position behind it. A prime follows what is taken already, as by an input of this name.
    """
    labels: dict[Value, str] = {}
    taken: set[str] = set()

    def add(value: Value, label: str) -> None:
        while label in taken:
            label += "'"
        taken.add(label)
        labels.setdefault(value, label)

    for value in block.inputs:
        add(value, value.name)
    for node in block.nodes:
        names = node.op.result_names if isinstance(node, Layer) else node.block.output_names
        for i, value in enumerate(node.outputs):
            name = names[i] if i < len(names) and names[i] else str(i)
            add(value, f"{node.name}.{name}" if i else node.name)
    return labels


def block_labels(body: Block) -> dict[Block, str]:
    """The name of each block, its module's with a number, in the order of the text."""
    counts: dict[str, int] = {}
    labels = {}
    for block in blocks_of(body):
        counts[block.module] = counts.get(block.module, 0) + 1
        labels[block] = f"{block.module}#{counts[block.module]}"
    return labels


def _first_uses(blocks: Iterable[Block]) -> dict[Block, tuple[Argument, ...]]:
    """The arguments with which each block is used; their values are the same in all uses."""
    found: dict[Block, tuple[Argument, ...]] = {}
    for block in blocks:
        for node in block.nodes:
            if isinstance(node, Instance):
                found.setdefault(node.block, node.arguments)
    return found


def _parameters(named: Iterable[tuple[str, Any]]) -> str:
    inner = ", ".join(f"{name} = {_constant(value)}" for name, value in named)
    return f"({inner})" if inner else ""


# --- what stands in a block ----------------------------------------------------------------------


class _BlockText:
    """The lines of one block."""

    def __init__(self, net: Net, block: Block, labels: Mapping[Block, str]) -> None:
        self.net, self.block, self.labels = net, block, labels
        self.values = value_labels(block)

    def lines(self) -> Iterator[str]:
        """Everything between the braces of the block."""
        block = self.block
        if block.static:
            yield f"{INDENT}static {', '.join(sorted(map(symbol_text, block.static)))}"
        is_net = block is self.net.body
        preparations = self.net.preprocessing if is_net else ()
        for i, value in enumerate(block.inputs):
            prepared = preparations[i] if i < len(preparations) else None
            fields = _settings(prepared) if prepared is not None else ""
            yield f"{INDENT}input {self._made(value)}{fields}"
        if is_net and self.net.training is not None:
            yield f"{INDENT}train{_settings(self.net.training)}"
        if is_net and self.net.detection is not None:
            yield f"{INDENT}detect{_settings(self.net.detection)}"
        yield from (INDENT + self._node(node) for node in block.nodes)
        yield f"{INDENT}output {', '.join(self._outputs())}"

    def _outputs(self) -> Iterator[str]:
        names = self.block.output_names
        for i, value in enumerate(self.block.outputs):
            label = self._taken(value)
            name = names[i] if i < len(names) else ""
            yield f"{name} = {label}" if name and name != label else label

    def _node(self, node: Node) -> str:
        made = ", ".join(map(self._made, node.outputs))
        taken = ", ".join(map(self._taken, node.inputs))
        if isinstance(node, Layer):
            what, fields = node.op.keyword, _attributes(node.op)
        else:
            what, fields = self.labels[node.block], _arguments(node)
        line = f" of {node.line}" if node.line is not None and node.line != node.name else ""
        shares = f" shares {node.shares}" if node.shares is not None else ""
        return f"{made} = {what}({taken}){fields}{line}{shares}"

    def _made(self, value: Value) -> str:
        return f"{self.values[value]}: {shape_text(value.shape)}"

    def _taken(self, value: Value) -> str:
        """The label of a value that is used; one that the block has not made is marked with ?."""
        return self.values.get(value, f"?{value.name}")


def _attributes(op: Op) -> str:
    """The attributes of an op that have not their default."""
    shown = []
    for a in attributes(type(op)):
        value, default = getattr(op, a.name), a.default
        if isinstance(default, str) and default.startswith("="):
            default = getattr(op, default[1:])
        if a.required or value != default or _expressions(value):
            shown.append((a.name, _attribute(a, value)))
    return _fields(shown)


def _attribute(a: Attr, value: Any) -> str:
    if isinstance(value, tuple) and isinstance(a.kind, Pair | Size | Dimensions):
        return "x".join(map(_constant, value))
    return _bare(value)


def _arguments(instance: Instance) -> str:
    """The arguments of an instance that are anything else than the parameter's default."""
    return _fields(
        (a.name, _number(_with_items(a), a.expr))
        for a in instance.arguments
        if a.value != a.default
        or a.items
        or not (a.expr is None or isinstance(a.expr, NumberLiteral))
    )


def _with_items(a: Argument) -> Any:
    """The value of an argument, its items with the expressions that they have."""
    exprs = dict(a.items)
    if not exprs:
        return a.value
    traced = (Num(Fraction(repr(n)), exprs.get(i)) for i, n in enumerate(a.value))
    return tuple(n.integer() if n.value.denominator == 1 else n.real() for n in traced)


def _settings(settings: Any) -> str:
    """The fields of a preprocessing or training that have not their default."""
    declared = fields(settings)
    always = isinstance(settings, Preprocessing)  # an input without preprocessing has no braces
    shown = [
        (f.name, _bare(value))
        for f in declared
        if (value := getattr(settings, f.name)) != f.default or (always and f.name == "channels")
    ]
    return _fields(shown)


def _fields(named: Iterable[tuple[str, str]]) -> str:
    inner = ", ".join(f"{name}: {value}" for name, value in named)
    return f" {{ {inner} }}" if inner else ""


# --- numbers, shapes, expressions ----------------------------------------------------------------


def shape_text(shape: Shape) -> str:
    """`16<squeeze>x54x54`; indices of a pooling say the plane that they are places in."""
    dimensions = "x".join(map(_constant, shape))
    if isinstance(shape, IndexShape):
        return f"index {dimensions} of {'x'.join(str(int(d)) for d in shape.plane)}"
    return dimensions


def _constant(value: Any) -> str:
    match value:
        case None:
            return "none"
        case bool():
            return "true" if value else "false"
        case Dim():
            return _number(int(value), value.expr)
        case Real():
            return _number(float(value), value.expr)
        case int() | float():
            return repr(value)
        case str():
            return constant_source(value)
        case tuple():
            return f"[{', '.join(map(_constant, value))}]"
        case Init() | OpValue():
            return str(value)
        case _:
            return repr(value)


def _bare(value: Any) -> str:
    return value if isinstance(value, str) else _constant(value)


def _number(value: Any, expr: Expr | None) -> str:
    """A constant, with the expression that it came from if that is more than the constant."""
    if expr is None or isinstance(expr, NumberLiteral):
        return _constant(value)
    return f"{_constant(value)}<{expression_text(expr)}>"


def _expressions(value: Any) -> bool:
    if isinstance(value, tuple):
        return any(map(_expressions, value))
    return isinstance(value, Dim | Real)


def expression_text(expr: Expr) -> str:
    """An expression as the language writes it: `round(width * 64)`, `x.channels`."""
    return _MATH.sub(r"\1(", expression_source(expr, symbol_text))


_MATH = re.compile(r"\bmath\.(\w+)\(")


def symbol_text(symbol: Symbol) -> str:
    """`width`, `x.channels` for the channels of an input, `x.height` for that of a value."""
    match symbol:
        case Channels(name):
            return f"{name}.channels"
        case SizeOf(value, axis):
            return f"{value.name}.{'height' if axis == 1 else 'width'}"
        case ParameterItem(parameter, place):
            return f"{parameter}[{place}]"
    return symbol.name
