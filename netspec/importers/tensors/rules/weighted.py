"""Layers that multiply by weights: convolutions, linear layers, PReLU."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from netspec.importers.structure.graph import GraphValue
from netspec.importers.tensors.numbers import pads_field, pair_field
from netspec.importers.tensors.program import Operation, ProgramConstant, ProgramTensor
from netspec.importers.tensors.rules.registry import RULES, rule
from netspec.importers.tensors.translation import (
    ProgramTranslation,
    Unsayable,
    padded,
    shape_text,
    weights_of,
)
from netspec.importers.tensors.views import TensorView
from netspec.ops.window import same_pads


@rule("conv")
def conv(to: ProgramTranslation, o: Operation) -> None:
    x, weight, bias = to.map_of(o.inputs[0]), *padded(o.inputs[1:], 2)
    kernel = to.needed(weight)
    groups, channels = int(o.attributes.get("groups", 1)), int(x.shape[0])
    if len(kernel.shape) != 4:
        raise Unsayable(f"a convolution over {len(kernel.shape) - 2} directions can't be said")
    filters, _, height, width = kernel.shape
    pad = o.attributes.get("pad", (0, 0, 0, 0))
    x, pad = _with_pad(to, o.inputs[0], x, pad)
    depthwise = groups == channels > 1
    node = to.emit(
        "conv",
        x,
        weights=weights_of(weight=kernel, bias=to.constant(bias)),
        filters=Fraction(filters),
        kernel=(Fraction(height), Fraction(width)),
        stride=pair_field(o.attributes.get("stride", (1, 1)), 1),
        pad=_same(o, x, kernel.shape[2:], pad) or pads_field(pad),
        dilation=pair_field(o.attributes.get("dilation", (1, 1)), 1),
        groups="depthwise" if depthwise else Fraction(groups) if groups > 1 else None,
        bias=False if bias is None else None,
    )
    to.set(o.outputs[0], TensorView.of(node.value))


def _same(o: Operation, x: GraphValue, kernel: Sequence[int], pad: Sequence[int]) -> str | None:
    """`same`, where the program says so, or pads by TensorFlow's rule that are unequal."""
    top, left, bottom, right = (int(p) for p in pad)
    said = o.attributes.get("same") and any(pad)
    if not said and (top, left) == (bottom, right):
        return None
    rows, columns = (int(d) for d in x.shape[1:])
    stride, dilation = (o.attributes.get(n, (1, 1)) for n in ("stride", "dilation"))
    pads = same_pads(
        *((rows, columns), (kernel[0], kernel[1]), (stride[0], stride[1])),
        (dilation[0], dilation[1]),
    )
    return "same" if pads == (top, bottom, left, right) else None


def _with_pad(
    to: ProgramTranslation, tensor: ProgramTensor | None, x: GraphValue, pad: Sequence[int]
) -> tuple[GraphValue, Sequence[int]]:
    """The value in front of a padding with zeros that only this takes, and all pads."""
    node = x.node
    if node is None or node.op != "pad" or tensor is None or to.uses[tensor] > 1:
        return x, pad
    if node.settings.keys() - {"pads"}:
        return x, pad
    top, bottom, left, right = _four(node.settings["pads"].value)
    to.graph.remove([node])
    more = (pad[0] + top, pad[1] + left, pad[2] + bottom, pad[3] + right)
    return node.inputs[0], more


@rule("conv_transpose")
def conv_transpose(to: ProgramTranslation, o: Operation) -> None:
    x, weight, bias = to.map_of(o.inputs[0]), *padded(o.inputs[1:], 2)
    kernel = to.needed(weight)
    if len(kernel.shape) != 4:
        raise Unsayable(f"a convolution over {len(kernel.shape) - 2} directions can't be said")
    groups, channels = int(o.attributes.get("groups", 1)), int(x.shape[0])
    _, filters, height, width = kernel.shape
    node = to.emit(
        "conv_transpose",
        x,
        weights=weights_of(weight=kernel, bias=to.constant(bias)),
        filters=Fraction(filters * groups),
        kernel=(Fraction(height), Fraction(width)),
        stride=pair_field(o.attributes.get("stride", (1, 1)), 1),
        pad=pads_field(o.attributes.get("pad", (0, 0, 0, 0))),
        output_pad=pair_field(o.attributes.get("output_pad", (0, 0)), 0),
        dilation=pair_field(o.attributes.get("dilation", (1, 1)), 1),
        groups="depthwise" if groups == channels > 1 else Fraction(groups) if groups > 1 else None,
        bias=False if bias is None else None,
    )
    to.set(o.outputs[0], TensorView.of(node.value))


@rule("linear")
def linear(to: ProgramTranslation, o: Operation) -> None:
    weight, bias = padded(o.inputs[1:], 2)
    _linear(to, o, o.inputs[0], to.needed(weight), to.constant(bias))


def _linear(
    to: ProgramTranslation,
    o: Operation,
    x: ProgramTensor | None,
    weight: ProgramConstant,
    bias: ProgramConstant | None,
) -> None:
    """A linear layer over the last axis, `weight` units x inputs."""
    if len(weight.shape) != 2:
        raise Unsayable(f"its weight is {shape_text(weight.shape)}, and no matrix")
    view = to.view(x)
    units = Fraction(weight.shape[0])
    without = False if bias is None else None
    if len(view.axes) == 1:
        value, weight = _flattened(to, x, weight)
        weights = weights_of(weight=weight, bias=bias)
        node = to.emit("linear", value, weights=weights, units=units, bias=without)
        to.set(o.outputs[0], TensorView.of(node.value))
        return
    last = len(view.axes)
    view = to.along(x, last, "a linear layer")
    if len(view.value.shape) == 1:
        view = to.turned(view, last - 1)
    shape = (*weight.shape, 1, 1)
    weight = weight.changed(shape, lambda w: w.reshape(shape), "1x1")
    node = to.emit(
        "conv",
        view.value,
        weights=weights_of(weight=weight, bias=bias),
        filters=units,
        kernel=(Fraction(1), Fraction(1)),
        bias=without,
    )
    to.set(o.outputs[0], view.resized(last - 1, 0, node.value))


def _flattened(
    to: ProgramTranslation, x: ProgramTensor | None, weight: ProgramConstant
) -> tuple[GraphValue, ProgramConstant]:
    """The vector that a linear layer takes, and its weight with columns in that order."""
    view = to.view(x)
    if view.in_order or len(view.value.shape) == 1:
        return to.vector_of(x), weight
    # A flatten of channels last, say: the columns move, and not the numbers.
    sizes = [view.atoms[i].size for i in view.order]
    back = sorted(range(len(sizes)), key=lambda i: view.order[i])

    def moved(w: Any) -> Any:
        moving = w.reshape(w.shape[0], *sizes).transpose(0, *(1 + i for i in back))
        return moving.reshape(w.shape)

    return to.flat(view.value), weight.changed(
        weight.shape, moved, ("columns", tuple(sizes), tuple(back))
    )


@rule("matmul")
def matmul(to: ProgramTranslation, o: Operation) -> None:
    x, y = o.inputs
    if x is not None and y is not None and x.constant is None and y.constant is None:
        if len(x.shape) == len(y.shape) > 2 and y.shape[-1] == 1:
            _with_vector(to, o, x, y)
            return
    if y is None or y.constant is None or x is None:
        raise Unsayable("a product of two computed matrices (as in attention) can't be said")
    if len(y.constant.shape) != 2:
        raise Unsayable(f"a product with {shape_text(y.constant.shape)} can't be said")
    shape = y.constant.shape[::-1]
    weight = y.constant.changed(shape, lambda w: w.T, "transposed")
    _linear(to, o, x, weight, None)


def _with_vector(to: ProgramTranslation, o: Operation, x: ProgramTensor, y: ProgramTensor) -> None:
    """The product of a computed matrix and a vector: sums of rows that are weighted by it."""
    rank = len(x.shape)
    order = [*range(rank - 2), rank - 1, rank - 2]
    row = ProgramTensor(y.name, tuple(y.shape[a] for a in order))
    product = ProgramTensor(x.name, x.shape)
    for kind, inputs, result, how in (
        ("transpose", [y], row, {"order": order}),
        ("mul", [x, row], product, {}),
        ("sum", [product], o.outputs[0], {"axes": [rank - 1], "keepdims": True}),
    ):
        RULES[kind](to, Operation(kind, [*inputs], [result], o.name, o.span, how))


@rule("prelu")
def prelu(to: ProgramTranslation, o: Operation) -> None:
    slope = to.needed(o.inputs[1])
    view = to.settled(o.inputs[0])
    one = slope.size == 1
    if not one:
        view = to.along(o.inputs[0], 1, "a PReLU")
    count = 1 if one else int(view.value.shape[0])
    if slope.size != count:
        raise Unsayable("a PReLU with slopes for height and width can't be said")
    shared = True if one and int(view.value.shape[0]) > 1 else None
    weights = weights_of(weight=slope.changed((count,), lambda s: s.reshape(count), "vector"))
    node = to.emit("prelu", view.value, weights=weights, shared=shared)
    to.set(o.outputs[0], view.on(node.value))


def _four(value: Any) -> tuple[int, int, int, int]:
    numbers = [int(v) for v in (value if isinstance(value, tuple) else (value, value))]
    if len(numbers) == 2:
        rows, columns = numbers
        return rows, rows, columns, columns
    top, bottom, left, right = numbers
    return top, bottom, left, right
