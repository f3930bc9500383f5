"""The ops in PyTorch."""

from __future__ import annotations

from pathlib import Path

from netspec_torch.emission import Emission, as_module, emits
from netspec_torch.support import add_modules

from netspec.codegen.python_source import Source, Verbatim, call
from netspec.codegen.writing.emission import WrittenLayer
from netspec.codegen.writing.spelling import ConstructorNumbers
from netspec_squareplus.ops import Snake, SquarePlus

add_modules(Path(__file__).parent / "modules.py")


@emits(SquarePlus)
def squareplus(op: SquarePlus, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    def forward(_: str, inputs: list[Source]) -> Source:
        x = inputs[0].flat()
        return Verbatim(f"({x} + torch.sqrt({x}.square() + {w.fixed(op.b)})) / 2")

    return Emission(forward)


@emits(Snake, wraps=True)
def snake(op: Snake, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return as_module(call(w.support("Snake"), w.number(layer.inputs[0].shape[0])))
