"""Layers of several bottoms, and those that copy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from netspec.diagnostics import Label
from netspec.importers.caffe.blob_values import BlobValue, dims_text
from netspec.importers.caffe.layer_error import LayerError
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.importers.caffe.layers.registry import Tops, layer
from netspec.importers.structure.graph import GraphValue
from netspec.ops import ShapeError


@layer("Concat", bottoms=(1, None))
def concat(use: LayerTranslation) -> Tops:
    p = use.params("concat_param")
    name = "concat_dim" if "concat_dim" in p else "axis"
    axis = use.axis(*p.placed_integer(name))

    def without_axis(data: BlobValue) -> object:
        return [d for i, d in enumerate(data.dims) if i != axis - 1]

    _require_equal(use, "Concat", without_axis, f" but for axis {axis}")
    dims = list(use.x.dims)
    dims[axis - 1] = sum(d.dims[axis - 1] for d in use.bottoms)
    if len(use.bottoms) == 1:
        return [use.data(use.x.value, use.x.dims)]
    return [use.data(concatenated(use, [d.value for d in use.bottoms], axis), tuple(dims))]


def concatenated(use: LayerTranslation, values: Sequence[GraphValue], axis: int) -> GraphValue:
    """The values concatenated along an axis of the first bottom."""
    if axis == 1:
        return use.emit("concat", values)
    order = [0, 1, 2]
    order[0], order[axis - 1] = order[axis - 1], order[0]
    permuted = [use.permuted(v, order) for v in values]
    return use.permuted(use.emit("concat", permuted, step=True), order, step=False)


def _require_equal(
    use: LayerTranslation, type_: str, dims: Callable[[BlobValue], object], except_for: str = ""
) -> None:
    """Raise LayerError at the first bottom of which `dims` differs from that of the first one."""
    for data, reference in zip(use.bottoms, use.layer.bottoms, strict=True):
        if dims(data) != dims(use.x):
            shapes = list(dict.fromkeys(dims_text(d.dims) for d in use.bottoms))
            message = f"{type_} needs equal shapes{except_for}, but they are {' and '.join(shapes)}"
            others = (Label(use.x.place, f"{dims_text(use.x.dims)} from here"),)
            help_ = _rounded_down(use.x, data) or _rounded_down(data, use.x)
            raise LayerError.invalid(
                "shape-mismatch", message, reference.span, *help_, others=others
            )


def _rounded_down(data: BlobValue, other: BlobValue) -> tuple[str, ...]:
    """Help where a pooling that rounded down would give one blob the other's height and width."""
    size, wanted = data.value.shape[1:], other.value.shape[1:]
    node = data.value.node
    while node is not None and "round" not in node.settings:
        before = node.inputs[0]
        if len(node.inputs) > 1 or before.shape[1:] != size:
            return ()
        node = before.node
    if node is None or node.settings["round"].value != "ceil":
        return ()
    shapes = [v.shape for v in node.inputs]
    try:
        (down,) = node.bound().with_attributes(round="floor").bind(shapes).outputs(shapes)[:1]
    except ShapeError:
        return ()
    fits = down[1:] == wanted
    return (f"`round_mode: FLOOR` in {node.name} makes them equal",) if fits else ()


@layer("Eltwise", bottoms=(1, None))
def eltwise(use: LayerTranslation) -> Tops:
    """Of a single bottom, which FlowNet's fork allows, the coefficient is a factor."""
    p = use.params("eltwise_param")
    _require_equal(use, "Eltwise", lambda data: data.dims)
    coefficients = p.numbers("coeff")
    operation = p.word("operation")
    if coefficients and len(coefficients) != len(use.bottoms):
        message = f"{len(coefficients)} coefficients for {len(use.bottoms)} bottoms"
        raise LayerError.invalid("wrong-arity", message, p.place("coeff"))
    values = [d.value for d in use.bottoms]
    if len(values) == 1:
        factor = coefficients[0] if coefficients else 1
        return use.same(use.emit("power", scale=(factor, p.place("coeff"))))
    if operation != "SUM":
        if coefficients and any(c != 1 for c in coefficients):
            message = "coefficients go with `operation: SUM` only"
            raise LayerError.invalid("conflicting-fields", message, p.place("coeff"))
        return use.same(use.emit("mul" if operation == "PROD" else "maximum", values))
    if coefficients and coefficients == [1] + [Fraction(-1)] * (len(values) - 1):
        return use.same(use.emit("sub", values))
    for i, c in enumerate(coefficients):
        if c != 1:
            values[i] = use.emit("power", values[i], step=True, scale=(c, p.place("coeff")))
    return use.same(use.emit("add", values))


@layer("Axpy", bottoms=(3, 3))
def axpy(use: LayerTranslation) -> Tops:
    """The first bottom, one number per channel, times the second, plus the third (SENet)."""
    a, x, y = use.bottoms
    if x.dims != y.dims or a.dims not in (x.dims[:1], (*x.dims[:1], 1, 1)) or len(x.dims) != 3:
        shapes = ", ".join(dims_text(d.dims) for d in use.bottoms)
        raise LayerError.invalid(
            "shape-mismatch", f"Axpy needs C, CxHxW and CxHxW, but gets {shapes}"
        )
    gate = use.value_of(a, (x.dims[0], 1, 1))
    product = use.emit("mul", [x.value, gate], step=True)
    return [use.data(use.emit("add", [product, y.value]), x.dims)]


@layer("Split", tops=None)
def split(use: LayerTranslation) -> Tops:
    """The same value under several names."""
    return [use.data(use.x.value, use.x.dims) for _ in use.layer.tops]


@layer("Tile")
def tile(use: LayerTranslation) -> Tops:
    p = use.params("tile_param")
    axis = use.axis(*p.placed_integer("axis"))
    tiles = p.maybe_integer("tiles") or 0
    if tiles < 1:
        raise LayerError.invalid(
            "out-of-range", "a Tile has `tiles` of at least 1", p.place("tiles")
        )
    dims = list(use.x.dims)
    dims[axis - 1] *= tiles
    if tiles == 1:
        return use.same(use.emit("identity"))
    if axis > 1 and use.x.dims[axis - 1] == 1:
        shape = list(use.x.value.shape)
        shape[axis - 1] = tiles
        value = use.emit("upsample", size=(shape[1], shape[2]), mode="nearest")
    elif tiles > 64:
        raise LayerError.unsupported(f"a Tile of {tiles} copies", p.place("tiles"))
    else:
        value = concatenated(use, [use.x.value] * tiles, axis)
    return [use.data(value, tuple(dims))]
