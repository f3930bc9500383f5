"""Activations: functions of each element, and the two over channels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf, prod
from typing import Self

from netspec.ops.attribute_types import Flag, RealNumber
from netspec.ops.base import (
    Elementwise,
    Family,
    KeepsShape,
    Learned,
    Saved,
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

    saves = "result"
    overwrites = True
    monotone = True

    @property
    def clip(self) -> tuple[float, float] | None:
        return 0, inf


@op("relu6", ACTIVATION)
class Relu6(Activation):
    """min(max(x, 0), 6)."""

    overwrites = True
    monotone = True

    @property
    def clip(self) -> tuple[float, float] | None:
        return 0, 6


@op("hardtanh", ACTIVATION)
class HardTanh(Activation):
    """min(max(x, min), max)."""

    overwrites = True
    monotone = True

    example = "hardtanh { min: -2  max: 2 }"

    min: float = attr(RealNumber(), "the least result", default=-1.0)
    max: float = attr(RealNumber(), "the greatest result", default=1.0)

    def bind(self, inputs: Sequence[Shape]) -> Self:
        if self.min >= self.max:
            raise ShapeError("out-of-range", "the min of hardtanh must be below its max", "min")
        return self

    @property
    def clip(self) -> tuple[float, float] | None:
        return self.min, self.max


@op("threshold", ACTIVATION)
class Threshold(Activation):
    """x where x > threshold, else value."""

    foreign_names = ("ThresholdedReLU",)

    example = "threshold { threshold: 0.1  value: 0 }"

    threshold: float = attr(RealNumber(), "x is kept above it")
    value: float = attr(RealNumber(), "the result where x is not kept", default=0.0)


@op("leaky_relu", ACTIVATION)
class LeakyRelu(Activation):
    """x where x > 0, else slope * x."""

    foreign_names = ("LReLU",)

    example = "leaky_relu { slope: 0.1 }"

    slope: float = attr(RealNumber(), "factor below 0", default=0.01)


@op("prelu", ACTIVATION)
class PRelu(Learned, Activation):
    """x where x > 0, else a learned slope of its channel times x.

    He et al. 2015 (arXiv:1502.01852, section 2.1). Slopes begin at 0.25.
    """

    shared: bool = attr(Flag(), "whether all channels have one slope", default=False)

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        return {"weight": Tensor((1 if self.shared else inputs[0][0],), init=self.begun(0.25))}


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


@op("celu", ACTIVATION)
class Celu(Activation):
    """x where x > 0, else alpha * (exp(x / alpha) - 1).

    Barron 2017 (arXiv:1704.07483): an elu whose slope is the same on both sides of 0.
    """

    monotone = True

    example = "celu { alpha: 0.5 }"

    alpha: float = attr(
        RealNumber(positive=True), "the output for very negative x is -alpha", default=1.0
    )


@op("selu", ACTIVATION)
class Selu(Activation):
    """scale * x where x > 0, else scale * alpha * (exp(x) - 1), with two fixed numbers.

    alpha is 1.6732632423543772 and scale 1.0507009873554805: with them, means near 0 and variances
    near 1 are kept from layer to layer (Klambauer et al. 2017, arXiv:1706.02515).
    """

    monotone = True


@op("silu", ACTIVATION)
class Silu(Activation):
    """x * sigmoid(x), also called swish."""

    foreign_names = ("Swish",)


@op("mish", ACTIVATION)
class Mish(Activation):
    """x * tanh(softplus(x)).

    Misra 2019 (arXiv:1908.08681).
    """


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

    saves = "result"
    monotone = True
    takes_logits = True


@op("hardsigmoid", ACTIVATION)
class HardSigmoid(Activation):
    """min(max(x + 3, 0), 6) / 6."""

    monotone = True


@op("tanh", ACTIVATION)
class Tanh(Activation):
    """The hyperbolic tangent of x."""

    saves = "result"
    monotone = True


@op("softplus", ACTIVATION)
class Softplus(Activation):
    """log(1 + exp(x))."""

    monotone = True


@op("logsigmoid", ACTIVATION)
class LogSigmoid(Activation):
    """The logarithm of sigmoid(x)."""

    monotone = True


@op("softsign", ACTIVATION)
class SoftSign(Activation):
    """x / (1 + abs(x))."""

    monotone = True

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        return Saved((0,), own=4 * prod(map(int, inputs[0])))


@op("tanhshrink", ACTIVATION)
class TanhShrink(Activation):
    """x - tanh(x)."""

    monotone = True

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        return Saved(own=4 * prod(map(int, inputs[0])))


@op("hardshrink", ACTIVATION)
class HardShrink(Activation):
    """x, but 0 from -threshold to threshold."""

    monotone = True

    threshold: float = attr(RealNumber(least=0), "x is kept beyond it", default=0.5)


@op("softshrink", ACTIVATION)
class SoftShrink(Activation):
    """x moved towards 0 by threshold, and 0 where it would pass that."""

    monotone = True

    threshold: float = attr(RealNumber(least=0), "how far x is moved", default=0.5)


@op("clamp", ACTIVATION)
class Clamp(Elementwise):
    """min(max(x, min), max), where one of the two bounds may be left out."""

    foreign_names = ("Clip",)
    monotone = True

    example = "clamp { min: 0  max: 1 }"

    min: float | None = attr(RealNumber(), "the least result", default=None)
    max: float | None = attr(RealNumber(), "the greatest result", default=None)

    def bind(self, inputs: Sequence[Shape]) -> Self:
        if self.min is None and self.max is None:
            raise ShapeError(
                "missing-field",
                "clamp needs a bound: min, max or both",
                None,
                "for example `clamp { min: 0 }` or `clamp { min: 0  max: 1 }`",
            )
        if self.min is not None and self.max is not None and self.min > self.max:
            raise ShapeError("out-of-range", "the min of clamp must not be above its max", "min")
        return self

    @property
    def clip(self) -> tuple[float, float] | None:
        return (
            -inf if self.min is None else self.min,
            inf if self.max is None else self.max,
        )


@op("abs", ACTIVATION)
class Abs(Elementwise):
    """x without its sign."""


def _saved_sum(op: Power | Exp | Log, shape: Shape) -> Saved:
    """The sum shift + scale * x, which is x itself where both do nothing."""
    if op.scale == 1 and op.shift == 0:
        return Saved((0,))
    return Saved(own=4 * prod(map(int, shape)))


@op("power", ACTIVATION)
class Power(Elementwise):
    """(shift + scale * x) ** exponent, with three fixed numbers.

    No number where what is raised is below 0 and the exponent is not whole.
    """

    exponent: float = attr(RealNumber(), "what is raised to", default=1.0)
    scale: float = attr(RealNumber(), "factor of x", default=1.0)
    shift: float = attr(RealNumber(), "added to the product", default=0.0)

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        return Saved() if self.exponent == 1 else _saved_sum(self, inputs[0])


@op("exp", ACTIVATION)
class Exp(Elementwise):
    """base ** (shift + scale * x)."""

    base: float | None = attr(RealNumber(positive=True), "e where it is not given", default=None)
    scale: float = attr(RealNumber(), "factor of x", default=1.0)
    shift: float = attr(RealNumber(), "added to the product", default=0.0)

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        if self.base is None:
            return Saved(results=(0,))
        return _saved_sum(self, inputs[0])._replace(results=(0,))


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

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        return _saved_sum(self, inputs[0])


@op("softmax", ACTIVATION)
class Softmax(KeepsShape):
    """exp(x), divided by its sum over the channels."""

    saves = "result"
    same_on_vectors = True
    yields_probabilities = True
    takes_logits = True


@op("log_softmax", ACTIVATION)
class LogSoftmax(KeepsShape):
    """The logarithm of softmax."""

    saves = "result"
    same_on_vectors = True
    takes_logits = True
