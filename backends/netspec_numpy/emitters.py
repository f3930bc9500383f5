"""How each op is written in NumPy: as an expression of its inputs, arrays (N, C, H, W) or (N, F).

Ops that are always written as steps of their own (convolutions, ...) are in `lowering.py`.
"""

from __future__ import annotations

from netspec.codegen.python_source import (
    FunctionCall,
    Infix,
    Source,
    Verbatim,
    call,
    tuple_of,
)
from netspec.ir import Layer
from netspec.ops import (
    Op,
    activation,
    constants,
    convolution,
    normalization,
    pooling,
    reducing,
    regularization,
    reshaping,
    resizing,
)
from netspec_numpy.emission import EMITTERS, EmitScope, emits
from netspec_numpy.lowering import numbers, pads_follow_size, same_pads

__all__ = ["EMITTERS"]

Keywords = dict[str, Source | str]


@emits(convolution.ConvTranspose)
def conv_transpose(
    op: convolution.ConvTranspose, layer: Layer, s: EmitScope, inputs: list[Source]
) -> Source:
    args: list[Source | str] = [inputs[0], s.weight(layer, "weight")]
    if op.bias:
        args.append(s.weight(layer, "bias"))
    keywords: Keywords = {}
    if s.differs(op.stride, (1, 1)):
        keywords["stride"] = numbers(s, op.stride)
    if s.differs(op.pads, (0, 0, 0, 0)):
        keywords["pads"] = numbers(s, op.pads)
    if s.differs(op.output_pad, (0, 0)):
        keywords["output_pad"] = numbers(s, op.output_pad)
    if s.differs(op.dilation, (1, 1)):
        keywords["dilation"] = numbers(s, op.dilation)
    if op.group_count != 1:
        keywords["groups"] = str(int(op.group_count))
    return call(s.kernel("conv_transpose2d"), *args, **keywords)


@emits(pooling.MaxPool, several=True)
def maxpool(
    op: pooling.MaxPool, layer: Layer, s: EmitScope, inputs: list[Source], several: bool
) -> Source:
    keywords: Keywords = {}
    if pads_follow_size(layer):
        keywords["pads"] = same_pads(s, op, f"{inputs[0].flat()}.shape[2:]")
    elif s.differs(op.pads, (0, 0, 0, 0)):
        keywords["pads"] = numbers(s, op.pads)
    if s.differs(op.dilation, (1, 1)):
        keywords["dilation"] = numbers(s, op.dilation)
    if op.rounding == "ceil":
        keywords["ceil"] = "True"
    window = (numbers(s, op.kernel), numbers(s, op.stride))
    both = call(s.kernel("max_pool2d_with_indices"), inputs[0], *window, **keywords)
    return both if several else FunctionCall(both.head, both.args, tail="[0]")


@emits(pooling.AdaptiveAvgPool)
def adaptive_avgpool(
    op: pooling.AdaptiveAvgPool, layer: Layer, s: EmitScope, inputs: list[Source]
) -> Source:
    return call(s.kernel("adaptive_avg_pool2d"), inputs[0], numbers(s, op.size))


@emits(pooling.AdaptiveMaxPool)
def adaptive_maxpool(
    op: pooling.AdaptiveMaxPool, layer: Layer, s: EmitScope, inputs: list[Source]
) -> Source:
    return call(s.kernel("adaptive_max_pool2d"), inputs[0], numbers(s, op.size))


@emits(pooling.RoiPool)
def roi_pool(op: pooling.RoiPool, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    scale = [s.number(op.scale)] if s.differs((op.scale,), (1,)) else []
    return call(s.kernel("roi_pool"), *inputs, numbers(s, op.size), *scale)


@emits(resizing.Upsample)
def upsample(op: resizing.Upsample, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    size = _size(op, layer, s, inputs[0])
    if op.mode == "nearest":
        return call(s.kernel("upsample_nearest"), inputs[0], size)
    corners = str(bool(op.align_corners))
    return call(s.kernel(f"upsample_{op.mode}"), inputs[0], size, align_corners=corners)


def _size(op: resizing.Upsample, layer: Layer, s: EmitScope, x: Source) -> Source:
    """Height and width of the result of an upsampling."""
    scale = getattr(layer.stated, "scale", None)
    if scale is None:
        assert op.size is not None
        return numbers(s, op.size)
    sizes = (f"{x.flat()}.shape[{axis}]" for axis in (2, 3))
    pairs = zip(map(s.number, scale), sizes, strict=True)
    rows, columns = (size if n == "1" else f"{n} * {size}" for n, size in pairs)
    return Verbatim(f"({rows}, {columns})")


# --- one call each -------------------------------------------------------------------------------


def _emits_kernel(op: type[Op], kernel: str) -> None:
    """An op without attributes that is one kernel."""
    emits(op)(lambda op, layer, s, inputs: call(s.kernel(kernel), *inputs))


def _emits_ufunc(op: type[Op], head: str) -> None:
    """An op without attributes that NumPy has."""
    emits(op)(lambda op, layer, s, inputs: call(head, *inputs))


_emits_kernel(activation.Silu, "silu")
_emits_kernel(activation.Gelu, "gelu")
_emits_kernel(activation.HardSwish, "hard_swish")
_emits_kernel(activation.Sigmoid, "sigmoid")
_emits_kernel(activation.HardSigmoid, "hard_sigmoid")
_emits_kernel(activation.Softplus, "softplus")
_emits_kernel(activation.Softmax, "softmax")
_emits_kernel(activation.LogSoftmax, "log_softmax")
_emits_kernel(pooling.GlobalMaxPool, "global_max_pool2d")
_emits_kernel(reducing.ArgMax, "argmax")
_emits_kernel(reshaping.Flatten, "flatten")
_emits_ufunc(activation.Tanh, "np.tanh")
_emits_ufunc(activation.Abs, "np.abs")


@emits(activation.HardTanh)
def hardtanh(op: activation.HardTanh, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    return call("np.clip", inputs[0], s.number(op.min), s.number(op.max))


@emits(activation.Clamp)
def clamp(op: activation.Clamp, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    bounds = ("None" if bound is None else s.number(bound) for bound in (op.min, op.max))
    return call("np.clip", inputs[0], *bounds)


@emits(activation.Threshold)
def threshold(op: activation.Threshold, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    x = inputs[0].flat()
    return call("np.where", f"{x} <= {s.number(op.threshold)}", s.number(op.value), x)


@emits(activation.HardShrink)
def hardshrink(
    op: activation.HardShrink, layer: Layer, s: EmitScope, inputs: list[Source]
) -> Source:
    x = inputs[0].flat()
    return call("np.where", f"np.abs({x}) <= {s.number(op.threshold)}", "0.0", x)


@emits(activation.SoftShrink)
def softshrink(
    op: activation.SoftShrink, layer: Layer, s: EmitScope, inputs: list[Source]
) -> Source:
    x, bound = inputs[0], s.number(op.threshold)
    return Infix("-", (x, call("np.clip", x, f"-{bound}", bound)))


@emits(activation.TanhShrink)
def tanhshrink(op: Op, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    return Infix("-", (inputs[0], call("np.tanh", inputs[0])))


@emits(activation.SoftSign)
def softsign(op: Op, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    return Verbatim(f"{inputs[0].flat()} / (1 + np.abs({inputs[0].flat()}))")


@emits(activation.LogSigmoid)
def logsigmoid(op: Op, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    return Verbatim(f"-{s.kernel('softplus')}(-{inputs[0].flat()})")


@emits(activation.Mish)
def mish(op: Op, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    x = inputs[0]
    return Infix("*", (x, call("np.tanh", call(s.kernel("softplus"), x))))


@emits(activation.Selu)
def selu(op: Op, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    alpha, scale = "1.6732632423543772", "1.0507009873554805"
    return Infix("*", (Verbatim(scale), call(s.kernel("elu"), inputs[0], alpha)))


@emits(activation.Celu)
def celu(op: activation.Celu, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    if not s.differs((op.alpha,), (1,)):
        return call(s.kernel("elu"), inputs[0])
    x, alpha = inputs[0].flat(), s.number(op.alpha)
    below = f"{alpha} * np.expm1(np.minimum({x}, 0) / {alpha})"
    return call("np.where", f"{x} > 0", x, below)


@emits(activation.Power)
def power(op: activation.Power, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    x = _affine(op, s, inputs[0])
    if not s.differs((op.exponent,), (1,)):
        return x
    if not s.differs((op.exponent,), (2,)):
        return call("np.square", x)
    return call("np.power", x, s.number(op.exponent))


@emits(activation.Exp)
def exp(op: activation.Exp, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    x = _affine(op, s, inputs[0])
    return call("np.exp", x) if op.base is None else call("np.power", s.number(op.base), x)


@emits(activation.Log)
def log(op: activation.Log, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    result = call("np.log", _affine(op, s, inputs[0]))
    if op.base is None:
        return result
    return Infix("/", (result, call("math.log", s.number(op.base))))


def _affine(
    op: activation.Power | activation.Exp | activation.Log, s: EmitScope, x: Source
) -> Source:
    """shift + scale * x."""
    if s.differs((op.scale,), (1,)):
        x = Infix("*", (Verbatim(s.number(op.scale)), x))
    if s.differs((op.shift,), (0,)):
        shift = s.number(op.shift)
        x = Infix("-" if shift[0] == "-" else "+", (x, Verbatim(shift.removeprefix("-"))))
    return x


@emits(activation.LeakyRelu)
def leaky_relu(
    op: activation.LeakyRelu, layer: Layer, s: EmitScope, inputs: list[Source]
) -> Source:
    return call(s.kernel("leaky_relu"), inputs[0], s.number(op.slope))


@emits(activation.Elu)
def elu(op: activation.Elu, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    more = [s.number(op.alpha)] if s.differs((op.alpha,), (1,)) else []
    return call(s.kernel("elu"), inputs[0], *more)


@emits(activation.PRelu)
def prelu(op: activation.PRelu, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    return call(s.kernel("prelu"), inputs[0], s.weight(layer, "weight"))


# --- normalizations ------------------------------------------------------------------------------


@emits(normalization.LayerNorm)
def layernorm(
    op: normalization.LayerNorm, layer: Layer, s: EmitScope, inputs: list[Source]
) -> Source:
    keywords: Keywords = {"eps": s.number(op.eps)} if s.differs((op.eps,), (1e-5,)) else {}
    weights = (s.weight(layer, "weight"), s.weight(layer, "bias"))
    return call(s.kernel("layer_norm"), inputs[0], *weights, **keywords)


@emits(normalization.GroupNorm)
def groupnorm(
    op: normalization.GroupNorm, layer: Layer, s: EmitScope, inputs: list[Source]
) -> Source:
    return _group_norm(op, op.groups, layer, s, inputs[0])


@emits(normalization.InstanceNorm)
def instancenorm(
    op: normalization.InstanceNorm, layer: Layer, s: EmitScope, inputs: list[Source]
) -> Source:
    return _group_norm(op, layer.inputs[0].shape[0], layer, s, inputs[0])


def _group_norm(
    op: normalization.GroupNorm | normalization.InstanceNorm,
    groups: int,
    layer: Layer,
    s: EmitScope,
    x: Source,
) -> Source:
    keywords: Keywords = {"eps": s.number(op.eps)} if s.differs((op.eps,), (1e-5,)) else {}
    weights = [s.weight(layer, name) for name in layer.tensors]
    return call(s.kernel("group_norm"), x, str(int(groups)), *weights, **keywords)


@emits(normalization.Scale)
def scale(op: normalization.Scale, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    names = ["weight", "bias"] if op.bias else ["weight"]
    return call(s.kernel("scale_channels"), inputs[0], *(s.weight(layer, n) for n in names))


@emits(normalization.Normalize)
def normalize(
    op: normalization.Normalize, layer: Layer, s: EmitScope, inputs: list[Source]
) -> Source:
    every = op.across == "all" and len(layer.inputs[0].shape) == 3
    keywords: Keywords = {"everywhere": "True"} if every else {}
    if s.differs((op.eps,), (1e-10,)):
        keywords["eps"] = s.number(op.eps)
    return call(s.kernel("unit_length"), inputs[0], **keywords)


@emits(normalization.Shift)
def shift(op: normalization.Shift, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    return call(s.kernel("shift_channels"), inputs[0], s.weight(layer, "bias"))


@emits(normalization.Lrn)
def lrn(op: normalization.Lrn, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    numbers = {"alpha": (op.alpha, 1e-4), "beta": (op.beta, 0.75), "k": (op.k, 1.0)}
    keywords: Keywords = {
        n: s.number(v) for n, (v, default) in numbers.items() if s.differs((v,), (default,))
    }
    return call(s.kernel("local_response_norm"), inputs[0], s.number(op.size), **keywords)


@emits(reducing.Mean)
def mean(op: reducing.Mean, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    return call("np.mean", inputs[0], axis=_AXES[op.across], keepdims="True")


@emits(reducing.Sum)
def sum_(op: reducing.Sum, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    return call("np.sum", inputs[0], axis=_AXES[op.across], keepdims="True")


_AXES = {"channels": "1", "spatial": "(2, 3)"}


# --- rearranging ---------------------------------------------------------------------------------


@emits(regularization.DropPath)
@emits(regularization.Dropout)
@emits(reshaping.Identity)
def identity(op: Op, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    return inputs[0]


@emits(constants.LearnedValue)
def parameter(op: Op, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    return Verbatim(f"{s.weight(layer, 'weight')}[None]")


@emits(reshaping.Reshape)
def reshape(op: reshaping.Reshape, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    x = inputs[0].flat()
    return call(f"{x}.reshape", f"{x}.shape[0]", *map(s.number, op.shape))


@emits(reshaping.Permute)
def permute(op: reshaping.Permute, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    return call(f"{inputs[0].flat()}.transpose", "0", *(str(i + 1) for i in op.order))


@emits(reshaping.Split, several=True)
def split(
    op: reshaping.Split, layer: Layer, s: EmitScope, inputs: list[Source], several: bool
) -> Source:
    x = inputs[0].flat()
    slices = [
        Verbatim(f"{x}[:, {start or ''}:{start + int(size)}]")
        for start, size in zip(op.starts, op.sizes, strict=True)
    ]
    return tuple_of(slices) if several else slices[0]


def _of_number(of: type[Op], kernel: str, attribute: str) -> None:
    """An op whose kernel takes one whole number."""

    @emits(of)
    def emitter(op: Op, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
        return call(s.kernel(kernel), inputs[0], str(int(getattr(op, attribute))))


_of_number(reshaping.ChannelShuffle, "channel_shuffle", "groups")
_of_number(reshaping.PixelShuffle, "pixel_shuffle", "factor")
_of_number(reshaping.PixelUnshuffle, "pixel_unshuffle", "factor")


@emits(reshaping.Flip)
def flip(op: reshaping.Flip, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    return Verbatim(f"{inputs[0].flat()}[{':, ' * (op.position + 1)}::-1]")


@emits(reshaping.Pad)
def pad(op: reshaping.Pad, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    value = [s.number(op.value)] if s.differs((op.value,), (0,)) else []
    if any(op.channels):
        sides = [(0, 0), op.channels, op.pads[:2], op.pads[2:]]
        sizes = tuple_of([tuple_of([*map(s.number, side)]) for side in sides])
        keywords = {"constant_values": value[0]} if value else {}
        return call("np.pad", inputs[0], sizes, **keywords)
    return call(s.kernel("pad2d"), inputs[0], numbers(s, op.pads), *value)


@emits(reshaping.Crop)
def crop(op: reshaping.Crop, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    offset = [numbers(s, op.offset)] if s.differs(op.offset, (0, 0)) else []
    return call(s.kernel("crop"), inputs[0], numbers(s, op.size), *offset)


@emits(reshaping.Slice)
def slice_(op: reshaping.Slice, layer: Layer, s: EmitScope, inputs: list[Source]) -> Source:
    parts = [":".join(map(s.number, section)) if section else ":" for section in op.sections]
    while parts[-1] == ":":
        parts.pop()
    places = ", ".join(part.removeprefix("0").removesuffix(":1") for part in parts)
    return Verbatim(f"{inputs[0].flat()}[:, {places}]")
