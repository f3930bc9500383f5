"""How each op is written in Keras, whose values have channels last."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netspec.codegen.backend import Unsupported
from netspec.codegen.python_source import Source, Verbatim, call
from netspec.codegen.writing.array_ops import (
    NUMBERS,
    ArrayLibrary,
    emit_array_ops,
    sizes_of,
    spreads,
)
from netspec.codegen.writing.emission import (
    Emission,
    Forward,
    LibraryEmitters,
    Options,
    WrittenLayer,
    apply,
    as_module,
    sliced,
)
from netspec.codegen.writing.spelling import ConstructorNumbers
from netspec.ops import (
    Op,
    activation,
    constants,
    convolution,
    normalization,
    pooling,
    regularization,
    reshaping,
    resizing,
)

EMITTERS = LibraryEmitters("keras", overwrites=False)
emits = EMITTERS.emits
_AXES = (3, 1, 2)
"""Where channels, height and width of a map are."""

emit_array_ops(
    emits,
    ArrayLibrary(
        "ops",
        concat="ops.concatenate",
        power="ops.power",
        largest="max",
        parts="split",
        cast="cast",
        resize="resize",
        axis="axis",
        keep="keepdims",
        axes=(-1, 1, 2),
        methods=False,
        ends=True,
    ),
)


def arguments(w: ConstructorNumbers, *first: str) -> Options:
    """Arguments of a layer's constructor, which begin with these."""
    options = Options(w, in_forward=False)
    for source in first:
        options.source("", source)
    return options


def layer_of(head: str, args: Options, forward: Forward = apply) -> Emission:
    """A layer that the class keeps."""
    return as_module(call(head, *args.args), forward)


def function(head: str, *args: str, **keywords: str) -> Emission:
    """A function of the inputs."""
    return Emission(lambda _, inputs: call(head, *inputs, *args, **keywords))


# --- windows -------------------------------------------------------------------------------------


def _sides(pads: Sequence[int], w: ConstructorNumbers) -> str:
    """Pads as one number, as one for height and one for width, or as two for each."""
    top, bottom, left, right = (w.fixed(n, "padding") for n in pads)
    if (top, left) != (bottom, right):
        return f"(({top}, {bottom}), ({left}, {right}))"
    return top if top == left else f"({top}, {left})"


def _none(pads: Sequence[int], w: ConstructorNumbers) -> bool:
    return all(w.always(n, 0) for n in pads)


def _halves(pads: Sequence[int], spans: Sequence[int], w: ConstructorNumbers) -> bool:
    """Whether there are pads and they are half of the spans, as Keras's "same" has them."""
    known = w.literal(*pads, *spans) and any(pads)
    return known and [2 * int(n) for n in pads] == [int(s) for s in spans for _ in range(2)]


@emits(convolution.Conv)
def conv(op: convolution.Conv, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    args = arguments(w, w.number(op.filters), w.pair(op.kernel))
    strided, dilated = (not all(w.always(n, 1) for n in n2) for n2 in (op.stride, op.dilation))
    apart = strided and dilated  # Keras does not do both at once
    if not apart:
        args.pair("strides", op.stride, 1)
    spans = [d * (k - 1) for k, d in zip(op.kernel, op.dilation, strict=True)]
    stated = layer.stated.pad == "same"
    same = (stated and not apart) or (not strided and _halves(op.pads, spans, w))
    if same:
        args.source("padding", '"same"')
    args.pair("dilation_rate", op.dilation, 1).number("groups", op.group_count, 1)
    args.flag("bias", op.bias, "use_bias")

    def forward(name: str, inputs: list[Source]) -> Source:
        (x,) = inputs
        if not same and stated:
            windows = map(w.fixed_pair, (op.kernel, op.stride, op.dilation))
            x = call(w.support("pad"), x, '"same"', *windows)
        elif not same and not _none(op.pads, w):
            x = call(w.support("pad"), x, _sides(op.pads, w))
        steps = (s if s.isdecimal() else f" {s}" for s in map(w.fixed, op.stride))
        return sliced(call(name, x), *(f"::{s}" for s in steps)) if apart else call(name, x)

    return layer_of("Conv2D", args, forward)


@emits(convolution.ConvTranspose)
def conv_transpose(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    args = arguments(w, w.number(op.filters), w.pair(op.kernel)).pair("strides", op.stride, 1)
    over = [k - s for k, s in zip(op.kernel, op.stride, strict=True)]
    plain = w.always(op.group_count, 1) and all(w.always(d, 1) for d in op.dilation)
    plain = plain and _none(op.output_pad, w) and w.literal(*op.kernel, *op.stride, *op.pads)
    if plain and min(over) >= 0 and (not any(op.pads) or _halves(op.pads, over, w)):
        if any(op.pads):
            args.source("padding", '"same"')
        return layer_of("Conv2DTranspose", args.flag("bias", op.bias, "use_bias"))
    if not _none(op.pads, w):
        top, bottom, left, right = map(w.number, op.pads)
        args.source("pads", f"(({top}, {bottom}), ({left}, {right}))")
    args.pair("output_padding", op.output_pad, 0).pair("dilation_rate", op.dilation, 1)
    args.number("groups", op.group_count, 1).flag("bias", op.bias, "use_bias")
    return layer_of(w.support("ConvTranspose2D"), args)


@emits(pooling.MaxPool, pooling.AvgPool)
def pool(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    if layer.several:
        raise Unsupported("the places of maxima, which Keras does not give")
    largest, more = isinstance(op, pooling.MaxPool), {}
    if w.pair(op.stride) != w.pair(op.kernel):
        more["strides"] = w.fixed_pair(op.stride)
    if layer.stated.pad == "same":
        more["pads"] = '"same"'
    elif not _none(op.pads, w):
        more["pads"] = _sides(op.pads, w)
    if not all(w.always(d, 1) for d in op.dilation):
        more["dilation"] = w.fixed_pair(op.dilation)
    if op.rounding == "ceil":
        more["ceil"] = "True"
    flag = None if largest else w.flag("count_include_pad")
    if flag or (not largest and any(op.pads) and not op.count_include_pad):
        more["count_include_pad"] = flag or "False"
    head = w.support("max_pool" if largest else "average_pool")
    return function(head, w.fixed_pair(op.kernel), **more)


@emits(pooling.AdaptiveAvgPool, pooling.AdaptiveMaxPool)
def adaptive_pool(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    reduction = "ops.mean" if isinstance(op, pooling.AdaptiveAvgPool) else "ops.max"
    size = w.size_of(op.size) or w.fixed_pair(op.size)
    return function(w.support("adaptive_pool"), size, reduction)


@emits(resizing.MaxUnpool)
def maxunpool(op: resizing.MaxUnpool, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    raise Unsupported("the places of maxima, which Keras does not give")


# --- layers with weights -------------------------------------------------------------------------


def _layer(of: type[Op], head: str, *first: str, wraps: bool = True) -> None:
    """A layer of Keras, whose constructor takes these attributes or numbers by position."""

    @emits(of, wraps=wraps)
    def emitter(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        args = arguments(w, *(w.number(getattr(op, n)) if n.isidentifier() else n for n in first))
        if of is convolution.Linear:
            return layer_of(head, args.flag("bias", op.bias, "use_bias"))
        args.number("epsilon", op.eps, 1e-5)
        if of is not normalization.LayerNorm:
            args.flag("affine", op.affine, "center", "scale")
        return layer_of(head, args)


_layer(convolution.Linear, "Dense", "units", wraps=False)
_layer(normalization.LayerNorm, "LayerNormalization")
_layer(normalization.GroupNorm, "GroupNormalization", "groups")
_layer(normalization.InstanceNorm, "GroupNormalization", "-1")


@emits(normalization.BatchNorm, wraps=True)
def batchnorm(op: normalization.BatchNorm, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    args = arguments(w)
    if not w.always(op.momentum, 0.1):
        # Of Keras, it is the weight of what was before.
        literal = repr(round(1 - float(op.momentum), 12)) if w.literal(op.momentum) else ""
        args.source("momentum", literal or f"1 - {w.number(op.momentum)}")
    args.number("epsilon", op.eps, 1e-5).flag("affine", op.affine, "center", "scale")
    return layer_of("BatchNormalization", args)


@emits(normalization.Scale, normalization.Shift, wraps=True)
def scale_and_shift(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    args = arguments(w)
    if isinstance(op, normalization.Shift):
        args.source("scale", "False")
    else:
        args.flag("bias", op.bias, "center")
    return layer_of(w.support("ScaleAndShift"), args)


@emits(activation.PRelu, wraps=True)
def prelu(op: activation.PRelu, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    axes = [1, 2] * layer.of_map + [3 if layer.of_map else 1] * op.shared
    args = arguments(w)
    if op.init is None:
        args.source("alpha_initializer", "initializers.Constant(0.25)")
    return layer_of("layers.PReLU", args.source("shared_axes", f"{axes}") if axes else args)


@emits(constants.LearnedValue)
def parameter(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    first, *rest = map(w.number, op.shape)
    return layer_of(w.support("LearnedArray"), arguments(w, *rest, first))


@emits(regularization.Dropout, regularization.DropPath)
def dropout(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    args = arguments(w, w.number(op.ratio))
    if isinstance(op, regularization.DropPath):
        args.source("noise_shape", "(None, 1, 1, 1)" if layer.of_map else "(None, 1)")
    spatial = isinstance(op, regularization.Dropout) and op.spatial
    return layer_of("SpatialDropout2D" if spatial else "layers.Dropout", args)


# --- functions -----------------------------------------------------------------------------------


def _function(of: type[Op], head: str, **more: str) -> None:
    """A function with attributes by position, left out where all are Keras's defaults."""

    @emits(of, wraps=True)
    def emitter(op: Op, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        numbers = [(getattr(op, name), default) for name, default in NUMBERS.get(of, ())]
        usual = all(d is not None and w.always(n, d) for n, d in numbers)
        args = [] if usual else [w.fixed(n) for n, _ in numbers]
        library, _, name = head.rpartition(".")
        own = library and usual and of is not activation.Abs
        module = call("layers.Activation", f'"{name}"') if own else None
        called = head if library else w.support(head)
        return Emission(lambda _, xs: call(called, *xs, *args, **more), module=module)


for _op in (
    *(activation.Relu, activation.Relu6, activation.Silu, activation.Sigmoid, activation.Tanh),
    *(activation.Softplus, activation.Selu, activation.SoftSign, activation.Abs, activation.Celu),
    *(activation.Threshold, activation.Elu, activation.LeakyRelu, activation.Softmax),
    activation.LogSoftmax,
):
    _function(_op, f"ops.{_op.keyword}")
_function(activation.Gelu, "ops.gelu", approximate="False")
_function(activation.HardSwish, "ops.hard_silu")
_function(activation.HardSigmoid, "ops.hard_sigmoid")
_function(activation.Mish, "keras.activations.mish")
_function(activation.LogSigmoid, "ops.log_sigmoid")
_function(activation.TanhShrink, "ops.tanh_shrink")
_function(activation.HardShrink, "ops.hard_shrink")
_function(activation.SoftShrink, "ops.soft_shrink")
_function(reshaping.ChannelShuffle, "channel_shuffle")
_function(reshaping.PixelShuffle, "pixel_shuffle")
_function(reshaping.PixelUnshuffle, "pixel_unshuffle")


@emits(activation.HardTanh, activation.Clamp, wraps=True)
def clamp(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    head = "minimum" if op.min is None else "maximum" if op.max is None else "clip"
    return function(f"ops.{head}", *(w.fixed(n) for n in (op.min, op.max) if n is not None))


@emits(normalization.Lrn, wraps=True)
def lrn(op: normalization.Lrn, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    usual = {"alpha": 1e-4, "beta": 0.75, "k": 1.0}
    given = {name: getattr(op, name) for name in usual}
    more = {name: w.fixed(n) for name, n in given.items() if not w.always(n, usual[name])}
    return function(w.support("local_response_norm"), w.fixed(op.size), **more)


@emits(reshaping.Flatten, wraps=True)
def flatten(op: reshaping.Flatten, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return function(w.support("reshape"), "-1")


@emits(reshaping.Reshape)
def reshape(op: reshaping.Reshape, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    if spreads(op, layer, w):
        return Emission(lambda _, inputs: Verbatim(f"{inputs[0].flat()}[:, None, None]"))
    return function(w.support("reshape"), *sizes_of(op, layer, w))


@emits(reshaping.Permute)
def permute(op: reshaping.Permute, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    channels, *plane = (_AXES[i] for i in op.order)
    return function("ops.transpose", f"{(0, *plane, channels)}")


@emits(reshaping.Pad)
def pad(op: reshaping.Pad, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    top, bottom, left, right, before, after = (w.fixed(n) for n in (*op.pads, *op.channels))
    sides = f"((0, 0), ({top}, {bottom}), ({left}, {right}), ({before}, {after}))"
    more = {} if w.always(op.value, 0) else {"constant_values": w.fixed(op.value)}
    return function("ops.pad", sides, **more)
