"""How each op is written in PyTorch."""

from __future__ import annotations

import math
from typing import Any

from netspec.codegen.backend import Unsupported
from netspec.codegen.python_source import (
    FunctionCall,
    Infix,
    Keyword,
    Source,
    Verbatim,
    call,
    tuple_of,
)
from netspec.ir import Layer, Value
from netspec.ops import (
    Op,
    activation,
    convolution,
    merging,
    normalization,
    pooling,
    reducing,
    regularization,
    reshaping,
    resizing,
)
from netspec.ops.attribute_types import Pads
from netspec.symbolic.expr import expr_of
from netspec_torch.emission import (
    EMITTERS,
    WRAPS,
    Emission,
    Forward,
    apply,
    as_module,
    emits,
    function,
    function_of_numbers,
    method,
)
from netspec_torch.writer import NumberWriter

__all__ = ["EMITTERS", "WRAPS"]


def _put(keywords: dict[str, str], name: str, source: str, default: str) -> None:
    """Add a keyword, unless it is torch's default; a parameter that happens to be that is not."""
    if source != default:
        keywords[name] = source


def _padded(pads: Pads, value: str = "") -> Forward:
    """A call on the input with explicit padding."""
    return lambda name, inputs: call(name, _pad(inputs[0], pads, value))


def _pad(x: Source, pads: Pads, value: str = "") -> Source:
    """The input with padding; torch counts from the last dimension."""
    top, bottom, left, right = pads
    keywords: dict[str, Source | str] = {"value": value} if value else {}
    return call("F.pad", x, f"({left}, {right}, {top}, {bottom})", **keywords)


def _symmetric(pads: Pads) -> bool:
    return pads[0] == pads[1] and pads[2] == pads[3]


# --- layers with weights -------------------------------------------------------------------------


@emits(convolution.Conv, fresh=True)
def conv(op: convolution.Conv, layer: Layer, w: NumberWriter) -> Emission:
    in_channels = layer.inputs[0].shape[0]
    keywords: dict[str, str] = {"kernel_size": w.pair(op.kernel)}
    _put(keywords, "stride", w.pair(op.stride), "1")
    pads = op.pads
    forward: Forward = apply
    if _symmetric(pads):
        _put(keywords, "padding", w.pair((pads[0], pads[2])), "0")
    else:
        forward = _padded(pads)
    _put(keywords, "dilation", w.pair(op.dilation), "1")
    _put(keywords, "groups", w.number(op.group_count), "1")
    if not op.bias:
        keywords["bias"] = "False"
    module = call("nn.Conv2d", w.number(in_channels), w.number(op.filters), **keywords)
    return as_module(module, forward)


@emits(convolution.ConvTranspose, fresh=True)
def conv_transpose(op: convolution.ConvTranspose, layer: Layer, w: NumberWriter) -> Emission:
    keywords: dict[str, str] = {"kernel_size": w.pair(op.kernel)}
    _put(keywords, "stride", w.pair(op.stride), "1")
    forward: Forward = apply
    if _symmetric(op.pads):
        _put(keywords, "padding", w.pair((op.pads[0], op.pads[2])), "0")
    else:
        forward = _trimmed(op.pads)
    _put(keywords, "output_padding", w.pair(op.output_pad), "0")
    _put(keywords, "dilation", w.pair(op.dilation), "1")
    _put(keywords, "groups", w.number(op.group_count), "1")
    if not op.bias:
        keywords["bias"] = "False"
    channels = w.number(layer.inputs[0].shape[0])
    module = call("nn.ConvTranspose2d", channels, w.number(op.filters), **keywords)
    return as_module(module, forward)


def _trimmed(pads: Pads) -> Forward:
    """A call whose result is cut off around."""
    top, bottom, left, right = (int(p) for p in pads)
    rows = f"{top or ''}:{-bottom or ''}"
    columns = f"{left or ''}:{-right or ''}"
    return lambda name, inputs: _sliced(call(name, *inputs), rows, columns)


def _sliced(x: Source, rows: str, columns: str) -> Source:
    return Verbatim(f"{x.flat()}[:, :, {rows}, {columns}]")


@emits(convolution.Linear, fresh=True)
def linear(op: convolution.Linear, layer: Layer, w: NumberWriter) -> Emission:
    keywords = {} if op.bias else {"bias": "False"}
    features = layer.inputs[0].shape[0]
    return as_module(call("nn.Linear", w.number(features), w.number(op.units), **keywords))


@emits(normalization.BatchNorm, wraps=True, fresh=True)
def batchnorm(op: normalization.BatchNorm, layer: Layer, w: NumberWriter) -> Emission:
    shape = layer.inputs[0].shape
    keywords: dict[str, str] = {}
    _put(keywords, "eps", w.number(op.eps), repr(1e-5))
    _put(keywords, "momentum", w.number(op.momentum), repr(0.1))
    if not op.affine:
        keywords["affine"] = "False"
    head = "nn.BatchNorm2d" if len(shape) == 3 else "nn.BatchNorm1d"
    return as_module(call(head, w.number(shape[0]), **keywords))


# --- poolings ------------------------------------------------------------------------------------


def _torch_pads(op: Any) -> bool:
    """Whether torch's own padding does: equal on both sides, at most half of the window."""
    pads = op.pads
    halves = [k // 2 for k in op.kernel]
    return _symmetric(pads) and pads[0] <= halves[0] and pads[2] <= halves[1]


def _exact_pads(op: Any, layer: Layer) -> Pads:
    """Padding after which rounding down gives the windows that the op has, ceil or not."""
    _, height, width = layer.inputs[0].shape
    pads: list[int] = []
    for i, size in enumerate((height, width)):
        before = op.pads[2 * i]
        count = layer.outputs[0].shape[1 + i]
        spans = op.dilation[i] * (op.kernel[i] - 1) + 1
        pads += [before, (count - 1) * op.stride[i] + spans - size - before]
    return pads[0], pads[1], pads[2], pads[3]


def _window(op: Any, w: NumberWriter) -> dict[str, str]:
    keywords = {"kernel_size": w.pair(op.kernel)}
    _put(keywords, "stride", w.pair(op.stride), keywords["kernel_size"])
    return keywords


@emits(pooling.MaxPool, several=True)
def maxpool(op: pooling.MaxPool, layer: Layer, w: NumberWriter, several: bool) -> Emission:
    keywords = _window(op, w)
    forward: Forward = apply
    own_pads = _torch_pads(op)
    if own_pads:
        _put(keywords, "padding", w.pair((op.pads[0], op.pads[2])), "0")
    _put(keywords, "dilation", w.pair(op.dilation), "1")
    if own_pads and op.rounding == "ceil":
        keywords["ceil_mode"] = "True"
    if not own_pads:
        forward = _padded(_exact_pads(op, layer), 'float("-inf")')
        if several:
            raise Unsupported("indices of a pooling whose pads differ or exceed half of the kernel")
    if several:
        keywords["return_indices"] = "True"
    return _window_function(op, w, ("nn.MaxPool2d", "F.max_pool2d"), keywords, forward)


def _window_function(
    op: Any, w: NumberWriter, names: tuple[str, str], keywords: dict[str, str], forward: Forward
) -> Emission:
    """A function, or a module where the constructor's arguments decide about its window."""
    module, head = names
    if not w.literal(*op.kernel, *op.stride, *op.pads, *op.dilation):
        return as_module(call(module, **keywords), forward)
    kernel = Verbatim(keywords["kernel_size"])
    others = [Keyword(n, Verbatim(v)) for n, v in keywords.items() if n != "kernel_size"]

    def with_window(_: str, inputs: list[Source]) -> Source:
        source = forward(head, inputs)
        assert isinstance(source, FunctionCall)
        return FunctionCall(source.head, (*source.args, kernel, *others))

    alone = FunctionCall(module, (kernel, *others)) if forward is apply else None
    return Emission(with_window, module=alone)


@emits(pooling.AvgPool)
def avgpool(op: pooling.AvgPool, layer: Layer, w: NumberWriter) -> Emission:
    names = ("nn.AvgPool2d", "F.avg_pool2d")
    keywords = _window(op, w)
    if _torch_pads(op):
        _put(keywords, "padding", w.pair((op.pads[0], op.pads[2])), "0")
        if op.rounding == "ceil":
            keywords["ceil_mode"] = "True"
        if any(op.pads) and not op.count_include_pad:
            keywords["count_include_pad"] = "False"
        return _window_function(op, w, names, keywords, apply)
    if op.count_include_pad and op.rounding == "floor":
        return _window_function(op, w, names, keywords, _padded(op.pads))
    exact = _exact_pads(op, layer)

    def forward(name: str, inputs: list[Source]) -> Source:
        # The share of a window that counts is the mean of ones there and zeros elsewhere.
        ones: Source = call("torch.ones_like", inputs[0])
        rest = exact
        if op.count_include_pad:
            ones = _pad(ones, op.pads, "1.0")
            rest = tuple(e - p for e, p in zip(exact, op.pads, strict=True))  # type: ignore[assignment]
        parts = (_pad(inputs[0], exact), _pad(ones, rest))
        return Infix("/", tuple(call(name, part) for part in parts))

    return as_module(call("nn.AvgPool2d", **keywords), forward)


@emits(pooling.GlobalAvgPool)
def global_avgpool(op: pooling.GlobalAvgPool, layer: Layer, w: NumberWriter) -> Emission:
    return Emission(lambda _, inputs: method(inputs[0], "mean", "dim=(2, 3)"))


@emits(pooling.GlobalMaxPool)
def global_maxpool(op: pooling.GlobalMaxPool, layer: Layer, w: NumberWriter) -> Emission:
    return Emission(lambda _, inputs: method(inputs[0], "amax", "dim=(2, 3)"))


@emits(pooling.AdaptiveAvgPool)
def adaptive_avgpool(op: pooling.AdaptiveAvgPool, layer: Layer, w: NumberWriter) -> Emission:
    size = w.fixed_pair(op.size)
    return Emission(lambda _, inputs: call("F.adaptive_avg_pool2d", *inputs, size))


@emits(resizing.MaxUnpool)
def maxunpool(op: resizing.MaxUnpool, layer: Layer, w: NumberWriter) -> Emission:
    small, large = _plane(layer.inputs[0]), _plane(layer.outputs[0])
    kernel, stride = _unpooling(small, large)
    if min(kernel) < 1:
        raise Unsupported("max-unpooling to less than its input")
    args = [w.fixed_pair(kernel)] + ([] if stride == kernel else [w.fixed_pair(stride)])
    keywords: dict[str, str] = {}
    if any((n - 1) * s + k != m for n, m, k, s in zip(small, large, kernel, stride, strict=True)):
        keywords["output_size"] = f"({large[0]}, {large[1]})"
    return Emission(lambda _, inputs: call("F.max_unpool2d", *inputs, *args, **keywords))


def _plane(value: Value) -> tuple[int, int]:
    """Height and width."""
    return value.shape[1], value.shape[2]


def _unpooling(
    small: tuple[int, int], large: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """A kernel and stride with which PyTorch, which knows no places, accepts the sizes."""
    ratio = [round(m / n) for n, m in zip(small, large, strict=True)]
    if all(r > 0 and abs(n * r - m) < r for n, m, r in zip(small, large, ratio, strict=True)):
        return (ratio[0], ratio[1]), (ratio[0], ratio[1])
    return (large[0] - small[0] + 1, large[1] - small[1] + 1), (1, 1)


@emits(resizing.Upsample)
def upsample(op: resizing.Upsample, layer: Layer, w: NumberWriter) -> Emission:
    small, large = _plane(layer.inputs[0]), _plane(layer.outputs[0])
    keywords: dict[str, str] = {}
    if any(m % n for n, m in zip(small, large, strict=True)):
        keywords["size"] = f"({large[0]}, {large[1]})"
    else:
        # A float, for TorchScript.
        rows, columns = (w.fixed(float(m // n)) for n, m in zip(small, large, strict=True))
        keywords["scale_factor"] = rows if rows == columns else f"({rows}, {columns})"
    if op.mode == "bilinear":
        keywords["mode"] = '"bilinear"'
        if op.align_corners:
            keywords["align_corners"] = "True"
    return Emission(lambda _, inputs: call("F.interpolate", *inputs, **keywords))


# --- activations ---------------------------------------------------------------------------------


def _emits_function(op: type[Op], head: str, module: str = "", inplace: bool = False) -> None:
    """An op without attributes."""
    emits(op, wraps=True)(lambda op, layer, w: function(head, module=module, inplace=inplace))


_emits_function(activation.Relu, "F.relu", "nn.ReLU", inplace=True)
_emits_function(activation.Relu6, "F.relu6", "nn.ReLU6", inplace=True)
_emits_function(activation.Silu, "F.silu", "nn.SiLU")
_emits_function(activation.Gelu, "F.gelu", "nn.GELU")
_emits_function(activation.HardSwish, "F.hardswish", "nn.Hardswish")
_emits_function(activation.Sigmoid, "torch.sigmoid", "nn.Sigmoid")
_emits_function(activation.HardSigmoid, "F.hardsigmoid", "nn.Hardsigmoid")
_emits_function(activation.Tanh, "torch.tanh", "nn.Tanh")
_emits_function(activation.Softplus, "F.softplus", "nn.Softplus")
_emits_function(activation.Selu, "F.selu", "nn.SELU")
_emits_function(activation.Mish, "F.mish", "nn.Mish")
_emits_function(activation.LogSigmoid, "F.logsigmoid", "nn.LogSigmoid")
_emits_function(activation.SoftSign, "F.softsign", "nn.Softsign")
_emits_function(activation.TanhShrink, "F.tanhshrink", "nn.Tanhshrink")
_emits_function(activation.Abs, "torch.abs")


@emits(activation.HardTanh, wraps=True)
def hardtanh(op: activation.HardTanh, layer: Layer, w: NumberWriter) -> Emission:
    return function_of_numbers(
        w, "F.hardtanh", "nn.Hardtanh", op.min, op.max, defaults=(-1, 1), inplace=True
    )


@emits(activation.Threshold, wraps=True)
def threshold(op: activation.Threshold, layer: Layer, w: NumberWriter) -> Emission:
    return function_of_numbers(w, "F.threshold", "nn.Threshold", op.threshold, op.value)


@emits(activation.HardShrink, wraps=True)
def hardshrink(op: activation.HardShrink, layer: Layer, w: NumberWriter) -> Emission:
    return function_of_numbers(w, "F.hardshrink", "nn.Hardshrink", op.threshold, defaults=(0.5,))


@emits(activation.SoftShrink, wraps=True)
def softshrink(op: activation.SoftShrink, layer: Layer, w: NumberWriter) -> Emission:
    return function_of_numbers(w, "F.softshrink", "nn.Softshrink", op.threshold, defaults=(0.5,))


@emits(activation.Celu, wraps=True)
def celu(op: activation.Celu, layer: Layer, w: NumberWriter) -> Emission:
    return function_of_numbers(w, "F.celu", "nn.CELU", op.alpha, defaults=(1,))


@emits(activation.LeakyRelu, wraps=True)
def leaky_relu(op: activation.LeakyRelu, layer: Layer, w: NumberWriter) -> Emission:
    return function_of_numbers(w, "F.leaky_relu", "nn.LeakyReLU", op.slope)


@emits(activation.Elu, wraps=True)
def elu(op: activation.Elu, layer: Layer, w: NumberWriter) -> Emission:
    return function_of_numbers(w, "F.elu", "nn.ELU", op.alpha, defaults=(1,))


@emits(activation.PRelu, wraps=True)
def prelu(op: activation.PRelu, layer: Layer, w: NumberWriter) -> Emission:
    slopes = [] if op.shared else [w.number(layer.inputs[0].shape[0])]
    return as_module(call("nn.PReLU", *slopes))


@emits(activation.Power)
def power(op: activation.Power, layer: Layer, w: NumberWriter) -> Emission:
    def forward(name: str, inputs: list[Source]) -> Source:
        x = _affine(op, w, inputs[0])
        if op.exponent == 1:
            return x
        if op.exponent == 2:
            return call("torch.square", x)
        return call("torch.pow", x, w.fixed(op.exponent))

    return Emission(forward)


@emits(activation.Exp)
def exp(op: activation.Exp, layer: Layer, w: NumberWriter) -> Emission:
    def forward(name: str, inputs: list[Source]) -> Source:
        x = _affine(op, w, inputs[0])
        return call("torch.exp", x) if op.base is None else call("torch.pow", w.fixed(op.base), x)

    return Emission(forward)


@emits(activation.Log)
def log(op: activation.Log, layer: Layer, w: NumberWriter) -> Emission:
    def forward(name: str, inputs: list[Source]) -> Source:
        result = call("torch.log", _affine(op, w, inputs[0]))
        if op.base is None:
            return result
        return Infix("/", (result, Verbatim(repr(math.log(float(w.fixed(op.base)))))))

    return Emission(forward)


def _affine(
    op: activation.Power | activation.Exp | activation.Log, w: NumberWriter, x: Source
) -> Source:
    """shift + scale * x."""
    if op.scale != 1:
        x = Infix("*", (Verbatim(w.fixed(op.scale)), x))
    if op.shift:
        x = Infix("-" if op.shift < 0 else "+", (x, Verbatim(w.fixed(op.shift).lstrip("-"))))
    return x


@emits(reducing.ArgMax)
def argmax(op: reducing.ArgMax, layer: Layer, w: NumberWriter) -> Emission:
    def forward(name: str, inputs: list[Source]) -> Source:
        places = method(inputs[0], "argmax", "dim=1", "keepdim=True")
        return method(places, "to", f"{inputs[0].flat()}.dtype")

    return Emission(forward)


@emits(activation.Softmax)
def softmax(op: activation.Softmax, layer: Layer, w: NumberWriter) -> Emission:
    return Emission(lambda _, inputs: method(inputs[0], "softmax", "dim=1"))


@emits(activation.LogSoftmax)
def log_softmax(op: activation.LogSoftmax, layer: Layer, w: NumberWriter) -> Emission:
    return Emission(lambda _, inputs: method(inputs[0], "log_softmax", "dim=1"))


@emits(regularization.Dropout)
def dropout(op: regularization.Dropout, layer: Layer, w: NumberWriter) -> Emission:
    head = "nn.Dropout2d" if op.spatial else "nn.Dropout"
    return as_module(call(head, p=w.number(op.ratio)))


# --- normalizations ------------------------------------------------------------------------------


@emits(normalization.LayerNorm)
def layernorm(op: normalization.LayerNorm, layer: Layer, w: NumberWriter) -> Emission:
    shape = layer.inputs[0].shape
    keywords = {} if op.eps == 1e-5 else {"eps": w.number(op.eps)}
    module = call("nn.LayerNorm", w.number(shape[0]), **keywords)
    if len(shape) == 1:
        return as_module(module)

    def forward(name: str, inputs: list[Source]) -> Source:
        # PyTorch normalizes the last dimension.
        last = method(inputs[0], "permute", "0", "2", "3", "1")
        return method(call(name, last), "permute", "0", "3", "1", "2")

    return as_module(module, forward)


@emits(normalization.Normalize)
def normalize(op: normalization.Normalize, layer: Layer, w: NumberWriter) -> Emission:
    every = op.across == "all" and len(layer.inputs[0].shape) == 3

    def forward(name: str, inputs: list[Source]) -> Source:
        dims = "dim=(1, 2, 3)" if every else "dim=1"
        squares = method(method(inputs[0], "square"), "sum", dims, "keepdim=True")
        length = method(method(squares, "add", w.fixed(op.eps)), "sqrt")
        return Infix("/", (inputs[0], length))

    return Emission(forward)


@emits(normalization.Shift, wraps=True)
def shift(op: normalization.Shift, layer: Layer, w: NumberWriter) -> Emission:
    return as_module(call(w.support("ChannelShift"), w.number(layer.inputs[0].shape[0])))


@emits(normalization.Lrn, wraps=True)
def lrn(op: normalization.Lrn, layer: Layer, w: NumberWriter) -> Emission:
    numbers = {"alpha": (op.alpha, 1e-4), "beta": (op.beta, 0.75), "k": (op.k, 1.0)}
    keywords = {n: w.number(v) for n, (v, default) in numbers.items() if v != default}
    return as_module(call("nn.LocalResponseNorm", w.number(op.size), **keywords))


@emits(normalization.Scale, wraps=True)
def scale(op: normalization.Scale, layer: Layer, w: NumberWriter) -> Emission:
    keywords = {} if op.bias else {"bias": "False"}
    channels = w.number(layer.inputs[0].shape[0])
    return as_module(call(w.support("ChannelScale"), channels, **keywords))


# --- several inputs ------------------------------------------------------------------------------


@emits(merging.Concat, fresh=True)
def concat(op: merging.Concat, layer: Layer, w: NumberWriter) -> Emission:
    return Emission(lambda _, inputs: call("torch.cat", tuple_of(inputs), dim="1"))


@emits(merging.Add, fresh=True)
def add(op: merging.Add, layer: Layer, w: NumberWriter) -> Emission:
    return Emission(lambda _, inputs: Infix("+", tuple(inputs)))


@emits(merging.Sub, fresh=True)
def sub(op: merging.Sub, layer: Layer, w: NumberWriter) -> Emission:
    return Emission(lambda _, inputs: Infix("-", tuple(inputs)))


@emits(merging.Mul)
def mul(op: merging.Mul, layer: Layer, w: NumberWriter) -> Emission:
    return Emission(lambda _, inputs: Infix("*", tuple(inputs)))


def _emits_chain(op: type[Op], head: str) -> None:
    """An op of several inputs that is a function of two, from the first input to the last."""

    def forward(_: str, inputs: list[Source]) -> Source:
        result = inputs[0]
        for other in inputs[1:]:
            result = call(head, result, other)
        return result

    emits(op)(lambda op, layer, w: Emission(forward))


_emits_chain(merging.Maximum, "torch.maximum")
_emits_chain(merging.Minimum, "torch.minimum")


# --- rearranging ---------------------------------------------------------------------------------


@emits(reshaping.Identity, wraps=True)
def identity(op: reshaping.Identity, layer: Layer, w: NumberWriter) -> Emission:
    return Emission(lambda _, inputs: inputs[0])


@emits(reshaping.Flatten)
def flatten(op: reshaping.Flatten, layer: Layer, w: NumberWriter) -> Emission:
    return Emission(lambda _, inputs: method(inputs[0], "flatten", "1"))


@emits(reshaping.Reshape)
def reshape(op: reshaping.Reshape, layer: Layer, w: NumberWriter) -> Emission:
    given = layer.inputs[0].shape
    if len(given) == 1 and op.shape == (given[0], 1, 1):
        return Emission(lambda _, inputs: Verbatim(f"{inputs[0].flat()}[:, :, None, None]"))
    # One size can be left open, so that it need not be the same for every setting.
    open_ = [i for i, d in enumerate(op.shape) if not w.literal(d)][:1]
    sizes = ["-1" if i in open_ else w.fixed(d) for i, d in enumerate(op.shape)]

    def forward(name: str, inputs: list[Source]) -> Source:
        return method(inputs[0], "reshape", f"{inputs[0].flat()}.shape[0]", *sizes)

    return Emission(forward)


@emits(reshaping.Permute)
def permute(op: reshaping.Permute, layer: Layer, w: NumberWriter) -> Emission:
    order = [str(i + 1) for i in op.order]
    return Emission(lambda _, inputs: method(inputs[0], "permute", "0", *order))


@emits(reshaping.Split, several=True)
def split(op: reshaping.Split, layer: Layer, w: NumberWriter, several: bool) -> Emission:
    # Equal for every setting, not just for this one.
    if len({expr_of(s) for s in op.sizes}) == 1:
        name, parts = "chunk", str(len(op.sizes))
    else:
        name, parts = "split", f"({', '.join(w.fixed(s) for s in op.sizes)})"
    first = "" if several else "[0]"

    def forward(_: str, inputs: list[Source]) -> Source:
        return FunctionCall(
            f"{inputs[0].flat()}.{name}", (Verbatim(parts), Verbatim("dim=1")), tail=first
        )

    return Emission(forward)


@emits(reshaping.ChannelShuffle)
def channel_shuffle(op: reshaping.ChannelShuffle, layer: Layer, w: NumberWriter) -> Emission:
    return as_module(call("nn.ChannelShuffle", w.number(op.groups)))


@emits(reshaping.Pad)
def pad(op: reshaping.Pad, layer: Layer, w: NumberWriter) -> Emission:
    value = w.fixed(op.value) if op.value else ""
    if any(op.channels):
        top, bottom, left, right = op.pads
        before, after = (w.number(n) for n in op.channels)
        sizes = f"({left}, {right}, {top}, {bottom}, {before}, {after})"
        # Of three dimensions, the first is that of the channels.
        return as_module(call("nn.ConstantPad3d", sizes, value or "0.0"))
    return Emission(lambda _, inputs: _pad(inputs[0], op.pads, value))


@emits(reshaping.Crop)
def crop(op: reshaping.Crop, layer: Layer, w: NumberWriter) -> Emission:
    sides = zip(op.offset, op.size, strict=True)
    rows, columns = (f"{w.fixed(n) if n else ''}:{w.fixed(n + m)}" for n, m in sides)
    return Emission(lambda _, inputs: _sliced(inputs[0], rows, columns))
