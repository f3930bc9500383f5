"""Which layers of a net have numbers that follow the heights and widths of values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from fractions import Fraction
from typing import Any

from netspec.ir.nodes import Block, Instance, Layer, Net, Value
from netspec.ops import attributes
from netspec.symbolic.expr import (
    Channels,
    Dim,
    Expr,
    Parameter,
    ParameterItem,
    Real,
    SizeOf,
    Symbol,
    follows,
    literal,
)
from netspec.symbolic.terms import leaves, substitute

Meaning = Callable[[Symbol], Expr]
"""What a symbol of a block comes to: a number, or an expression of sizes in the flat net."""


def followed_sizes(net: Net) -> dict[str, Mapping[Symbol, Expr]]:
    """What the symbols in a layer's attributes come to, in sizes of values of the flat net.

    By the paths of the layers that have a number which follows the height or width of some value.
    """
    found: dict[str, Mapping[Symbol, Expr]] = {}
    if not any(_has_sizes(block) for block in blocks(net.body)):
        return found
    flat = iter(net.layers)

    def walk(block: Block, outer: dict[Value, Value], parameter: Meaning) -> None:
        def meaning(symbol: Symbol) -> Expr:
            return (
                SizeOf(outer[symbol.value], symbol.axis)
                if isinstance(symbol, SizeOf)
                else parameter(symbol)
            )

        for node in block.nodes:
            if isinstance(node, Layer):
                layer = next(flat)
                outer.update(zip(node.outputs, layer.outputs, strict=True))
                used = {s: meaning(s) for n in _numbers(node) for s in leaves(n.expr)}
                if any(map(follows, used.values())):
                    found[layer.path] = used
                continue
            given = [outer[v] for v in node.inputs]
            if node.block.layer_count:
                inner = dict(zip(node.block.inputs, given, strict=True))
                walk(node.block, inner, _parameters(node, meaning))
                results = [inner[v] for v in node.block.outputs]
            else:
                results = [given[i] for _, i in node.block.forwarding.sources]
            outer.update(zip(node.outputs, results, strict=True))

    of_net: dict[Symbol, Expr] = {Parameter(p.name): _value(p.value) for p in net.parameters}
    walk(net.body, {v: v for v in net.body.inputs}, of_net.__getitem__)
    return found


def _parameters(instance: Instance, meaning: Meaning) -> Meaning:
    """What the parameters and input channels of an instance's block come to."""
    inputs = instance.block.inputs
    known: dict[Symbol, Expr] = {Channels(v.name): literal(int(v.shape[0])) for v in inputs}
    for a in instance.arguments:
        known[Parameter(a.name)] = _value(a.value)
        for symbol, stated in a.meanings():
            value = a.value[symbol.place] if isinstance(symbol, ParameterItem) else a.value
            expr = substitute(stated, meaning)
            known[symbol] = expr if follows(expr) else _value(value)
    return known.__getitem__


def _value(value: Any) -> Expr:
    """An argument as it stands; 0 for what is no number, which is part of no expression."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    return literal(Fraction(repr(value)) if number else 0)


def blocks(block: Block) -> Iterator[Block]:
    """A block and those of the modules that it uses, each once."""
    pending, done = [block], {block}
    while pending:
        found = pending.pop()
        yield found
        used = dict.fromkeys(n.block for n in found.nodes if isinstance(n, Instance))
        inner = [inside for inside in used if inside not in done]
        done.update(inner)
        pending += inner


def _has_sizes(block: Block) -> bool:
    layers = (n for n in block.nodes if isinstance(n, Layer))
    arguments = (a for n in block.nodes if isinstance(n, Instance) for a in n.arguments)
    return any(follows(n.expr) for layer in layers for n in _numbers(layer)) or any(
        follows(expr) for a in arguments for _, expr in a.meanings()
    )


def _numbers(layer: Layer) -> Iterator[Dim | Real]:
    """The numbers with expressions in a layer's attributes, as stated and as settled."""
    for op in filter(None, (layer.op, layer.stated)):
        for attribute in attributes(type(op)):
            value = getattr(op, attribute.name)
            for number in value if isinstance(value, tuple) else (value,):
                if isinstance(number, Dim | Real):
                    yield number
