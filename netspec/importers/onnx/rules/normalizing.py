"""Normalizations."""

from __future__ import annotations

from math import prod

from netspec.importers.onnx.call import NodeCall, Refused, rule
from netspec.importers.onnx.values import NodeValue


@rule("BatchNormalization")
def batchnorm(c: NodeCall) -> NodeValue:
    x = c.input()
    own = [c.known(i, "statistics" if i > 2 else "weight") for i in (1, 2, 3, 4)]
    if c.get("training_mode", 0):
        raise Refused("normalizes by each batch: export the model for inference")
    if len(x.shape) < 2 or any(v.shape != x.shape[1:2] for v in own):
        raise Refused("has weights that are not one a channel", "shape-mismatch")
    # ONNX weighs the old statistics, PyTorch the new ones.
    momentum = round(1 - c.get("momentum", 0.9), 7)
    return c.same("batchnorm", x, *own, eps=c.get("epsilon", 1e-5), momentum=momentum)


@rule("InstanceNormalization")
def instancenorm(c: NodeCall) -> NodeValue:
    x, own = c.input(), [c.known(i, "weight") for i in (1, 2)]
    return c.same("instancenorm", x, *own, eps=c.get("epsilon", 1e-5))


@rule("LayerNormalization")
def layernorm(c: NodeCall) -> NodeValue:
    x, weight = c.input(), c.known(1, "weight")
    bias = c.known(2, "bias") if c.has(2) else None
    axes = tuple(range(c.axis("axis", -1, len(x.shape)), len(x.shape)))
    return c.same("layernorm", x, weight, bias, axes=axes, eps=c.get("epsilon", 1e-5))


@rule("GroupNormalization")
def groupnorm(c: NodeCall) -> NodeValue:
    x, own = c.input(), [c.known(i, "weight") for i in (1, 2)]
    groups = c.get("num_groups", 0)
    if len(x.shape) < 2 or groups < 1 or x.shape[1] % groups:
        raise Refused("has groups that do not divide its channels", "groups-mismatch")
    channels = x.shape[1]
    if c.opset < 21:  # one number a group
        each = channels // groups
        own = [
            c.constant(v.constant.changed((channels,), lambda a: a.repeat(each), ("each", each)))
            for v in own
            if v.constant is not None
        ]
    return c.same("groupnorm", x, *own, groups=groups, eps=c.get("epsilon", 1e-5))


@rule("LRN")
def lrn(c: NodeCall) -> NodeValue:
    how = {name: c.get(name, n) for name, n in (("alpha", 1e-4), ("beta", 0.75))}
    return c.same("lrn", c.input(), size=c.get("size", 1), k=c.get("bias", 1.0), **how)


@rule("LpNormalization")
def normalize(c: NodeCall) -> NodeValue:
    x = c.input()
    if c.get("p", 2) != 2:
        raise Refused("divides by a sum of absolute values, which can't be expressed")
    return c.same("normalize", x, axes=(c.axis("axis", -1, len(x.shape)),), eps=0.0)


@rule("PRelu")
def prelu(c: NodeCall) -> NodeValue:
    x, slope = c.input(), c.known(1, "slope")
    if slope.constant is None or slope.constant.size == 1:
        return c.same("prelu", x, c.reshape(slope, (1,)))
    # As ONNX spreads it, one number a channel is Cx1x1.
    spread = (1,) * (len(x.shape) - len(slope.shape)) + slope.shape
    axes = [i for i, n in enumerate(spread) if n != 1]
    if len(axes) != 1 or prod(spread) != x.shape[axes[0]]:
        raise Refused("has slopes that are not one a channel")
    flat = c.reshape(slope, (slope.constant.size,))
    if axes[0] == 1:
        return c.same("prelu", x, flat)
    rank = len(x.shape)
    to = (0, axes[0], *(i for i in range(1, rank) if i != axes[0]))
    back = tuple(to.index(i) for i in range(rank))
    return c.transpose(c.same("prelu", c.transpose(x, to), flat), back)
