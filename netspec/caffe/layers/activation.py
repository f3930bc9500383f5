"""Functions of each element, and the two over an axis."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from netspec.caffe.graph import Value
from netspec.caffe.layers.base import Tops, layer
from netspec.caffe.translate import Unsupported, Use, language_shape
from netspec.source import Span


def _plain(op: str) -> Callable[[Use], Tops]:
    return lambda use: use.same(use.emit(op))


for _type, _op in {
    "Sigmoid": "sigmoid",
    "TanH": "tanh",
    "AbsVal": "abs",
    "BNLL": "softplus",
    "HardSwish": "hardswish",
    "HSwish": "hardswish",
    "HSigmoid": "hardsigmoid",
}.items():
    layer(_type)(_plain(_op))


@layer("ReLU")
def relu(use: Use) -> Tops:
    p = use.params("relu_param")
    if p.flag("relu6"):
        return use.same(use.emit("relu6"))
    slope = p.number("negative_slope")
    if slope == 0:
        return use.same(use.emit("relu"))
    return use.same(use.emit("leaky_relu", slope=(slope, p.place("negative_slope"))))


@layer("ReLU6")
def relu6(use: Use) -> Tops:
    p = use.params("relu6_param")
    if p.number("threshold") != 6 or p.number("negative_slope") != 0:
        raise Unsupported("a ReLU6 with another threshold than 6, or a slope", p.span)
    return use.same(use.emit("relu6"))


@layer("Clip")
def clip(use: Use) -> Tops:
    p = use.params("clip_param")
    if p.maybe_number("min") != 0 or p.maybe_number("max") != 6:
        raise Unsupported("a Clip to other bounds than 0 and 6", p.span)
    return use.same(use.emit("relu6"))


@layer("Swish")
def swish(use: Use) -> Tops:
    p = use.params("swish_param")
    if p.number("beta") != 1:
        raise Unsupported("a Swish with another beta than 1", p.place("beta"))
    return use.same(use.emit("silu"))


@layer("PReLU")
def prelu(use: Use) -> Tops:
    p = use.params("prelu_param")
    shared = (p.flag("channel_shared"), p.place("channel_shared"))
    return use.same(use.emit("prelu", blobs={"weight": use.blob(0)}, shared=shared))


@layer("ELU")
def elu(use: Use) -> Tops:
    p = use.params("elu_param")
    return use.same(use.emit("elu", alpha=(p.number("alpha"), p.place("alpha"))))


@layer("Power")
def power(use: Use) -> Tops:
    """(shift + scale * x) ** power."""
    p = use.params("power_param")
    exponent = (p.number("power"), p.place("power"))
    scale, shift = (p.number("scale"), p.place("scale")), (p.number("shift"), p.place("shift"))
    if exponent[0] == 1 and scale[0] == 1 and shift[0] == 0:
        return use.same(use.emit("identity"))
    return use.same(use.emit("power", exponent=exponent, scale=scale, shift=shift))


@layer("Exp")
def exp(use: Use) -> Tops:
    """base ** (shift + scale * x); a base of -1 stands for e."""
    return _with_base(use, "exp", "exp_param")


@layer("Log")
def log(use: Use) -> Tops:
    """The logarithm of shift + scale * x to the base; -1 stands for e."""
    return _with_base(use, "log", "log_param")


def _with_base(use: Use, op: str, params: str) -> Tops:
    p = use.params(params)
    base = p.number("base")
    if base != -1 and base <= 0:
        raise use.wrong("out-of-range", "a base is above 0, or -1 for e", p.place("base"))
    value = use.emit(
        op,
        base=(base, p.place("base")) if base != -1 else None,
        scale=(p.number("scale"), p.place("scale")),
        shift=(p.number("shift"), p.place("shift")),
    )
    return use.same(value)


@layer("Dropout")
def dropout(use: Use) -> Tops:
    p = use.params("dropout_param")
    ratio = (p.number("dropout_ratio"), p.place("dropout_ratio"))
    return use.same(use.emit("dropout", ratio=ratio))


@layer("Softmax", "CuDNNSoftmax")
def softmax(use: Use) -> Tops:
    p = use.params("softmax_param")
    axis = use.axis(p.integer("axis"), p.place("axis"))
    return use.same(_along(use, axis, "softmax"))


def _along(use: Use, axis: int, op: str) -> Value:
    """An op over channels, applied along another axis."""
    if axis == 1:
        return use.emit(op)
    order = [0, 1, 2]
    order[0], order[axis - 1] = order[axis - 1], order[0]
    turned = use.permuted(use.x.value, order)
    return use.permuted(use.emit(op, turned, part=True), order, part=False)


@layer("ArgMax")
def argmax(use: Use) -> Tops:
    p = use.params("argmax_param")
    if p.integer("top_k") != 1:
        raise Unsupported("an ArgMax of several places", p.place("top_k"))
    if p.flag("out_max_val"):
        raise Unsupported("an ArgMax that gives the largest value too", p.place("out_max_val"))
    place: Span = p.place("axis")
    if p.maybe_integer("axis") is None:
        flat = use.reshaped(use.x.value, (prod(use.x.dims),))
        value = use.emit("argmax", flat)
        # Caffe's shape is N x 1 x 1.
        return [use.data(use.reshaped(value, (1, 1, 1), part=False), (1, 1))]
    axis = use.axis(p.integer("axis"), place)
    dims = list(use.x.dims)
    dims[axis - 1] = 1
    return [use.data(_along(use, axis, "argmax"), tuple(dims))]


@layer("Threshold")
def threshold(use: Use) -> Tops:
    """1 where x is above the threshold, else 0: which of 0 and x - threshold is the larger."""
    p = use.params("threshold_param")
    dims = use.x.dims
    x = use.reshaped(use.x.value, (1, prod(dims[:2]), prod(dims[2:])))
    above = use.emit("power", x, part=True, shift=(-p.number("threshold"), p.place("threshold")))
    zero = use.emit("power", x, part=True, scale=0)
    both = use.emit("concat", [zero, above], part=True)
    value = use.emit("argmax", both, part=dims[:1] != (1,) or len(dims) != 3)
    return use.same(use.reshaped(value, language_shape(dims), part=False))
