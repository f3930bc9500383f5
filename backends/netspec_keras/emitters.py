"""How each op is written in Keras, whose values have channels last.

    @emits(LeakyRelu)
    def leaky_relu(op: LeakyRelu, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
        return Written(lambda _, inputs: call("ops.leaky_relu", *inputs, w.fixed(op.slope)))

An emitter takes the op, the layer that has it, and what writes the layer's numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial, reduce
from typing import Any, ClassVar

from netspec.codegen.backend import Unsupported
from netspec.codegen.emitters import Emitters
from netspec.codegen.python_source import (
    FunctionCall,
    Infix,
    Source,
    Verbatim,
    call,
    tuple_of,
)
from netspec.codegen.writing.emission import (
    AFFINE,
    Forward,
    Options,
    WrittenLayer,
    affine,
    apply,
    places,
    sliced,
)
from netspec.codegen.writing.spelling import ConstructorNumbers
from netspec.lazy_dataclasses import dataclass, replace
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
from netspec.symbolic.expr import expr_of


@dataclass(frozen=True)
class Written:
    """How a layer is written: `constructor` makes what the class keeps, `forward` calls it.

    Without a constructor the layer is a function. `wraps`: it reads well around the expression of
    its input.
    """

    forward: Forward
    constructor: FunctionCall | None = None
    wraps: bool = False
    fresh: ClassVar[bool] = False
    one_size: ClassVar[str] = ""

    def call(self, attribute: str, inputs: list[Source], overwrite: bool = False) -> Source:
        return self.forward(attribute, inputs)

    def in_sequence(self, overwrite: bool) -> None:
        """Nothing: layers in a row are no layer."""


Emitter = Callable[[WrittenLayer, ConstructorNumbers], Written]
EMITTERS: Emitters[Emitter] = Emitters("keras")


def emits(
    op: type[Op], *, wraps: bool = False
) -> Callable[[Callable[..., Written]], Callable[..., Written]]:
    """Decorator: register the emitter of an op, a function `(op, layer, w) -> Written`.

    It raises Unsupported (netspec.codegen.backend) for what Keras can't express.
    """

    def register(emitter: Callable[..., Written]) -> Callable[..., Written]:
        EMITTERS[op] = lambda layer, w: replace(emitter(layer.op, layer, w), wraps=wraps)
        return emitter

    return register


def is_map(layer: WrittenLayer) -> bool:
    """Whether the input of a layer has height and width."""
    return len(layer.inputs[0].shape) == 3


def arguments(w: ConstructorNumbers, *first: str) -> Options:
    """Arguments of a layer's constructor, which begin with these."""
    options = Options(w, in_forward=False)
    for source in first:
        options.source("", source)
    return options


def layer_of(head: str, args: Options, forward: Forward = apply) -> Written:
    """A layer that the class keeps."""
    return Written(forward, call(head, *args.args))


def function(head: str, *args: str, **keywords: str) -> Written:
    """A function of the inputs."""
    return Written(lambda _, inputs: call(head, *inputs, *args, **keywords))


# --- windows -------------------------------------------------------------------------------------


def _sides(pads: Sequence[int], w: ConstructorNumbers) -> str:
    """Pads as one number, one for height and one for width, or top, bottom, left and right."""
    top, bottom, left, right = (w.fixed(n, "padding") for n in pads)
    if (top, left) != (bottom, right):
        return f"({top}, {bottom}, {left}, {right})"
    return top if top == left else f"({top}, {left})"


def _none(pads: Sequence[int], w: ConstructorNumbers) -> bool:
    return all(w.always(n, 0) for n in pads)


@emits(convolution.Conv)
def conv(op: convolution.Conv, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    args = arguments(w, w.number(op.filters), w.pair(op.kernel))
    strided = not all(w.always(s, 1) for s in op.stride)
    dilated = not all(w.always(d, 1) for d in op.dilation)
    apart = strided and dilated  # Keras does not do both at once
    if not apart:
        args.pair("strides", op.stride, 1)
    same = layer.stated.pad == "same" and not apart
    if w.literal(*op.kernel, *op.dilation, *op.pads) and not strided:
        spans = [d * (k - 1) for k, d in zip(op.kernel, op.dilation, strict=True)]
        around = [n for span in spans for n in (span / 2, span / 2)]
        same = same or (any(around) and [*map(float, op.pads)] == around)
    if same:
        args.source("padding", '"same"')
    args.pair("dilation_rate", op.dilation, 1).number("groups", op.group_count, 1)
    args.flag("bias", op.bias, "use_bias")

    def forward(name: str, inputs: list[Source]) -> Source:
        (x,) = inputs
        if not same and layer.stated.pad == "same":
            windows = (op.kernel, op.stride, op.dilation)
            x = call(w.support("pad_same"), x, *map(w.fixed_pair, windows))
        elif not same and not _none(op.pads, w):
            x = call(w.support("pad"), x, _sides(op.pads, w))
        made = call(name, x)
        if not apart:
            return made
        steps = (s if s.isdecimal() else f" {s}" for s in map(w.fixed, op.stride))
        return sliced(made, *(f"::{s}" for s in steps))

    return layer_of("Conv2D", args, forward)


@emits(convolution.ConvTranspose)
def conv_transpose(
    op: convolution.ConvTranspose, layer: WrittenLayer, w: ConstructorNumbers
) -> Written:
    args = arguments(w, w.number(op.filters), w.pair(op.kernel)).pair("strides", op.stride, 1)
    plain = w.always(op.group_count, 1) and all(w.always(d, 1) for d in op.dilation)
    plain = plain and _none(op.output_pad, w) and w.literal(*op.kernel, *op.stride, *op.pads)
    over = [k - s for k, s in zip(op.kernel, op.stride, strict=True)] if plain else [-1]
    half = [n for k in over for n in (k / 2, k / 2)]
    if min(over) >= 0 and (not any(op.pads) or [*map(float, op.pads)] == half):
        if any(op.pads):
            args.source("padding", '"same"')
        return layer_of("Conv2DTranspose", args.flag("bias", op.bias, "use_bias"))
    if not _none(op.pads, w):
        top, bottom, left, right = map(w.number, op.pads)
        args.source("pads", f"({top}, {bottom}, {left}, {right})")
    args.pair("output_padding", op.output_pad, 0).pair("dilation_rate", op.dilation, 1)
    args.number("groups", op.group_count, 1).flag("bias", op.bias, "use_bias")
    return layer_of(w.support("ConvTranspose2D"), args)


@emits(pooling.MaxPool)
def maxpool(op: pooling.MaxPool, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    if layer.several:
        raise Unsupported("the places of maxima, which Keras does not give")
    return _pool("max_pool", op, layer, w)


@emits(pooling.AvgPool)
def avgpool(op: pooling.AvgPool, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    more = {}
    flag = w.flag("count_include_pad")
    if flag or (any(op.pads) and not op.count_include_pad):
        more["count_include_pad"] = flag or "False"
    return _pool("average_pool", op, layer, w, **more)


def _pool(name: str, op: Any, layer: WrittenLayer, w: ConstructorNumbers, **more: str) -> Written:
    keywords = {}
    if w.pair(op.stride) != w.pair(op.kernel):
        keywords["strides"] = w.fixed_pair(op.stride)
    if layer.stated.pad == "same":
        keywords["pads"] = '"same"'
    elif not _none(op.pads, w):
        keywords["pads"] = _sides(op.pads, w)
    if not all(w.always(d, 1) for d in op.dilation):
        keywords["dilation"] = w.fixed_pair(op.dilation)
    if op.rounding == "ceil":
        keywords["ceil"] = "True"
    w.support("window_sides")
    return function(w.support(name), w.fixed_pair(op.kernel), **keywords, **more)


def _adaptive_pool(of: type[Op], reduction: str) -> None:
    @emits(of)
    def emitter(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
        size = w.size_of(op.size) or w.fixed_pair(op.size)
        return function(w.support("adaptive_pool"), size, reduction)


_adaptive_pool(pooling.AdaptiveAvgPool, "ops.mean")
_adaptive_pool(pooling.AdaptiveMaxPool, "ops.max")


@emits(pooling.RoiPool)
def roi_pool(op: pooling.RoiPool, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    scale = [] if w.always(op.scale, 1) else [w.fixed(op.scale)]
    size = f"({', '.join(map(w.fixed, op.size))})"
    return function(w.support("roi_pool"), size, *scale)


@emits(resizing.MaxUnpool)
def maxunpool(op: resizing.MaxUnpool, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    raise Unsupported("the places of maxima, which Keras does not give")


@emits(resizing.Upsample)
def upsample(op: resizing.Upsample, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    stated, keywords = layer.stated, {}
    if stated.size is not None:
        size = (stated.size[-2], stated.size[-1])
        keywords["size"] = w.size_of(size) or f"({w.fixed(size[0])}, {w.fixed(size[1])})"
    else:
        keywords["scale"] = w.fixed_pair(stated.scale)
    if op.mode != "nearest":
        keywords["mode"] = f'"{op.mode}"'
    if op.align_corners:
        keywords["align_corners"] = "True"
    return function(w.support("resize"), **keywords)


# --- layers with weights -------------------------------------------------------------------------


@emits(convolution.Linear)
def linear(op: convolution.Linear, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    return layer_of("Dense", arguments(w, w.number(op.units)).flag("bias", op.bias, "use_bias"))


@emits(normalization.BatchNorm, wraps=True)
def batchnorm(op: normalization.BatchNorm, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    args = arguments(w)
    if not w.always(op.momentum, 0.1):
        # Of Keras, it is the weight of what was before.
        literal = repr(round(1 - float(op.momentum), 12)) if w.literal(op.momentum) else ""
        args.source("momentum", literal or f"1 - {w.number(op.momentum)}")
    args.number("epsilon", op.eps, 1e-5).flag("affine", op.affine, "center", "scale")
    return layer_of("BatchNormalization", args)


@emits(normalization.LayerNorm, wraps=True)
def layernorm(op: normalization.LayerNorm, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    return layer_of("LayerNormalization", arguments(w).number("epsilon", op.eps, 1e-5))


@emits(normalization.GroupNorm, wraps=True)
@emits(normalization.InstanceNorm, wraps=True)
def groupnorm(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    groups = w.number(op.groups) if isinstance(op, normalization.GroupNorm) else "-1"
    args = arguments(w, groups).number("epsilon", op.eps, 1e-5)
    return layer_of("GroupNormalization", args.flag("affine", op.affine, "center", "scale"))


@emits(normalization.Scale, wraps=True)
def scale(op: normalization.Scale, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    return layer_of(w.support("ScaleAndShift"), arguments(w).flag("bias", op.bias, "center"))


@emits(normalization.Shift, wraps=True)
def shift(op: normalization.Shift, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    return layer_of(w.support("ScaleAndShift"), arguments(w).source("scale", "False"))


@emits(activation.PRelu, wraps=True)
def prelu(op: activation.PRelu, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    args, axes = arguments(w), [1, 2] if is_map(layer) else []
    axes += [axes[-1] + 1 if axes else 1] if op.shared else []
    if op.init is None:
        args.source("alpha_initializer", "initializers.Constant(0.25)")
    return layer_of("layers.PReLU", args.source("shared_axes", f"{axes}") if axes else args)


@emits(constants.LearnedValue)
def parameter(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    first, *rest = map(w.number, op.shape)
    return layer_of(w.support("LearnedArray"), arguments(w, *rest, first))


@emits(regularization.Dropout)
def dropout(op: regularization.Dropout, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    head = "SpatialDropout2D" if op.spatial else "layers.Dropout"
    return layer_of(head, arguments(w, w.number(op.ratio)))


@emits(regularization.DropPath)
def drop_path(op: regularization.DropPath, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    shape = "(None, 1, 1, 1)" if is_map(layer) else "(None, 1)"
    return layer_of("layers.Dropout", arguments(w, w.number(op.ratio)).source("noise_shape", shape))


# --- functions -----------------------------------------------------------------------------------


def _function(op: type[Op], head: str, *numbers: tuple[str, float | None], **more: str) -> None:
    """A function with attributes by position, left out where all are Keras's defaults."""

    @emits(op, wraps=True)
    def emitter(op: Op, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
        values = [getattr(op, name) for name, _ in numbers]
        usual = all(
            default is not None and w.always(n, default)
            for n, (_, default) in zip(values, numbers, strict=True)
        )
        support = w.support(head) if "." not in head else head
        return function(support, *(() if usual else map(w.fixed, values)), **more)


_function(activation.Relu, "ops.relu")
_function(activation.Relu6, "ops.relu6")
_function(activation.Silu, "ops.silu")
_function(activation.Gelu, "ops.gelu", approximate="False")
_function(activation.HardSwish, "ops.hard_silu")
_function(activation.Sigmoid, "ops.sigmoid")
_function(activation.HardSigmoid, "ops.hard_sigmoid")
_function(activation.Tanh, "ops.tanh")
_function(activation.Softplus, "ops.softplus")
_function(activation.Selu, "ops.selu")
_function(activation.Mish, "keras.activations.mish")
_function(activation.LogSigmoid, "ops.log_sigmoid")
_function(activation.SoftSign, "ops.softsign")
_function(activation.TanhShrink, "ops.tanh_shrink")
_function(activation.Abs, "ops.abs")
_function(activation.HardTanh, "ops.clip", ("min", None), ("max", None))
_function(activation.Threshold, "ops.threshold", ("threshold", None), ("value", None))
_function(activation.HardShrink, "ops.hard_shrink", ("threshold", 0.5))
_function(activation.SoftShrink, "ops.soft_shrink", ("threshold", 0.5))
_function(activation.Celu, "ops.celu", ("alpha", 1))
_function(activation.Elu, "ops.elu", ("alpha", 1))
_function(activation.LeakyRelu, "ops.leaky_relu", ("slope", None))
_function(activation.Softmax, "ops.softmax")
_function(activation.LogSoftmax, "ops.log_softmax")
_function(reshaping.Flatten, "flatten")
_function(reshaping.ChannelShuffle, "channel_shuffle", ("groups", None))
_function(reshaping.PixelShuffle, "pixel_shuffle", ("factor", None))
_function(reshaping.PixelUnshuffle, "pixel_unshuffle", ("factor", None))
_function(pooling.GlobalAvgPool, "ops.mean", axis="(1, 2)")
_function(pooling.GlobalMaxPool, "ops.max", axis="(1, 2)")


@emits(normalization.Lrn, wraps=True)
def lrn(op: normalization.Lrn, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    usual = {"alpha": 1e-4, "beta": 0.75, "k": 1.0}
    numbers = {name: getattr(op, name) for name in usual}
    more = {n: w.fixed(x) for n, x in numbers.items() if not w.always(x, usual[n])}
    return function(w.support("local_response_norm"), w.fixed(op.size), **more)


@emits(activation.Clamp, wraps=True)
def clamp(op: activation.Clamp, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    if op.min is None or op.max is None:
        head, bound = ("ops.minimum", op.max) if op.min is None else ("ops.maximum", op.min)
        assert bound is not None, "one of both"
        return function(head, w.fixed(bound))
    return function("ops.clip", w.fixed(op.min), w.fixed(op.max))


def _affine(of: type[Op]) -> None:
    @emits(of)
    def emitter(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
        return Written(lambda _, inputs: affine(op, w, inputs[0], "ops", "ops.power"))


for _op in AFFINE:
    _affine(_op)


@emits(normalization.Normalize)
def normalize(op: normalization.Normalize, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    axis = "(1, 2, 3)" if op.across == "all" and is_map(layer) else "-1"

    def forward(name: str, inputs: list[Source]) -> Source:
        squares = call("ops.sum", call("ops.square", inputs[0]), axis=axis, keepdims="True")
        total = Infix("+", (squares, Verbatim(w.fixed(op.eps))))
        return Infix("/", (inputs[0], call("ops.sqrt", total)))

    return Written(forward)


def _reduction(of: type[Op], head: str) -> None:
    @emits(of)
    def emitter(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
        axis = "-1" if op.across == "channels" else "(1, 2)"
        return function(head, axis=axis, keepdims="True")


_reduction(reducing.Mean, "ops.mean")
_reduction(reducing.Sum, "ops.sum")


def _expression(op: type[Op], write: Callable[..., Source], **traits: bool) -> None:
    """An op without numbers: the source of its result, of those of its inputs."""
    emits(op, **traits)(lambda op, layer, w: Written(lambda _, inputs: write(*inputs)))


def _chain(head: str) -> Callable[..., Source]:
    """A function of two, from the first input to the last."""
    return lambda *inputs: reduce(partial(call, head), inputs)


_expression(merging.Concat, lambda *xs: call("ops.concatenate", tuple_of(xs), axis="-1"))
_expression(merging.Add, lambda *xs: Infix("+", xs))
_expression(merging.Sub, lambda *xs: Infix("-", xs))
_expression(merging.Mul, lambda *xs: Infix("*", xs))
_expression(merging.Div, lambda *xs: Infix("/", xs))
_expression(merging.Maximum, _chain("ops.maximum"))
_expression(merging.Minimum, _chain("ops.minimum"))
_expression(reshaping.Identity, lambda x: x, wraps=True)


@partial(_expression, reducing.ArgMax)
def argmax(x: Source) -> Source:
    found = call("ops.argmax", x, axis="-1", keepdims="True")
    return call("ops.cast", found, f"{x.flat()}.dtype")


# --- rearranging ---------------------------------------------------------------------------------

_DIMENSIONS = (3, 1, 2)
"""Where channels, height and width are."""


@emits(reshaping.Reshape)
def reshape(op: reshaping.Reshape, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    if not is_map(layer) and all(w.always(d, 1) for d in op.shape[1:]):
        return Written(lambda _, inputs: Verbatim(f"{inputs[0].flat()}[:, None, None]"))
    # One size can be left open, so that it need not be the same for every setting.
    left = [i for i, d in enumerate(layer.stated.shape) if w.always(d, -1)]
    open_ = left or [i for i, d in enumerate(op.shape) if not w.literal(d)][:1]
    sizes = ["-1" if i in open_ else w.fixed(d) for i, d in enumerate(op.shape)]
    return function(w.support("reshape"), *sizes)


@emits(reshaping.Permute)
def permute(op: reshaping.Permute, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    channels, *plane = (_DIMENSIONS[i] for i in op.order)
    return function("ops.transpose", f"(0, {plane[0]}, {plane[1]}, {channels})")


@emits(reshaping.Split)
def split(op: reshaping.Split, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    tail = "" if layer.several else "[0]"
    stated = layer.stated.parts
    if not isinstance(stated, int) and len({expr_of(s) for s in op.sizes}) > 1:
        ends = [sum(op.sizes[1:n], op.sizes[0]) for n in range(1, len(op.sizes))]
        parts = f"[{', '.join(map(w.fixed, ends))}]"
    else:
        parts = w.fixed(stated) if isinstance(stated, int) else str(len(op.sizes))
        if layer.several and not parts.isdecimal():
            tail = "[:]"  # as many as there are
    return Written(
        lambda _, inputs: replace(call("ops.split", *inputs, parts, axis="-1"), tail=tail)
    )


@emits(reshaping.Flip)
def flip(op: reshaping.Flip, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    return function("ops.flip", axis=str(_DIMENSIONS[op.position] if is_map(layer) else -1))


@emits(reshaping.Pad)
def pad(op: reshaping.Pad, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    top, bottom, left, right, before, after = (w.fixed(n) for n in (*op.pads, *op.channels))
    sides = f"((0, 0), ({top}, {bottom}), ({left}, {right}), ({before}, {after}))"
    more = {} if w.always(op.value, 0) else {"constant_values": w.fixed(op.value)}
    return function("ops.pad", sides, **more)


@emits(reshaping.Crop)
@emits(reshaping.Slice)
def slice_(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Written:
    channels, *plane = (places(w, section) for section in op.sections)
    kept = plane if is_map(layer) else ()
    return Written(lambda _, inputs: sliced(inputs[0], *kept, channels))
