"""What emitters and planners are, and those that are registered.

    @emits(LeakyRelu)
    def leaky_relu(op: LeakyRelu, layer: Layer, scope: EmitScope, inputs: list[Source]) -> Source:
        return call(scope.kernel("leaky_relu"), inputs[0], repr(float(op.slope)))

An emitter returns the expression that computes an op on arrays (N, C, H, W) or (N, F). A planner
(`lowering.py`) writes steps that work in the arena; an op has one where it is worth the code.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from netspec.codegen.emitters import Emitters
from netspec.codegen.python_source import Source
from netspec.ir import Layer
from netspec.ops import Op
from netspec_numpy.lowering import AttributeNumbers


class EmitScope(AttributeNumbers, Protocol):
    """What an emitter needs of the file that it writes for."""

    def weight(self, layer: Layer, name: str) -> str:
        """Source of one of the layer's tensors."""


Emitter = Callable[[Layer, EmitScope, list[Source], bool], Source]
"""Of a layer, its scope, its inputs, and whether more than its first result is used."""

EMITTERS: Emitters[Emitter] = Emitters("numpy")


def emits(
    op: type[Op], *, several: bool = False
) -> Callable[[Callable[..., Source]], Callable[..., Source]]:
    """Decorator: register the emitter of an op, `(op, layer, scope, inputs) -> Source`.

    With `several`, the emitter takes as a fifth argument whether more than the first result is
    used: then it returns a tuple of all.
    """

    def register(emitter: Callable[..., Source]) -> Callable[..., Source]:
        def of_layer(layer: Layer, scope: EmitScope, inputs: list[Source], more: bool) -> Source:
            return emitter(layer.op, layer, scope, inputs, *([more] if several else []))

        EMITTERS[op] = of_layer
        return emitter

    return register
