"""What emitters of libraries share: a layer as it is written, and ops that all write alike."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Any, Self

from netspec.codegen.python_source import FunctionCall, Infix, Keyword, Source, Verbatim, call
from netspec.codegen.tracing.nodes import TraceValue
from netspec.codegen.writing.spelling import ConstructorNumbers
from netspec.ir import Value
from netspec.lazy_dataclasses import dataclass
from netspec.ops import Op
from netspec.ops.activation import Exp, Log, Power

Forward = Callable[[str, list[Source]], Source]
"""Of the layer's attribute (`self.conv1`) and the sources of its inputs, that of its result."""


@dataclass(frozen=True)
class WrittenLayer:
    """A layer as its class is written: its op as settled and as stated, and its values.

    `several`: more than its first result is used.
    """

    op: Op
    stated: Any
    inputs: tuple[Value | TraceValue, ...]
    outputs: tuple[Value | TraceValue, ...]
    several: bool


def apply(attribute: str, inputs: list[Source]) -> Source:
    """Forward: call the layer that the attribute holds."""
    return call(attribute, *inputs)


class Options:
    """What a layer's module or function takes, without what is the library's default.

    `fixed`: it is the same for all arguments of the class's constructor. `of_sizes`: it follows
    heights and widths, so that it is said in `forward`.
    """

    def __init__(self, w: ConstructorNumbers, in_forward: bool = True) -> None:
        self.w = w
        self.in_forward = in_forward
        """Whether numbers that follow sizes can be said in `forward`."""
        self.args: list[Source] = []
        self.fixed = True
        self.of_sizes = False

    def numbers(self, *numbers: tuple[float, float | None]) -> Self:
        """Numbers by position, each with its default; all are left out where all are that."""
        if any(d is None or not self.w.always(n, d) for n, d in numbers):
            for number, _ in numbers:
                self._add("", self.w.number(number), number)
        return self

    def number(self, name: str, number: float, default: float | None = None) -> Self:
        """A number; one that an argument decides is said, whatever it is by default."""
        if default is None or not self.w.always(number, default):
            self._add(name, self.w.number(number), number)
        return self

    def pair(self, name: str, pair: tuple[int, int], default: int | None = None) -> Self:
        """A number for height and one for width; without a name, by position."""
        if self.in_forward and any(map(self.w.depends_on_sizes, pair)):
            self.of_sizes = True
            return self.source(name, self.w.fixed_pair(pair))
        if default is None or not all(self.w.always(n, default) for n in pair):
            self._add(name, self.w.pair(pair), *pair)
        return self

    def flag(self, name: str, value: bool, *keywords: str) -> Self:
        """A truth value that is True unless it is said otherwise, by its name or by keywords."""
        decided = self.w.flag(name)
        self.fixed &= decided is None
        for keyword in (keywords or (name,)) if decided or not value else ():
            self.source(keyword, decided or "False")
        return self

    def source(self, name: str, source: str) -> Self:
        """Source as it stands."""
        self._add(name, source)
        return self

    def _add(self, name: str, source: str, *numbers: float) -> None:
        self.fixed &= self.w.literal(*numbers)
        self.args.append(Keyword(name, Verbatim(source)) if name else Verbatim(source))


def affine(op: Any, w: ConstructorNumbers, x: Source, library: str, power: str) -> Source:
    """The source of Power, Exp or Log, of its input; `power` is what `library` calls its power."""
    if not w.always(op.scale, 1):
        x = Infix("*", (Verbatim(w.fixed(op.scale)), x))
    if not w.always(op.shift, 0):
        sign, shift = "-" if op.shift < 0 else "+", w.fixed(op.shift).lstrip("-")
        x = Infix(sign, (x, Verbatim(shift)))
    if isinstance(op, Power):
        if w.always(op.exponent, 1):
            return x
        square = w.always(op.exponent, 2)
        return call(f"{library}.square", x) if square else call(power, x, w.fixed(op.exponent))
    if isinstance(op, Exp):
        base = None if op.base is None else w.fixed(op.base)
        return call(f"{library}.exp", x) if base is None else call(power, base, x)
    result = call(f"{library}.log", x)
    if op.base is None:
        return result
    length = repr(math.log(op.base)) if w.literal(op.base) else f"math.log({w.fixed(op.base)})"
    return Infix("/", (result, Verbatim(length)))


AFFINE = (Power, Exp, Log)
"""The ops that `affine` writes."""


def sliced(x: Source, *parts: str) -> Source:
    """A value's parts, along the dimensions behind its batch."""
    kept = [":", *parts]
    while kept[-1] == ":":
        kept.pop()
    return FunctionCall(x.flat(), tuple(map(Verbatim, kept)), "[]")


def places(w: ConstructorNumbers, section: tuple[int, int, int] | None) -> str:
    """Places of a dimension as a slice, in the layout of ruff; None is all of them."""
    if section is None:
        return ":"
    first, end, step = section
    sides = ["" if w.always(first, 0) else w.fixed(first), w.fixed(end)]
    sides += [] if w.always(step, 1) else [w.fixed(step)]
    simple = all(re.fullmatch(r"-?\w*", side) for side in sides)
    return ":".join(sides) if simple else " : ".join(sides).lstrip()
