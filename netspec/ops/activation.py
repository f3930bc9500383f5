"""Activations: functions of each element, and the two over channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Self

from netspec.ops.attribute_types import Flag, RealNumber
from netspec.ops.base import (
    Elementwise,
    Family,
    KeepsShape,
    Shape,
    ShapeError,
    Tensor,
    attr,
    op,
)

ACTIVATION = Family(
    "activation",
    "Activations: functions of each element, and the two over channels.",
    follows=True,
)


class Activation(Elementwise):
    """What layers with weights usually end with."""

    activation = True


@op("relu", ACTIVATION)
class Relu(Activation):
    """max(x, 0)."""

    monotone = True

    @property
    def clip(self) -> tuple[float, float] | None:
        return 0, inf


@op("relu6", ACTIVATION)
class Relu6(Activation):
    """min(max(x, 0), 6)."""

    monotone = True

    @property
    def clip(self) -> tuple[float, float] | None:
        return 0, 6


@op("leaky_relu", ACTIVATION)
class LeakyRelu(Activation):
    """x where x > 0, else slope * x."""

    foreign_names = ("LReLU",)

    example = "leaky_relu { slope: 0.1 }"

    slope: float = attr(RealNumber(), "factor below 0", default=0.01)


@op("prelu", ACTIVATION)
class PRelu(Activation):
    """x where x > 0, else a learned slope of its channel times x.

    He et al. 2015 (arXiv:1502.01852, section 2.1). Slopes begin at 0.25.
    """

    shared: bool = attr(Flag(), "whether all channels have one slope", default=False)

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        return {"weight": Tensor((1 if self.shared else inputs[0][0],), init=0.25)}


@op("elu", ACTIVATION)
class Elu(Activation):
    """x where x > 0, else alpha * (exp(x) - 1).

    Clevert et al. 2015 (arXiv:1511.07289).
    """

    monotone = True

    example = "elu { alpha: 1 }"

    alpha: float = attr(
        RealNumber(least=0), "the output for very negative x is -alpha", default=1.0
    )


@op("silu", ACTIVATION)
class Silu(Activation):
    """x * sigmoid(x), also called swish."""

    foreign_names = ("Swish",)


@op("gelu", ACTIVATION)
class Gelu(Activation):
    """x * (1 + erf(x / sqrt(2))) / 2.

    Hendrycks and Gimpel 2016 (arXiv:1606.08415), the exact form.
    """


@op("hardswish", ACTIVATION)
class HardSwish(Activation):
    """x * min(max(x + 3, 0), 6) / 6.

    Howard et al. 2019 (arXiv:1905.02244, section 5.2).
    """

    foreign_names = ("HSwish",)


@op("sigmoid", ACTIVATION)
class Sigmoid(Activation):
    """1 / (1 + exp(-x))."""

    monotone = True


@op("hardsigmoid", ACTIVATION)
class HardSigmoid(Activation):
    """min(max(x + 3, 0), 6) / 6."""

    monotone = True


@op("tanh", ACTIVATION)
class Tanh(Activation):
    """The hyperbolic tangent of x."""

    monotone = True


@op("softplus", ACTIVATION)
class Softplus(Activation):
    """log(1 + exp(x))."""

    monotone = True


@op("abs", ACTIVATION)
class Abs(Elementwise):
    """x without its sign."""


@op("power", ACTIVATION)
class Power(Elementwise):
    """(shift + scale * x) ** exponent, with three fixed numbers.

    No number where what is raised is below 0 and the exponent is not whole.
    """

    exponent: float = attr(RealNumber(), "what is raised to", default=1.0)
    scale: float = attr(RealNumber(), "factor of x", default=1.0)
    shift: float = attr(RealNumber(), "added to the product", default=0.0)


@op("exp", ACTIVATION)
class Exp(Elementwise):
    """base ** (shift + scale * x)."""

    base: float | None = attr(RealNumber(positive=True), "e where it is not given", default=None)
    scale: float = attr(RealNumber(), "factor of x", default=1.0)
    shift: float = attr(RealNumber(), "added to the product", default=0.0)


@op("log", ACTIVATION)
class Log(Elementwise):
    """The logarithm of shift + scale * x."""

    base: float | None = attr(RealNumber(positive=True), "e where it is not given", default=None)
    scale: float = attr(RealNumber(), "factor of x", default=1.0)
    shift: float = attr(RealNumber(), "added to the product", default=0.0)

    def bind(self, inputs: Sequence[Shape]) -> Self:
        if self.base == 1:
            raise ShapeError("out-of-range", "there is no logarithm to the base 1", "base")
        return self


@op("softmax", ACTIVATION)
class Softmax(KeepsShape):
    """exp(x), divided by its sum over the channels."""

    same_on_vectors = True
    yields_probabilities = True


@op("log_softmax", ACTIVATION)
class LogSoftmax(KeepsShape):
    """The logarithm of softmax."""

    same_on_vectors = True
