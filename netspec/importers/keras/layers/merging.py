"""Layers of several inputs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from netspec.importers.keras.translate import KerasValue, RuleCall


def _of_one_rank(call: RuleCall) -> list[KerasValue]:
    """The inputs; those of fewer axes have axes of 1 behind the batch, as Keras spreads them."""
    rank = max((len(v.shape) for v in call.inputs), default=0)
    values = []
    for i, value in enumerate(call.inputs, 1):
        batch, *dims = value.shape
        if len(value.shape) < rank:
            shape = (batch, *([1] * (rank - len(value.shape))), *dims)
            made = call.emit("reshape", [call.own(value)], shape, f"spread_{i}", shape=shape)
            value = KerasValue(shape, made, None)
        values.append(value)
    return values


def _merge(kind: str, call: RuleCall) -> KerasValue:
    """Two or more, one after the other."""
    values = _of_one_rank(call)
    if len(values) < 2 or (kind == "sub" and len(values) != 2):
        raise call.error(f"it takes two inputs, not {len(values)}", "wrong-arity")
    result = values[0]
    for i, other in enumerate(values[1:], 2):
        step = "" if i == len(values) else f"{kind}_{i - 1}"
        result = call.elementwise(kind, result, other, step)
    return result


def _average(call: RuleCall) -> KerasValue:
    values = _of_one_rank(call)
    if not values:
        raise call.error("it takes at least one input", "wrong-arity")
    result = values[0]
    for i, other in enumerate(values[1:], 1):
        result = call.elementwise("add", result, other, f"add_{i}")
    return call.elementwise("mul", result, call.constant(1 / len(values)))


def concatenated(call: RuleCall, values: Sequence[KerasValue], axis: Any) -> KerasValue:
    """Values one behind the other along an axis in Keras's order."""
    if not values:
        raise call.error("it takes at least one input", "wrong-arity")
    rank = len(values[0].shape)
    at = call.axis(values[0], axis)
    if any(len(v.shape) != rank for v in values):
        raise call.error("values of different numbers of axes", "shape-mismatch")
    turn = all(v.turned is not None or v.own is None for v in values) or (
        rank == 4 and any(v.turned is not None for v in values)
    )
    for value in values:
        if any(
            a != b
            for i, (a, b) in enumerate(zip(value.shape, values[0].shape, strict=True))
            if i != at
        ):
            raise call.error("its inputs do not fit together", "shape-mismatch")
    shape = list(values[0].shape)
    shape[at] = sum(v.shape[at] for v in values)
    if turn:
        order = (0, 3, 1, 2)
        tensors = [call.turned(v) for v in values]
        made = call.emit("concat", tensors, [shape[i] for i in order], axis=order.index(at))
        return KerasValue(tuple(shape), None, made)
    made = call.emit("concat", [call.own(v) for v in values], shape, axis=at)
    return KerasValue(tuple(shape), made, None)


def _concatenate(call: RuleCall) -> KerasValue:
    return concatenated(call, call.inputs, call.layer.config.get("axis", -1))


def _scaled_sum(call: RuleCall) -> KerasValue:
    """CustomScaleLayer of InceptionResNetV2: the first, and the second times a number."""
    if len(call.inputs) != 2:
        raise call.error(f"it takes two inputs, not {len(call.inputs)}", "wrong-arity")
    factor = call.constant(call.layer.number("scale", 1))
    return call.elementwise(
        "add", call.inputs[0], call.elementwise("mul", call.inputs[1], factor, "mul")
    )


MERGES: dict[str, Callable[[RuleCall], KerasValue]] = {
    "Add": partial(_merge, "add"),
    "Subtract": partial(_merge, "sub"),
    "Multiply": partial(_merge, "mul"),
    "Maximum": partial(_merge, "maximum"),
    "Minimum": partial(_merge, "minimum"),
    "Average": _average,
    "Concatenate": _concatenate,
    "CustomScaleLayer": _scaled_sum,
}
