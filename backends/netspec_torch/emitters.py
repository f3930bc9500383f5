"""How each op is written in PyTorch: its constructor, if it has one, and its call."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
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
    Relu,
    Relu6,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Tanh,
)
from netspec.ops.attribute_types import Pads
from netspec.ops.convolution import Conv, ConvTranspose, Linear
from netspec.ops.merging import Add, Concat, Maximum, Mul, Sub
from netspec.ops.normalization import BatchNorm, LayerNorm, Lrn, Normalize, Scale, Shift
from netspec.ops.pooling import AdaptiveAvgPool, AvgPool, GlobalAvgPool, GlobalMaxPool, MaxPool
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
from netspec.symbolic.expr import expr_of
from netspec_torch.writer import NumberWriter

Forward = Callable[[str, list[Source]], Source]


@dataclass(frozen=True)
class Emission:
    """What an emitter says of a layer.

    `module` is the constructor, None for a layer without state. `forward` builds the call from the
    module's own name (`self.conv1`) and the sources of the inputs; `inplace` does so where the
    input may be overwritten. `fresh` says that the result is a new tensor, which the layer's
    gradient has no need of: it may be overwritten.
    """

    module: FunctionCall | None
    forward: Forward
    inplace: Forward | None = None
    fresh: bool = False


Emitter = Callable[[Layer, NumberWriter, bool], Emission]
"""Of the layer, a writer for its numbers, and whether more than its first result is used."""

EMITTERS: dict[type[Op], Emitter] = {}
WRAPS: set[type[Op]] = set()
"""Ops that read well around the expression of their input."""


def emits(
    op: type[Op], wraps: bool = False, fresh: bool = False
) -> Callable[[Callable[..., Emission]], Callable[..., Emission]]:
    """Decorator: the emitter of an op."""

    def register(emitter: Callable[..., Emission]) -> Callable[..., Emission]:
        def with_op(layer: Layer, w: NumberWriter, several: bool) -> Emission:
            return replace(emitter(layer.op, layer, w, several), fresh=fresh)

        EMITTERS[op] = with_op
        if wraps:
            WRAPS.add(op)
        return emitter

    return register


def _put(keywords: dict[str, str], name: str, source: str, default: str) -> None:
    """Add a keyword, unless it is torch's default; a parameter that happens to be that is not."""
    if source != default:
        keywords[name] = source


def _apply(name: str, inputs: list[Source]) -> Source:
    return call(name, *inputs)


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


@emits(Conv, fresh=True)
def conv(op: Conv, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    in_channels = layer.inputs[0].shape[0]
    keywords: dict[str, str] = {"kernel_size": w.pair(op.kernel)}
    _put(keywords, "stride", w.pair(op.stride), "1")
    pads = op.pads
    forward: Forward = _apply
    if _symmetric(pads):
        _put(keywords, "padding", w.pair((pads[0], pads[2])), "0")
    else:
        forward = _padded(pads)
    _put(keywords, "dilation", w.pair(op.dilation), "1")
    _put(keywords, "groups", w.number(op.group_count), "1")
    if not op.bias:
        keywords["bias"] = "False"
    module = call("nn.Conv2d", w.number(in_channels), w.number(op.filters), **keywords)
    return Emission(module, forward)


@emits(ConvTranspose, fresh=True)
def conv_transpose(op: ConvTranspose, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    keywords: dict[str, str] = {"kernel_size": w.pair(op.kernel)}
    _put(keywords, "stride", w.pair(op.stride), "1")
    forward: Forward = _apply
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
    return Emission(module, forward)


def _trimmed(pads: Pads) -> Forward:
    """A call whose result is cut off around."""
    top, bottom, left, right = (int(p) for p in pads)
    rows = f"{top or ''}:{-bottom or ''}"
    columns = f"{left or ''}:{-right or ''}"
    return lambda name, inputs: _sliced(call(name, *inputs), rows, columns)


def _sliced(x: Source, rows: str, columns: str) -> Source:
    return Verbatim(f"{x.flat()}[:, :, {rows}, {columns}]")


@emits(Linear, fresh=True)
def linear(op: Linear, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    keywords = {} if op.bias else {"bias": "False"}
    features = layer.inputs[0].shape[0]
    return Emission(call("nn.Linear", w.number(features), w.number(op.units), **keywords), _apply)


@emits(BatchNorm, wraps=True, fresh=True)
def batchnorm(op: BatchNorm, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    shape = layer.inputs[0].shape
    keywords: dict[str, str] = {}
    _put(keywords, "eps", w.number(op.eps), repr(1e-5))
    _put(keywords, "momentum", w.number(op.momentum), repr(0.1))
    if not op.affine:
        keywords["affine"] = "False"
    head = "nn.BatchNorm2d" if len(shape) == 3 else "nn.BatchNorm1d"
    return Emission(call(head, w.number(shape[0]), **keywords), _apply)


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


@emits(MaxPool)
def maxpool(op: MaxPool, layer: Layer, w: NumberWriter, several: bool) -> Emission:
    keywords = _window(op, w)
    forward: Forward = _apply
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
    return _stateless(op, w, ("nn.MaxPool2d", "F.max_pool2d"), keywords, forward)


def _stateless(
    op: Any, w: NumberWriter, names: tuple[str, str], keywords: dict[str, str], forward: Forward
) -> Emission:
    """A function, or a module where the constructor's arguments decide about its window."""
    module, function = names
    if not w.literal(*op.kernel, *op.stride, *op.pads, *op.dilation):
        return Emission(call(module, **keywords), forward)

    def with_keywords(_: str, inputs: list[Source]) -> Source:
        bare = forward(function, inputs)
        assert isinstance(bare, FunctionCall)
        rest = [Keyword(n, Verbatim(v)) for n, v in keywords.items() if n != "kernel_size"]
        return FunctionCall(bare.head, (*bare.args, Verbatim(keywords["kernel_size"]), *rest))

    return Emission(None, with_keywords)


@emits(AvgPool)
def avgpool(op: AvgPool, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    names = ("nn.AvgPool2d", "F.avg_pool2d")
    keywords = _window(op, w)
    if _torch_pads(op):
        _put(keywords, "padding", w.pair((op.pads[0], op.pads[2])), "0")
        if op.rounding == "ceil":
            keywords["ceil_mode"] = "True"
        if any(op.pads) and not op.count_include_pad:
            keywords["count_include_pad"] = "False"
        return _stateless(op, w, names, keywords, _apply)
    if op.count_include_pad and op.rounding == "floor":
        return _stateless(op, w, names, keywords, _padded(op.pads))
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

    return Emission(call("nn.AvgPool2d", **keywords), forward)


@emits(GlobalAvgPool)
def global_avgpool(op: GlobalAvgPool, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    return Emission(None, lambda _, inputs: _method(inputs[0], "mean", "dim=(2, 3)"))


@emits(GlobalMaxPool)
def global_maxpool(op: GlobalMaxPool, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    return Emission(None, lambda _, inputs: _method(inputs[0], "amax", "dim=(2, 3)"))


@emits(AdaptiveAvgPool)
def adaptive_avgpool(op: AdaptiveAvgPool, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    size = w.fixed_pair(op.size)
    return Emission(None, lambda _, inputs: call("F.adaptive_avg_pool2d", *inputs, size))


@emits(MaxUnpool)
def maxunpool(op: MaxUnpool, layer: Layer, w: NumberWriter, several: bool) -> Emission:
    small, large = _plane(layer.inputs[0]), _plane(layer.outputs[0])
    kernel, stride = _unpooling(small, large)
    if min(kernel) < 1:
        raise Unsupported("max-unpooling to less than its input")
    args = [w.fixed_pair(kernel)] + ([] if stride == kernel else [w.fixed_pair(stride)])
    keywords: dict[str, str] = {}
    if any((n - 1) * s + k != m for n, m, k, s in zip(small, large, kernel, stride, strict=True)):
        keywords["output_size"] = f"({large[0]}, {large[1]})"
    return Emission(None, lambda _, inputs: call("F.max_unpool2d", *inputs, *args, **keywords))


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


@emits(Upsample)
def upsample(op: Upsample, layer: Layer, w: NumberWriter, several: bool) -> Emission:
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
    return Emission(None, lambda _, inputs: call("F.interpolate", *inputs, **keywords))


# --- activations ---------------------------------------------------------------------------------

_FUNCTIONS: dict[type[Op], str] = {
    Silu: "F.silu",
    Gelu: "F.gelu",
    HardSwish: "F.hardswish",
    Sigmoid: "torch.sigmoid",
    HardSigmoid: "F.hardsigmoid",
    Tanh: "torch.tanh",
    Abs: "torch.abs",
    Softplus: "F.softplus",
}


def _function(name: str) -> Callable[..., Emission]:
    def emitter(op: Op, layer: Layer, w: NumberWriter, _: bool) -> Emission:
        return Emission(None, lambda _, inputs: call(name, *inputs))

    return emitter


for _op, _name in _FUNCTIONS.items():
    emits(_op, wraps=True)(_function(_name))


def _overwriting(name: str) -> Callable[..., Emission]:
    """A function that can overwrite its input, which saves memory and time."""

    def emitter(op: Op, layer: Layer, w: NumberWriter, _: bool) -> Emission:
        return Emission(
            None,
            lambda _, inputs: call(name, *inputs),
            lambda _, inputs: call(name, *inputs, inplace="True"),
        )

    return emitter


emits(Relu, wraps=True)(_overwriting("F.relu"))
emits(Relu6, wraps=True)(_overwriting("F.relu6"))


@emits(LeakyRelu, wraps=True)
def leaky_relu(op: LeakyRelu, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    slope = w.number(op.slope)
    if not w.literal(op.slope):
        return Emission(call("nn.LeakyReLU", slope), _apply)
    return Emission(None, lambda _, inputs: call("F.leaky_relu", *inputs, slope))


@emits(Elu, wraps=True)
def elu(op: Elu, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    more = [w.number(op.alpha)] if op.alpha != 1 or not w.literal(op.alpha) else []
    if not w.literal(op.alpha):
        return Emission(call("nn.ELU", *more), _apply)
    return Emission(None, lambda _, inputs: call("F.elu", *inputs, *more))


@emits(PRelu, wraps=True)
def prelu(op: PRelu, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    slopes = [] if op.shared else [w.number(layer.inputs[0].shape[0])]
    return Emission(call("nn.PReLU", *slopes), _apply)


@emits(Power)
def power(op: Power, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    def forward(name: str, inputs: list[Source]) -> Source:
        x = _affine(op, w, inputs[0])
        if op.exponent == 1:
            return x
        if op.exponent == 2:
            return call("torch.square", x)
        return call("torch.pow", x, w.fixed(op.exponent))

    return Emission(None, forward)


@emits(Exp)
def exp(op: Exp, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    def forward(name: str, inputs: list[Source]) -> Source:
        x = _affine(op, w, inputs[0])
        return call("torch.exp", x) if op.base is None else call("torch.pow", w.fixed(op.base), x)

    return Emission(None, forward)


@emits(Log)
def log(op: Log, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    def forward(name: str, inputs: list[Source]) -> Source:
        result = call("torch.log", _affine(op, w, inputs[0]))
        if op.base is None:
            return result
        return Infix("/", (result, Verbatim(repr(math.log(float(w.fixed(op.base)))))))

    return Emission(None, forward)


def _affine(op: Power | Exp | Log, w: NumberWriter, x: Source) -> Source:
    """shift + scale * x."""
    if op.scale != 1:
        x = Infix("*", (Verbatim(w.fixed(op.scale)), x))
    if op.shift:
        x = Infix("-" if op.shift < 0 else "+", (x, Verbatim(w.fixed(op.shift).lstrip("-"))))
    return x


@emits(ArgMax)
def argmax(op: ArgMax, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    def forward(name: str, inputs: list[Source]) -> Source:
        places = _method(inputs[0], "argmax", "dim=1", "keepdim=True")
        return _method(places, "to", f"{inputs[0].flat()}.dtype")

    return Emission(None, forward)


@emits(Softmax)
def softmax(op: Softmax, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    return Emission(None, lambda _, inputs: _method(inputs[0], "softmax", "dim=1"))


@emits(LogSoftmax)
def log_softmax(op: LogSoftmax, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    return Emission(None, lambda _, inputs: _method(inputs[0], "log_softmax", "dim=1"))


@emits(Dropout)
def dropout(op: Dropout, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    return Emission(
        call("nn.Dropout2d" if op.spatial else "nn.Dropout", p=w.number(op.ratio)), _apply
    )


def _method(value: Source, name: str, *args: str) -> Source:
    return FunctionCall(f"{value.flat()}.{name}", tuple(Verbatim(a) for a in args))


# --- normalizations ------------------------------------------------------------------------------


@emits(LayerNorm)
def layernorm(op: LayerNorm, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    shape = layer.inputs[0].shape
    keywords = {} if op.eps == 1e-5 else {"eps": w.number(op.eps)}
    module = call("nn.LayerNorm", w.number(shape[0]), **keywords)
    if len(shape) == 1:
        return Emission(module, _apply)

    def forward(name: str, inputs: list[Source]) -> Source:
        # PyTorch normalizes the last dimension.
        last = _method(inputs[0], "permute", "0", "2", "3", "1")
        return _method(call(name, last), "permute", "0", "3", "1", "2")

    return Emission(module, forward)


@emits(Normalize)
def normalize(op: Normalize, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    every = op.across == "all" and len(layer.inputs[0].shape) == 3

    def forward(name: str, inputs: list[Source]) -> Source:
        dims = "dim=(1, 2, 3)" if every else "dim=1"
        squares = _method(_method(inputs[0], "square"), "sum", dims, "keepdim=True")
        length = _method(_method(squares, "add", w.fixed(op.eps)), "sqrt")
        return Infix("/", (inputs[0], length))

    return Emission(None, forward)


@emits(Shift, wraps=True)
def shift(op: Shift, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    return Emission(call(w.support("ChannelShift"), w.number(layer.inputs[0].shape[0])), _apply)


@emits(Lrn, wraps=True)
def lrn(op: Lrn, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    numbers = {"alpha": (op.alpha, 1e-4), "beta": (op.beta, 0.75), "k": (op.k, 1.0)}
    keywords = {n: w.number(v) for n, (v, default) in numbers.items() if v != default}
    return Emission(call("nn.LocalResponseNorm", w.number(op.size), **keywords), _apply)


@emits(Scale, wraps=True)
def scale(op: Scale, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    keywords = {} if op.bias else {"bias": "False"}
    channels = w.number(layer.inputs[0].shape[0])
    return Emission(call(w.support("ChannelScale"), channels, **keywords), _apply)


# --- several inputs ------------------------------------------------------------------------------


@emits(Concat, fresh=True)
def concat(op: Concat, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    return Emission(None, lambda _, inputs: call("torch.cat", tuple_of(inputs), dim="1"))


@emits(Add, fresh=True)
def add(op: Add, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    return Emission(None, lambda _, inputs: Infix("+", tuple(inputs)))


@emits(Sub, fresh=True)
def sub(op: Sub, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    return Emission(None, lambda _, inputs: Infix("-", tuple(inputs)))


@emits(Mul)
def mul(op: Mul, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    return Emission(None, lambda _, inputs: Infix("*", tuple(inputs)))


@emits(Maximum)
def maximum(op: Maximum, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    def forward(name: str, inputs: list[Source]) -> Source:
        result = inputs[0]
        for other in inputs[1:]:
            result = call("torch.maximum", result, other)
        return result

    return Emission(None, forward)


# --- rearranging ---------------------------------------------------------------------------------


@emits(Identity, wraps=True)
def identity(op: Identity, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    return Emission(None, lambda _, inputs: inputs[0])


@emits(Flatten)
def flatten(op: Flatten, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    return Emission(None, lambda _, inputs: _method(inputs[0], "flatten", "1"))


@emits(Reshape)
def reshape(op: Reshape, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    given = layer.inputs[0].shape
    if len(given) == 1 and op.shape == (given[0], 1, 1):
        return Emission(None, lambda _, inputs: Verbatim(f"{inputs[0].flat()}[:, :, None, None]"))
    # One size can be left open, so that it need not be the same for every setting.
    open_ = [i for i, d in enumerate(op.shape) if not w.literal(d)][:1]
    sizes = ["-1" if i in open_ else w.fixed(d) for i, d in enumerate(op.shape)]

    def forward(name: str, inputs: list[Source]) -> Source:
        return _method(inputs[0], "reshape", f"{inputs[0].flat()}.shape[0]", *sizes)

    return Emission(None, forward)


@emits(Permute)
def permute(op: Permute, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    order = [str(i + 1) for i in op.order]
    return Emission(None, lambda _, inputs: _method(inputs[0], "permute", "0", *order))


@emits(Split)
def split(op: Split, layer: Layer, w: NumberWriter, several: bool) -> Emission:
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

    return Emission(None, forward)


@emits(ChannelShuffle)
def channel_shuffle(op: ChannelShuffle, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    return Emission(call("nn.ChannelShuffle", w.number(op.groups)), _apply)


@emits(Pad)
def pad(op: Pad, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    value = w.fixed(op.value) if op.value else ""
    if any(op.channels):
        top, bottom, left, right = op.pads
        before, after = (w.number(n) for n in op.channels)
        sizes = f"({left}, {right}, {top}, {bottom}, {before}, {after})"
        # Of three dimensions, the first is that of the channels.
        return Emission(call("nn.ConstantPad3d", sizes, value or "0.0"), _apply)
    return Emission(None, lambda _, inputs: _pad(inputs[0], op.pads, value))


@emits(Crop)
def crop(op: Crop, layer: Layer, w: NumberWriter, _: bool) -> Emission:
    sides = zip(op.offset, op.size, strict=True)
    rows, columns = (f"{w.fixed(n) if n else ''}:{w.fixed(n + m)}" for n, m in sides)
    return Emission(None, lambda _, inputs: _sliced(inputs[0], rows, columns))
