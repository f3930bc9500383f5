"""How each op is written in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from netspec.codegen.backend import Unsupported
from netspec.codegen.python_source import FunctionCall, Infix, Source, Verbatim, call
from netspec.codegen.tracing.nodes import CannotTrace
from netspec.codegen.writing.array_ops import (
    NUMBERS,
    ArrayLibrary,
    emit_array_ops,
    sizes_of,
    spreads,
)
from netspec.codegen.writing.emission import Forward, Options, WrittenLayer, apply, sliced
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
from netspec.ops.attribute_types import Pads
from netspec.symbolic.expr import expr_of
from netspec_torch.emission import (
    EMITTERS,
    Emission,
    as_module,
    emits,
    function,
    method,
)

__all__ = ["EMITTERS"]


# --- padding -------------------------------------------------------------------------------------


def _symmetric(pads: Pads) -> bool:
    """Whether both sides have the same padding, whatever the arguments are."""
    top, bottom, left, right = map(expr_of, pads)
    return top == bottom and left == right


Around = Callable[[str, Source], Source]
"""Of a layer's attribute and its input, the input with padding around it."""


def _around(op: Any, layer: WrittenLayer, w: ConstructorNumbers, value: str = "") -> Around:
    """Padding that PyTorch's layer can't do itself; it follows the size of the input."""
    options = Options(w)
    if value:
        options.source("value", value)
    windows = {"kernel_size": op.kernel, "stride": op.stride, "dilation": op.dilation}
    if all(w.always(d, 1) for d in op.dilation):
        del windows["dilation"]
    if layer.stated.pad == "same":
        pad_same = w.support("pad_same")

        def padded(name: str, x: Source) -> Source:
            # What arguments decide is asked of the layer itself.
            args = [
                w.fixed_pair(pair)
                if w.literal(*pair) or any(map(w.depends_on_sizes, pair))
                else f"{name}.{what}"
                for what, pair in windows.items()
            ]
            return call(pad_same, x, *args, *options.args)

        return padded
    top, bottom, left, right = map(w.fixed, op.pads)
    sides = f"({left}, {right}, {top}, {bottom})"  # PyTorch counts from the last dimension
    if getattr(op, "rounding", "floor") == "floor":
        return lambda _, x: call("F.pad", x, sides, *options.args)
    pad_ceil = w.support("pad_ceil")
    args = [w.fixed_pair(pair) for pair in windows.values()]
    return lambda _, x: call(pad_ceil, x, sides, *args, *options.args)


def _applied(around: Around) -> Forward:
    return lambda name, inputs: call(name, around(name, inputs[0]))


# --- layers with weights -------------------------------------------------------------------------


@emits(convolution.Conv)
def conv(op: convolution.Conv, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    options = Options(w).pair("kernel_size", op.kernel).pair("stride", op.stride, 1)
    forward: Forward = apply
    rows, columns = (d * (k - 1) for k, d in zip(op.kernel, op.dilation, strict=True))
    unmoved = layer.stated.pad == "same" and all(w.always(s, 1) for s in op.stride)
    if unmoved and not w.literal(*op.kernel, *op.dilation):
        options.source("padding", '"same"')
    elif unmoved and not (rows % 2 or columns % 2):
        options.pair("padding", (rows // 2, columns // 2), 0)
    elif layer.stated.pad != "same" and _symmetric(op.pads):
        options.pair("padding", (op.pads[0], op.pads[2]), 0)
    else:
        forward = _applied(_around(op, layer, w))
    options.pair("dilation", op.dilation, 1).number("groups", op.group_count, 1)
    options.flag("bias", op.bias)
    channels = w.number(layer.inputs[0].shape[0])
    return as_module(call("nn.Conv2d", channels, w.number(op.filters), *options.args), forward)


@emits(convolution.ConvTranspose)
def conv_transpose(
    op: convolution.ConvTranspose, layer: WrittenLayer, w: ConstructorNumbers
) -> Emission:
    options = Options(w, False).pair("kernel_size", op.kernel).pair("stride", op.stride, 1)
    forward: Forward = apply
    if _symmetric(op.pads):
        options.pair("padding", (op.pads[0], op.pads[2]), 0)
    else:
        forward = _trimmed(op.pads, w)
    options.pair("output_padding", op.output_pad, 0)
    options.pair("dilation", op.dilation, 1).number("groups", op.group_count, 1)
    options.flag("bias", op.bias)
    args = (w.number(layer.inputs[0].shape[0]), w.number(op.filters), *options.args)
    return as_module(call("nn.ConvTranspose2d", *args), forward)


def _trimmed(pads: Pads, w: ConstructorNumbers) -> Forward:
    """A call whose result is cut off around."""
    if not w.literal(*pads):
        # Negative padding cuts off.
        left, right, top, bottom = (_minus(n, w) for n in (pads[2], pads[3], pads[0], pads[1]))
        sizes = call("", left, right, top, bottom)
        return lambda name, inputs: call("F.pad", call(name, *inputs), sizes)
    rows, columns = (f"{int(a) or ''}:{-int(b) or ''}" for a, b in (pads[:2], pads[2:]))
    return lambda name, inputs: sliced(call(name, *inputs), ":", rows, columns)


def _minus(n: int, w: ConstructorNumbers) -> str:
    source = w.fixed(n)
    return f"-({source})" if " " in source else f"-{source}".replace("-0", "0")


@emits(convolution.Linear)
def linear(op: convolution.Linear, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    features = layer.inputs[0].shape[0]
    options = Options(w).flag("bias", op.bias)
    module = call("nn.Linear", w.number(features), w.number(op.units), *options.args)
    one_size = "in_features" if w.depends_on_sizes(features) else ""
    return Emission(apply, module, one_size=one_size)


def _of_channels(head: str, layer: WrittenLayer, options: Options, *first: str) -> FunctionCall:
    """The constructor of a module that has something for each channel."""
    return call(head, *first, options.w.number(layer.inputs[0].shape[0]), *options.args)


@emits(normalization.BatchNorm, wraps=True)
def batchnorm(op: normalization.BatchNorm, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    options = Options(w).number("eps", op.eps, 1e-5).number("momentum", op.momentum, 0.1)
    head = "nn.BatchNorm2d" if layer.of_map else "nn.BatchNorm1d"
    return as_module(_of_channels(head, layer, options.flag("affine", op.affine)))


@emits(normalization.LayerNorm)
def layernorm(op: normalization.LayerNorm, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    module = _of_channels("nn.LayerNorm", layer, Options(w).number("eps", op.eps, 1e-5))
    if not layer.of_map:
        return as_module(module)

    def forward(name: str, inputs: list[Source]) -> Source:
        # PyTorch normalizes the last dimension.
        last = method(inputs[0], "permute", "0", "2", "3", "1")
        return method(call(name, last), "permute", "0", "3", "1", "2")

    return as_module(module, forward)


@emits(normalization.GroupNorm, wraps=True)
def groupnorm(op: normalization.GroupNorm, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    options = Options(w).number("eps", op.eps, 1e-5).flag("affine", op.affine)
    return as_module(_of_channels("nn.GroupNorm", layer, options, w.number(op.groups)))


@emits(normalization.InstanceNorm, wraps=True)
def instancenorm(
    op: normalization.InstanceNorm, layer: WrittenLayer, w: ConstructorNumbers
) -> Emission:
    options = Options(w).number("eps", op.eps, 1e-5)
    options.source("affine", w.flag("affine") or str(op.affine))
    return as_module(_of_channels("nn.InstanceNorm2d", layer, options))


@emits(normalization.Scale, wraps=True)
def scale(op: normalization.Scale, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    options = Options(w).flag("bias", op.bias)
    return as_module(_of_channels(w.support("ChannelScale"), layer, options))


@emits(normalization.Shift, wraps=True)
def shift(op: normalization.Shift, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return as_module(_of_channels(w.support("ChannelShift"), layer, Options(w)))


@emits(activation.PRelu, wraps=True)
def prelu(op: activation.PRelu, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return as_module(call("nn.PReLU") if op.shared else _of_channels("nn.PReLU", layer, Options(w)))


# --- poolings ------------------------------------------------------------------------------------


def _window(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> tuple[Options, bool]:
    """Kernel and stride, and padding if torch's own does, and whether it does.

    It does where it is equal on both sides and at most half of the window.
    """
    options = Options(w).pair("", op.kernel)
    if w.pair(op.stride) != w.pair(op.kernel):
        options.pair("stride", op.stride)
    rows, columns = op.pads[0], op.pads[2]
    small = int(rows) <= int(op.kernel[0] // 2) and int(columns) <= int(op.kernel[1] // 2)
    own = layer.stated.pad != "same" and _symmetric(op.pads) and small
    if own:
        options.pair("padding", (rows, columns), 0)
    options.pair("dilation", op.dilation, 1)
    if op.rounding == "ceil":
        options.source("ceil_mode", "True")
    return options, own


@emits(pooling.MaxPool)
def maxpool(op: pooling.MaxPool, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    options, own = _window(op, layer, w)
    if layer.several and not own:
        raise Unsupported("indices of a pooling whose pads differ or exceed half of the kernel")
    forward = apply if own else _applied(_around(op, layer, w, 'float("-inf")'))
    if layer.several:
        options.source("return_indices", "True")
    return function("F.max_pool2d", "nn.MaxPool2d", options, forward=forward)


@emits(pooling.AvgPool)
def avgpool(op: pooling.AvgPool, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    options, own = _window(op, layer, w)
    if own:
        if any(op.pads):
            options.flag("count_include_pad", bool(op.count_include_pad))
        return function("F.avg_pool2d", "nn.AvgPool2d", options)
    around = _around(op, layer, w)

    def share(name: str, inputs: list[Source]) -> Source:
        # The share of a window that counts is the mean of ones there and zeros elsewhere.
        means = [around(name, x) for x in (inputs[0], call("torch.ones_like", inputs[0]))]
        return Infix("/", tuple(call(name, x) for x in means))

    forward = _applied(around) if op.count_include_pad else share
    return function("F.avg_pool2d", "nn.AvgPool2d", options, forward=forward)


def _adaptive_pool(of: type[Op], head: str) -> None:
    @emits(of)
    def emitter(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        size = w.size_of(op.size) or w.fixed_pair(op.size)
        return Emission(lambda _, inputs: call(head, *inputs, size))


_adaptive_pool(pooling.AdaptiveAvgPool, "F.adaptive_avg_pool2d")
_adaptive_pool(pooling.AdaptiveMaxPool, "F.adaptive_max_pool2d")


@emits(resizing.MaxUnpool)
def maxunpool(op: resizing.MaxUnpool, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    max_unpool = w.support("max_unpool")
    stated = layer.stated.size
    size = w.size_of(getattr(layer.inputs[1].shape, "plane", ()))
    size = size or (w.size_of(stated[-2:]) if stated is not None else None)
    if size is not None:
        return Emission(lambda _, inputs: call(max_unpool, *inputs, size))
    # Indices from outside: a multiple of their size, if that can be.
    values = (layer.inputs[0], layer.outputs[0])
    small, large = ((int(v.shape[1]), int(v.shape[2])) for v in values)
    rows, columns = (m // n for n, m in zip(small, large, strict=True))
    if (small[0] * rows, small[1] * columns) != large:
        if not w.sizes_are_known:
            raise CannotTrace("the size that indices are of, which come from outside")
        return Emission(lambda _, inputs: call(max_unpool, *inputs, f"{large}"))

    def forward(name: str, inputs: list[Source]) -> Source:
        shape = f"{inputs[1].flat()}.shape"
        several = f"({rows} * {shape}[2], {columns} * {shape}[3])"
        return call(
            max_unpool,
            *inputs,
            several if rows != columns else f"[{rows} * n for n in {shape}[2:]]",
        )

    return Emission(forward)


# --- functions that are modules too --------------------------------------------------------------


def _function(of: type[Op], head: str, module: str) -> None:
    """A function and its module, with attributes by position."""

    @emits(of, wraps=True)
    def emitter(op: Op, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
        numbers = [(getattr(op, name), default) for name, default in NUMBERS.get(of, ())]
        return function(head, module, Options(w).numbers(*numbers))


_function(activation.Relu, "F.relu", "nn.ReLU")
_function(activation.Relu6, "F.relu6", "nn.ReLU6")
_function(activation.Silu, "F.silu", "nn.SiLU")
_function(activation.Gelu, "F.gelu", "nn.GELU")
_function(activation.HardSwish, "F.hardswish", "nn.Hardswish")
_function(activation.Sigmoid, "torch.sigmoid", "nn.Sigmoid")
_function(activation.HardSigmoid, "F.hardsigmoid", "nn.Hardsigmoid")
_function(activation.Tanh, "torch.tanh", "nn.Tanh")
_function(activation.Softplus, "F.softplus", "nn.Softplus")
_function(activation.Selu, "F.selu", "nn.SELU")
_function(activation.Mish, "F.mish", "nn.Mish")
_function(activation.LogSigmoid, "F.logsigmoid", "nn.LogSigmoid")
_function(activation.SoftSign, "F.softsign", "nn.Softsign")
_function(activation.TanhShrink, "F.tanhshrink", "nn.Tanhshrink")
_function(activation.Abs, "torch.abs", "")
_function(activation.HardTanh, "F.hardtanh", "nn.Hardtanh")
_function(activation.Threshold, "F.threshold", "nn.Threshold")
_function(activation.HardShrink, "F.hardshrink", "nn.Hardshrink")
_function(activation.SoftShrink, "F.softshrink", "nn.Softshrink")
_function(activation.Celu, "F.celu", "nn.CELU")
_function(activation.Elu, "F.elu", "nn.ELU")
_function(activation.LeakyRelu, "F.leaky_relu", "nn.LeakyReLU")
_function(reshaping.ChannelShuffle, "F.channel_shuffle", "nn.ChannelShuffle")
_function(reshaping.PixelShuffle, "F.pixel_shuffle", "nn.PixelShuffle")
_function(reshaping.PixelUnshuffle, "F.pixel_unshuffle", "nn.PixelUnshuffle")


# --- others with numbers -------------------------------------------------------------------------


@emits(activation.Clamp, wraps=True)
def clamp(op: activation.Clamp, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    bounds = {n: w.fixed(b) for n, b in (("min", op.min), ("max", op.max)) if b is not None}
    return Emission(lambda _, inputs: call("torch.clamp", *inputs, **bounds))


@emits(regularization.Dropout)
def dropout(op: regularization.Dropout, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    head = "nn.Dropout2d" if op.spatial else "nn.Dropout"
    return as_module(call(head, p=w.number(op.ratio)))


@emits(regularization.DropPath)
def drop_path(op: regularization.DropPath, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    def forward(name: str, inputs: list[Source]) -> Source:
        # All of a sample is one channel.
        return method(call(name, call("torch.unsqueeze", inputs[0], "1")), "squeeze", "1")

    head = "nn.Dropout3d" if layer.of_map else "nn.Dropout1d"
    return as_module(call(head, p=w.number(op.ratio)), forward)


@emits(constants.LearnedValue)
def parameter(op: Any, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return as_module(call(w.support("LearnedConstant"), *map(w.number, op.shape)))


@emits(normalization.Lrn, wraps=True)
def lrn(op: normalization.Lrn, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    options = Options(w).number("", op.size).number("alpha", op.alpha, 1e-4)
    options.number("beta", op.beta, 0.75).number("k", op.k, 1.0)
    module = call("nn.LocalResponseNorm", *options.args)
    if layer.of_map:
        return as_module(module)

    def forward(name: str, inputs: list[Source]) -> Source:
        # PyTorch wants something behind the channels.
        return method(call(name, Verbatim(f"{inputs[0].flat()}[:, :, None]")), "squeeze", "2")

    return as_module(module, forward)


# --- functions of arrays -------------------------------------------------------------------------

emit_array_ops(
    emits,
    ArrayLibrary(
        "torch",
        concat="torch.cat",
        power="torch.pow",
        largest="amax",
        parts="chunk",
        cast="to",
        resize="F.interpolate",
        axis="dim",
        keep="keepdim",
        axes=(1, 2, 3),
        methods=True,
        ends=False,
    ),
)


def _expression(op: type[Op], write: Callable[[Source], Source]) -> None:
    """An op without numbers: the source of its result, of that of its input."""
    emits(op)(lambda op, layer, w: Emission(lambda _, inputs: write(inputs[0])))


_expression(activation.Softmax, lambda x: call("F.softmax", x, dim="1"))
_expression(activation.LogSoftmax, lambda x: call("F.log_softmax", x, dim="1"))
_expression(reshaping.Flatten, lambda x: method(x, "flatten", "1"))


# --- rearranging ---------------------------------------------------------------------------------


@emits(reshaping.Reshape)
def reshape(op: reshaping.Reshape, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    if spreads(op, layer, w):
        return Emission(lambda _, inputs: Verbatim(f"{inputs[0].flat()}[:, :, None, None]"))
    sizes = sizes_of(op, layer, w)

    def forward(name: str, inputs: list[Source]) -> Source:
        return method(inputs[0], "reshape", f"{inputs[0].flat()}.shape[0]", *sizes)

    return Emission(forward)


@emits(reshaping.Permute)
def permute(op: reshaping.Permute, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    order = [str(i + 1) for i in op.order]
    return Emission(lambda _, inputs: method(inputs[0], "permute", "0", *order))


@emits(reshaping.Pad)
def pad(op: reshaping.Pad, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    top, bottom, left, right, before, after = (w.fixed(n) for n in (*op.pads, *op.channels))
    sides = [left, right, top, bottom]
    sides += [] if all(w.always(n, 0) for n in op.channels) else [before, after]
    args = [f"({', '.join(sides)})"]
    args += [] if w.always(op.value, 0) else [f"value={w.fixed(op.value)}"]
    return Emission(lambda _, inputs: call("F.pad", inputs[0], *args))
