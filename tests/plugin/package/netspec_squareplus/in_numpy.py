"""The ops in NumPy."""

from __future__ import annotations

from pathlib import Path

from netspec_numpy.emission import EmitScope, emits
from netspec_numpy.kernel_source import add_kernels

from netspec.codegen.python_source import Source, Verbatim, call
from netspec.ir import Layer
from netspec_squareplus.ops import Snake, SquarePlus

add_kernels(Path(__file__).parent / "kernels.py")


@emits(SquarePlus)
def squareplus(op: SquarePlus, layer: Layer, scope: EmitScope, inputs: list[Source]) -> Source:
    x = inputs[0].flat()
    return Verbatim(f"({x} + np.sqrt({x} * {x} + {float(op.b)})) / 2")


@emits(Snake)
def snake(op: Snake, layer: Layer, scope: EmitScope, inputs: list[Source]) -> Source:
    return call(scope.kernel("snake"), inputs[0], scope.weight(layer, "weight"))
