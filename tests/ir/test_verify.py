"""Every way to break a net is found; nets that are sound are not refused."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from netspec.ir import Block, Detection, Instance, Layer, Net, Node, Value
from netspec.ir import verify as verify_module
from netspec.ir.verify import MalformedNet, problems, verify
from netspec.ops import IndexShape, Shape
from netspec.symbolic.expr import Apply, Channels, Dim, NumberLiteral, Parameter

from ..helpers import net_of

SPEC = """
module part(width, n = 2, wide = false) {
  input x
  for i in 1..n { c[i]: conv { filters: width  kernel: 1 } -> relu }
  if wide { s: conv(x) { filters: width  kernel: 1 } } else { s: conv(x) { filters: width  kernel: 3  pad: 1 } }
  t: add(c[n], s)
  output t, s
}
net whole(width = 4) {
  input data: 3x8x8
  one: part { width: width }
  two: part { width: width }
  three: part(one) { width: width }
  pool: maxpool { kernel: 2 }
  up: maxunpool(pool, pool.indices)
  again: one(data)
  sum: add(up, one, two, again)
}
"""
Change = Callable[[Net], Net]


def body(**changes: Any) -> Change:
    """Another body of the net."""
    return lambda net: replace(net, body=replace(net.body, **changes))


def nodes(change: Callable[[dict[str, Node]], list[Node] | None]) -> Change:
    """Other nodes of the net; the change gets them by name."""

    def make(net: Net) -> Net:
        by_name = {n.name: n for n in net.body.nodes}
        found = change(by_name)
        return body(nodes=tuple(by_name.values() if found is None else found))(net)

    return make


def node(name: str, /, **changes: Any) -> Change:
    """Another node of the net; a change that is a function gets the old one."""

    def make(net: Net) -> Net:
        old = next(n for n in net.body.nodes if n.name == name)
        now = {k: v(old) if callable(v) else v for k, v in changes.items()}
        new = replace(old, **now)
        return body(nodes=tuple(new if n is old else n for n in net.body.nodes))(net)

    return make


def module(**changes: Any) -> Change:
    """Another block of the instance `three`; a change that is a function gets the old block."""

    def make(instance: Instance) -> Block:
        now = {k: v(instance.block) if callable(v) else v for k, v in changes.items()}
        return replace(instance.block, **now)

    return node("three", block=make)


def shaped(shape: Shape) -> Callable[[Node], tuple[Value, ...]]:
    """The first output of a node with another shape, which nothing else takes."""
    return lambda old: (Value("other", shape), *old.outputs[1:])


def swapped(found: dict[str, Node]) -> list[Node]:
    one, *others = found.values()
    return [*others, one]


def argument(**changes: Any) -> Callable[[Instance], tuple[Any, ...]]:
    return lambda i: (replace(i.arguments[0], **changes), *i.arguments[1:])


def itself(net: Net) -> Net:
    """A block that has an instance of itself."""
    three = next(n for n in net.body.nodes if n.name == "three")
    assert isinstance(three, Instance)
    block = replace(three.block)
    object.__setattr__(block, "nodes", (*block.nodes, replace(three, name="inner", block=block)))
    return node("three", block=block)(net)


def by_name(net: Net, name: str) -> Any:
    return next(n for n in net.body.nodes if n.name == name)


def with_filters(block: Block, filters: int) -> tuple[Node, ...]:
    """The nodes of a block, the first a convolution of so many filters."""
    first, *others = block.nodes
    assert isinstance(first, Layer)
    return (replace(first, op=first.op.with_attributes(filters=filters)), *others)


BREAKS: dict[str, tuple[Change, str]] = {
    # Names.
    "two nodes of a name": (node("two", name="one"), "2 nodes are called one"),
    "two inputs of a name": (
        lambda n: body(inputs=(*n.body.inputs, Value("data", (1,))))(n),
        "2 inputs are called data",
    ),
    "no name": (node("pool", name=""), "'' is no name"),
    "a path for a name": (node("pool", name="a..b"), "'a..b' is no name"),
    "two outputs of a name": (module(output_names=("s", "s")), "2 outputs are called s"),
    "names of outputs": (module(output_names=("t",)), "2 outputs, but 1 names of outputs"),
    "two arguments of a name": (
        node("three", arguments=lambda i: (*i.arguments, i.arguments[0])),
        "2 arguments of three are called width",
    ),
    "two parameters of a name": (
        lambda n: replace(n, parameters=n.parameters * 2),
        "whole: 2 parameters are called width",
    ),
    # Values.
    "a value made twice": (
        node("up", outputs=lambda n: n.inputs[:1]),
        "pool is made 2 times",
    ),
    "a value used before it is made": (nodes(swapped), "takes one, which is made later"),
    "a value of another block": (
        lambda n: node("up", inputs=(by_name(n, "three").block.outputs[0],))(n),
        "up takes t, which no node or input of this block makes",
    ),
    "a node left out": (
        nodes(lambda found: [n for n in found.values() if n.name != "pool"]),
        "up takes pool, which no node or input of this block makes",
    ),
    "an output of nothing": (
        body(outputs=(Value("gone", (1,)),)),
        "gone is an output, which no node or input of this block makes",
    ),
    "no output": (body(outputs=(), output_names=()), "no output"),
    "a node of nothing": (node("sum", outputs=()), "sum makes nothing"),
    # Shapes.
    "a shape of two numbers": (node("sum", outputs=shaped((4, 8))), "sum has the shape 4x8"),
    "a size of nothing": (node("sum", outputs=shaped((4, 0, 8))), "sum has the shape 4x0x8"),
    "another shape than the op's": (
        node("sum", outputs=shaped((4, 8, 9))),
        "sum is 4x8x9, the rule of add gives 4<width>x8x8",
    ),
    "values for indices": (
        node("pool", outputs=lambda n: (n.outputs[0], Value("i", (4, 4, 4)))),
        "pool.indices is 4x4x4, the rule of maxpool gives index",
    ),
    "indices of another plane": (
        node(
            "pool", outputs=lambda n: (n.outputs[0], Value("i", IndexShape.of((4, 4, 4), (9, 8))))
        ),
        "pool.indices is index 4x4x4 of 9x8, the rule of maxpool gives index .*4x4 of 8x8",
    ),
    "a result too few": (node("pool", outputs=lambda n: n.outputs[:1]), "pool has 1 outputs"),
    "inputs that don't fit": (
        lambda n: node("sum", inputs=(n.body.inputs[0], n.body.nodes[0].outputs[0]))(n),
        "sum: add needs equal shapes",
    ),
    "too many inputs": (node("pool", inputs=lambda n: n.inputs * 2), "maxpool takes no 2 inputs"),
    "too few inputs": (node("sum", inputs=()), "sum: add takes no 0 inputs"),
    "indices where values belong": (
        node("up", inputs=lambda n: (n.inputs[1], n.inputs[1])),
        "up: maxunpool can't take pool.indices, which holds indices",
    ),
    "values where indices belong": (
        node("up", inputs=lambda n: (n.inputs[0], n.inputs[0])),
        "up: maxunpool can't take pool, which holds values",
    ),
    # Instances.
    "another shape than the block's": (
        node("two", outputs=lambda n: (Value("v", (4, 8, 9)), n.outputs[1])),
        "two is 4x8x9, its block gives 4<width>x8x8",
    ),
    "an output too many": (
        node("two", outputs=lambda n: (*n.outputs, Value("v", (1,)))),
        "two has 3 outputs, its block gives 2",
    ),
    "an input too many": (
        node("two", inputs=lambda n: n.inputs * 2),
        "two takes 2 inputs, its block 1",
    ),
    "another input than the block's": (
        node("three", inputs=lambda n: (n.block.inputs[0],)),
        "three takes x, which no node",
    ),
    "an input of another shape": (
        lambda n: node("three", inputs=n.body.inputs)(n),
        "three takes data of 3x8x8, its block x of 4<x.channels>x8x8",
    ),
    "an instance of a net": (module(kind="net"), "three is an instance of a net"),
    "other arguments of one block": (
        node("two", arguments=argument(value=5, expr=NumberLiteral(Fraction(5)))),
        "three has other arguments than part#2 before",
    ),
    "a block in itself": (itself, "is an instance of a block that contains this one"),
    # Shared weights.
    "the weights of nothing": (
        node("again", shares="zero"),
        "again shares the weights of zero, which has none above it",
    ),
    "the weights of what shares them": (
        lambda n: node("sum", shares="again")(n),
        "sum shares the weights of again, which has none above it",
    ),
    "the weights of another op": (
        node("up", shares="pool"),
        "up is no pool once more, whose weights it has",
    ),
    "the weights of other channels": (
        node("three", shares="one"),
        "three has other tensors than one, whose weights it has",
    ),
    # Numbers with expressions.
    "a parameter of another block": (
        node("three", arguments=argument(expr=Parameter("n"))),
        "width of three: n is no parameter or input of this block",
    ),
    "channels of another block": (
        node("sum", outputs=shaped((Dim(4, Channels("x")), 8, 8))),
        "sum: x.channels is no parameter or input of this block",
    ),
    "another number than the expression's": (
        node(
            "three", arguments=argument(expr=Apply("*", (Parameter("width"), Parameter("width"))))
        ),
        r"width of three is 4, but width \* width is 16",
    ),
    "another kind of value than the expression's": (
        node("three", arguments=argument(value="wide", expr=Parameter("width"))),
        "width of three is 'wide', but width is 4",
    ),
    "another number in an attribute": (
        module(nodes=lambda b: with_filters(b, Dim(4, Channels("y")))),
        "filters of c1: y.channels is no parameter or input of this block",
    ),
    "static of another block": (
        module(static=frozenset({Parameter("depth")})),
        "static: depth is no parameter or input of this block",
    ),
    # The net.
    "a body of a module": (body(kind="module"), "its body is the block of a module"),
    "a preprocessing too few": (
        lambda n: replace(n, preprocessing=()),
        "1 inputs, but 0 are given a preprocessing or None",
    ),
    "a detection of other planes": (
        lambda n: replace(n, detection=Detection(((1.0, 1.0),))),
        "its outputs are no planes of 1 anchors",
    ),
    "a parameter that is static for the net": (
        lambda n: replace(n, parameters=(replace(n.parameters[0], static=True),)),
        "whether width is static: only the net says so",
    ),
    "a parameter that is static for the block": (
        body(static=frozenset({Parameter("width")})),
        "whether width is static: only the block says so",
    ),
}


@pytest.mark.parametrize(("change", "message"), BREAKS.values(), ids=BREAKS)
def test_a_broken_net_is_refused(change: Change, message: str) -> None:
    net = net_of(SPEC)
    assert problems(net) == []
    with pytest.raises(MalformedNet) as error:
        verify(change(net))
    assert re.search(message, str(error.value)), error.value


def test_every_problem_has_a_net_that_shows_it() -> None:
    """Each `yield` of a message in verify.py is reached by one of the nets above."""
    lines = set(problem_lines())
    seen: set[int] = set()

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if frame.f_code.co_filename != verify_module.__file__:
            return None
        if event == "line":
            seen.add(frame.f_lineno)
        return trace

    before = sys.gettrace()
    for change, _ in BREAKS.values():
        net = net_of(SPEC)
        sys.settrace(trace)
        try:
            with pytest.raises(MalformedNet):
                verify(change(net))
        finally:
            sys.settrace(before)
    assert lines <= seen


def problem_lines() -> Iterator[int]:
    """The lines of verify.py on which a message is yielded."""
    tree = ast.parse(Path(verify_module.__file__).read_text(encoding="utf-8"))
    for statement in ast.walk(tree):
        if isinstance(statement, ast.Yield):
            yield statement.lineno


def test_every_net_of_the_tests_is_verified() -> None:
    """conftest.py verifies a net as it is made, be it by elaboration or by a pass."""
    net = net_of(SPEC)
    with pytest.raises(MalformedNet, match="no output"):
        replace(net, body=replace(net.body, outputs=(), output_names=()))


def test_all_problems_are_listed() -> None:
    def change(net: Net) -> Net:
        outputs = (Value("v", (4, 8, 8)),)
        broken = replace(by_name(net, "sum"), outputs=outputs, inputs=outputs)
        return replace(net, body=replace(net.body, nodes=(*net.body.nodes[:-1], broken)))

    with pytest.raises(MalformedNet) as error:
        change(net_of(SPEC))
    assert len(error.value.problems) > 1
    assert all(p.startswith("whole#1: ") for p in error.value.problems)
