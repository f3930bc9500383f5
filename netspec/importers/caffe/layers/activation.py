"""Functions of each element, softmax and argmax."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import prod

from netspec.diagnostics.source import Span
from netspec.importers.caffe.blob_values import language_shape
from netspec.importers.caffe.layer_error import LayerError
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.importers.caffe.layers.registry import Tops, layer
from netspec.importers.caffe.training_facts import trained
from netspec.importers.structure.graph import GraphValue


def _without_fields(op: str) -> Callable[[LayerTranslation], Tops]:
    """The rule of a layer type that is one op without fields."""
    return lambda use: use.same(use.emit(op))


for _type, _op in {
    "Sigmoid": "sigmoid",
    "TanH": "tanh",
    "AbsVal": "abs",
    "BNLL": "softplus",
    "HardSwish": "hardswish",
    "HSwish": "hardswish",
    "HSigmoid": "hardsigmoid",
    "Mish": "mish",
    "SeLu": "selu",
    "SELU": "selu",
}.items():
    layer(_type)(_without_fields(_op))


@layer("ReLU")
def relu(use: LayerTranslation) -> Tops:
    p = use.params("relu_param")
    if p.flag("relu6"):
        return use.same(use.emit("relu6"))
    slope = p.number("negative_slope")
    if slope == 0:
        return use.same(use.emit("relu"))
    return use.same(use.emit("leaky_relu", slope=(slope, p.place("negative_slope"))))


@layer("ReLU6")
def relu6(use: LayerTranslation) -> Tops:
    p = use.params("relu6_param")
    if p.number("negative_slope") != 0:
        raise LayerError.unsupported("a ReLU6 with a slope", p.place("negative_slope"))
    return use.same(_clipped(use, Fraction(0), *p.placed_number("threshold")))


@layer("Clip")
def clip(use: LayerTranslation) -> Tops:
    p = use.params("clip_param")
    low, high = p.maybe_number("min"), p.maybe_number("max")
    if low is None or high is None:
        raise LayerError.invalid("missing-field", "Clip needs min and max")
    return use.same(_clipped(use, low, high, p.place("min" if low > high else "max")))


def _clipped(use: LayerTranslation, low: Fraction, high: Fraction, place: Span) -> GraphValue:
    """min(max(x, low), high)."""
    if low > high:
        raise LayerError.invalid("out-of-range", f"there is nothing from {low} to {high}", place)
    if low == 0 and high == 6:
        return use.emit("relu6")
    if low == high:
        return use.emit("power", scale=0, shift=(low, place))
    return use.emit("hardtanh", min=(low, place), max=(high, place))


@layer("Swish")
def swish(use: LayerTranslation) -> Tops:
    p = use.params("swish_param")
    beta = p.number("beta")
    if beta == 1:
        return use.same(use.emit("silu"))
    gate = use.emit("power", step=True, scale=(beta, p.place("beta")))
    gate = use.emit("sigmoid", gate, step=True)
    return use.same(use.emit("mul", [use.x.value, gate]))


@layer("PReLU")
def prelu(use: LayerTranslation) -> Tops:
    p = use.params("prelu_param")
    shared = p.placed_flag("channel_shared")
    facts = trained(use, p, "filler", None)
    return use.same(use.emit("prelu", blobs={"weight": use.blob(0)}, shared=shared, **facts))


@layer("ELU")
def elu(use: LayerTranslation) -> Tops:
    p = use.params("elu_param")
    return use.same(use.emit("elu", alpha=p.placed_number("alpha")))


@layer("Power")
def power(use: LayerTranslation) -> Tops:
    """(shift + scale * x) ** power."""
    p = use.params("power_param")
    exponent = p.placed_number("power")
    scale, shift = p.placed_number("scale"), p.placed_number("shift")
    if exponent[0] == 1 and scale[0] == 1 and shift[0] == 0:
        return use.same(use.emit("identity"))
    return use.same(use.emit("power", exponent=exponent, scale=scale, shift=shift))


@layer("Exp")
def exp(use: LayerTranslation) -> Tops:
    """base ** (shift + scale * x); a base of -1 stands for e."""
    return _with_base(use, "exp", "exp_param")


@layer("Log")
def log(use: LayerTranslation) -> Tops:
    """The logarithm of shift + scale * x to the base; -1 stands for e."""
    return _with_base(use, "log", "log_param")


def _with_base(use: LayerTranslation, op: str, params: str) -> Tops:
    p = use.params(params)
    base = p.number("base")
    if base != -1 and base <= 0:
        raise LayerError.invalid("out-of-range", "a base is above 0, or -1 for e", p.place("base"))
    value = use.emit(
        op,
        base=(base, p.place("base")) if base != -1 else None,
        scale=p.placed_number("scale"),
        shift=p.placed_number("shift"),
    )
    return use.same(value)


@layer("Dropout", "SpatialDropout")
def dropout(use: LayerTranslation) -> Tops:
    """SpatialDropout drops whole channels (ENet)."""
    p = use.params("dropout_param")
    ratio = p.placed_number("dropout_ratio")
    spatial = True if use.layer.type == "SpatialDropout" else None
    if p.flag("scale_train"):
        return use.same(use.emit("dropout", ratio=ratio, spatial=spatial))
    # What is kept is not scaled while training, but all is in tests.
    value = use.emit("dropout", step=True, ratio=ratio, spatial=spatial)
    return use.same(use.emit("power", value, scale=(1 - ratio[0], p.place("scale_train"))))


@layer("Softmax", "CuDNNSoftmax")
def softmax(use: LayerTranslation) -> Tops:
    p = use.params("softmax_param")
    axis = use.axis(*p.placed_integer("axis"))
    return use.same(_along(use, axis, "softmax"))


def _along(use: LayerTranslation, axis: int, op: str) -> GraphValue:
    """The value of an op over channels, applied along another axis."""
    if axis == 1:
        return use.emit(op)
    order = [0, 1, 2]
    order[0], order[axis - 1] = order[axis - 1], order[0]
    permuted = use.permuted(use.x.value, order)
    return use.permuted(use.emit(op, permuted, step=True), order, step=False)


@layer("ArgMax")
def argmax(use: LayerTranslation) -> Tops:
    p = use.params("argmax_param")
    if p.integer("top_k") != 1:
        raise LayerError.unsupported("an ArgMax of several places", p.place("top_k"))
    if p.flag("out_max_val"):
        raise LayerError.unsupported(
            "an ArgMax that gives the largest value too", p.place("out_max_val")
        )
    if p.maybe_integer("axis") is None:
        flat = use.reshaped(use.x.value, (prod(use.x.dims),))
        value = use.emit("argmax", flat)
        # Caffe's shape is N x 1 x 1.
        return [use.data(use.reshaped(value, (1, 1, 1), step=False), (1, 1))]
    axis = use.axis(*p.placed_integer("axis"))
    dims = list(use.x.dims)
    dims[axis - 1] = 1
    return [use.data(_along(use, axis, "argmax"), tuple(dims))]


@layer("Threshold")
def threshold(use: LayerTranslation) -> Tops:
    """1 where x is above the threshold, else 0: which of 0 and x - threshold is the larger."""
    p = use.params("threshold_param")
    dims = use.x.dims
    x = use.reshaped(use.x.value, (1, prod(dims[:2]), prod(dims[2:])))
    above = use.emit("power", x, step=True, shift=(-p.number("threshold"), p.place("threshold")))
    zero = use.emit("power", x, step=True, scale=0)
    both = use.emit("concat", [zero, above], step=True)
    value = use.emit("argmax", both, step=dims[:1] != (1,) or len(dims) != 3)
    return use.same(use.reshaped(value, language_shape(dims), step=False))
