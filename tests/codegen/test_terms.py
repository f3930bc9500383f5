"""Terms as Python source: short, and worth what Python's own arithmetic says."""

from __future__ import annotations

from fractions import Fraction
from random import Random
from typing import Any

import pytest

from netspec.codegen.writing.term_source import Printer
from netspec.symbolic.expr import NumberLiteral, Parameter
from netspec.symbolic.terms import folded

NAMES = ("a", "b")
SIGNS = {"+": lambda x, y: x + y, "-": lambda x, y: x - y, "*": lambda x, y: x * y}


def source(term: Any) -> str:
    return Printer(lambda leaf, exact: leaf.name)(term)


def number(n: int) -> Any:
    return NumberLiteral(Fraction(n))


def drawn(random: Random, depth: int) -> tuple[Any, Any]:
    """A term, and the function of `a` and `b` that it stands for."""
    if depth == 0 or random.random() < 0.2:
        if random.random() < 0.5:
            name = random.choice(NAMES)
            return Parameter(name), lambda values: values[name]
        n = random.randint(-3, 9)
        return number(n), lambda values: n
    x, f = drawn(random, depth - 1)
    if random.random() < 0.3:
        divisor = random.randint(2, 4)
        if random.random() < 0.5:
            multiple = folded("*", number(divisor), x)
            return folded("//", multiple, number(divisor)), f
        return folded("//", x, number(divisor)), lambda values: f(values) // divisor
    if random.random() < 0.2:
        return folded("-", x), lambda values: -f(values)
    y, g = drawn(random, depth - 1)
    sign = random.choice(tuple(SIGNS))
    return folded(sign, x, y), lambda values: SIGNS[sign](f(values), g(values))


@pytest.mark.parametrize("seed", range(10))
def test_what_is_written_has_the_value_of_what_is_meant(seed: int) -> None:
    random = Random(seed)
    for _ in range(100):
        term, meant = drawn(random, 4)
        text = source(term)
        for _ in range(5):
            values = {name: random.randint(1, 30) for name in NAMES}
            assert eval(text, {}, values) == meant(values), text


def test_quotients_of_multiples_and_rounding_up_read_well() -> None:
    a, b = Parameter("a"), Parameter("b")
    up = folded("-", folded("//", folded("-", a), number(2)))
    assert source(up) == "-(-a // 2)"
    places = folded("+", folded("*", number(2), folded("-", up, number(1))), number(2))
    assert source(folded("//", places, number(2))) == "-(-a // 2)"
    assert source(folded("//", folded("*", a, b), b)) == "a"
    assert source(folded("//", folded("+", folded("*", number(3), a), number(1)), number(3))) == (
        "(3 * a + 1) // 3"
    )
