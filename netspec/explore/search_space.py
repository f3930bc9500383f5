"""A net's design space: which values its parameters take, and every combination of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import product
from math import prod
from typing import Any, NamedTuple

from netspec.diagnostics import Diagnostic, Diagnostics, spec_error
from netspec.semantic.constants import constant_of, python_value
from netspec.semantic.settings import parse_constant
from netspec.symbolic.expr import Num

MAX_VALUES = 10_000
"""Most values of one parameter."""


class Axis(NamedTuple):
    """A parameter and the values it takes: constants of the language, and as Python has them."""

    name: str
    constants: tuple[Any, ...]
    values: tuple[Any, ...]


class Point(NamedTuple):
    """One combination: the constants, and the same values as plain data."""

    constants: Mapping[str, Any]
    settings: Mapping[str, Any]


class Space:
    """Every combination of the values of some parameters."""

    def __init__(self, axes: Sequence[Axis]) -> None:
        self.axes = tuple(axes)

    @property
    def size(self) -> int:
        """How many points there are; it may exceed what `len` can return."""
        return prod(len(axis.values) for axis in self.axes)

    @property
    def varied(self) -> tuple[Axis, ...]:
        """The parameters that take several values."""
        return tuple(axis for axis in self.axes if len(axis.values) > 1)

    def __iter__(self) -> Iterator[Point]:
        """All points; the last parameter varies fastest."""
        return (self.at(choice) for choice in product(*(range(len(a.values)) for a in self.axes)))

    def at(self, choice: Sequence[int]) -> Point:
        """The point of the values at these places."""
        pairs = list(zip(self.axes, choice, strict=True))
        return Point(
            {axis.name: axis.constants[i] for axis, i in pairs},
            {axis.name: axis.values[i] for axis, i in pairs},
        )

    def sample(self, count: int, seed: int) -> list[Point]:
        """`count` different points at random, in their order; all where there are no more."""
        from random import Random

        if count >= self.size:
            return list(self)
        random = Random(seed)
        chosen: set[int] = set()
        while len(chosen) < count:  # few draws are in vain, unless nearly all are wanted
            chosen.add(random.randrange(self.size))
        found = []
        for n in sorted(chosen):
            choice = []
            for axis in reversed(self.axes):
                n, i = divmod(n, len(axis.values))
                choice.append(i)
            found.append(self.at(choice[::-1]))
        return found


def space_of(values: Mapping[str, Sequence[Any]]) -> Space:
    """The space of values in Python: numbers, bools, strings, lists.

    Raises SpecError (bad-option) where a parameter has no value.
    """
    axes = []
    for name, given in values.items():
        if not given:
            raise spec_error("bad-option", f"{name} has no value")
        constants = tuple(map(constant_of, given))
        axes.append(Axis(name, constants, tuple(map(_plain, constants))))
    return Space(axes)


def parse_space(settings: Sequence[tuple[str, str]]) -> Space:
    """The space of `name=values` texts: lists `1,2,3`, ranges `1..9` and `0.1..1:0.1`, or both.

    A name that is given again has the later values. Raises SpecError.
    """
    diagnostics = Diagnostics()
    axes = {}
    for name, text in settings:
        constants = _constants(name, text, diagnostics)
        # What is given twice counts once.
        values = {repr(v := _plain(c)): (c, v) for c in constants}
        axes[name] = Axis(
            name, tuple(c for c, _ in values.values()), tuple(v for _, v in values.values())
        )
    diagnostics.raise_if_failed()
    return Space(list(axes.values()))


def _plain(constant: Any) -> Any:
    value = python_value(constant)
    return list(value) if isinstance(value, tuple) else value


def _constants(name: str, text: str, diagnostics: Diagnostics) -> list[Any]:
    found: list[Any] = []
    for part in _split(text):
        ends = re.fullmatch(r"([^.:\[\]]*(?:\.\d+)?[^.:\[\]]*?)\.\.(.+?)(?::(.+))?", part)
        if ends is None:
            constant = parse_constant(name, part, diagnostics)
            if constant is None and part != "none":
                continue
            found.append(constant)
        else:
            found += _range(name, part, [e for e in ends.groups() if e is not None], diagnostics)
        if len(found) > MAX_VALUES:
            message = f"--set {name} has more than {MAX_VALUES:,} values"
            raise spec_error("bad-option", message)
    if not found and not diagnostics.failed:
        diagnostics.add(Diagnostic("bad-option", f"--set {name} has no value"))
    return found


def _split(text: str) -> Iterator[str]:
    """The parts between commas, except those inside brackets and strings."""
    depth, quoted, start = 0, False, 0
    for i, char in enumerate(text):
        if char == '"' and text[i - 1 : i] != "\\":
            quoted = not quoted
        elif not quoted:
            depth += (char in "[(") - (char in "])")
            if char == "," and depth == 0:
                yield text[start:i].strip()
                start = i + 1
    yield text[start:].strip()


def _range(name: str, text: str, ends: list[str], diagnostics: Diagnostics) -> list[Num]:
    """The numbers of a range `1..9` or `1..9:2`, both ends included."""
    numbers = [parse_constant(name, end, diagnostics) for end in ends]
    if diagnostics.failed:
        return []
    first, last, step = (*numbers, Num(Fraction(1)))[:3]
    if not all(isinstance(n, Num) for n in (first, last, step)) or step.value <= 0:
        message = f"--set {name}={text} is no range: it goes from a number to a number, `1..9:2`"
        diagnostics.add(Diagnostic("bad-option", message))
        return []
    count = (last.value - first.value) // step.value + 1
    if not 0 < count <= MAX_VALUES:
        what = "no values" if count <= 0 else f"more than {MAX_VALUES:,} values"
        diagnostics.add(Diagnostic("bad-option", f"--set {name}={text} has {what}"))
        return []
    return [Num(first.value + i * step.value) for i in range(int(count))]
