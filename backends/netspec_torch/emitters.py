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
from netspec.codegen.spelling import ConstructorNumbers
from netspec.codegen.trace_nodes import CannotTrace
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
    Shaped,
    WrittenLayer,
    apply,
    as_module,
    emits,
    function,
    function_of_numbers,
    method,
)

__all__ = ["EMITTERS", "WRAPS"]


def _put(keywords: dict[str, str], name: str, source: str, default: str) -> None:
    """Add a keyword, unless it is torch's default; a parameter that happens to be that is not."""
    if source != default:
        keywords[name] = source


def _padded(pads: Pads, w: ConstructorNumbers, value: str = "") -> Forward:
    """A call on the input with padding around it; torch counts from the last dimension."""
    top, bottom, left, right = (w.fixed(p) for p in pads)
    args = [f"({left}, {right}, {top}, {bottom})", *([f"value={value}"] if value else [])]
    return lambda name, inputs: call(name, call("F.pad", inputs[0], *args))


def _flag(keywords: dict[str, str], w: ConstructorNumbers, name: str, value: bool) -> None:
    """Add a truth value that is True in PyTorch unless it is said otherwise."""
    given = w.flag(name)
    if given is not None:
        keywords[name] = given
    elif not value:
        keywords[name] = "False"


def _symmetric(pads: Pads) -> bool:
    """Whether both sides have the same padding, whatever the arguments are."""
    top, bottom, left, right = map(expr_of, pads)
    return top == bottom and left == right


def _same_padded(op: Any, w: ConstructorNumbers, value: str = "") -> Forward:
    """A call on the input, padded for its size as `pad: same` says."""
    pairs = {"kernel_size": op.kernel, "stride": op.stride}
    if getattr(op, "dilation", (1, 1)) != (1, 1):
        pairs["dilation"] = op.dilation

    def forward(name: str, inputs: list[Source]) -> Source:
        # What arguments decide is asked of the layer itself.
        args = [
            w.fixed_pair(pair) if w.literal(*pair) else f"{name}.{what}"
            for what, pair in pairs.items()
        ]
        keywords = {"value": value} if value else {}
        return call(name, call(w.support("pad_same"), inputs[0], *args, **keywords))

    return forward


# --- layers with weights -------------------------------------------------------------------------


@emits(convolution.Conv, fresh=True)
def conv(op: convolution.Conv, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    in_channels = layer.inputs[0].shape[0]
    keywords: dict[str, str] = {"kernel_size": w.pair(op.kernel)}
    _put(keywords, "stride", w.pair(op.stride), "1")
    pads = op.pads
    forward: Forward = apply
    if layer.stated.pad == "same":
        spans = [d * (k - 1) for k, d in zip(op.kernel, op.dilation, strict=True)]
        steps = w.literal(*op.stride) and op.stride == (1, 1)
        if steps and not w.literal(*op.kernel, *op.dilation):
            keywords["padding"] = '"same"'
        elif steps and not any(s % 2 for s in spans):
            _put(keywords, "padding", w.pair((spans[0] // 2, spans[1] // 2)), "0")
        else:
            forward = _same_padded(op, w)
    elif _symmetric(pads):
        _put(keywords, "padding", w.pair((pads[0], pads[2])), "0")
    else:
        forward = _padded(pads, w)
    _put(keywords, "dilation", w.pair(op.dilation), "1")
    _put(keywords, "groups", w.number(op.group_count), "1")
    _flag(keywords, w, "bias", op.bias)
    module = call("nn.Conv2d", w.number(in_channels), w.number(op.filters), **keywords)
    return as_module(module, forward)


@emits(convolution.ConvTranspose, fresh=True)
def conv_transpose(
    op: convolution.ConvTranspose, layer: WrittenLayer, w: ConstructorNumbers
) -> Emission:
    keywords: dict[str, str] = {"kernel_size": w.pair(op.kernel)}
    _put(keywords, "stride", w.pair(op.stride), "1")
    forward: Forward = apply
    if _symmetric(op.pads):
        _put(keywords, "padding", w.pair((op.pads[0], op.pads[2])), "0")
    else:
        forward = _trimmed(op.pads, w)
    _put(keywords, "output_padding", w.pair(op.output_pad), "0")
    _put(keywords, "dilation", w.pair(op.dilation), "1")
    _put(keywords, "groups", w.number(op.group_count), "1")
    _flag(keywords, w, "bias", op.bias)
    channels = w.number(layer.inputs[0].shape[0])
    module = call("nn.ConvTranspose2d", channels, w.number(op.filters), **keywords)
    return as_module(module, forward)


def _trimmed(pads: Pads, w: ConstructorNumbers) -> Forward:
    """A call whose result is cut off around."""
    if not w.literal(*pads):
        # Negative padding cuts off.
        left, right, top, bottom = (_minus(n, w) for n in (pads[2], pads[3], pads[0], pads[1]))
        sizes = call("", left, right, top, bottom)
        return lambda name, inputs: call("F.pad", call(name, *inputs), sizes)
    rows, columns = (f"{int(a) or ''}:{-int(b) or ''}" for a, b in (pads[:2], pads[2:]))
    return lambda name, inputs: _sliced(call(name, *inputs), rows, columns)


def _minus(n: int, w: ConstructorNumbers) -> str:
    source = w.fixed(n)
    return f"-({source})" if " " in source else f"-{source}".replace("-0", "0")


def _sliced(x: Source, rows: str, columns: str) -> Source:
    return Verbatim(f"{x.flat()}[:, :, {rows}, {columns}]")


@emits(convolution.Linear, fresh=True)
def linear(op: convolution.Linear, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    keywords: dict[str, str] = {}
    _flag(keywords, w, "bias", op.bias)
    features = layer.inputs[0].shape[0]
    module = call("nn.Linear", w.number(features), w.number(op.units), **keywords)
    one_size = "in_features" if w.depends_on_sizes(features) else ""
    return Emission(apply, module, one_size=one_size)


@emits(normalization.BatchNorm, wraps=True, fresh=True)
def batchnorm(op: normalization.BatchNorm, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    shape = layer.inputs[0].shape
    keywords: dict[str, str] = {}
    _put(keywords, "eps", w.number(op.eps), repr(1e-5))
    _put(keywords, "momentum", w.number(op.momentum), repr(0.1))
    _flag(keywords, w, "affine", op.affine)
    head = "nn.BatchNorm2d" if len(shape) == 3 else "nn.BatchNorm1d"
    return as_module(call(head, w.number(shape[0]), **keywords))


# --- poolings ------------------------------------------------------------------------------------


def _torch_pads(op: Any) -> bool:
    """Whether torch's own padding does: equal on both sides, at most half of the window."""
    pads = op.pads
    halves = [k // 2 for k in op.kernel]
    return _symmetric(pads) and int(pads[0]) <= int(halves[0]) and int(pads[2]) <= int(halves[1])


def _extended(op: Any, w: ConstructorNumbers, pads: Pads, value: str = "") -> Forward:
    """A call on the input with pads, and as much more as a last window hangs over the end."""
    top, bottom, left, right = (w.fixed(p) for p in pads)
    args = [f"({left}, {right}, {top}, {bottom})", w.fixed_pair(op.kernel), w.fixed_pair(op.stride)]
    keywords = {"value": value} if value else {}
    if op.dilation != (1, 1):
        keywords["dilation"] = w.fixed_pair(op.dilation)
    return lambda name, inputs: call(
        name, call(w.support("pad_ceil"), inputs[0], *args, **keywords)
    )


def _window(op: Any, w: ConstructorNumbers) -> dict[str, str]:
    keywords = {"kernel_size": w.pair(op.kernel)}
    _put(keywords, "stride", w.pair(op.stride), keywords["kernel_size"])
    return keywords


@emits(pooling.MaxPool, several=True)
def maxpool(
    op: pooling.MaxPool, layer: WrittenLayer, w: ConstructorNumbers, several: bool
) -> Emission:
    keywords = _window(op, w)
    forward: Forward = apply
    same = layer.stated.pad == "same"
    own_pads = not same and _torch_pads(op)
    if own_pads:
        _put(keywords, "padding", w.pair((op.pads[0], op.pads[2])), "0")
    _put(keywords, "dilation", w.pair(op.dilation), "1")
    if own_pads and op.rounding == "ceil":
        keywords["ceil_mode"] = "True"
    if not own_pads:
        lowest = 'float("-inf")'
        if same:
            forward = _same_padded(op, w, lowest)
        elif op.rounding == "ceil":
            forward = _extended(op, w, op.pads, lowest)
        else:
            forward = _padded(op.pads, w, lowest)
        if several:
            raise Unsupported("indices of a pooling whose pads differ or exceed half of the kernel")
    if several:
        keywords["return_indices"] = "True"
    return _window_function(op, w, ("nn.MaxPool2d", "F.max_pool2d"), keywords, forward)


def _window_function(
    op: Any,
    w: ConstructorNumbers,
    names: tuple[str, str],
    keywords: dict[str, str],
    forward: Forward,
) -> Emission:
    """A function, or a module where the constructor's arguments decide about its window."""
    module, head = names
    numbers = [*op.kernel, *op.stride, *op.dilation]
    decided = keywords.get("count_include_pad", "False") != "False"
    if decided or not w.literal(*numbers, *(op.pads if "padding" in keywords else ())):
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
def avgpool(op: pooling.AvgPool, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    names = ("nn.AvgPool2d", "F.avg_pool2d")
    keywords = _window(op, w)
    same = layer.stated.pad == "same"
    if not same and _torch_pads(op):
        _put(keywords, "padding", w.pair((op.pads[0], op.pads[2])), "0")
        if op.rounding == "ceil":
            keywords["ceil_mode"] = "True"
        if any(op.pads):
            _flag(keywords, w, "count_include_pad", bool(op.count_include_pad))
        return _window_function(op, w, names, keywords, apply)
    if op.count_include_pad and op.rounding == "floor":
        around = _same_padded(op, w) if same else _padded(op.pads, w)
        return _window_function(op, w, names, keywords, around)
    if same:

        def forward(name: str, inputs: list[Source]) -> Source:
            # The share of a window that counts is the mean of ones there and zeros elsewhere.
            ones: Source = call("torch.ones_like", inputs[0])
            padded = _same_padded(op, w)
            return Infix("/", (padded(name, inputs), padded(name, [ones])))

        return as_module(call("nn.AvgPool2d", **keywords), forward)
    top, bottom, left, right = (w.fixed(p) for p in op.pads)
    args = [f"({left}, {right}, {top}, {bottom})", w.fixed_pair(op.kernel), w.fixed_pair(op.stride)]
    args += [repr(op.rounding == "ceil"), repr(bool(op.count_include_pad))]
    return Emission(lambda _, inputs: call(w.support("avg_pool"), inputs[0], *args))


@emits(pooling.GlobalAvgPool)
def global_avgpool(
    op: pooling.GlobalAvgPool, layer: WrittenLayer, w: ConstructorNumbers
) -> Emission:
    return Emission(lambda _, inputs: method(inputs[0], "mean", "dim=(2, 3)"))


@emits(pooling.GlobalMaxPool)
def global_maxpool(
    op: pooling.GlobalMaxPool, layer: WrittenLayer, w: ConstructorNumbers
) -> Emission:
    return Emission(lambda _, inputs: method(inputs[0], "amax", "dim=(2, 3)"))


@emits(pooling.AdaptiveAvgPool)
def adaptive_avgpool(
    op: pooling.AdaptiveAvgPool, layer: WrittenLayer, w: ConstructorNumbers
) -> Emission:
    size = w.size_of(op.size) or w.fixed_pair(op.size)
    return Emission(lambda _, inputs: call("F.adaptive_avg_pool2d", *inputs, size))


@emits(resizing.MaxUnpool)
def maxunpool(op: resizing.MaxUnpool, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    plane = getattr(layer.inputs[1].shape, "plane", ())
    size = w.size_of(plane)
    if size is None and layer.stated.size is not None:
        size = w.size_of(layer.stated.size[-2:])
    if size is not None:
        unpool = w.support("max_unpool")
        return Emission(lambda _, inputs: call(unpool, *inputs, size))
    small, large = _plane(layer.inputs[0]), _plane(layer.outputs[0])
    kernel, stride = _unpooling(small, large)
    if min(kernel) < 1:
        raise Unsupported("max-unpooling to less than its input")
    # Its stub wants pairs.
    args = [f"({w.fixed(a)}, {w.fixed(b)})" for a, b in dict.fromkeys((kernel, stride))]
    keywords: dict[str, str] = {}
    if any((n - 1) * s + k != m for n, m, k, s in zip(small, large, kernel, stride, strict=True)):
        if not w.sizes_are_known:
            raise CannotTrace("the size that indices are of, which come from outside")
        keywords["output_size"] = f"({large[0]}, {large[1]})"
    return Emission(lambda _, inputs: call("F.max_unpool2d", *inputs, *args, **keywords))


def _plane(value: Shaped) -> tuple[int, int]:
    """Height and width."""
    return int(value.shape[1]), int(value.shape[2])


def _unpooling(
    small: tuple[int, int], large: tuple[int, int]
) -> tuple[tuple[int, int], tuple[int, int]]:
    """A kernel and stride with which PyTorch, which knows no places, accepts the sizes."""
    ratio = [round(m / n) for n, m in zip(small, large, strict=True)]
    if all(r > 0 and abs(n * r - m) < r for n, m, r in zip(small, large, ratio, strict=True)):
        return (ratio[0], ratio[1]), (ratio[0], ratio[1])
    return (large[0] - small[0] + 1, large[1] - small[1] + 1), (1, 1)


@emits(resizing.Upsample)
def upsample(op: resizing.Upsample, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    small, large = _plane(layer.inputs[0]), _plane(layer.outputs[0])
    keywords: dict[str, str] = {}
    stated = layer.stated
    if stated.size is not None and w.size_of(stated.size[-2:]):
        keywords["size"] = w.size_of(stated.size[-2:]) or ""
    elif stated.scale is not None:
        rows, columns = (w.fixed(float(s)) if w.literal(s) else w.fixed(s) for s in stated.scale)
        keywords["scale_factor"] = rows if rows == columns else f"({rows}, {columns})"
    elif any(m % n for n, m in zip(small, large, strict=True)):
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
def hardtanh(op: activation.HardTanh, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return function_of_numbers(
        w, "F.hardtanh", "nn.Hardtanh", op.min, op.max, defaults=(-1, 1), inplace=True
    )


@emits(activation.Threshold, wraps=True)
def threshold(op: activation.Threshold, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return function_of_numbers(w, "F.threshold", "nn.Threshold", op.threshold, op.value)


@emits(activation.HardShrink, wraps=True)
def hardshrink(op: activation.HardShrink, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return function_of_numbers(w, "F.hardshrink", "nn.Hardshrink", op.threshold, defaults=(0.5,))


@emits(activation.SoftShrink, wraps=True)
def softshrink(op: activation.SoftShrink, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return function_of_numbers(w, "F.softshrink", "nn.Softshrink", op.threshold, defaults=(0.5,))


@emits(activation.Celu, wraps=True)
def celu(op: activation.Celu, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return function_of_numbers(w, "F.celu", "nn.CELU", op.alpha, defaults=(1,))


@emits(activation.LeakyRelu, wraps=True)
def leaky_relu(op: activation.LeakyRelu, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return function_of_numbers(w, "F.leaky_relu", "nn.LeakyReLU", op.slope)


@emits(activation.Elu, wraps=True)
def elu(op: activation.Elu, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return function_of_numbers(w, "F.elu", "nn.ELU", op.alpha, defaults=(1,))


@emits(activation.PRelu, wraps=True)
def prelu(op: activation.PRelu, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    slopes = [] if op.shared else [w.number(layer.inputs[0].shape[0])]
    return as_module(call("nn.PReLU", *slopes))


@emits(activation.Power)
def power(op: activation.Power, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    def forward(name: str, inputs: list[Source]) -> Source:
        x = _affine(op, w, inputs[0])
        if w.always(op.exponent, 1):
            return x
        if w.always(op.exponent, 2):
            return call("torch.square", x)
        return call("torch.pow", x, w.fixed(op.exponent))

    return Emission(forward)


@emits(activation.Exp)
def exp(op: activation.Exp, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    def forward(name: str, inputs: list[Source]) -> Source:
        x = _affine(op, w, inputs[0])
        return call("torch.exp", x) if op.base is None else call("torch.pow", w.fixed(op.base), x)

    return Emission(forward)


@emits(activation.Log)
def log(op: activation.Log, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    def forward(name: str, inputs: list[Source]) -> Source:
        result = call("torch.log", _affine(op, w, inputs[0]))
        if op.base is None:
            return result
        return Infix("/", (result, Verbatim(repr(math.log(float(w.fixed(op.base)))))))

    return Emission(forward)


def _affine(
    op: activation.Power | activation.Exp | activation.Log, w: ConstructorNumbers, x: Source
) -> Source:
    """shift + scale * x."""
    if not w.always(op.scale, 1):
        x = Infix("*", (Verbatim(w.fixed(op.scale)), x))
    if not w.always(op.shift, 0):
        x = Infix("-" if op.shift < 0 else "+", (x, Verbatim(w.fixed(op.shift).lstrip("-"))))
    return x


@emits(reducing.ArgMax)
def argmax(op: reducing.ArgMax, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    def forward(name: str, inputs: list[Source]) -> Source:
        places = method(inputs[0], "argmax", "dim=1", "keepdim=True")
        return method(places, "to", f"{inputs[0].flat()}.dtype")

    return Emission(forward)


@emits(activation.Softmax)
def softmax(op: activation.Softmax, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return Emission(lambda _, inputs: call("F.softmax", *inputs, dim="1"))


@emits(activation.LogSoftmax)
def log_softmax(op: activation.LogSoftmax, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return Emission(lambda _, inputs: call("F.log_softmax", *inputs, dim="1"))


@emits(regularization.Dropout)
def dropout(op: regularization.Dropout, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    head = "nn.Dropout2d" if op.spatial else "nn.Dropout"
    return as_module(call(head, p=w.number(op.ratio)))


# --- normalizations ------------------------------------------------------------------------------


@emits(normalization.LayerNorm)
def layernorm(op: normalization.LayerNorm, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    shape = layer.inputs[0].shape
    keywords = {} if w.always(op.eps, 1e-5) else {"eps": w.number(op.eps)}
    module = call("nn.LayerNorm", w.number(shape[0]), **keywords)
    if len(shape) == 1:
        return as_module(module)

    def forward(name: str, inputs: list[Source]) -> Source:
        # PyTorch normalizes the last dimension.
        last = method(inputs[0], "permute", "0", "2", "3", "1")
        return method(call(name, last), "permute", "0", "3", "1", "2")

    return as_module(module, forward)


@emits(normalization.Normalize)
def normalize(op: normalization.Normalize, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    every = op.across == "all" and len(layer.inputs[0].shape) == 3

    def forward(name: str, inputs: list[Source]) -> Source:
        dims = "dim=(1, 2, 3)" if every else "dim=1"
        squares = method(method(inputs[0], "square"), "sum", dims, "keepdim=True")
        length = method(method(squares, "add", w.fixed(op.eps)), "sqrt")
        return Infix("/", (inputs[0], length))

    return Emission(forward)


@emits(normalization.Shift, wraps=True)
def shift(op: normalization.Shift, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return as_module(call(w.support("ChannelShift"), w.number(layer.inputs[0].shape[0])))


@emits(normalization.Lrn, wraps=True)
def lrn(op: normalization.Lrn, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    numbers = {"alpha": (op.alpha, 1e-4), "beta": (op.beta, 0.75), "k": (op.k, 1.0)}
    keywords = {n: w.number(v) for n, (v, default) in numbers.items() if not w.always(v, default)}
    module = call("nn.LocalResponseNorm", w.number(op.size), **keywords)
    if len(layer.inputs[0].shape) == 3:
        return as_module(module)

    def forward(name: str, inputs: list[Source]) -> Source:
        # PyTorch wants something behind the channels.
        return method(call(name, Verbatim(f"{inputs[0].flat()}[:, :, None]")), "squeeze", "2")

    return as_module(module, forward)


@emits(normalization.Scale, wraps=True)
def scale(op: normalization.Scale, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    keywords: dict[str, str] = {}
    _flag(keywords, w, "bias", op.bias)
    channels = w.number(layer.inputs[0].shape[0])
    return as_module(call(w.support("ChannelScale"), channels, **keywords))


# --- several inputs ------------------------------------------------------------------------------


@emits(merging.Concat, fresh=True)
def concat(op: merging.Concat, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return Emission(lambda _, inputs: call("torch.cat", tuple_of(inputs), dim="1"))


@emits(merging.Add, fresh=True)
def add(op: merging.Add, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return Emission(lambda _, inputs: Infix("+", tuple(inputs)))


@emits(merging.Sub, fresh=True)
def sub(op: merging.Sub, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return Emission(lambda _, inputs: Infix("-", tuple(inputs)))


@emits(merging.Mul)
def mul(op: merging.Mul, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
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
def identity(op: reshaping.Identity, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return Emission(lambda _, inputs: inputs[0])


@emits(reshaping.Flatten)
def flatten(op: reshaping.Flatten, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    return Emission(lambda _, inputs: method(inputs[0], "flatten", "1"))


@emits(reshaping.Reshape)
def reshape(op: reshaping.Reshape, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
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
def permute(op: reshaping.Permute, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    order = [str(i + 1) for i in op.order]
    return Emission(lambda _, inputs: method(inputs[0], "permute", "0", *order))


@emits(reshaping.Split, several=True)
def split(
    op: reshaping.Split, layer: WrittenLayer, w: ConstructorNumbers, several: bool
) -> Emission:
    # Equal for every setting, not just for this one.
    if isinstance(layer.stated.parts, int):
        name, parts = "chunk", w.fixed(layer.stated.parts)
    elif len({expr_of(s) for s in op.sizes}) == 1:
        name, parts = "chunk", str(len(op.sizes))
    else:
        name, parts = "split", f"({', '.join(w.fixed(s) for s in op.sizes)})"
    tail = "" if several else "[0]"
    if several and not parts.isdecimal() and name == "chunk":
        tail = f"[:{len(op.sizes)}]"  # as many as this class names

    def forward(_: str, inputs: list[Source]) -> Source:
        return FunctionCall(
            f"{inputs[0].flat()}.{name}", (Verbatim(parts), Verbatim("dim=1")), tail=tail
        )

    return Emission(forward)


@emits(reshaping.ChannelShuffle)
def channel_shuffle(
    op: reshaping.ChannelShuffle, layer: WrittenLayer, w: ConstructorNumbers
) -> Emission:
    return as_module(call("nn.ChannelShuffle", w.number(op.groups)))


@emits(reshaping.Pad)
def pad(op: reshaping.Pad, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    top, bottom, left, right, before, after = (w.fixed(n) for n in (*op.pads, *op.channels))
    sides = [left, right, top, bottom]
    sides += [] if all(w.always(n, 0) for n in op.channels) else [before, after]
    args = [f"({', '.join(sides)})"]
    args += [] if w.always(op.value, 0) else [f"value={w.fixed(op.value)}"]
    return Emission(lambda _, inputs: call("F.pad", inputs[0], *args))


@emits(reshaping.Crop)
def crop(op: reshaping.Crop, layer: WrittenLayer, w: ConstructorNumbers) -> Emission:
    sides = zip(op.offset, op.size, strict=True)
    rows, columns = (f"{'' if w.always(n, 0) else w.fixed(n)}:{w.fixed(n + m)}" for n, m in sides)
    return Emission(lambda _, inputs: _sliced(inputs[0], rows, columns))
