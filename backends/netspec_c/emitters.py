"""How each op is computed in C: calls of kernels."""

from __future__ import annotations

from math import inf, log, prod
from typing import Any

from netspec.ops import (
    Op,
    activation,
    constants,
    convolution,
    merging,
    normalization,
    pooling,
    reducing,
    regularization,
    reshaping,
    resizing,
)
from netspec_c.c_language import number
from netspec_c.emission import EMITTERS, CStep, emits

__all__ = ["EMITTERS"]

BLOCK = 16
"""Channels that lie side by side."""


def rounded(channels: int) -> int:
    """Channels rounded up to whole blocks."""
    return -(-int(channels) // BLOCK) * BLOCK


# --- convolutions --------------------------------------------------------------------------------


def window(s: CStep, kernel: Any, stride: Any, pads: Any, dilation: Any = (1, 1)) -> str:
    """A window in C."""
    (kh, kw), (sh, sw), (top, _, left, _) = kernel, stride, pads
    dh, dw = dilation
    if kh == kw and sh == sw and top == left and dh == dw == 1:
        s.needs("square_window")
        return f"WINDOW({int(kh)}, {int(sh)}, {int(top)})"
    return f"(Window){{{', '.join(str(int(n)) for n in (kh, kw, sh, sw, top, left, dh, dw))}}}"


CLAMPS: dict[tuple[float, float] | None, str] = {None: "NONE", (0, inf): "RELU", (0, 6): "RELU6"}


def clamp(s: CStep) -> str:
    """The bounds that the fused activation holds a result to."""
    return CLAMPS[s.layer.activation.clip if s.layer.activation else None]


def clamped(s: CStep) -> None:
    """Apply the fused activation to a result that a kernel without bounds computed."""
    if s.layer.activation and s.layer.activation.clip:
        low, high = s.layer.activation.clip
        s.call("clamp_values", s.y, s.y, number(low), number(high))


@emits(convolution.Conv)
def conv(op: convolution.Conv, s: CStep) -> None:
    kernel, (before, weight, bias) = s.convolution(), s.filters()
    channels, filters = int(s.layer.inputs[-1].shape[0]), int(op.filters)
    kh, kw = (int(n) for n in op.kernel)
    x = s.inputs[-1]
    add = f"{s.inputs[0]}.at" if s.layer.addend is not None else "NULL"
    at = window(s, op.kernel, op.stride, op.pads, op.dilation)
    groups = int(op.group_count)
    given = f"{weight}, {bias}"
    s.scratch(kernel.scratch)
    name = kernel.name
    if name == "conv_depthwise":
        pack = f"pack_depthwise({given}, {channels}, {kh}, {kw}, {{p}})"
    elif name == "conv_plain":
        pack = f"pack_conv_plain({given}, {filters}, {channels}, {kh}, {kw}, {{p}})"
    elif name == "conv_winograd":
        pack = f"pack_winograd({given}, {filters}, {channels}, {{p}})"
    else:
        pack = f"pack_conv({given}, {filters}, {channels}, {kh}, {kw}, {groups}, {{p}})"
    w = s.packed(kernel.packed, [*before, pack])
    if name == "conv_depthwise":
        s.call(name, x, s.y, w, at, clamp(s), add)
    elif name == "conv_plain":
        s.call(name, x, s.y, w, at, clamp(s))
    elif name == "conv_winograd":
        top, _, left, _ = (str(int(n)) for n in op.pads)
        s.call(name, x, s.y, w, top, left, clamp(s), add)
    else:
        s.call(name, x, s.y, w, at, str(groups), clamp(s), add)


@emits(convolution.Linear)
def linear(op: convolution.Linear, s: CStep) -> None:
    kernel, (before, weight, bias) = s.convolution(), s.filters()
    units, inputs = int(op.units), int(s.layer.inputs[0].shape[0])
    pack = f"pack_conv({weight}, {bias}, {units}, {inputs}, 1, 1, 1, {{p}})"
    w = s.packed(kernel.packed, [*before, pack])
    s.scratch(kernel.scratch)
    s.call("conv", s.x, s.y, w, window(s, (1, 1), (1, 1), (0, 0, 0, 0)), "1", clamp(s), "NULL")


@emits(convolution.ConvTranspose)
def conv_transpose(op: convolution.ConvTranspose, s: CStep) -> None:
    kernel = s.convolution()
    channels, groups = int(s.layer.inputs[0].shape[0]), int(op.group_count)
    at = window(s, op.kernel, op.stride, op.pads, op.dilation)
    given = f"{s.tensor('weight')}, {s.tensor('bias')}, {int(op.filters)}, {channels}"
    w = s.packed(kernel.packed, [f"pack_conv_transpose({given}, {at}, {groups}, {{p}})"])
    s.scratch(kernel.scratch)
    s.call("conv_transpose", s.x, s.y, w, at, str(groups), "NONE")


# --- poolings ------------------------------------------------------------------------------------


@emits(pooling.MaxPool)
def max_pool(op: pooling.MaxPool, s: CStep) -> None:
    at = window(s, op.kernel, op.stride, op.pads, op.dilation)
    if len(s.outputs) > 1:
        s.call("max_pool_indices", s.x, s.y, s.outputs[1], at)
    else:
        s.call("max_pool", s.x, s.y, at, clamp(s))


@emits(pooling.AvgPool)
def avg_pool(op: pooling.AvgPool, s: CStep) -> None:
    at = window(s, op.kernel, op.stride, op.pads)
    _, bottom, _, right = (str(int(n)) for n in op.pads)
    s.call("avg_pool", s.x, s.y, at, str(int(bool(op.count_include_pad))), bottom, right, "NONE")


@emits(pooling.GlobalAvgPool)
def global_avg_pool(op: Op, s: CStep) -> None:
    s.needs("vector")
    s.call("global_avg_pool", s.x, f"vector({s.y})", "NONE")


@emits(pooling.GlobalMaxPool)
def global_max_pool(op: Op, s: CStep) -> None:
    s.needs("vector")
    s.call("global_max_pool", s.x, f"vector({s.y})", "NONE")


@emits(pooling.AdaptiveAvgPool, pooling.AdaptiveMaxPool)
def adaptive_pool(op: Op, s: CStep) -> None:
    s.call("adaptive_pool", s.x, s.y, str(int(isinstance(op, pooling.AdaptiveMaxPool))))


@emits(pooling.RoiPool)
def roi_pool(op: pooling.RoiPool, s: CStep) -> None:
    size = (str(int(n)) for n in op.size)
    s.call("roi_pool", *s.inputs, s.y, *size, number(op.scale))


@emits(resizing.MaxUnpool)
def max_unpool(op: Op, s: CStep) -> None:
    s.call("max_unpool", *s.inputs, s.y)


@emits(resizing.Upsample)
def upsample(op: resizing.Upsample, s: CStep) -> None:
    corners = [] if op.mode == "nearest" else [str(int(bool(op.align_corners)))]
    s.call(f"upsample_{op.mode}", s.x, s.y, *corners)


# --- element by element --------------------------------------------------------------------------

_ALONE: dict[type[Op], str] = {
    activation.Silu: "silu",
    activation.Gelu: "gelu",
    activation.HardSwish: "hard_swish",
    activation.Sigmoid: "sigmoid",
    activation.HardSigmoid: "hard_sigmoid",
    activation.Softplus: "softplus",
    activation.Softmax: "softmax",
    activation.LogSoftmax: "log_softmax",
    activation.Tanh: "hyperbolic_tangent",
    activation.Abs: "absolute",
    activation.TanhShrink: "tanhshrink",
    activation.SoftSign: "softsign",
    activation.LogSigmoid: "logsigmoid",
    activation.Mish: "mish",
    activation.Selu: "selu",
    reducing.ArgMax: "argmax",
    reshaping.Reshape: "reshape",
    reshaping.Flatten: "reshape",
    regularization.Dropout: "copy",
    regularization.DropPath: "copy",
    reshaping.Identity: "copy",
}
"""Ops that are one kernel without attributes."""


@emits(*_ALONE)
def alone(op: Op, s: CStep) -> None:
    s.call(_ALONE[type(op)], s.x, s.y)


_OF_NUMBERS: dict[type[Op], tuple[str, tuple[str, ...]]] = {
    activation.LeakyRelu: ("leaky_relu", ("slope",)),
    activation.Elu: ("elu", ("alpha",)),
    activation.Celu: ("celu", ("alpha",)),
    activation.Threshold: ("threshold", ("threshold", "value")),
    activation.HardShrink: ("hardshrink", ("threshold",)),
    activation.SoftShrink: ("softshrink", ("threshold",)),
}
"""Ops that are one kernel of these attributes."""


@emits(*_OF_NUMBERS)
def of_numbers(op: Op, s: CStep) -> None:
    kernel, names = _OF_NUMBERS[type(op)]
    s.call(kernel, s.x, s.y, *(number(getattr(op, name)) for name in names))


@emits(activation.Relu, activation.Relu6, activation.HardTanh, activation.Clamp)
def clip(op: Op, s: CStep) -> None:
    assert op.clip is not None
    s.call("clamp_values", s.x, s.y, *map(number, op.clip))


@emits(activation.Power)
def power(op: activation.Power, s: CStep) -> None:
    inner = (number(op.scale), number(op.shift))
    kernel = {1.0: "linear_function", 2.0: "square"}.get(float(op.exponent))
    if kernel is not None:
        s.call(kernel, s.x, s.y, *inner)
    else:
        s.call("power", s.x, s.y, *inner, number(op.exponent))


@emits(activation.Exp)
def exp(op: activation.Exp, s: CStep) -> None:
    inner = (number(op.scale), number(op.shift))
    if op.base is None:
        s.call("exponential_of", s.x, s.y, *inner)
    else:
        s.call("power_of", s.x, s.y, *inner, number(op.base))


@emits(activation.Log)
def logarithm(op: activation.Log, s: CStep) -> None:
    factor = 1.0 if op.base is None else 1 / log(op.base)
    s.call("logarithm", s.x, s.y, number(op.scale), number(op.shift), number(factor))


_PAIRS: dict[type[Op], str] = {
    merging.Add: "add",
    merging.Sub: "subtract",
    merging.Mul: "multiply",
    merging.Div: "divide",
    merging.Maximum: "maximum",
    merging.Minimum: "minimum",
}


@emits(*_PAIRS)
def arithmetic(op: Op, s: CStep) -> None:
    first, *others = s.inputs
    for other in others:
        s.call(_PAIRS[type(op)], first, other, s.y)
        first = s.y
    clamped(s)


# --- channels ------------------------------------------------------------------------------------


def _per_channel(s: CStep, weight: str, bias: str, channels: int) -> str:
    """Factors and shifts of channels, 1 and 0 where there are none."""
    size = rounded(channels)
    pack = (
        f"pack_channels({weight}, {channels}, {channels}, 1, {{p}})",
        f"pack_channels({bias}, {channels}, {channels}, 0, {{p}} + {size})",
    )
    return s.packed(2 * size, pack)


@emits(activation.PRelu)
def prelu(op: activation.PRelu, s: CStep) -> None:
    channels = int(s.layer.output.shape[0])
    given = 1 if op.shared else channels
    pack = f"pack_channels({s.tensor('weight')}, {given}, {channels}, 1, {{p}})"
    s.call("prelu", s.x, s.y, s.packed(rounded(channels), [pack]))


@emits(normalization.BatchNorm)
def batch_norm(op: normalization.BatchNorm, s: CStep) -> None:
    channels = int(s.layer.output.shape[0])
    pack = f"pack_batch_norm({s.batch_norm(s.layer.layer)}, {channels}, {{p}})"
    s.call("affine", s.x, s.y, s.packed(2 * rounded(channels), [pack]))
    clamped(s)


@emits(normalization.Scale, normalization.Shift)
def scale(op: Op, s: CStep) -> None:
    channels = int(s.layer.output.shape[0])
    w = _per_channel(s, s.tensor("weight"), s.tensor("bias"), channels)
    s.call("affine", s.x, s.y, w)


@emits(normalization.LayerNorm)
def layer_norm(op: normalization.LayerNorm, s: CStep) -> None:
    channels = int(s.layer.output.shape[0])
    w = _per_channel(s, s.tensor("weight"), s.tensor("bias"), channels)
    s.call("layer_norm", s.x, s.y, number(op.eps), w)


@emits(normalization.GroupNorm, normalization.InstanceNorm)
def group_norm(op: Any, s: CStep) -> None:
    channels = int(s.layer.output.shape[0])
    groups = int(op.groups) if isinstance(op, normalization.GroupNorm) else channels
    w = "NULL"
    if op.affine:
        w = _per_channel(s, s.tensor("weight"), s.tensor("bias"), channels)
    s.call("group_norm", s.x, s.y, str(groups), number(op.eps), w)


@emits(normalization.Lrn)
def lrn(op: normalization.Lrn, s: CStep) -> None:
    numbers = (number(n) for n in (op.alpha, op.beta, op.k))
    s.call("local_response_norm", s.x, s.y, str(int(op.size)), *numbers)


@emits(normalization.Normalize)
def normalize(op: normalization.Normalize, s: CStep) -> None:
    every = op.across == "all" and len(s.layer.inputs[0].shape) == 3
    s.call("unit_length", s.x, s.y, str(int(every)), number(op.eps))


@emits(reducing.Mean, reducing.Sum)
def reduce(op: Any, s: CStep) -> None:
    shape = [int(n) for n in s.layer.inputs[0].shape]
    count = shape[0] if op.across == "channels" else prod(shape[1:])
    factor = number(1 / count if isinstance(op, reducing.Mean) else 1)
    s.call("sum_channels" if op.across == "channels" else "sum_places", s.x, s.y, factor)


@emits(constants.LearnedValue)
def parameter(op: Any, s: CStep) -> None:
    channels, *sizes = (int(n) for n in s.layer.output.shape)
    places = prod(sizes)
    pack = f"pack_value({s.tensor('weight')}, {channels}, {places}, {{p}})"
    s.needs("learned")
    s.call("learned", s.y, s.packed(rounded(channels) * places, [pack]))


# --- rearranging ---------------------------------------------------------------------------------


@emits(merging.Concat)
def concat(op: Op, s: CStep) -> None:
    first = 0
    for name, value in zip(s.inputs, s.layer.inputs, strict=True):
        count = int(value.shape[0])
        if name:  # else it lies there
            s.call("copy_channels", name, "0", s.y, str(first), str(count))
        first += count
    clamped(s)


@emits(reshaping.Split)
def split(op: reshaping.Split, s: CStep) -> None:
    for y, start, size in zip(s.outputs, op.starts, op.sizes, strict=False):
        if y:
            s.call("copy_channels", s.x, str(int(start)), y, "0", str(int(size)))


def _slice(s: CStep, *places: tuple[int, int]) -> None:
    """First and step of each dimension."""
    given = [*places, (0, 1), (0, 1)][:3]
    s.call("slice", s.x, s.y, *(str(int(n)) for pair in given for n in pair))


@emits(reshaping.Crop, reshaping.Slice)
def slice_(op: Any, s: CStep) -> None:
    _slice(s, *((p[0], p[2]) if p else (0, 1) for p in op.sections))


@emits(reshaping.Flip)
def flip(op: reshaping.Flip, s: CStep) -> None:
    shape = s.layer.inputs[0].shape
    _slice(s, *((int(n) - 1, -1) if i == op.position else (0, 1) for i, n in enumerate(shape)))


@emits(reshaping.Permute)
def permute(op: reshaping.Permute, s: CStep) -> None:
    s.call("permute", s.x, s.y, *(str(int(n)) for n in op.order[:2]))


@emits(reshaping.ChannelShuffle)
def channel_shuffle(op: reshaping.ChannelShuffle, s: CStep) -> None:
    s.call("channel_shuffle", s.x, s.y, str(int(op.groups)))


@emits(reshaping.PixelShuffle, reshaping.PixelUnshuffle)
def pixel_shuffle(op: Any, s: CStep) -> None:
    kernel = "pixel_shuffle" if isinstance(op, reshaping.PixelShuffle) else "pixel_unshuffle"
    s.call(kernel, s.x, s.y, str(int(op.factor)))


@emits(reshaping.Pad)
def pad(op: reshaping.Pad, s: CStep) -> None:
    top, _, left, _ = (int(n) for n in op.pads)
    before = str(int(op.channels[0]))
    s.call("pad", s.x, s.y, before, str(top), str(left), number(op.value))
