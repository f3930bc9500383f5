"""How each op is written with the kernels of `kernels.py`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from netspec.ir import Layer
from netspec.layout import Infix, Source, call, tuple_of
from netspec.ops import (
    Add,
    AvgPool,
    BatchNorm,
    Concat,
    Conv,
    Dropout,
    Flatten,
    GlobalAvgPool,
    Linear,
    MaxPool,
    Op,
    Relu,
    Softmax,
)
from netspec.ops.kinds import Pads


class Scope(Protocol):
    """What an emitter needs of the function it writes for."""

    def weight(self, layer: Layer, name: str) -> str:
        """Source of one of the layer's tensors."""

    def kernel(self, name: str) -> str:
        """The name of a kernel, which is included in the file."""


Emitter = Callable[[Layer, Scope, list[Source], bool], Source]
"""Of the layer, its function's scope, its inputs, and whether more than one result is used."""

EMITTERS: dict[type[Op], Emitter] = {}
WRAPS: set[type[Op]] = set()
"""Ops that read well around the expression of their input."""


def emits(
    op: type[Op], wraps: bool = False
) -> Callable[[Callable[..., Source]], Callable[..., Source]]:
    """Decorator: the emitter of an op."""

    def register(emitter: Callable[..., Source]) -> Callable[..., Source]:
        def with_op(layer: Layer, scope: Scope, inputs: list[Source], several: bool) -> Source:
            return emitter(layer.op, layer, scope, inputs, several)

        EMITTERS[op] = with_op
        if wraps:
            WRAPS.add(op)
        return emitter

    return register


Keywords = dict[str, Source | str]


def _pads(pads: Pads) -> str:
    return str(tuple(int(p) for p in pads))


def _pair(pair: tuple[int, int]) -> str:
    return str((int(pair[0]), int(pair[1])))


@emits(Conv)
def conv(op: Conv, layer: Layer, s: Scope, inputs: list[Source], _: bool) -> Source:
    args: list[Source | str] = [inputs[0], s.weight(layer, "weight")]
    if op.bias:
        args.append(s.weight(layer, "bias"))
    keywords: Keywords = {}
    if op.stride != (1, 1):
        keywords["stride"] = _pair(op.stride)
    if any(op.pads):
        keywords["pads"] = _pads(op.pads)
    if op.dilation != (1, 1):
        keywords["dilation"] = _pair(op.dilation)
    if op.group_count != 1:
        keywords["groups"] = str(int(op.group_count))
    return call(s.kernel("conv2d"), *args, **keywords)


@emits(Linear)
def linear(op: Linear, layer: Layer, s: Scope, inputs: list[Source], _: bool) -> Source:
    args: list[Source | str] = [inputs[0], s.weight(layer, "weight")]
    if op.bias:
        args.append(s.weight(layer, "bias"))
    return call(s.kernel("linear"), *args)


@emits(BatchNorm, wraps=True)
def batchnorm(op: BatchNorm, layer: Layer, s: Scope, inputs: list[Source], _: bool) -> Source:
    names = ["running_mean", "running_var", *(["weight", "bias"] if op.affine else [])]
    keywords: Keywords = {} if op.eps == 1e-5 else {"eps": repr(float(op.eps))}
    return call(s.kernel("batch_norm"), inputs[0], *(s.weight(layer, n) for n in names), **keywords)


@emits(MaxPool)
def maxpool(op: MaxPool, layer: Layer, s: Scope, inputs: list[Source], several: bool) -> Source:
    kernel = s.kernel("max_pool2d_with_indices" if several else "max_pool2d")
    keywords: Keywords = {}
    if any(op.pads):
        keywords["pads"] = _pads(op.pads)
    if op.dilation != (1, 1):
        keywords["dilation"] = _pair(op.dilation)
    if op.rounding == "ceil":
        keywords["ceil"] = "True"
    return call(kernel, inputs[0], _pair(op.kernel), _pair(op.stride), **keywords)


@emits(AvgPool)
def avgpool(op: AvgPool, layer: Layer, s: Scope, inputs: list[Source], _: bool) -> Source:
    keywords: Keywords = {}
    if any(op.pads):
        keywords["pads"] = _pads(op.pads)
    if op.rounding == "ceil":
        keywords["ceil"] = "True"
    if any(op.pads) and not op.count_include_pad:
        keywords["count_include_pad"] = "False"
    kernel = s.kernel("avg_pool2d")
    return call(kernel, inputs[0], _pair(op.kernel), _pair(op.stride), **keywords)


@emits(GlobalAvgPool)
def global_avgpool(op: Op, layer: Layer, s: Scope, inputs: list[Source], _: bool) -> Source:
    return call(s.kernel("global_avg_pool2d"), *inputs)


@emits(Relu, wraps=True)
def relu(op: Op, layer: Layer, s: Scope, inputs: list[Source], _: bool) -> Source:
    return call(s.kernel("relu"), *inputs)


@emits(Softmax)
def softmax(op: Op, layer: Layer, s: Scope, inputs: list[Source], _: bool) -> Source:
    return call(s.kernel("softmax"), *inputs)


@emits(Dropout, wraps=True)
def dropout(op: Op, layer: Layer, s: Scope, inputs: list[Source], _: bool) -> Source:
    return inputs[0]


@emits(Concat)
def concat(op: Op, layer: Layer, s: Scope, inputs: list[Source], _: bool) -> Source:
    return call("np.concatenate", tuple_of(inputs), axis="1")


@emits(Add)
def add(op: Op, layer: Layer, s: Scope, inputs: list[Source], _: bool) -> Source:
    return Infix("+", tuple(inputs))


@emits(Flatten)
def flatten(op: Op, layer: Layer, s: Scope, inputs: list[Source], _: bool) -> Source:
    return call(s.kernel("flatten"), *inputs)
