"""Numbers with the expression that made them of a module's parameters.

Shape rules and attributes compute with plain Python numbers. A `Dim` is such a number that also
carries the expression it came from (`e1x1 + e3x3`), so that a backend can write the expression
where the reader wants it, without a second set of shape rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, Literal

from netspec.lazy_dataclasses import dataclass

Operator = Literal[
    "+", "-", "*", "/", "//", "%", "**", "min", "max", "round", "floor", "ceil", "abs", "int"
]


@dataclass(frozen=True)
class Parameter:
    """A parameter of the module at hand."""

    name: str


@dataclass(frozen=True)
class Channels:
    """The channels of an input of the module at hand."""

    input: str


@dataclass(frozen=True)
class SizeOf:
    """The height (axis 1) or width (axis 2) of a value of the block at hand."""

    value: Any
    axis: int


@dataclass(frozen=True)
class ParameterItem:
    """An item of a list that is a parameter of the module at hand."""

    parameter: str
    place: int


@dataclass(frozen=True)
class NumberLiteral:
    """A number as it stands."""

    value: Fraction


@dataclass(frozen=True)
class Apply:
    """An operator or function of expressions."""

    operator: Operator
    operands: tuple[Expr, ...]


Symbol = Parameter | Channels | SizeOf | ParameterItem
Expr = Symbol | NumberLiteral | Apply

MAX_OPERATORS = 12
"""Most operators of an expression: a larger one is not readable, and its value stands for it."""


def literal(value: int | float | Fraction) -> NumberLiteral:
    return NumberLiteral(Fraction(value))


def operators(expr: Expr) -> int:
    """How many operators an expression has."""
    if isinstance(expr, Apply):
        return 1 + sum(operators(e) for e in expr.operands)
    return 0


def follows(expr: Expr) -> bool:
    """Whether an expression has the height or width of a value in it."""
    if isinstance(expr, Apply):
        return any(map(follows, expr.operands))
    return isinstance(expr, SizeOf)


def needs_fractions(expr: Expr) -> bool:
    """Whether an expression has to be computed in fractions to be exact."""
    if isinstance(expr, Apply):
        rounds = expr.operator in ("/", "round", "floor", "ceil")
        return rounds or any(map(needs_fractions, expr.operands))
    return isinstance(expr, NumberLiteral) and expr.value.denominator != 1


def follows_sizes(number: object) -> bool:
    """Whether a number was computed of the height or width of a value."""
    return isinstance(number, Dim | Real) and follows(number.expr)


def apply(operator: Operator, *operands: Expr) -> Expr | None:
    """The expression of an operation; None where nothing symbolic is left or it grew too large."""
    if all(isinstance(e, NumberLiteral) for e in operands):
        return None
    if operator in ("+", "*") and len(operands) == 2:
        left, right = operands
        neutral = NumberLiteral(Fraction(0 if operator == "+" else 1))
        if left == neutral:
            return right
        if right == neutral:
            return left
    expr: Expr | None = None
    if operator in ("+", "-") and len(operands) == 2:
        expr = collected(Apply(operator, operands))
        if isinstance(expr, NumberLiteral):
            return None
    if expr is None:
        expr = Apply(operator, operands)
    return expr if operators(expr) <= MAX_OPERATORS else None


ZERO, ONE = literal(0), literal(1)


def collected(total: Apply) -> Expr | None:
    """A sum with equal terms counted: `a + 2 * b` for `a + b + b`, `b` for `a + b - a`.

    None where no terms are equal.
    """
    counts = counted(total)
    if len(counts) == len(list(_terms(total))):
        return None
    if any(c.denominator != 1 for c in counts.values()):
        return None
    return summed(counts)


def ordered(total: Expr) -> Expr:
    """A sum in one order of its terms, so that equal sums are equal terms."""
    return summed(dict(sorted(counted(total).items(), key=repr)))


def quotient(total: Expr, divisor: Fraction, is_whole: Callable[[Expr], bool]) -> Expr | None:
    """The sum `total` divided by a number, where all its terms are whole multiples of that."""
    counts = {t: c / divisor for t, c in counted(total).items()}
    if not all(c.denominator == 1 and is_whole(t) for t, c in counts.items()):
        return None
    result = summed(counts)
    # A term may be a sum itself.
    return (collected(result) if isinstance(result, Apply) else None) or result


def counted(total: Expr) -> dict[Expr, Fraction]:
    """The terms of a sum, each with what it is multiplied by; a number as so many ones."""
    counts: dict[Expr, Fraction] = {}
    for term, count in _terms(total):
        counts[term] = counts.get(term, Fraction(0)) + count
    return counts


def summed(counts: Mapping[Expr, Fraction]) -> Expr:
    """The sum of terms, each so many times; what is subtracted comes last."""
    result: Expr | None = None
    for term, count in sorted(counts.items(), key=lambda item: item[1] < 0):
        size = NumberLiteral(abs(count))
        part = size if term == ONE else term if size == ONE else Apply("*", (size, term))
        if count and result is None:
            result = part if count > 0 else Apply("-", (part,))
        elif count and result is not None:
            result = Apply("+" if count > 0 else "-", (result, part))
    return result or literal(0)


def _terms(e: Expr, sign: int = 1) -> Iterator[tuple[Expr, Fraction]]:
    """The terms of a sum, each with the number that it is multiplied by."""
    match e:
        case Apply("+" | "-", (left, right)):
            yield from _terms(left, sign)
            yield from _terms(right, sign if e.operator == "+" else -sign)
        case Apply("*", (NumberLiteral(n), term) | (term, NumberLiteral(n))) if n.denominator == 1:
            yield term, sign * n
        case Apply("/", (term, NumberLiteral(n))) if n.denominator == 1 and n:
            yield term, sign / n
        case NumberLiteral(n) if n.denominator == 1:
            yield ONE, sign * n
        case _:
            yield e, Fraction(sign)


def expr_of(number: int | float) -> Expr:
    """The expression that a number came from, or the number itself."""
    if isinstance(number, Dim | Real):
        return number.expr
    return literal(number)


class Dim(int):
    """An int with the expression it came from; sums and products of it carry theirs."""

    expr: Expr

    def __new__(cls, value: int, expr: Expr) -> Dim:
        self = super().__new__(cls, value)
        self.expr = expr
        return self

    def _combine(
        self, operator: Operator, other: object, result: int, swapped: bool = False
    ) -> int:
        if not isinstance(other, int):
            return NotImplemented  # type: ignore[no-any-return]
        pair = (expr_of(other), self.expr) if swapped else (self.expr, expr_of(other))
        expr = apply(operator, *pair)
        return result if expr is None else Dim(result, expr)

    def __add__(self, other: int) -> int:
        return self._combine("+", other, int.__add__(self, other))

    def __radd__(self, other: int) -> int:
        return self._combine("+", other, int.__add__(self, other), swapped=True)

    def __sub__(self, other: int) -> int:
        return self._combine("-", other, int.__sub__(self, other))

    def __rsub__(self, other: int) -> int:
        return self._combine("-", other, int.__rsub__(self, other), swapped=True)

    def __mul__(self, other: int) -> int:
        return self._combine("*", other, int.__mul__(self, other))

    def __rmul__(self, other: int) -> int:
        return self._combine("*", other, int.__mul__(self, other), swapped=True)

    def __floordiv__(self, other: int) -> int:
        return self._combine("//", other, int.__floordiv__(self, other))

    def __mod__(self, other: int) -> int:
        return self._combine("%", other, int.__mod__(self, other))


def least(a: int, b: int) -> int:
    """The smaller of two numbers, with the expression that it came from."""
    if isinstance(a, Dim):
        return a._combine("min", b, min(int(a), int(b)))
    return b._combine("min", a, min(int(a), int(b)), True) if isinstance(b, Dim) else min(a, b)


class Real(float):
    """A float with the expression it came from."""

    expr: Expr

    def __new__(cls, value: float, expr: Expr) -> Real:
        self = super().__new__(cls, value)
        self.expr = expr
        return self


Limits = Sequence[tuple[str, Fraction]]
"""What a number is compared with, each with its sign: `>=` and 1."""


@dataclass(frozen=True)
class Num:
    """A number of the language: exact, and with the expression it came from, if it has one."""

    value: Fraction
    expr: Expr | None = None

    def integer(self, limits: Limits = (), odd: bool = False) -> int:
        """As an int; the caller has made sure that it is whole, within the limits, and odd."""
        value = int(self.value)
        return value if self.expr is None else Dim(value, self.expr)

    def real(self, limits: Limits = ()) -> float:
        """As a float; the caller has made sure that it is within the limits."""
        value = float(self.value)
        return value if self.expr is None else Real(value, self.expr)

    @property
    def known(self) -> Expr:
        """The expression, or the number itself."""
        return NumberLiteral(self.value) if self.expr is None else self.expr

    @staticmethod
    def of(number: int | float) -> Num:
        expr = number.expr if isinstance(number, Dim | Real) else None
        return Num(Fraction(number), expr)


PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "//": 2, "%": 2, "**": 4}
PYTHON_FUNCTIONS: Mapping[str, str] = {
    "min": "min",
    "max": "max",
    "round": "round",
    "abs": "abs",
    "int": "int",
    "floor": "math.floor",
    "ceil": "math.ceil",
    "sum": "sum",
    "tuple": "tuple",
}


def constant_source(value: object) -> str:
    """A constant as Python source, strings in the quotes that `ruff format` would take."""
    if not isinstance(value, str):
        return repr(value)
    quote = "'" if value.count('"') > value.count("'") else '"'
    return quote + "".join(_quoted(c, quote) for c in value) + quote


def _quoted(character: str, quote: str) -> str:
    if character in "'\"":
        return f"\\{quote}" if character == quote else character
    return repr(character)[1:-1]


def expression_source(expr: Expr, name: Callable[[Symbol], str]) -> str:
    """An expression as Python source; `name` gives the source of a symbol."""

    def walk(e: Expr, outer: int) -> str:
        if isinstance(e, NumberLiteral):
            value = e.value
            text = repr(int(value)) if value.denominator == 1 else repr(float(value))
            return f"({text})" if value < 0 and outer else text
        if not isinstance(e, Apply):
            return name(e)
        if e.operator in PYTHON_FUNCTIONS:
            inner = ", ".join(walk(x, 0) for x in e.operands)
            return f"{PYTHON_FUNCTIONS[e.operator]}({inner})"
        if len(e.operands) == 1:
            return f"(-{walk(e.operands[0], 3)})"
        level = PRECEDENCE[e.operator]
        left, right = e.operands
        text = f"{walk(left, level)} {e.operator} {walk(right, level + 1)}"
        return f"({text})" if level < outer or (e.operator == "**" and outer) else text

    return walk(expr, 0)


def evaluate(expr: Expr, value: Callable[[Symbol], int | float]) -> int | float | None:
    """The value of an expression in Python's own arithmetic; None where that fails."""
    from math import ceil, floor

    def walk(e: Expr) -> int | float:
        if isinstance(e, NumberLiteral):
            return int(e.value) if e.value.denominator == 1 else float(e.value)
        if not isinstance(e, Apply):
            return value(e)
        args = [walk(x) for x in e.operands]
        if len(args) == 1 and e.operator == "-":
            return -args[0]
        functions: dict[str, Callable[..., int | float]] = {
            "+": lambda a, b: a + b,
            "-": lambda a, b: a - b,
            "*": lambda a, b: a * b,
            "/": lambda a, b: a / b,
            "//": lambda a, b: a // b,
            "%": lambda a, b: a % b,
            "**": lambda a, b: a**b,
            "min": min,
            "max": max,
            "round": round,
            "abs": abs,
            "int": int,
            "floor": floor,
            "ceil": ceil,
        }
        return functions[e.operator](*args)

    try:
        return walk(expr)
    except (ArithmeticError, TypeError, ValueError):
        return None
