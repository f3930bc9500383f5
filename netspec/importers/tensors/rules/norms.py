"""Normalizations."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from netspec.importers.tensors.numbers import fraction
from netspec.importers.tensors.program import Operation
from netspec.importers.tensors.rules.registry import rule
from netspec.importers.tensors.translation import (
    ProgramTranslation,
    Unsayable,
    padded,
    vector_like,
    weights_of,
)
from netspec.importers.tensors.views import TensorView


@rule("batchnorm")
def batchnorm(to: ProgramTranslation, o: Operation) -> None:
    view = to.along(o.inputs[0], 1, "a batch norm")
    weight, bias, mean, variance = (to.constant(t) for t in padded(o.inputs[1:], 4))
    channels = int(view.value.shape[0])
    affine = weight is not None or bias is not None
    if affine:
        weight = weight or to.filled(1, channels)
        bias = bias or to.filled(0, channels)
    node = to.emit(
        "batchnorm",
        view.value,
        weights=weights_of(
            weight=weight,
            bias=bias,
            running_mean=mean or to.filled(0, channels),
            running_var=variance or to.filled(1, channels),
        ),
        eps=fraction(o.attributes.get("eps", 1e-5)),
        momentum=fraction(o.attributes["momentum"]) if "momentum" in o.attributes else None,
        affine=None if affine else False,
        frozen=True if o.attributes.get("frozen") else None,
    )
    to.set(o.outputs[0], view.on(node.value))


@rule("layernorm")
def layernorm(to: ProgramTranslation, o: Operation) -> None:
    axes = sorted(o.attributes["axes"])
    weight, bias = (to.constant(t) for t in padded(o.inputs[1:], 2))
    x = o.inputs[0]
    eps = fraction(o.attributes.get("eps", 1e-5))
    last = len(to.view(x).axes)
    if axes == list(range(1, last + 1)) and last == 3 and weight is None and bias is None:
        value = to.map_of(x)
        node = to.emit("groupnorm", value, groups=Fraction(1), eps=eps, affine=False)
        to.set(o.outputs[0], TensorView.of(node.value))
        return
    if len(axes) > 1:
        raise Unsayable("a layer norm with weights over several axes can't be said")
    view = to.along(x, axes[0], "a layer norm")
    channels = int(view.value.shape[0])
    weights = weights_of(
        weight=vector_like(weight, channels) or to.filled(1, channels),
        bias=vector_like(bias, channels) or to.filled(0, channels),
    )
    node = to.emit("layernorm", view.value, weights=weights, eps=eps)
    to.set(o.outputs[0], view.on(node.value))


@rule("groupnorm")
def groupnorm(to: ProgramTranslation, o: Operation) -> None:
    _per_channel_norm(to, o, "groupnorm", groups=Fraction(int(o.attributes["groups"])))


@rule("instancenorm")
def instancenorm(to: ProgramTranslation, o: Operation) -> None:
    _per_channel_norm(to, o, "instancenorm")


def _per_channel_norm(to: ProgramTranslation, o: Operation, op: str, **settings: Any) -> None:
    value = to.map_of(o.inputs[0])
    weight, bias = (to.constant(t) for t in padded(o.inputs[1:], 2))
    channels = int(value.shape[0])
    affine = weight is not None or bias is not None
    given = weights_of(weight=weight or to.filled(1, channels), bias=bias)
    weights = {**given, "bias": bias or to.filled(0, channels)} if affine else {}
    usual = op == "groupnorm"
    node = to.emit(
        op,
        value,
        weights=weights,
        eps=fraction(o.attributes.get("eps", 1e-5)),
        affine=None if affine == usual else affine,
        **settings,
    )
    to.set(o.outputs[0], TensorView.of(node.value))


@rule("lrn")
def lrn(to: ProgramTranslation, o: Operation) -> None:
    given: dict[str, Any] = {
        n: fraction(o.attributes[n]) for n in ("alpha", "beta", "k") if n in o.attributes
    }
    value = to.map_of(o.inputs[0])
    node = to.emit("lrn", value, size=Fraction(int(o.attributes["size"])), **given)
    to.set(o.outputs[0], TensorView.of(node.value))


@rule("normalize")
def normalize(to: ProgramTranslation, o: Operation) -> None:
    axes = sorted(o.attributes["axes"])
    view = to.settled(o.inputs[0])
    every = axes == list(range(1, len(view.axes) + 1))
    if not every or len(view.axes) == 1:
        if len(axes) > 1:
            raise Unsayable("a normalization over height and width can't be said")
        view = to.along(o.inputs[0], axes[0], "a normalization")
        every = False
    eps = fraction(o.attributes.get("eps", 0))
    across = "all" if every else "channels"
    node = to.emit("normalize", view.value, across=across, eps=eps)
    to.set(o.outputs[0], view.on(node.value))
