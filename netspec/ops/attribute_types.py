"""The kinds of value that an attribute takes, and how a constant of the language becomes one."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from typing import Any, Literal, Protocol

from netspec.lazy_dataclasses import dataclass
from netspec.symbolic.conditions import COMPARISONS
from netspec.symbolic.expr import Num

Code = Literal["wrong-type", "not-integral", "out-of-range", "unknown-value"]
Pads = tuple[int, int, int, int]
"""Padding at the top, bottom, left and right."""

MAX_INTEGER = 2**31 - 1
MAX_PARTS = 1000
MAX_CHANGES = 14
MAX_MAGNITUDE = 30
"""The largest magnitude of RandAugment, as in its paper (Cubuk et al. 2019, arXiv:1909.13719)."""


class AttributeTypeError(Exception):
    """A constant that is not of the kind. `code` is a diagnostic code, `help` the fix.

    `instead` is what to write in its place, where one word does.
    """

    def __init__(self, code: Code, message: str, help: str = "", instead: str = "") -> None:
        super().__init__(message)
        self.code: Code = code
        self.message = message
        self.help = f"did you mean `{instead}`?" if instead else help
        self.instead = instead


class AttributeType(Protocol):
    """A kind of value: what it is called, the bare words it knows, and the conversion."""

    @property
    def words(self) -> tuple[str, ...]: ...

    def __str__(self) -> str: ...

    def convert(self, value: Any) -> Any:
        """The attribute's Python value. Raises AttributeTypeError."""


def describe(value: Any) -> str:
    """A constant as messages speak of it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Num):
        return decimal(value.value)
    if isinstance(value, str):
        return f'"{value}"' if len(value) < 40 else "a string"
    if isinstance(value, tuple):
        if len(value) > 8 or any(isinstance(v, tuple) for v in value):
            return "a list"
        return "[" + ", ".join(describe(v) for v in value) + "]"
    return str(value)


def decimal(value: Fraction) -> str:
    """A number for people: `12.5`, `1/3`, with thousands separated."""
    if value.denominator == 1:
        return f"{value.numerator:,}"
    reduced = value.denominator
    for prime in (2, 5):
        while reduced % prime == 0:
            reduced //= prime
    if reduced == 1 and value.denominator < 10**9:
        # f-strings of Fraction came with Python 3.12; nine digits are exact here.
        whole = f"{float(value):.9f}".rstrip("0")
        return whole if abs(value) < 10**6 else f"{float(value):,}"
    return f"{value.numerator}/{value.denominator} (about {float(value):g})"


@dataclass(frozen=True)
class Integer:
    """A whole number from `least` on."""

    least: int = 1
    odd: bool = False
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        odd = "odd " if self.odd else ""
        return f"{odd}whole number" if self.least < 0 else f"{odd}whole number from {self.least}"

    def convert(self, value: Any) -> int:
        if not isinstance(value, Num):
            raise AttributeTypeError(
                "wrong-type", f"takes a {self}, not {describe(value)}", _number_help(value)
            )
        number = value.value
        if number.denominator != 1:
            near = round(number)
            raise AttributeTypeError(
                "not-integral",
                f"needs a whole number, but its value is {describe(value)}",
                f"`round(...)` would make it {near:,}" if near >= self.least else "",
            )
        if not self.least <= number <= MAX_INTEGER:
            bound = f"at least {self.least}" if number < self.least else f"at most {MAX_INTEGER:,}"
            raise AttributeTypeError("out-of-range", f"must be {bound}, but is {describe(value)}")
        if self.odd and number % 2 == 0:
            raise AttributeTypeError("out-of-range", f"must be odd, but is {describe(value)}")
        return value.integer([(">=", Fraction(self.least))], odd=self.odd)


def _number_help(value: Any) -> str:
    # A number, or a shape of them.
    if isinstance(value, str) and value and all(p.isdigit() for p in value.split("x")):
        return f"write {value} without quotes" if len(value) < 40 else ""
    return ""


@dataclass(frozen=True)
class Pair:
    """One number for both directions, or two: height first, unless `sides` are others."""

    least: int = 1
    words: tuple[str, ...] = ()
    sides: tuple[str, str] = ("height", "width")

    def __str__(self) -> str:
        return f"number or pair ({' x '.join(self.sides)})"

    def convert(self, value: Any) -> tuple[int, int]:
        each = Integer(self.least)
        if isinstance(value, tuple):
            if len(value) != 2:
                raise AttributeTypeError(
                    "wrong-type", f"takes one or two numbers, not {describe(value)}"
                )
            return each.convert(value[0]), each.convert(value[1])
        number = each.convert(value)
        return number, number


@dataclass(frozen=True)
class Padding:
    """`same` (unless `words` are none), one number, two or four (top, bottom, left, right)."""

    words: tuple[str, ...] = ("same",)

    def __str__(self) -> str:
        word = "`same`, " if self.words else ""
        return f"{word}a number, a pair, or four numbers (top, bottom, left, right)"

    def convert(self, value: Any) -> Pads | Literal["same"]:
        if value == "same" and self.words:
            return "same"
        each = Integer(0)
        if isinstance(value, tuple) and len(value) == 4:
            top, bottom, left, right = (each.convert(v) for v in value)
            return top, bottom, left, right
        if isinstance(value, tuple) and len(value) != 2:
            raise AttributeTypeError(
                "wrong-type", f"takes one, two or four numbers, not {describe(value)}"
            )
        if isinstance(value, str):
            help_ = _number_help(value) or ("`same` is the one word" if self.words else "")
            raise AttributeTypeError("unknown-value", f'takes {self}, not "{value}"', help_)
        height, width = Pair(0).convert(value)
        return height, height, width, width


@dataclass(frozen=True)
class RealNumber:
    """A real number between two bounds (`below`: the upper one is excluded)."""

    least: float | None = None
    most: float | None = None
    below: bool = False
    positive: bool = False
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.positive:
            return "number above 0"
        if self.least is not None and self.most is not None:
            return f"number from {self.least:g} to {'below ' if self.below else ''}{self.most:g}"
        return "number" if self.least is None else f"number from {self.least:g}"

    def convert(self, value: Any) -> float:
        if not isinstance(value, Num):
            raise AttributeTypeError(
                "wrong-type", f"takes a {self}, not {describe(value)}", _number_help(value)
            )
        number = value.value
        if not all(COMPARISONS[sign](number, limit) for sign, limit in self.limits):
            message = f"takes a {self}, but its value is {describe(value)}"
            raise AttributeTypeError("out-of-range", message, self._percent(number))
        return value.real(self.limits)

    @property
    def limits(self) -> list[tuple[str, Fraction]]:
        """What the number is compared with, each with its sign."""
        found = [] if self.least is None else [(">=", Fraction(self.least))]
        if self.positive:
            found.append((">", Fraction(0)))
        if self.most is not None:
            found.append(("<" if self.below else "<=", Fraction(self.most)))
        return found

    def _percent(self, number: Fraction) -> str:
        """The fix for a share that is given in percent, without the sign."""
        if (self.least, self.most) != (0, 1) or not 1 < number < 100 or number.denominator != 1:
            return ""
        return f"did you mean `{decimal(number)}%`, which is {decimal(number / 100)}?"


@dataclass(frozen=True)
class Flag:
    """`true` or `false`."""

    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "true or false"

    def convert(self, value: Any) -> bool:
        if not isinstance(value, bool):
            word = _FLAGS.get(describe(value).strip('"').lower())
            message = f"takes true or false, not {describe(value)}"
            raise AttributeTypeError("wrong-type", message, instead=word or "")
        return value


_FLAGS = {
    **dict.fromkeys(("0", "false", "no", "off", "none"), "false"),
    **dict.fromkeys(("1", "true", "yes", "on"), "true"),
}


@dataclass(frozen=True)
class OneOf:
    """One of a few bare words."""

    words: tuple[str, ...]

    def __str__(self) -> str:
        return " or ".join(f"`{w}`" for w in self.words)

    def convert(self, value: Any) -> str:
        if not isinstance(value, str):
            raise AttributeTypeError("wrong-type", f"takes {self}, not {describe(value)}")
        if value not in self.words:
            near = next((f"did you mean `{w}`?" for w in self.words if w == value.lower()), "")
            raise AttributeTypeError("unknown-value", f"takes {self}, not `{value}`", near)
        return value


@dataclass(frozen=True)
class Groups:
    """A whole number from 1, or `depthwise` for one group per channel."""

    words: tuple[str, ...] = ("depthwise",)

    def __str__(self) -> str:
        return "a whole number from 1, or `depthwise`"

    def convert(self, value: Any) -> int | Literal["depthwise"]:
        if value == "depthwise":
            return "depthwise"
        return Integer(1).convert(value)


@dataclass(frozen=True)
class Numbers:
    """A list of real numbers."""

    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "number or list of numbers"

    def convert(self, value: Any) -> tuple[float, ...]:
        items = value if isinstance(value, tuple) else (value,)
        return tuple(RealNumber().convert(v) for v in items)


@dataclass(frozen=True)
class Multipliers:
    """Factors of a layer's weights and of its biases: one number for both, or two."""

    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "number from 0, or list of two: of weights, of biases"

    def convert(self, value: Any) -> tuple[float, float]:
        items = value if isinstance(value, tuple) else (value, value)
        if len(items) != 2:
            raise AttributeTypeError("wrong-type", f"takes a {self}, not {describe(value)}")
        weights, biases = (RealNumber(0).convert(v) for v in items)
        return weights, biases


@dataclass(frozen=True)
class Size:
    """Height and width: one number for both, two, or the shape of a value, whose channels do not
    matter."""

    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "number, pair (height x width), or the shape of a value"

    def convert(self, value: Any) -> tuple[int, ...]:
        if isinstance(value, tuple) and len(value) == 3:
            return tuple(Integer().convert(v) for v in value)
        if isinstance(value, tuple) and len(value) != 2:
            raise AttributeTypeError("wrong-type", f"takes height x width, not {describe(value)}")
        return Pair().convert(value)


@dataclass(frozen=True)
class Parts:
    """How many equal parts, or a list with the channels of each."""

    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "number of equal parts, or a list with the channels of each"

    def convert(self, value: Any) -> int | tuple[int, ...]:
        count = len(value) if isinstance(value, tuple) else Integer().convert(value)
        if not 1 <= count <= MAX_PARTS:
            raise AttributeTypeError(
                "out-of-range", f"takes 1 to {MAX_PARTS:,} parts, not {count:,}"
            )
        if isinstance(value, tuple):
            return tuple(Integer().convert(v) for v in value)
        return count


@dataclass(frozen=True)
class Section:
    """Places of a dimension, counted from 0: the first, the one behind the last, perhaps a step."""

    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "list of two whole numbers, or of three: first, end (not part of it), step (1)"

    def convert(self, value: Any) -> tuple[int, int, int]:
        if not isinstance(value, tuple) or len(value) not in (2, 3):
            help_ = ""
            if isinstance(value, Num) and value.value.denominator == 1:
                first = int(value.value)
                help_ = f"`[{first}, {first + 1}]` is number {first} alone"
            message = f"takes a {self}, not {describe(value)}"
            raise AttributeTypeError("wrong-type", message, help_)
        step = Integer().convert(value[2]) if len(value) == 3 else 1
        return Integer(0).convert(value[0]), Integer().convert(value[1]), step


@dataclass(frozen=True)
class Dimensions:
    """A shape: channels x height x width or one number; if `open`, -1 stands for what is left."""

    words: tuple[str, ...] = ()
    open: bool = True

    def __str__(self) -> str:
        left = "; one of them may be -1, for what is left" if self.open else ""
        return f"shape of one or three numbers{left}"

    def convert(self, value: Any) -> tuple[int, ...]:
        items = value if isinstance(value, tuple) else (value,)
        if len(items) not in (1, 3):
            raise AttributeTypeError(
                "wrong-type", f"takes one or three numbers, not {describe(value)}"
            )
        rest = [self.open and isinstance(v, Num) and v.value == -1 for v in items]
        sizes = tuple(-1 if r else Integer(1).convert(v) for r, v in zip(rest, items, strict=True))
        if sum(rest) > 1:
            message = f"takes sizes from 1, and at most one -1, not {describe(value)}"
            raise AttributeTypeError("out-of-range", message)
        return sizes


@dataclass(frozen=True)
class BoxSizes:
    """Heights and widths, a pair for each box."""

    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "list of sizes (height x width)"

    def convert(self, value: Any) -> tuple[tuple[float, float], ...]:
        if not isinstance(value, tuple) or not 1 <= len(value) <= MAX_PARTS:
            raise AttributeTypeError("wrong-type", f"takes a {self}, not {describe(value)}")
        sizes = []
        for size in value:
            if not isinstance(size, tuple) or len(size) != 2:
                message = f"takes a {self}, and {describe(size)} is none"
                raise AttributeTypeError("wrong-type", message)
            height, width = (RealNumber(positive=True).convert(side) for side in size)
            sizes.append((height, width))
        return tuple(sizes)


@dataclass(frozen=True)
class Texts:
    """A list of texts, or none."""

    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "list of texts"

    def convert(self, value: Any) -> tuple[str, ...]:
        if value is None:
            return ()
        items = value if isinstance(value, tuple) else (value,)
        if not all(isinstance(item, str) for item in items):
            help_ = 'for example `["car", "cyclist"]`'
            raise AttributeTypeError("wrong-type", f"takes a {self}, not {describe(value)}", help_)
        return items


@dataclass(frozen=True)
class DimensionOrder:
    """The dimensions 0 (channels), 1 (height) and 2 (width), each once."""

    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "list of 0 (channels), 1 (height) and 2 (width), each once"

    def convert(self, value: Any) -> tuple[int, int, int]:
        items = value if isinstance(value, tuple) else (value,)
        order = tuple(int(Integer(0).convert(v)) for v in items)
        if sorted(order) != [0, 1, 2]:
            raise AttributeTypeError(
                "out-of-range", f"takes 0, 1 and 2, each once, not {describe(value)}"
            )
        return order[0], order[1], order[2]


@dataclass(frozen=True)
class Interval:
    """Two numbers above 0 in rising order; one stands for it and 1, or with `most` for 1 itself."""

    most: float | None = None
    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        to = "" if self.most is None else f" to {self.most:g}"
        return f"number above 0{to}, or a list of two in rising order"

    def convert(self, value: Any) -> tuple[float, float]:
        items = value if isinstance(value, tuple) else (value, 1)
        numbers = [n if n == 1 else RealNumber(positive=True).convert(n) for n in items]
        if len(numbers) != 2:
            raise AttributeTypeError("wrong-type", f"takes a {self}, not {describe(value)}")
        low, high = numbers
        if low > high or (self.most is not None and high > self.most):
            raise AttributeTypeError("out-of-range", f"takes a {self}, not {describe(value)}")
        return low, high


@dataclass(frozen=True)
class ChangesAndMagnitude:
    """How many changes, and their magnitude; a number alone is the magnitude of two."""

    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"magnitude from 1 to {MAX_MAGNITUDE}, or [changes, magnitude]"

    def convert(self, value: Any) -> tuple[int, int]:
        numbers = [Integer().convert(v) for v in (value if isinstance(value, tuple) else (value,))]
        if not isinstance(value, tuple):
            numbers = [2, *numbers]
        if len(numbers) != 2:
            raise AttributeTypeError("wrong-type", f"takes a {self}, not {describe(value)}")
        changes, magnitude = numbers
        if changes > MAX_CHANGES or magnitude > MAX_MAGNITUDE:
            message = f"takes up to {MAX_CHANGES} changes of a magnitude up to {MAX_MAGNITUDE}"
            raise AttributeTypeError("out-of-range", message)
        return changes, magnitude


@dataclass(frozen=True)
class ClassWeights:
    """`balanced`, or a number from 0 for each class."""

    words: tuple[str, ...] = ("balanced",)

    def __str__(self) -> str:
        return "`balanced`, or a list with a number for each class"

    def convert(self, value: Any) -> Literal["balanced"] | tuple[float, ...]:
        if value == "balanced":
            return "balanced"
        if not isinstance(value, tuple):
            raise AttributeTypeError("wrong-type", f"takes {self}, not {describe(value)}")
        weights = tuple(RealNumber(0).convert(v) for v in value)
        if not any(weights):
            raise AttributeTypeError("out-of-range", "takes a list with a number above 0")
        return weights


@dataclass(frozen=True)
class Places:
    """One whole number, or a list of several in rising order."""

    words: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "whole number from 1, or a list of them in rising order"

    def convert(self, value: Any) -> tuple[int, ...]:
        items = value if isinstance(value, tuple) else (value,)
        if not 1 <= len(items) <= MAX_PARTS:
            raise AttributeTypeError("wrong-type", f"takes a {self}, not {describe(value)}")
        places = tuple(Integer().convert(v) for v in items)
        if any(a >= b for a, b in pairwise(places)):
            raise AttributeTypeError("out-of-range", f"takes a {self}, not {describe(value)}")
        return places
