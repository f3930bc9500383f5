"""How fresh weights are drawn: the distributions that `init` names."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Literal

from netspec.lazy_dataclasses import dataclass
from netspec.ops.attribute_types import AttributeTypeError, RealNumber, describe


@dataclass(frozen=True)
class Init:
    """A distribution; `str()` gives it as the language writes it.

    `kaiming`: normal of variance 2 / fan (He et al. 2015, arXiv:1502.01852, section 2.2), by
    default of fan_in. `xavier`: uniform of variance 1 / fan, by default of the mean of both fans
    (Glorot and Bengio 2010, equation 16); Caffe's takes fan_in. `normal`: of mean 0 and deviation
    `std`. `uniform`: between two `bounds`; without them within 1 / sqrt(fan_in), which specs can't
    name. `constant`: the number `value`. `bilinear`: each filter interpolates between neighbours
    (`bilinear_row`).
    """

    law: Literal["kaiming", "xavier", "normal", "uniform", "constant", "bilinear"] = "kaiming"
    fan: Literal["fan_in", "fan_out"] | None = None
    std: float | None = None
    bounds: tuple[float, float] | None = None
    value: float | None = None

    @property
    def numbers(self) -> tuple[float, ...]:
        """What stands in its brackets."""
        found = (*(self.bounds or ()), self.std, self.value)
        return tuple(n for n in found if n is not None)

    def __str__(self) -> str:
        inside: Sequence[float | None] = self.bounds or (self.std, self.value)
        numbers = ", ".join(f"{n:.15g}" for n in inside if n is not None)
        of = numbers or self.fan
        return f"{self.law}({of})" if of else self.law

    def deviation(self, shape: Sequence[int]) -> float:
        """The standard deviation in a weight of this shape, of a law that has one.

        fan_in is the product of all dimensions but the first, fan_out of all but the second, as
        PyTorch counts them.
        """
        if self.std is not None:
            return self.std
        sizes = [int(d) for d in shape]
        fan_in = max(prod(sizes[1:]), 1)
        fan_out = max(prod(sizes[:1] + sizes[2:]), 1)
        if self.law == "kaiming":
            return float((2 / (fan_out if self.fan == "fan_out" else fan_in)) ** 0.5)
        fans = {"fan_in": fan_in, "fan_out": fan_out}
        if self.law == "uniform":
            return float((3 * fan_in) ** -0.5)
        return float((1 / fans.get(self.fan or "", (fan_in + fan_out) / 2)) ** 0.5)

    def limits(self, shape: Sequence[int]) -> tuple[float, float]:
        """The bounds of a uniform distribution in a weight of this shape."""
        if self.bounds is not None:
            return self.bounds
        most = self.deviation(shape) * 3**0.5
        return -most, most


def bilinear_row(size: int) -> list[float]:
    """The weights of one direction of a filter that interpolates: a triangle, as Caffe has it.

    A filter is the product of that of its height and that of its width.
    """
    half = (size + 1) // 2
    middle = (2 * half - 1 - half % 2) / (2 * half)
    return [1 - abs(i / half - middle) for i in range(size)]


KAIMING = Init()
"""What weights begin with where neither net nor op say otherwise."""

UNIFORM = Init("uniform")
"""What `nn.Linear` of PyTorch begins with: the weight, and the bias with the weight's deviation.

A classifier that begins with small weights begins with a loss near ln(classes).
"""


@dataclass(frozen=True)
class Initial:
    """How a tensor begins: one of the laws of `Init`."""

    words: tuple[str, ...] = (
        *("kaiming", "xavier", "normal", "uniform", "constant", "bilinear", "fan_in", "fan_out"),
    )

    def __str__(self) -> str:
        return (
            "`kaiming`, `xavier`, `kaiming(fan_out)`, `xavier(fan_in)`, `normal(deviation)`, "
            "`uniform(a, b)`, `constant(c)` or `bilinear`"
        )

    def convert(self, value: Any) -> Init:
        """`value` is a word, or a tuple of a word and what stands in its brackets."""
        if isinstance(value, Init):
            return value
        law, *of = value if isinstance(value, tuple) else (value,)
        if law in _NUMBERS:
            count, help_ = _NUMBERS[law]
            if len(of) != count:
                message = f"needs {'two numbers' if count == 2 else 'a number'} behind {law}"
                raise AttributeTypeError("wrong-type", message, help_)
            return _of_numbers(law, of)
        if not isinstance(law, str):
            raise AttributeTypeError("wrong-type", f"takes {self}, not {describe(value)}")
        if law not in ("kaiming", "xavier", "bilinear"):
            raise AttributeTypeError("unknown-value", f"takes {self}, not `{law}`")
        if len(of) > (law != "bilinear") or (of and of[0] not in ("fan_in", "fan_out")):
            given = f"`{law}({', '.join(describe(v) for v in of)})`"
            raise AttributeTypeError("unknown-value", f"takes {self}, not {given}")
        fan = of[0] if of else None
        if (law, fan) == ("kaiming", "fan_in"):
            fan = None
        return Init(law, fan)  # type: ignore[arg-type]


_NUMBERS = {
    "normal": (1, "the deviation, for example `normal(0.01)`"),
    "uniform": (2, "for example `uniform(-0.05, 0.05)`"),
    "constant": (1, "for example `constant(0.1)`"),
}
"""How many numbers stand in the brackets of a law."""


def _of_numbers(law: str, of: Sequence[Any]) -> Init:
    if law == "normal":
        return Init("normal", std=RealNumber(positive=True).convert(of[0]))
    numbers = [RealNumber().convert(n) for n in of]
    if law == "constant":
        return Init("constant", value=numbers[0])
    low, high = numbers
    if low > high:
        message = f"takes uniform(a, b) with a below b, not {low:g} and {high:g}"
        raise AttributeTypeError("out-of-range", message)
    return Init("uniform", bounds=(low, high))
