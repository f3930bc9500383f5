"""Normalizations, and Rescaling."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from netspec.importers.keras.translate import KerasValue, RuleCall
from netspec.importers.tensors.program import ProgramConstant, ProgramTensor


def _channels(
    call: RuleCall, axis: Any
) -> tuple[ProgramTensor, Callable[[ProgramTensor], KerasValue], int]:
    """The input with its channels, an axis in Keras's order, behind the batch; their number."""
    x = call.x
    at, rank = call.axis(x, axis), len(x.shape)
    if at == rank - 1 and rank == 4:
        return call.turned(x), lambda t: KerasValue(x.shape, None, t), x.shape[-1]
    if at == 1:
        return call.own(x), lambda t: KerasValue(x.shape, t, None), x.shape[1]
    raise call.error(f"it normalizes axis {at} of {rank}, which is not that of the channels")


def _learned(
    call: RuleCall, count: int
) -> tuple[ProgramConstant | None, ProgramConstant | None, int]:
    """Factor and shift, as far as there are, and how many of both."""
    scale, center = call.layer.flag("scale", True), call.layer.flag("center", True)
    gamma = call.weight(0, "gamma", count) if scale else None
    beta = call.weight(int(scale), "beta", count) if center else None
    return gamma, beta, int(scale) + int(center)


def batch_normalization(call: RuleCall) -> KerasValue:
    """Keras's momentum is the weight of the old statistics, that of the program of the new."""
    layer = call.layer
    x, result, count = _channels(call, layer.config.get("axis", -1))
    gamma, beta, place = _learned(call, count)
    mean = call.weight(place, "moving_mean running_mean", count)
    variance = call.weight(place + 1, "moving_variance running_std", count)
    both = gamma is not None and beta is not None
    statistics = [call.tensor(mean, "mean"), call.tensor(variance, "variance")]
    learned = [call.tensor(gamma), call.tensor(beta, "bias")] if both else [None, None]
    fields = {
        "eps": layer.number("epsilon", 1e-3),
        "momentum": round(1 - layer.number("momentum", 0.99), 9),
    }
    value = result(call.emit("batchnorm", [x, *learned, *statistics], x.shape, **fields))
    if both:
        return value
    # The op has both or none; what is learned here is no more than that.
    for kind, constant in (("mul", gamma), ("add", beta)):
        if constant is not None:
            value = _by_channel(call, kind, value, constant)
    return value


def _by_channel(
    call: RuleCall, kind: str, value: KerasValue, constant: ProgramConstant
) -> KerasValue:
    """A number for each channel, in front or last, added or multiplied."""
    if value.turned is None and len(value.shape) == 4:
        count = constant.shape[0]
        shape = (1, count, 1, 1)
        constant = constant.changed(shape, lambda n: n.reshape(shape), "in front")
    return call.elementwise(kind, value, constant, kind)


def layer_normalization(call: RuleCall) -> KerasValue:
    layer, x = call.layer, call.x
    if layer.flag("rms_scaling", False):
        raise call.error("rms_scaling can't be expressed")
    said = layer.config.get("axis", -1)
    axes = sorted({call.axis(x, a) for a in (said if isinstance(said, list) else [said])})
    if axes != [len(x.shape) - 1]:
        raise call.error(f"it normalizes the axes {axes}, which are not that of the channels")
    count = x.shape[-1]
    gamma, beta, _ = _learned(call, count)
    tensor, place, result = call.either(x)
    inputs = [tensor, call.tensor(gamma), call.tensor(beta, "bias")]
    at = (place(axes[0]),)
    return result(
        call.emit("layernorm", inputs, tensor.shape, axes=at, eps=layer.number("epsilon", 1e-3))
    )


def group_normalization(call: RuleCall) -> KerasValue:
    layer = call.layer
    x, result, count = _channels(call, layer.config.get("axis", -1))
    groups = layer.integer("groups", 32, least=-1)
    groups = count if groups == -1 else groups
    if groups < 1 or count % groups:
        message = f"{groups} groups do not divide {count} channels"
        raise call.error(message, "groups-mismatch")
    gamma, beta, _ = _learned(call, count)
    inputs = [x, call.tensor(gamma), call.tensor(beta, "bias")]
    eps = layer.number("epsilon", 1e-3)
    return result(call.emit("groupnorm", inputs, x.shape, groups=groups, eps=eps))


def unit_normalization(call: RuleCall) -> KerasValue:
    x = call.x
    said = call.layer.config.get("axis", -1)
    tensor, place, result = call.either(x)
    axes = tuple(
        sorted(place(call.axis(x, a)) for a in (said if isinstance(said, list) else [said]))
    )
    return result(call.emit("normalize", [tensor], tensor.shape, axes=axes, eps=1e-12))


def rescaling(call: RuleCall) -> KerasValue:
    """x * scale + offset, of numbers or one for each channel."""
    config, x = call.layer.config, call.x
    scale, offset = config.get("scale", 1.0), config.get("offset", 0.0)
    x = call.elementwise("mul", x, call.constant(scale), "mul")
    return x if offset == 0 else call.elementwise("add", x, call.constant(offset), "add")


def normalization(call: RuleCall) -> KerasValue:
    """(x - mean) / sqrt(variance), of statistics that were taken once, or that the config says."""
    layer, x = call.layer, call.x
    if layer.flag("invert", False):
        raise call.error("an inverted Normalization can't be expressed")
    said = layer.config.get("axis", -1)
    axes = [] if said is None else said if isinstance(said, list) else [said]
    kept = {call.axis(x, a) for a in axes}
    if 0 in kept:
        raise call.error("it normalizes the batch", "out-of-range")
    shape = tuple(d if i in kept else 1 for i, d in enumerate(x.shape))
    own = tuple(x.shape[i] for i in sorted(kept))
    given = [layer.config.get(name) for name in ("mean", "variance")]
    if given[0] is None:
        found = [call.weight(0, "mean", *own), call.weight(1, "variance", *own)]
    else:
        found = [call.constant(n) for n in given]
    if kept == {len(x.shape) - 1}:
        return _by_statistics(call, *(_spread(call, c, own) for c in found))
    mean, variance = (_spread(call, c, own) for c in found)
    mean = mean.changed(shape, lambda n: n.reshape(shape), ("in place", shape))
    root = variance.changed(shape, lambda n: _root(n).reshape(shape), ("root", shape))
    return call.elementwise("div", call.elementwise("sub", x, mean, "sub"), root)


def _by_statistics(call: RuleCall, mean: ProgramConstant, variance: ProgramConstant) -> KerasValue:
    """A number and a deviation for each channel: a batch norm that keeps its statistics."""
    x, result, _ = _channels(call, -1)
    statistics = [call.tensor(mean, "mean"), call.tensor(variance, "variance")]
    fields = {"eps": 1e-14, "frozen": True}
    return result(call.emit("batchnorm", [x, None, None, *statistics], x.shape, **fields))


def _spread(call: RuleCall, constant: ProgramConstant, own: tuple[int, ...]) -> ProgramConstant:
    """The statistics of some axes, of which the config may say one number for all."""
    size = prod(own)
    if constant.size not in (1, size):
        raise call.error("its mean or variance does not fit its input", "shape-mismatch")

    def change(numbers: Any) -> Any:
        import numpy as np

        return np.broadcast_to(numbers.reshape(-1), size)

    return constant.changed((size,), change, ("spread", size))


def _root(numbers: Any) -> Any:
    import numpy as np

    return np.maximum(np.sqrt(numbers), 1e-7)


def layer_scale(call: RuleCall) -> KerasValue:
    """LayerScale of ConvNeXt: a factor for each channel."""
    gamma = call.weight(0, "gamma variable", call.x.shape[-1])
    return call.elementwise("mul", call.x, gamma)


NORMALIZATIONS: dict[str, Callable[[RuleCall], KerasValue]] = {
    "BatchNormalization": batch_normalization,
    "BatchNormalizationV1": batch_normalization,
    "BatchNormalizationV2": batch_normalization,
    "SyncBatchNormalization": batch_normalization,
    "LayerNormalization": layer_normalization,
    "GroupNormalization": group_normalization,
    "UnitNormalization": unit_normalization,
    "Rescaling": rescaling,
    "Normalization": normalization,
    "LayerScale": layer_scale,
}
