"""Activations: by name at the end of a layer, and as layers of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import pi, sqrt
from typing import Any

from netspec.importers.keras.config import KerasCall, KerasLayer, shown
from netspec.importers.keras.translate import KerasValue, RuleCall

PLAIN = {
    "relu": "relu",
    "relu6": "relu6",
    "elu": "elu",
    "selu": "selu",
    "celu": "celu",
    "silu": "silu",
    "swish": "silu",
    "mish": "mish",
    "gelu": "gelu",
    "sigmoid": "sigmoid",
    "tanh": "tanh",
    "softplus": "softplus",
    "softsign": "softsign",
    "exponential": "exp",
    "hard_silu": "hardswish",
    "hard_swish": "hardswish",
    "hard_sigmoid": "hardsigmoid",
    "log_sigmoid": "logsigmoid",
    "tanh_shrink": "tanhshrink",
    "hard_tanh": "hardtanh",
    "hard_shrink": "hardshrink",
    "soft_shrink": "softshrink",
}
"""Activations of Keras that are ops of the language, with the fields that both leave out."""


def activated(call: RuleCall, value: KerasValue) -> KerasValue:
    """A layer's result behind its activation."""
    said = call.layer.config.get("activation")
    return _by_name(call, value, said, step=True)


def _by_name(call: RuleCall, value: KerasValue, said: Any, step: bool) -> KerasValue:
    """An activation as a config says it: a name, or a layer or function as Keras writes these."""
    if isinstance(said, dict):
        kind, config = said.get("class_name"), said.get("config")
        if kind == "function" and isinstance(config, str):
            said = said.get("registered_name") if config == "function" else config
        elif isinstance(kind, str) and isinstance(config, dict) and kind in _STATELESS:
            layer = call.layer
            inner = KerasLayer(*(layer.name, kind, "", config, layer.path, layer.place, layer.span))
            at = RuleCall(call.translation, inner, KerasCall([], {}), [])
            at.inputs = [value]
            at.suffix = kind.lower() if step else ""
            return _STATELESS[kind](at)
        else:
            said = kind
    if said is None or said == "linear":
        return value
    if not isinstance(said, str):
        raise call.error("its activation can't be read", "unreadable-file")
    word = said.rpartition(">")[2].rpartition(".")[2]
    name = word if step else ""
    if word == "hard_sigmoid" and call.version < (3,):  # of Keras 2, which is another
        value = call.elementwise("mul", value, call.constant(0.2), f"{word}_mul")
        value = call.elementwise("add", value, call.constant(0.5), f"{word}_add")
        return call.unary("clamp", value, name, min=0.0, max=1.0)
    if word == "leaky_relu":
        return call.unary("leaky_relu", value, name, slope=0.2)
    if word in ("softmax", "log_softmax"):
        return softmax(call, value, -1, word, name)
    if word not in PLAIN:
        known = ", ".join(sorted({*PLAIN, "linear", "leaky_relu", "softmax", "log_softmax"}))
        raise call.error(
            f"the activation {shown(word)} can't be expressed",
            "unsupported-layer",
            f"these can: {known}",
        )
    return call.unary(PLAIN[word], value, name)


def softmax(
    call: RuleCall, value: KerasValue, axis: Any, kind: str = "softmax", step: str = ""
) -> KerasValue:
    """A softmax over an axis in Keras's order."""
    tensor, place, result = call.either(value)
    at = place(call.axis(value, axis))
    return result(call.emit(kind, [tensor], tensor.shape, step, axis=at))


# --- layers --------------------------------------------------------------------------------------


def _activation(call: RuleCall) -> KerasValue:
    value = _by_name(call, call.x, call.layer.config.get("activation"), step=False)
    return call.unary("identity", value) if value is call.x else value


def _relu(call: RuleCall) -> KerasValue:
    layer, x = call.layer, call.x
    most, slope = layer.optional("max_value"), layer.number("negative_slope", 0)
    least = layer.number("threshold", 0)
    if least:
        if most is not None or slope:
            raise call.error("a ReLU with a threshold and other fields can't be expressed")
        return call.unary("threshold", x, call.suffix, threshold=least, value=0.0)
    if slope:
        x = call.unary("leaky_relu", x, call.suffix, slope=slope)
        return x if most is None else call.unary("clamp", x, "clamp", max=most)
    if most is None:
        return call.unary("relu", x, call.suffix)
    if most == 6:
        return call.unary("relu6", x, call.suffix)
    return call.unary("clamp", x, call.suffix, min=0.0, max=most)


def _leaky_relu(call: RuleCall) -> KerasValue:
    name = "negative_slope" if "negative_slope" in call.layer.config else "alpha"
    return call.unary("leaky_relu", call.x, call.suffix, slope=call.layer.number(name, 0.3))


def _elu(call: RuleCall) -> KerasValue:
    return call.unary("elu", call.x, call.suffix, alpha=call.layer.number("alpha", 1))


def _thresholded(call: RuleCall) -> KerasValue:
    theta = call.layer.number("theta", 1)
    return call.unary("threshold", call.x, call.suffix, threshold=theta, value=0.0)


def _softmax(call: RuleCall) -> KerasValue:
    axis = call.layer.config.get("axis", -1)
    return softmax(call, call.x, axis, step=call.suffix)


def gelu(call: RuleCall, x: KerasValue, approximate: bool) -> KerasValue:
    """x * (1 + erf(x / sqrt(2))) / 2, or the form with tanh that is close to it."""
    if not approximate:
        return call.unary("gelu", x)
    cubed = call.elementwise("pow", x, call.constant(3.0), "pow")
    inner = call.elementwise(
        "add", x, call.elementwise("mul", cubed, call.constant(0.044715), "mul"), "add"
    )
    inner = call.elementwise("mul", inner, call.constant(sqrt(2 / pi)), "mul_1")
    gate = call.elementwise("add", call.unary("tanh", inner, "tanh"), call.constant(1.0), "add_1")
    half = call.elementwise("mul", x, call.constant(0.5), "mul_2")
    return call.elementwise("mul", half, gate)


def _prelu(call: RuleCall) -> KerasValue:
    """One slope for each channel; those of places are shared, or there is but one place."""
    x = call.x
    shared = call.layer.config.get("shared_axes")
    axes = {call.axis(x, a) for a in (shared if isinstance(shared, list) else [])}
    shape = tuple(1 if i in axes else d for i, d in enumerate(x.shape) if i)
    channel = 1 if call.translation.first else len(x.shape) - 1
    channels = x.shape[channel]
    if any(d != 1 for i, d in enumerate(shape, 1) if i != channel):
        message = "a PReLU with slopes of its own for each place can't be expressed"
        raise call.error(message, "unsupported-layer", "`shared_axes=[1, 2]` shares them")
    slopes = call.weight(0, "alpha", *shape)
    count = shape[channel - 1]
    if count not in (1, channels):
        raise call.error("its slopes do not fit its input", "shape-mismatch")
    slopes = slopes.changed((count,), lambda numbers: numbers.reshape(count), "slopes")
    tensor, _, result = call.either(x)
    if channel != len(x.shape) - 1:
        tensor, result = call.own(x), lambda t: KerasValue(t.shape, t, None)
    return result(call.emit("prelu", [tensor, call.tensor(slopes)], tensor.shape))


_STATELESS: dict[str, Callable[[RuleCall], KerasValue]] = {
    "ReLU": _relu,
    "LeakyReLU": _leaky_relu,
    "ELU": _elu,
    "ThresholdedReLU": _thresholded,
    "Softmax": _softmax,
}
ACTIVATION_LAYERS: dict[str, Callable[[RuleCall], KerasValue]] = {
    **_STATELESS,
    "Activation": _activation,
    "PReLU": _prelu,
}


def plain(kind: str, call: RuleCall) -> KerasValue:
    """An activation of one input and no fields."""
    return call.unary(kind, call.x)


PLAIN_RULES: dict[str, Callable[[RuleCall], KerasValue]] = {
    name: partial(plain, kind) for name, kind in PLAIN.items()
}
