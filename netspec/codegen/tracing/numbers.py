"""Numbers of a trace: they compute like those of a net, and carry terms.

Shape rules and attributes run on them. Comparisons of terms hold as rules want them, so that a
branch which no use takes is traced as well; `requiring` says who hears of what rules want.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from fractions import Fraction
from typing import Any

from netspec.codegen.tracing.nodes import CannotTrace, Sym
from netspec.lazy_dataclasses import replace
from netspec.ops import Init
from netspec.symbolic.conditions import Compared, ConstantTerm, ListTerm
from netspec.symbolic.expr import ONE, ZERO, Dim, Limits, Num, NumberLiteral, Real, expr_of
from netspec.symbolic.facts import multiple, whole, within
from netspec.symbolic.terms import FloatItem, Item, folded

_listener: ContextVar[Callable[[Compared], None] | None] = ContextVar("listener", default=None)


@contextmanager
def requiring(listener: Callable[[Compared], None] | None) -> Iterator[None]:
    """Have a function told of each condition that rules ask for; with None, nobody."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def require(condition: Compared) -> None:
    """Say that a rule asks for this to hold."""
    listener = _listener.get()
    if listener is not None:
        listener(condition)


def _literal(number: Dim | Real, value: int | float) -> str:
    """A number as it stands. Raises CannotTrace where arguments decide it.

    So an emitter that writes a number as it is, and does not ask for its source, does no harm.
    """
    if not isinstance(number.expr, NumberLiteral):
        raise CannotTrace("a number that arguments decide, which is written as it is")
    return repr(value)


class AnyReal(Real):
    """A number of an attribute with its term."""

    def __repr__(self) -> str:
        return _literal(self, float(self))

    __str__ = __repr__

    def __format__(self, how: str) -> str:
        return format(_literal(self, float(self)), how)


def lifted(value: Any, term: Callable[[Any], Any] = expr_of) -> Any:
    """An attribute with its numbers in the terms of a trace."""
    if isinstance(value, tuple):
        return tuple(lifted(v, term) for v in value) if type(value) is tuple else value
    if isinstance(value, Init):
        numbers = {n: lifted(getattr(value, n), term) for n in ("std", "bounds", "value")}
        return replace(value, **numbers)
    if isinstance(value, Dim):
        return AnyDim(int(value), term(value))
    if isinstance(value, Real):
        return AnyReal(float(value), term(value))
    return value


class AnyDim(Dim):
    """A size with its term. Between terms, comparisons hold as shape rules want them."""

    def __new__(cls, value: int, expr: Any) -> AnyDim:
        if isinstance(expr, NumberLiteral) and expr.value.denominator == 1:
            value = int(expr.value)
        return super().__new__(cls, value, expr)  # type: ignore[return-value]

    def _combine(self, operator: Any, other: object, result: int, swapped: bool = False) -> int:
        if not isinstance(other, int):
            return NotImplemented  # type: ignore[no-any-return]
        pair = (expr_of(other), self.expr) if swapped else (self.expr, expr_of(other))
        return type(self)(result, folded(operator, *pair))

    def _literal(self, other: int = 0) -> bool:
        return all(isinstance(expr_of(n), NumberLiteral) for n in (self, other))

    @staticmethod
    def _negative(other: int) -> bool:
        return isinstance(expr_of(other), NumberLiteral) and int(other) < 0

    def compared(self, name: str, other: Any) -> None:
        """Called where a rule compares terms.

        What it wants is required, as far as it can't be a comparison of `max` or `min`.
        """
        if name == "__lt__" and other == ZERO:
            require(Compared(self.expr, ((">=", other),)))

    def __bool__(self) -> bool:
        return not self._literal() or int(self) != 0

    def __mod__(self, other: int) -> int:
        if self._literal(other):
            return int(self) % int(other)
        require(multiple(self.expr, expr_of(other)))
        return 0

    def __rmod__(self, other: int) -> int:
        require(multiple(expr_of(other), self.expr))
        return 0

    def __neg__(self) -> int:
        return type(self)(-int(self), folded("-", self.expr))

    def __hash__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return _literal(self, int(self))

    __str__ = __repr__

    def __format__(self, how: str) -> str:
        return format(_literal(self, int(self)), how)


def _comparison(name: str) -> Any:
    def compare(self: AnyDim, other: object) -> bool:
        if not isinstance(other, int):
            return NotImplemented  # type: ignore[no-any-return]
        if self._literal(other):
            return bool(getattr(int, name)(self, int(other)))
        if name in ("__eq__", "__ne__") and self._negative(other):
            return name == "__ne__"  # no size is: -1 stands for what is left
        self.compared(name, expr_of(other))
        return name == "__eq__"

    return compare


for _name in ("eq", "ne", "lt", "gt", "le", "ge"):
    setattr(AnyDim, f"__{_name}__", _comparison(f"__{_name}__"))


class ChannelCount(AnyDim):
    """The channels of a value: where a rule compares them with others, they must be equal."""

    def compared(self, name: str, other: Any) -> None:
        if name in ("__eq__", "__ne__"):
            require(Compared(self.expr, (("==", other),)))
        else:
            super().compared(name, other)


class AnyNum(Num):
    """A number of a trace: what attributes ask of it is required."""

    def integer(self, limits: Limits = (), odd: bool = False) -> int:
        require(whole(self.known))
        require(within(self.known, limits))
        if odd:
            require(multiple(folded("-", self.known, ONE), literal(2)))
        return super().integer()

    def real(self, limits: Limits = ()) -> float:
        if limits:
            require(within(self.known, limits))
        return super().real()


def nums(sym: Sym, least: int | None = None) -> Any:
    """A Sym as attribute types take it; with `least`, a sample that is whole and no smaller."""
    if isinstance(sym.value, tuple):
        return tuple(nums(s, least) for s in sym.value)
    if isinstance(sym.value, Fraction):
        if sym.known:
            return Num(sym.value)
        value = sym.value
        if least is not None:
            value = Fraction(max(-(-value // 1), least))
        return AnyNum(value, sym.term)
    return sym.value


def sym_of(value: Any, term: Any) -> Sym:
    """The Sym of a term with this value in the sample; items of a list are items of the term."""
    if isinstance(value, tuple):
        plain = plain_value(value)
        return Sym(
            tuple(item_of(plain, v, Item(term, literal(i))) for i, v in enumerate(plain)), term
        )
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Sym(literal(value).value, term)
    return Sym(value, term)


def item_of(items: Sequence[Any], value: Any, term: Any) -> Sym:
    """The Sym of one of the items of a list, which has this value in the sample.

    Where one of the items is a fraction, arguments may make it one as well.
    """
    if any(isinstance(v, float | Fraction) and v % 1 for v in items):
        return Sym(literal(value).value, FloatItem(term))
    if isinstance(value, tuple) and all(isinstance(v, tuple) for v in items):
        if len({len(v) for v in items}) == 1:
            columns = enumerate(zip(value, zip(*items, strict=True), strict=True))
            parts = (item_of(column, v, Item(term, literal(k))) for k, (v, column) in columns)
            return Sym(tuple(parts), term)
    return sym_of(value, term)


def plain_value(value: Any) -> Any:
    """A value of the sample without its terms."""
    value = value.value if isinstance(value, Sym) else value
    return tuple(map(plain_value, value)) if isinstance(value, tuple) else value


def literal(number: int | float | Fraction) -> NumberLiteral:
    """The term of a number as it is; of a float, the fraction that it is written as."""
    if isinstance(number, float):
        return NumberLiteral(Fraction(repr(float(number))))
    return NumberLiteral(Fraction(int(number) if isinstance(number, int) else number))


def constant(value: Any) -> Sym:
    """A value of the language that is the same for all arguments."""
    if isinstance(value, tuple):
        items = tuple(v if isinstance(v, Sym) else constant(v) for v in value)
        return Sym(items, ListTerm(tuple(i.term for i in items)))
    if isinstance(value, int | float | Fraction) and not isinstance(value, bool):
        return Sym(literal(value).value, literal(value))
    return Sym(value, ConstantTerm(value))
