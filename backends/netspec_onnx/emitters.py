"""How each op is written in ONNX, for opsets 17 to 22.

    @emits(LeakyRelu)
    def leaky_relu(op: LeakyRelu, g: LayerGraph, x: list[str]) -> str:
        return g.node("LeakyRelu", *x, alpha=op.slope)

An emitter adds the layer's nodes and returns the name of its result, or of several. Numbers of its
`free` attributes may depend on heights and widths; all others are plain.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, NamedTuple

import numpy as np
from onnx import numpy_helper

from netspec.codegen.backend import Unsupported
from netspec.codegen.emitters import Emitters
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
)
from netspec.ops.convolution import Conv, ConvTranspose
from netspec.ops.resizing import MaxUnpool, Upsample
from netspec.symbolic.expr import Dim, expr_of, follows
from netspec_onnx.graph import BATCH, LayerGraph

Written = str | list[str]
Rule = Callable[[Any, LayerGraph, list[str]], Written]


class Emitter(NamedTuple):
    """What writes a layer, and which attributes may depend on sizes."""

    write: Rule
    free: tuple[str, ...]


EMITTERS: Emitters[Emitter] = Emitters("onnx")


def emits(*ops: type[Op], free: tuple[str, ...] = ()) -> Callable[[Any], Any]:
    """Decorator: register the emitter of ops, `(op, graph, inputs) -> result or results`."""

    def register(function: Any) -> Any:
        EMITTERS.update(dict.fromkeys(ops, Emitter(function, free)))
        return function

    return register


def _chain(kind: str) -> Rule:
    """The emitter of an op whose node takes two inputs."""
    return lambda op, g, x: reduce(lambda a, b: g.node(kind, a, b), x)


def _one(kind: str, **attributes: Any) -> Rule:
    """The emitter of an op that is one node."""
    return lambda op, g, x: g.node(kind, *x, **attributes)


_ACROSS = {"channels": [1], "spatial": [2, 3]}
_SHORT: dict[type[Op], Rule] = {
    activation.Relu: _one("Relu"),
    activation.Sigmoid: _one("Sigmoid"),
    activation.HardSigmoid: _one("HardSigmoid", alpha=1 / 6, beta=0.5),
    activation.HardSwish: _one("HardSwish"),
    activation.Tanh: _one("Tanh"),
    activation.Abs: _one("Abs"),
    activation.Softplus: _one("Softplus"),
    activation.SoftSign: _one("Softsign"),
    activation.Selu: _one("Selu"),
    activation.Softmax: _one("Softmax", axis=1),
    activation.LogSoftmax: _one("LogSoftmax", axis=1),
    activation.LeakyRelu: lambda op, g, x: g.node("LeakyRelu", *x, alpha=op.slope),
    activation.PRelu: lambda op, g, x: g.node("PRelu", *x, g.per_channel("weight")),
    activation.Elu: lambda op, g, x: g.node("Elu", *x, alpha=op.alpha),
    activation.Celu: lambda op, g, x: g.node("Celu", *x, alpha=op.alpha),
    activation.Silu: lambda op, g, x: g.node("Mul", *x, g.node("Sigmoid", *x)),
    activation.TanhShrink: lambda op, g, x: g.node("Sub", *x, g.node("Tanh", *x)),
    activation.HardShrink: lambda op, g, x: g.node("Shrink", *x, lambd=op.threshold, bias=0.0),
    activation.SoftShrink: lambda op, g, x: g.node(
        "Shrink", *x, lambd=op.threshold, bias=op.threshold
    ),
    activation.LogSigmoid: lambda op, g, x: g.node("Neg", g.node("Softplus", g.node("Neg", *x))),
    activation.Threshold: lambda op, g, x: g.node(
        "Where", g.node("Greater", *x, g.floats(op.threshold)), *x, g.floats(op.value)
    ),
    constants.LearnedValue: lambda op, g, x: g.node(
        "Expand", g.weight("weight"), g.dims([BATCH, *op.shape], x[0])
    ),
    convolution.Linear: lambda op, g, x: g.node("Gemm", *x, *g.weights(), transB=1),
    merging.Concat: _one("Concat", axis=1),
    merging.Maximum: _one("Max"),
    merging.Minimum: _one("Min"),
    merging.Add: _chain("Add"),
    merging.Sub: _chain("Sub"),
    merging.Mul: _chain("Mul"),
    merging.Div: _chain("Div"),
    normalization.Shift: lambda op, g, x: g.node("Add", *x, g.per_channel("bias")),
    pooling.GlobalAvgPool: lambda op, g, x: g.node(
        "Flatten", g.node("GlobalAveragePool", *x), axis=1
    ),
    pooling.GlobalMaxPool: lambda op, g, x: g.node("Flatten", g.node("GlobalMaxPool", *x), axis=1),
    reducing.Mean: lambda op, g, x: g.reduce("ReduceMean", x[0], _ACROSS[op.across]),
    reducing.Sum: lambda op, g, x: g.reduce("ReduceSum", x[0], _ACROSS[op.across]),
    reducing.ArgMax: lambda op, g, x: g.node(
        "Cast", g.node("ArgMax", *x, axis=1, keepdims=1), to=g.float_kind
    ),
    regularization.Dropout: lambda op, g, x: x[0],
    regularization.DropPath: lambda op, g, x: x[0],
    reshaping.Identity: lambda op, g, x: x[0],
    reshaping.Flatten: _one("Flatten", axis=1),
    reshaping.Permute: lambda op, g, x: g.node(
        "Transpose", *x, perm=[0, *(i + 1 for i in op.order)]
    ),
    reshaping.Split: lambda op, g, x: g.several(
        "Split", len(op.sizes), *x, g.ints(op.sizes), axis=1
    ),
    reshaping.ChannelShuffle: lambda op, g, x: _shuffled(g, x[0], op.groups),
    reshaping.PixelShuffle: lambda op, g, x: g.node(
        "DepthToSpace", *x, blocksize=op.factor, mode="CRD"
    ),
    # SpaceToDepth counts places outermost: its channels are reordered.
    reshaping.PixelUnshuffle: lambda op, g, x: _shuffled(
        g, g.node("SpaceToDepth", *x, blocksize=op.factor), op.factor**2
    ),
    reshaping.Flip: lambda op, g, x: g.node(
        "Slice", *x, *map(g.ints, ([-1], [-(2**31)], [op.position + 1], [-1]))
    ),
}
for _op, _rule in _SHORT.items():
    emits(_op)(_rule)


def _shuffled(g: LayerGraph, x: str, groups: int) -> str:
    """The channels of all groups, the first of each first.

    A Gather would do, but OpenVINO 2026.4 moves it wrongly behind depthwise convolutions.
    """
    parts = g.node("Reshape", x, g.ints([0, groups, int(g.outputs[0][0]) // groups, -1]))
    mixed = g.node("Transpose", parts, perm=[0, 2, 1, 3])
    return g.node("Reshape", mixed, g.node("Shape", x))


# --- layers with weights -------------------------------------------------------------------------


@emits(Conv, free=("pad",))
def conv(op: Conv, g: LayerGraph, x: list[str]) -> str:
    pads = _pads(op, g)
    return g.node("Conv", *x, *g.weights(), **_window(op), **pads, group=op.group_count)


@emits(ConvTranspose)
def conv_transpose(op: ConvTranspose, g: LayerGraph, x: list[str]) -> str:
    return g.node(
        "ConvTranspose",
        *x,
        *g.weights(),
        **_window(op),
        pads=_onnx_pads(op.pads),
        output_padding=list(op.output_pad),
        group=op.group_count,
    )


def _window(op: Any) -> dict[str, list[int]]:
    found = {"kernel_shape": op.kernel, "strides": op.stride, "dilations": op.dilation}
    return {name: list(pair) for name, pair in found.items() if pair != (1, 1) or name[0] == "k"}


def _onnx_pads(pads: Any) -> list[int]:
    top, bottom, left, right = pads
    return [top, left, bottom, right]


def _pads(op: Any, g: LayerGraph, extra: Sequence[int] = (0, 0)) -> dict[str, Any]:
    """The paddings of a window, `extra` below and on the right; those of free sizes by name.

    ONNX Runtime pads for `SAME_UPPER` neither dilated windows, nor those that leave gaps.
    """
    height, width = g.inputs[0][1:]
    free = any(follows(expr_of(n)) for n in (height, width))
    if g.stated.pad == "same" and free and op.stride != (1, 1) and op.kernel != (1, 1):
        covered = all(k >= s for k, s in zip(op.kernel, op.stride, strict=True))
        if covered and op.dilation == (1, 1):
            return {"auto_pad": "SAME_UPPER"}
        g.number(height), g.number(width)
    same = g.stated.pad == "same"
    top, bottom, left, right = (int(n) if same else g.number(n) for n in op.pads)
    pads = [top, left, bottom + extra[0], right + extra[1]]
    return {"pads": pads} if any(pads) else {}


# --- poolings ------------------------------------------------------------------------------------


def _overhang(op: Any) -> tuple[int, ...]:
    """What more padding at the end makes rounding down give what rounding up does.

    Engines differ in which windows they drop where a pooling rounds up, so none does.
    """
    if op.rounding == "floor":
        return 0, 0
    windows = zip(op.stride, op.extents, map(int, op.pads[1::2]), strict=True)
    return tuple(min(stride - 1, extent - 1 - after) for stride, extent, after in windows)


def _is_global(op: Any, g: LayerGraph) -> bool:
    """Whether a window is as high and wide as its input, whatever that is."""
    sizes = [*map(expr_of, g.inputs[0][1:])]
    return all(map(follows, sizes)) and sizes == [*map(expr_of, op.kernel)] and not any(op.pads)


@emits(pooling.MaxPool, free=("pad", "kernel", "stride"))
def maxpool(op: Any, g: LayerGraph, x: list[str]) -> Written:
    indices = g.used[1]
    if _is_global(op, g) and not indices:
        return g.node("GlobalMaxPool", *x)
    op = g.sizes.plain(op, ("pad",))
    pads = _pads(op, g, _overhang(op))
    if _pads_beyond_kernel(op):
        # ONNX Runtime takes no pads as large as the kernel, though a dilated window spans them.
        top, left, bottom, right = pads.pop("pads")
        sides = g.ints([0, 0, top, left, 0, 0, bottom, right])
        x = [g.node("Pad", *x, sides, g.floats(-math.inf), mode="constant")]
    if not indices:
        return g.node("MaxPool", *x, **_window(op), **pads)
    # ONNX counts places through the whole tensor, ours are those in a plane.
    value, places = g.several("MaxPool", 2, *x, **_window(op), **pads)
    height, width = g.inputs[0][1:]
    return [value, g.node("Mod", places, g.dims([height * width]))]


def _pads_beyond_kernel(op: Any) -> bool:
    ends = zip(op.pads[1::2], _overhang(op), strict=True)
    most = [max(a, b + e) for a, (b, e) in zip(op.pads[::2], ends, strict=True)]
    return any(m >= k for m, k in zip(most, op.kernel, strict=True))


@emits(pooling.AvgPool, free=("pad", "kernel", "stride"))
def avgpool(op: Any, g: LayerGraph, x: list[str]) -> str:
    if _is_global(op, g):
        return g.node("GlobalAveragePool", *x)
    op = g.sizes.plain(op, ("pad",))
    extra = _overhang(op)
    pads = _pads(op, g, extra)
    counts = bool(op.count_include_pad)
    if counts and any(extra) and "pads" in pads and any(op.pads):
        # Padding counts, and what a window hangs over beyond it does not.
        top, bottom, left, right = map(int, op.pads)
        sides = g.ints([0, 0, top, left, 0, 0, bottom, right])
        x = [g.node("Pad", *x, sides, g.floats(0), mode="constant")]
        pads, counts = {"pads": [0, 0, *extra]}, False
    elif any(extra) and "pads" in pads and not any(op.pads):
        counts = False
    return g.node("AveragePool", *x, **_window(op), **pads, count_include_pad=int(counts))


@emits(pooling.AdaptiveAvgPool, pooling.AdaptiveMaxPool, free=("size",))
def adaptive_pool(op: Any, g: LayerGraph, x: list[str]) -> str:
    """ONNX has none. Parts of equal size are a pooling, one part is a reduction."""
    average = isinstance(op, pooling.AdaptiveAvgPool)
    lengths = g.inputs[0][1:]
    if op.size == (1, 1) and not any(isinstance(n, Dim) for n in op.size):
        return g.node("GlobalAveragePool" if average else "GlobalMaxPool", *x)
    (result,) = x
    left = []  # axes that are neither kept nor reduced
    for axis, length, parts in zip((2, 3), lengths, op.size, strict=True):
        if expr_of(length) == expr_of(parts):
            continue
        if parts == 1 and not isinstance(parts, Dim):
            result = g.reduce("ReduceMean" if average else "ReduceMax", result, [axis])
            continue
        left.append((axis, g.number(length), g.number(parts)))
    if all(length % parts == 0 for _, length, parts in left) and len(left) == 2:
        kernel = [length // parts for _, length, parts in left]
        kind = "AveragePool" if average else "MaxPool"
        return g.node(kind, result, kernel_shape=kernel, strides=kernel)
    for axis, length, parts in left:
        ends = [(i * length // parts, -(-(i + 1) * length // parts)) for i in range(parts)]
        if average:
            shares = np.zeros((parts, length))
            for row, (first, end) in zip(shares, ends, strict=True):
                row[first:end] = 1 / (end - first)
            pair = [g.floats(shares), result] if axis == 2 else [result, g.floats(shares.T)]
            result = g.node("MatMul", *pair)
        else:
            most = max(end - first for first, end in ends)
            places = [[min(first + k, end - 1) for k in range(most)] for first, end in ends]
            taken = g.node("Gather", result, g.ints(places), axis=axis)
            result = g.reduce("ReduceMax", taken, [axis + 1], keep=False)
    return result


@emits(pooling.RoiPool)
def roi_pool(op: pooling.RoiPool, g: LayerGraph, x: list[str]) -> str:
    if g.opset >= 22:
        raise Unsupported("ONNX Runtime has no MaxRoiPool of opset 22: take 21")
    # ONNX takes regions with the number of their picture in front, all in a row.
    corners = g.node("Transpose", x[1], perm=[0, 2, 3, 1])
    if op.scale != 1:
        corners = g.node("Mul", corners, g.floats(op.scale))
    corners = g.node("Floor", g.node("Add", corners, g.floats(0.5)))
    first = g.node("Slice", corners, g.ints([0]), g.ints([1]), g.ints([3]))
    ones = g.node("Add", g.node("Mul", first, g.floats(0)), g.floats(1))
    pictures = g.node("Sub", g.node("CumSum", ones, g.ints(0)), g.floats(1))
    regions = g.node("Concat", pictures, corners, axis=3)
    flat = g.node("Reshape", regions, g.ints([-1, 5]))
    pooled = g.node("MaxRoiPool", x[0], flat, pooled_shape=list(op.size), spatial_scale=1.0)
    channels, rows, columns = g.outputs[0]
    each = g.node("Reshape", pooled, g.dims([-1, rows, columns, channels]))
    return g.node("Transpose", each, perm=[0, 3, 1, 2])


# --- resizing ------------------------------------------------------------------------------------


@emits(MaxUnpool, free=("size",))
def maxunpool(op: MaxUnpool, g: LayerGraph, x: list[str]) -> str:
    channels = g.inputs[0][0]
    height, width = op.size or ()
    values, places = (g.node("Reshape", n, g.ints([0, channels, -1])) for n in x)
    plane = g.dims([BATCH, channels, height * width], x[0])
    zero = numpy_helper.from_array(g.target.array([0]))
    zeros = g.node("ConstantOfShape", plane, value=zero)
    put = g.node("ScatterElements", zeros, places, values, axis=2)
    return g.node("Reshape", put, g.dims([0, channels, height, width]))


@emits(Upsample, free=("size",))
def upsample(op: Upsample, g: LayerGraph, x: list[str]) -> str:
    channels, *lengths = g.inputs[0]
    size = op.size or ()
    scale = g.stated.scale and [g.number(n) for n in g.stated.scale]
    if op.mode == "nearest":
        pairs = [*zip(lengths, size, strict=True)]
        plain = not any(isinstance(n, Dim) for pair in pairs for n in pair)
        if not scale and plain and all(n % m == 0 for m, n in pairs):
            scale = [n // m for m, n in pairs]
        if not scale:
            return _nearest(g, x[0], pairs)
        how = {"mode": "nearest", "nearest_mode": "floor"}
        place = "asymmetric"
    else:
        place = "align_corners" if op.align_corners else "half_pixel"
        how = {"mode": "linear"}
        if op.mode == "bicubic":
            how = {"mode": "cubic", "cubic_coeff_a": -0.75}  # type: ignore[dict-item]
    if scale:
        sizes = ["", g.singles([1, 1, *scale])]
    else:
        sizes = ["", "", g.dims([BATCH, channels, *size], x[0])]
    return g.node("Resize", *x, *sizes, coordinate_transformation_mode=place, **how)


def _nearest(g: LayerGraph, x: str, pairs: list[tuple[int, int]]) -> str:
    """Rows and columns floor(i * m / n), exactly: Resize computes places in float32."""
    for axis, (m, n) in zip((2, 3), pairs, strict=True):
        if expr_of(m) == expr_of(n):
            continue
        if isinstance(m, Dim) or isinstance(n, Dim):
            long, wide = (g.node("Squeeze", g.dims([number]), g.ints([0])) for number in (m, n))
            counted = g.node("Range", g.ints(0), wide, g.ints(1))
            places = g.node("Div", g.node("Mul", counted, long), wide)
        else:
            places = g.ints(np.arange(n) * m // n)
        x = g.node("Gather", x, places, axis=axis)
    return x


# --- activations ---------------------------------------------------------------------------------


@emits(activation.HardTanh, activation.Clamp, activation.Relu6)
def clip(op: Any, g: LayerGraph, x: list[str]) -> str:
    low, high = op.clip
    bounds = ["" if math.isinf(n) else g.floats(n) for n in (low, high)]
    return g.node("Clip", *x, *(bounds if bounds[1] else bounds[:1]))


@emits(activation.Mish)
def mish(op: Op, g: LayerGraph, x: list[str]) -> str:
    if g.opset >= 18:
        return g.node("Mish", *x)
    return g.node("Mul", *x, g.node("Tanh", g.node("Softplus", *x)))


@emits(activation.Gelu)
def gelu(op: Op, g: LayerGraph, x: list[str]) -> str:
    if g.opset >= 20:
        return g.node("Gelu", *x)
    erf = g.node("Erf", g.node("Div", *x, g.floats(math.sqrt(2))))
    return g.node("Mul", g.node("Mul", *x, g.node("Add", erf, g.floats(1))), g.floats(0.5))


@emits(activation.Power)
def power(op: activation.Power, g: LayerGraph, x: list[str]) -> str:
    affine = _affine(op, g, x[0])
    if op.exponent == 1:
        return affine
    return g.node("Pow", affine, g.floats(op.exponent))


@emits(activation.Exp)
def exp(op: activation.Exp, g: LayerGraph, x: list[str]) -> str:
    affine = _affine(op, g, x[0])
    return g.node("Exp", affine) if op.base is None else g.node("Pow", g.floats(op.base), affine)


@emits(activation.Log)
def log(op: activation.Log, g: LayerGraph, x: list[str]) -> str:
    result = g.node("Log", _affine(op, g, x[0]))
    return result if op.base is None else g.node("Div", result, g.floats(math.log(op.base)))


def _affine(op: Any, g: LayerGraph, x: str) -> str:
    """shift + scale * x."""
    if op.scale != 1:
        x = g.node("Mul", x, g.floats(op.scale))
    return x if op.shift == 0 else g.node("Add", x, g.floats(op.shift))


# --- normalizations ------------------------------------------------------------------------------


@emits(normalization.BatchNorm)
def batchnorm(op: normalization.BatchNorm, g: LayerGraph, x: list[str]) -> str:
    channels = int(g.inputs[0][0])
    if op.affine:
        own = [g.weight("weight"), g.weight("bias")]
    else:
        own = [g.floats(np.ones(channels)), g.floats(np.zeros(channels))]
    own += [g.weight("running_mean"), g.weight("running_var")]
    return g.node("BatchNormalization", *x, *own, epsilon=op.eps)


@emits(normalization.LayerNorm)
def layernorm(op: normalization.LayerNorm, g: LayerGraph, x: list[str]) -> str:
    flat = len(g.inputs[0]) == 1
    last = x[0] if flat else g.node("Transpose", *x, perm=[0, 2, 3, 1])
    normal = g.node("LayerNormalization", last, *g.weights(), axis=-1, epsilon=op.eps)
    return normal if flat else g.node("Transpose", normal, perm=[0, 3, 1, 2])


@emits(normalization.GroupNorm)
def groupnorm(op: normalization.GroupNorm, g: LayerGraph, x: list[str]) -> str:
    # GroupNormalization has a factor for each channel from opset 21 on only.
    groups = int(op.groups)
    parts = g.node("Reshape", *x, g.ints([0, groups, -1]))
    ones, zeros = g.floats(np.ones(groups)), g.floats(np.zeros(groups))
    normal = g.node("InstanceNormalization", parts, ones, zeros, epsilon=op.eps)
    result = g.node("Reshape", normal, g.node("Shape", *x))
    if not op.affine:
        return result
    result = g.node("Mul", result, g.per_channel("weight"))
    return g.node("Add", result, g.per_channel("bias"))


@emits(normalization.InstanceNorm)
def instancenorm(op: normalization.InstanceNorm, g: LayerGraph, x: list[str]) -> str:
    channels = int(g.inputs[0][0])
    own = g.weights() or [g.floats(np.ones(channels)), g.floats(np.zeros(channels))]
    return g.node("InstanceNormalization", *x, *own, epsilon=op.eps)


@emits(normalization.Lrn)
def lrn(op: normalization.Lrn, g: LayerGraph, x: list[str]) -> str:
    how = {"size": op.size, "alpha": op.alpha, "beta": op.beta, "bias": op.k}
    if len(g.inputs[0]) == 3:
        return g.node("LRN", *x, **how)
    places = g.node("Unsqueeze", *x, g.ints([2, 3]))
    return g.node("Flatten", g.node("LRN", places, **how), axis=1)


@emits(normalization.Normalize)
def normalize(op: normalization.Normalize, g: LayerGraph, x: list[str]) -> str:
    axes = [*range(1, len(g.inputs[0]) + 1)] if op.across == "all" else [1]
    squares = g.reduce("ReduceSumSquare", x[0], axes)
    return g.node("Div", *x, g.node("Sqrt", g.node("Add", squares, g.floats(op.eps))))


@emits(normalization.Scale)
def scale(op: normalization.Scale, g: LayerGraph, x: list[str]) -> str:
    result = g.node("Mul", *x, g.per_channel("weight"))
    return g.node("Add", result, g.per_channel("bias")) if op.bias else result


# --- rearranging ---------------------------------------------------------------------------------


@emits(reshaping.Reshape, free=("shape",))
def reshape(op: reshaping.Reshape, g: LayerGraph, x: list[str]) -> str:
    stated = g.stated.shape
    if -1 in stated and not any(isinstance(n, Dim) for n in stated):
        # What is left may follow the sizes where the other dimensions are made of channels.
        rest, known = stated.index(-1), math.prod(n for n in stated if n != -1)
        if g.inputs[0][0] % known == 0 and rest:
            return g.node("Reshape", *x, g.ints([0, *stated]))
    if not any(isinstance(n, Dim) for n in stated):
        for n in g.inputs[0]:
            g.number(n)
    return g.node("Reshape", *x, g.dims([0, *op.shape]))


@emits(reshaping.Pad, free=("pads",))
def pad(op: reshaping.Pad, g: LayerGraph, x: list[str]) -> str:
    top, bottom, left, right = op.pads
    before, after = op.channels
    sides = g.dims([0, before, top, left, 0, after, bottom, right])
    return g.node("Pad", *x, sides, g.floats(op.value), mode="constant")


@emits(reshaping.Crop, free=("size", "offset"))
def crop(op: reshaping.Crop, g: LayerGraph, x: list[str]) -> str:
    ends = [first + count for first, count in zip(op.offset, op.size, strict=True)]
    return g.node("Slice", *x, g.dims(op.offset), g.dims(ends), g.ints([2, 3]))


@emits(reshaping.Slice, free=("channels", "rows", "columns"))
def slice_(op: reshaping.Slice, g: LayerGraph, x: list[str]) -> str:
    axes = [i for i, section in enumerate(op.sections, 1) if section]
    firsts, ends, steps = zip(*filter(None, op.sections), strict=True)
    by = g.ints([g.number(n) for n in steps])
    return g.node("Slice", *x, g.dims(firsts), g.dims(ends), g.ints(axes), by)


def check(op: Op, used: tuple[bool, ...]) -> None:
    """Raise Unsupported for what ONNX can't express."""
    if isinstance(op, pooling.MaxPool) and used[1] and _pads_beyond_kernel(op):
        raise Unsupported("ONNX Runtime takes no indices of a pooling padded beyond its kernel")
