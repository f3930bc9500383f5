"""Activations: functions of each element, and the two over channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Self

from netspec.ops.attribute_types import Flag, RealNumber
from netspec.ops.base import Elementwise, Shape, ShapeError, Tensor, attr, op


@op("relu")
class Relu(Elementwise):
    """max(x, 0)."""


@op("relu6")
class Relu6(Elementwise):
    """min(max(x, 0), 6)."""


@op("leaky_relu")
class LeakyRelu(Elementwise):
    """x where x > 0, else slope * x."""

    example: ClassVar[str] = "leaky_relu { slope: 0.1 }"

    slope: float = attr(RealNumber(), "factor below 0", default=0.01)


@op("prelu")
class PRelu(Elementwise):
    """x where x > 0, else a learned slope of its channel times x.

    He et al. 2015 (arXiv:1502.01852, section 2.1). Slopes begin at 0.25.
    """

    shared: bool = attr(Flag(), "whether all channels have one slope", default=False)

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        return {"weight": Tensor((1 if self.shared else inputs[0][0],), init=0.25)}


@op("elu")
class Elu(Elementwise):
    """x where x > 0, else alpha * (exp(x) - 1).

    Clevert et al. 2015 (arXiv:1511.07289).
    """

    example: ClassVar[str] = "elu { alpha: 1 }"

    alpha: float = attr(
        RealNumber(least=0), "the output for very negative x is -alpha", default=1.0
    )


@op("silu")
class Silu(Elementwise):
    """x * sigmoid(x), also called swish."""


@op("gelu")
class Gelu(Elementwise):
    """x * (1 + erf(x / sqrt(2))) / 2.

    Hendrycks and Gimpel 2016 (arXiv:1606.08415), the exact form.
    """


@op("hardswish")
class HardSwish(Elementwise):
    """x * min(max(x + 3, 0), 6) / 6.

    Howard et al. 2019 (arXiv:1905.02244, section 5.2).
    """


@op("sigmoid")
class Sigmoid(Elementwise):
    """1 / (1 + exp(-x))."""


@op("hardsigmoid")
class HardSigmoid(Elementwise):
    """min(max(x + 3, 0), 6) / 6."""


@op("tanh")
class Tanh(Elementwise):
    """The hyperbolic tangent of x."""


@op("softplus")
class Softplus(Elementwise):
    """log(1 + exp(x))."""


@op("abs")
class Abs(Elementwise):
    """x without its sign."""


@op("power")
class Power(Elementwise):
    """(shift + scale * x) ** exponent, with three fixed numbers.

    No number where what is raised is below 0 and the exponent is not whole.
    """

    exponent: float = attr(RealNumber(), "what is raised to", default=1.0)
    scale: float = attr(RealNumber(), "factor of x", default=1.0)
    shift: float = attr(RealNumber(), "added to the product", default=0.0)


@op("exp")
class Exp(Elementwise):
    """base ** (shift + scale * x)."""

    base: float | None = attr(RealNumber(positive=True), "e where it is not given", default=None)
    scale: float = attr(RealNumber(), "factor of x", default=1.0)
    shift: float = attr(RealNumber(), "added to the product", default=0.0)


@op("log")
class Log(Elementwise):
    """The logarithm of shift + scale * x."""

    base: float | None = attr(RealNumber(positive=True), "e where it is not given", default=None)
    scale: float = attr(RealNumber(), "factor of x", default=1.0)
    shift: float = attr(RealNumber(), "added to the product", default=0.0)

    def bind(self, inputs: Sequence[Shape]) -> Self:
        if self.base == 1:
            raise ShapeError("out-of-range", "there is no logarithm to the base 1", "base")
        return self


@op("softmax")
class Softmax(Elementwise):
    """exp(x), divided by its sum over the channels."""


@op("log_softmax")
class LogSoftmax(Elementwise):
    """The logarithm of softmax."""
