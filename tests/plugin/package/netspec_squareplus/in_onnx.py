"""The ops in ONNX."""

from __future__ import annotations

from netspec_onnx.emitters import emits
from netspec_onnx.graph import LayerGraph

from netspec_squareplus.ops import Snake, SquarePlus


@emits(SquarePlus)
def squareplus(op: SquarePlus, g: LayerGraph, x: list[str]) -> str:
    root = g.node("Sqrt", g.node("Add", g.node("Mul", *x, *x), g.floats(op.b)))
    return g.node("Mul", g.node("Add", *x, root), g.floats(0.5))


@emits(Snake)
def snake(op: Snake, g: LayerGraph, x: list[str]) -> str:
    a = g.per_channel("weight")
    sine = g.node("Sin", g.node("Mul", *x, a))
    return g.node("Add", *x, g.node("Div", g.node("Mul", sine, sine), a))
