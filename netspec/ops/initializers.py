"""How fresh weights are drawn: the distributions that `init` names."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Literal

from netspec.lazy_dataclasses import dataclass
from netspec.ops.attribute_types import AttributeTypeError, RealNumber, describe


@dataclass(frozen=True)
class Init:
    """A distribution of mean 0; `str()` gives it as the language writes it.

    `kaiming`: normal of variance 2 / fan (He et al. 2015, arXiv:1502.01852, section 2.2), by
    default of fan_in. `xavier`: uniform of variance 1 / fan, by default of the mean of both fans
    (Glorot and Bengio 2010, equation 16); Caffe's takes fan_in. `normal`: of deviation `std`.
    `uniform`: within 1 / sqrt(fan_in), or of deviation `std`; specs can't name it.
    """

    law: Literal["kaiming", "xavier", "normal", "uniform"] = "kaiming"
    fan: Literal["fan_in", "fan_out"] | None = None
    std: float | None = None

    def __str__(self) -> str:
        of = self.fan if self.std is None else f"{self.std:.15g}"
        return f"{self.law}({of})" if of else self.law

    def deviation(self, shape: Sequence[int]) -> float:
        """The standard deviation in a weight of this shape.

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


KAIMING = Init()
"""What weights begin with where neither net nor op say otherwise."""

UNIFORM = Init("uniform")
"""What `nn.Linear` of PyTorch begins with: the weight, and the bias with the weight's deviation.

A classifier that begins with small weights begins with a loss near ln(classes).
"""


@dataclass(frozen=True)
class Initial:
    """`kaiming`, `xavier`, either of them of `(fan_in)` or `(fan_out)`, or `normal(deviation)`."""

    words: tuple[str, ...] = ("kaiming", "xavier", "normal", "fan_in", "fan_out")

    def __str__(self) -> str:
        return "`kaiming`, `xavier`, `kaiming(fan_out)`, `xavier(fan_in)`, or `normal(deviation)`"

    def convert(self, value: Any) -> Init:
        """`value` is a word, or a tuple of a word and what stands in its brackets."""
        if isinstance(value, Init):
            return value
        law, *of = value if isinstance(value, tuple) else (value,)
        if law == "normal":
            if len(of) != 1:
                help_ = "for example `normal(0.01)`"
                raise AttributeTypeError("wrong-type", "needs the deviation of normal", help_)
            return Init("normal", std=float(RealNumber(positive=True).convert(of[0])))
        if not isinstance(law, str):
            raise AttributeTypeError("wrong-type", f"takes {self}, not {describe(value)}")
        if law not in ("kaiming", "xavier"):
            raise AttributeTypeError("unknown-value", f"takes {self}, not `{law}`")
        if len(of) > 1 or (of and of[0] not in ("fan_in", "fan_out")):
            given = f"`{law}({', '.join(describe(v) for v in of)})`"
            raise AttributeTypeError("unknown-value", f"takes {self}, not {given}")
        fan = of[0] if of else None
        if (law, fan) == ("kaiming", "fan_in"):
            fan = None
        return Init(law, fan)  # type: ignore[arg-type]
