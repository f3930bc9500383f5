"""Numbers of programs as numbers of the language, which are exact decimals."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import isfinite
from typing import Any

from netspec.importers.tensors.program import ProgramConstant


class NumberError(ValueError):
    """A number that is infinite, or none."""


def fraction(number: Any) -> Fraction:
    """The shortest decimal that is this number: of those for float32, where it is one.

    Raises NumberError for what is not finite.
    """
    if isinstance(number, int | Fraction):
        return Fraction(number)
    import numpy as np

    value = float(number)
    if not isfinite(value):
        raise NumberError(f"{value} is no number of the language")
    with np.errstate(over="ignore"):
        small = np.float32(value)
    return Fraction(str(small) if float(small) == value else repr(value))


def scalar_of(constant: ProgramConstant) -> Fraction | None:
    """The number that all of a constant is; None where it has several, or none of the language."""
    if constant.size != 1:
        return None
    try:
        return fraction(constant.load().reshape(()).item())
    except NumberError:
        return None


def pair_field(numbers: Sequence[int], usual: int) -> tuple[Fraction, Fraction] | None:
    """The field of a pair; None where both are the default."""
    rows, columns = (Fraction(int(n)) for n in numbers)
    return None if rows == columns == usual else (rows, columns)


def pads_field(pads: Sequence[int]) -> tuple[Fraction, ...] | None:
    """The field of pads (top, left, bottom, right); None where all are 0."""
    top, left, bottom, right = (Fraction(int(p)) for p in pads)
    if not any((top, left, bottom, right)):
        return None
    if top == bottom and left == right:
        return (top, left)
    return (top, bottom, left, right)


def fractions(numbers: Sequence[int]) -> tuple[Fraction, ...]:
    return tuple(Fraction(int(n)) for n in numbers)
