"""How ops are written that have no steps of their own: as expressions of plain kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

from netspec.codegen.python_source import (
    FunctionCall,
    Infix,
    Source,
    Verbatim,
    call,
    tuple_of,
)
from netspec.ir import Layer
from netspec.ops import Op
from netspec.ops.activation import (
    Abs,
    Elu,
    Exp,
    Gelu,
    HardSigmoid,
    HardSwish,
    LeakyRelu,
    Log,
    LogSoftmax,
    Power,
    PRelu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Tanh,
)
from netspec.ops.attribute_types import Pads
from netspec.ops.convolution import ConvTranspose
from netspec.ops.merging import Add, Maximum, Mul, Sub
from netspec.ops.normalization import LayerNorm, Lrn, Normalize, Scale, Shift
from netspec.ops.pooling import AdaptiveAvgPool, GlobalMaxPool, MaxPool
from netspec.ops.reducing import ArgMax
from netspec.ops.regularization import Dropout
from netspec.ops.reshaping import (
    ChannelShuffle,
    Crop,
    Flatten,
    Identity,
    Pad,
    Permute,
    Reshape,
    Split,
)
from netspec.ops.resizing import MaxUnpool, Upsample


class EmitScope(Protocol):
    """What an emitter needs of the function it writes for."""

    def weight(self, layer: Layer, name: str) -> str:
        """Source of one of the layer's tensors."""

    def kernel(self, name: str) -> str:
        """The name of a kernel, which is included in the file."""


Emitter = Callable[[Layer, EmitScope, list[Source], bool], Source]
"""Of the layer, its function's scope, its inputs, and whether more than one result is used."""

EMITTERS: dict[type[Op], Emitter] = {}


def emits(op: type[Op]) -> Callable[[Callable[..., Source]], Callable[..., Source]]:
    """Decorator: the emitter of an op."""

    def register(emitter: Callable[..., Source]) -> Callable[..., Source]:
        def with_op(layer: Layer, scope: EmitScope, inputs: list[Source], several: bool) -> Source:
            return emitter(layer.op, layer, scope, inputs, several)

        EMITTERS[op] = with_op
        return emitter

    return register


Keywords = dict[str, Source | str]


def _pads(pads: Pads) -> str:
    return str(tuple(int(p) for p in pads))


def _pair(pair: tuple[int, int]) -> str:
    return str((int(pair[0]), int(pair[1])))


@emits(ConvTranspose)
def conv_transpose(
    op: ConvTranspose, layer: Layer, s: EmitScope, inputs: list[Source], _: bool
) -> Source:
    args: list[Source | str] = [inputs[0], s.weight(layer, "weight")]
    if op.bias:
        args.append(s.weight(layer, "bias"))
    keywords: Keywords = {}
    if op.stride != (1, 1):
        keywords["stride"] = _pair(op.stride)
    if any(op.pads):
        keywords["pads"] = _pads(op.pads)
    if op.output_pad != (0, 0):
        keywords["output_pad"] = _pair(op.output_pad)
    if op.dilation != (1, 1):
        keywords["dilation"] = _pair(op.dilation)
    if op.group_count != 1:
        keywords["groups"] = str(int(op.group_count))
    return call(s.kernel("conv_transpose2d"), *args, **keywords)


@emits(MaxPool)
def maxpool(op: MaxPool, layer: Layer, s: EmitScope, inputs: list[Source], several: bool) -> Source:
    keywords: Keywords = {}
    if any(op.pads):
        keywords["pads"] = _pads(op.pads)
    if op.dilation != (1, 1):
        keywords["dilation"] = _pair(op.dilation)
    if op.rounding == "ceil":
        keywords["ceil"] = "True"
    window = (_pair(op.kernel), _pair(op.stride))
    both = call(s.kernel("max_pool2d_with_indices"), inputs[0], *window, **keywords)
    return both if several else FunctionCall(both.head, both.args, tail="[0]")


@emits(AdaptiveAvgPool)
def adaptive_avgpool(
    op: AdaptiveAvgPool, layer: Layer, s: EmitScope, inputs: list[Source], _: bool
) -> Source:
    return call(s.kernel("adaptive_avg_pool2d"), inputs[0], _pair(op.size))


@emits(MaxUnpool)
def maxunpool(op: MaxUnpool, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    return call(s.kernel("max_unpool2d"), *inputs, _size(layer))


@emits(Upsample)
def upsample(op: Upsample, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    if op.mode == "nearest":
        return call(s.kernel("upsample_nearest"), inputs[0], _size(layer))
    corners = str(bool(op.align_corners))
    kernel = s.kernel("upsample_bilinear")
    return call(kernel, inputs[0], _size(layer), align_corners=corners)


def _size(layer: Layer) -> str:
    """Height and width of the result."""
    _, height, width = layer.outputs[0].shape
    return _pair((height, width))


# --- one kernel each -----------------------------------------------------------------------------

_PLAIN: dict[type[Op], str] = {
    Silu: "silu",
    Gelu: "gelu",
    HardSwish: "hard_swish",
    Sigmoid: "sigmoid",
    HardSigmoid: "hard_sigmoid",
    Softplus: "softplus",
    Softmax: "softmax",
    LogSoftmax: "log_softmax",
    GlobalMaxPool: "global_max_pool2d",
    Flatten: "flatten",
}


def _plain(kernel: str) -> Callable[..., Source]:
    def emitter(op: Op, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
        return call(s.kernel(kernel), *inputs)

    return emitter


for _op, _kernel in _PLAIN.items():
    emits(_op)(_plain(_kernel))


@emits(Tanh)
def tanh(op: Op, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    return call("np.tanh", *inputs)


@emits(Abs)
def abs_(op: Op, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    return call("np.abs", *inputs)


@emits(Power)
def power(op: Power, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    x = _affine(op, inputs[0])
    if op.exponent == 1:
        return x
    if op.exponent == 2:
        return call("np.square", x)
    return call("np.power", x, repr(float(op.exponent)))


@emits(Exp)
def exp(op: Exp, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    x = _affine(op, inputs[0])
    return call("np.exp", x) if op.base is None else call("np.power", repr(float(op.base)), x)


@emits(Log)
def log(op: Log, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    result = call("np.log", _affine(op, inputs[0]))
    if op.base is None:
        return result
    return Infix("/", (result, Verbatim(repr(math.log(op.base)))))


def _affine(op: Power | Exp | Log, x: Source) -> Source:
    """shift + scale * x."""
    if op.scale != 1:
        x = Infix("*", (Verbatim(repr(float(op.scale))), x))
    if op.shift:
        x = Infix("-" if op.shift < 0 else "+", (x, Verbatim(repr(abs(float(op.shift))))))
    return x


@emits(ArgMax)
def argmax(op: ArgMax, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    return call(s.kernel("argmax"), inputs[0])


@emits(LeakyRelu)
def leaky_relu(op: LeakyRelu, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    return call(s.kernel("leaky_relu"), inputs[0], repr(float(op.slope)))


@emits(Elu)
def elu(op: Elu, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    more = [] if op.alpha == 1 else [repr(float(op.alpha))]
    return call(s.kernel("elu"), inputs[0], *more)


@emits(PRelu)
def prelu(op: PRelu, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    return call(s.kernel("prelu"), inputs[0], s.weight(layer, "weight"))


# --- normalizations ------------------------------------------------------------------------------


@emits(LayerNorm)
def layernorm(op: LayerNorm, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    keywords: Keywords = {} if op.eps == 1e-5 else {"eps": repr(float(op.eps))}
    weights = (s.weight(layer, "weight"), s.weight(layer, "bias"))
    return call(s.kernel("layer_norm"), inputs[0], *weights, **keywords)


@emits(Scale)
def scale(op: Scale, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    names = ["weight", "bias"] if op.bias else ["weight"]
    return call(s.kernel("scale_channels"), inputs[0], *(s.weight(layer, n) for n in names))


@emits(Normalize)
def normalize(op: Normalize, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    every = op.across == "all" and len(layer.inputs[0].shape) == 3
    keywords: Keywords = {"everywhere": "True"} if every else {}
    if op.eps != 1e-10:
        keywords["eps"] = repr(float(op.eps))
    return call(s.kernel("unit_length"), inputs[0], **keywords)


@emits(Shift)
def shift(op: Shift, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    return call(s.kernel("shift_channels"), inputs[0], s.weight(layer, "bias"))


@emits(Lrn)
def lrn(op: Lrn, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    numbers = {"alpha": (op.alpha, 1e-4), "beta": (op.beta, 0.75), "k": (op.k, 1.0)}
    keywords: Keywords = {n: repr(float(v)) for n, (v, default) in numbers.items() if v != default}
    return call(s.kernel("local_response_norm"), inputs[0], str(int(op.size)), **keywords)


# --- several inputs ------------------------------------------------------------------------------


@emits(Add)
def add(op: Op, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    return Infix("+", tuple(inputs))


@emits(Sub)
def sub(op: Op, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    return Infix("-", tuple(inputs))


@emits(Mul)
def mul(op: Op, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    return Infix("*", tuple(inputs))


@emits(Maximum)
def maximum(op: Op, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    result = inputs[0]
    for other in inputs[1:]:
        result = call("np.maximum", result, other)
    return result


# --- rearranging ---------------------------------------------------------------------------------


@emits(Dropout)
def dropout(op: Op, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    return inputs[0]


@emits(Identity)
def identity(op: Op, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    return inputs[0]


@emits(Reshape)
def reshape(op: Reshape, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    x = inputs[0].flat()
    return call(f"{x}.reshape", f"{x}.shape[0]", *(str(int(d)) for d in op.shape))


@emits(Permute)
def permute(op: Permute, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    return call(f"{inputs[0].flat()}.transpose", "0", *(str(i + 1) for i in op.order))


@emits(Split)
def split(op: Split, layer: Layer, s: EmitScope, inputs: list[Source], several: bool) -> Source:
    x = inputs[0].flat()
    slices = [
        Verbatim(f"{x}[:, {start or ''}:{start + int(size)}]")
        for start, size in zip(op.starts, op.sizes, strict=True)
    ]
    return tuple_of(slices) if several else slices[0]


@emits(ChannelShuffle)
def channel_shuffle(
    op: ChannelShuffle, layer: Layer, s: EmitScope, inputs: list[Source], _: bool
) -> Source:
    return call(s.kernel("channel_shuffle"), inputs[0], str(int(op.groups)))


@emits(Pad)
def pad(op: Pad, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    if any(op.channels):
        top, bottom, left, right = op.pads
        sides = [(0, 0), op.channels, (top, bottom), (left, right)]
        sizes = tuple_of([tuple_of([str(int(n)) for n in side]) for side in sides])
        keywords = {"constant_values": repr(float(op.value))} if op.value else {}
        return call("np.pad", inputs[0], sizes, **keywords)
    value = [repr(float(op.value))] if op.value else []
    return call(s.kernel("pad2d"), inputs[0], _pads(op.pads), *value)


@emits(Crop)
def crop(op: Crop, layer: Layer, s: EmitScope, inputs: list[Source], _: bool) -> Source:
    (top, left), (height, width) = op.offset, op.size
    rows, columns = (f"{int(n) or ''}:{int(n + m)}" for n, m in ((top, height), (left, width)))
    return Verbatim(f"{inputs[0].flat()}[:, :, {rows}, {columns}]")
