"""Constants of the language as Python source: what an expression of a template comes to.

A `Sym` has the value for the arguments at hand (the sample) and the term that gives it for any.
Terms are those of `netspec.symbolic`, and a few more leaves.
"""

from __future__ import annotations

import re
from collections.abc import (
    Callable,
    Iterator,
    Mapping,
)
from fractions import Fraction
from itertools import chain
from typing import Any

from netspec.codegen.python_source import Alternatives, FunctionCall, Source, Verbatim, call
from netspec.lazy_dataclasses import dataclass
from netspec.symbolic.conditions import COMPARISONS, Combined, Compared, ConstantTerm, ListTerm
from netspec.symbolic.expr import (
    ONE,
    PRECEDENCE,
    PYTHON_FUNCTIONS,
    ZERO,
    Apply,
    NumberLiteral,
    collected,
    constant_source,
    quotient,
)


@dataclass(frozen=True)
class Local:
    """A local variable of the constructor."""

    name: str
    float_: bool = False
    """Whether it is an exact fraction, not a whole number."""
    version: int = 0
    """Tells values apart that one variable has at different times."""


@dataclass(frozen=True)
class FloatParameter:
    """A parameter that need not be a whole number."""

    name: str


@dataclass(frozen=True)
class Choose:
    """`then if condition else otherwise`."""

    condition: Any
    then: Any
    otherwise: Any


@dataclass(frozen=True)
class Item:
    """`sequence[index]`."""

    sequence: Any
    index: Any


@dataclass(frozen=True)
class Length:
    """`len(sequence)`."""

    sequence: Any


@dataclass(frozen=True)
class Sym:
    """A constant: its value in the sample (Fraction, str, bool, None, tuple of Syms), its term."""

    value: Any
    term: Any

    @property
    def known(self) -> bool:
        """Whether it is the same for all arguments."""
        return is_literal(self.term)


def leaves(term: Any) -> Iterator[Any]:
    """The parameters, channels and local variables in a term."""
    parts: tuple[Any, ...]
    match term:
        case Apply(_, operands) | Combined(_, operands):
            parts = operands
        case Compared(first, rest):
            parts = (first, *(t for _, t in rest))
        case ListTerm(items):
            parts = items
        case Choose(condition, then, otherwise):
            parts = (condition, then, otherwise)
        case Item(sequence, index):
            parts = (sequence, index)
        case Length(sequence):
            parts = (sequence,)
        case NumberLiteral() | ConstantTerm():
            return
        case _:
            yield term
            return
    for part in parts:
        yield from leaves(part)


def substitute(term: Any, known: Callable[[Any], Any | None]) -> Any:
    """The term with other terms for its leaves; None where `known` has none for one."""

    def walk(t: Any) -> Any:
        match t:
            case Apply(op, operands):
                new = tuple(walk(o) for o in operands)
                return None if None in new else folded(op, *new)
            case Combined(op, operands):
                new = tuple(walk(o) for o in operands)
                return None if None in new else Combined(op, new)
            case Compared(first, rest):
                a = walk(first)
                r = tuple((o, walk(x)) for o, x in rest)
                return None if a is None or any(x is None for _, x in r) else Compared(a, r)
            case ListTerm(items):
                new = tuple(walk(o) for o in items)
                return None if None in new else ListTerm(new)
            case Choose(a, b, c):
                new = tuple(walk(o) for o in (a, b, c))
                if None in new:
                    return None
                truth = decided(new[0])
                return Choose(*new) if truth is None else new[1] if truth else new[2]
            case Item(a, b):
                new = (walk(a), walk(b))
                if isinstance(new[0], ListTerm) and isinstance(new[1], NumberLiteral):
                    return new[0].items[int(new[1].value)]
                return None if None in new else Item(*new)
            case Length(a):
                n = walk(a)
                return None if n is None else Length(n)
            case NumberLiteral() | ConstantTerm():
                return t
        return known(t)

    return walk(term)


def exchanged(term: Any, known: Mapping[Any, Any]) -> Any:
    """The term with others for some of its leaves."""
    return substitute(term, lambda leaf: known.get(leaf, leaf))


MAX_BITS = 4096
"""Bits of the largest number that a trace computes; it also sees branches that no use takes."""


def _product(a: Fraction, b: Fraction) -> Fraction:
    if _bits(a) + _bits(b) > MAX_BITS:
        raise OverflowError("a number is too large")
    return a * b


def _power(a: Fraction, b: Fraction) -> Fraction:
    if abs(b) * _bits(a) > MAX_BITS:
        raise OverflowError("a number is too large")
    return Fraction(a ** int(b))


def _bits(a: Fraction) -> int:
    return a.numerator.bit_length() + a.denominator.bit_length()


OPERATIONS: dict[str, Callable[..., Any]] = {
    "+": lambda a, b: a + b,
    "-": lambda a, b=None: -a if b is None else a - b,
    "*": _product,
    "/": lambda a, b: _product(a, 1 / b),
    "//": lambda a, b: a // b,
    "%": lambda a, b: a % b,
    "**": _power,
    "min": min,
    "max": max,
    "abs": abs,
    "round": round,
    "floor": lambda a: a.__floor__(),
    "ceil": lambda a: a.__ceil__(),
    "int": int,
}


def folded(op: str, *operands: Any) -> Any:
    """The term of an operation, a literal where all operands are."""
    if all(isinstance(o, NumberLiteral) for o in operands):
        try:
            return NumberLiteral(Fraction(OPERATIONS[op](*(o.value for o in operands))))
        except ArithmeticError:
            return Apply(op, operands)  # type: ignore[arg-type]
    if op in ("+", "*") and len(operands) == 2:
        neutral = ZERO if op == "+" else ONE
        if operands[0] == neutral:
            return operands[1]
        if operands[1] == neutral:
            return operands[0]
    if op == "-" and len(operands) == 2 and operands[1] == ZERO:
        return operands[0]
    if op == "-" and len(operands) == 1 and isinstance(operands[0], Apply):
        if operands[0].operator == "-" and len(operands[0].operands) == 1:
            return operands[0].operands[0]
    if op in ("/", "//", "**") and operands[1] == ONE:
        return operands[0]
    match op, operands:
        case "floor", (Apply("/", (a, b)),) if is_whole(a) and is_whole(b):
            return folded("//", a, b)
        case "ceil", (Apply("/", (a, b)),) if is_whole(a) and is_whole(b):
            return folded("-", folded("//", folded("-", a), b))
        case "+", (Apply("//", (a, NumberLiteral(n) as step)), NumberLiteral(more)) if n > 0:
            return folded("//", folded("+", a, NumberLiteral(more * n)), step)
        case "//", (a, NumberLiteral(n)) if n > 1 and (exact := quotient(a, n, is_whole)):
            return exact
        case "//", (Apply("*", (a, b)), c) if b == c and is_whole(a):
            return a
    if op in ("+", "-") and len(operands) == 2:
        together = collected(Apply(op, operands))  # type: ignore[arg-type]
        if together is not None:
            return together
    if op in ("round", "floor", "ceil") and is_whole(operands[0]):
        return operands[0]
    return Apply(op, operands)  # type: ignore[arg-type]


def decided(condition: Any) -> bool | None:
    """The truth of a condition without leaves; None for another."""
    match condition:
        case ConstantTerm(bool() as truth):
            return truth
        case Combined("not", (a,)):
            inner = decided(a)
            return None if inner is None else not inner
        case Combined(op, operands):
            each = [decided(o) for o in operands]
            if op == "and":
                return False if False in each else None if None in each else True
            return True if True in each else None if None in each else False
        case Compared(first, rest):
            left = first
            for sign, right in rest:
                try:
                    holds = COMPARISONS[sign](plain(left), plain(right))
                except TypeError:
                    return None
                if not holds:
                    return False
                left = right
            return True
    return None


def is_literal(term: Any) -> bool:
    """Whether a term is the same for all arguments."""
    return next(leaves(term), None) is None


def plain(term: Any) -> Any:
    match term:
        case NumberLiteral(v) | ConstantTerm(v):
            return v
        case ListTerm(items):
            return tuple(plain(i) for i in items)
    raise TypeError(term)


def is_whole(term: Any) -> bool:
    """Whether a term is a whole number for all arguments."""
    match term:
        case NumberLiteral(v):
            return v.denominator == 1
        case Apply("+" | "-" | "*" | "min" | "max" | "abs" | "%", operands):
            return all(map(is_whole, operands))
        case Apply("//", operands):
            return True
        case Apply("round" | "floor" | "ceil" | "int" | "tuple"):
            return True
        case Apply("sum", (items,)):
            return is_whole(items)
        case Apply("joined", lists):
            return all(map(is_whole, lists))
        case ListTerm(items):
            return all(map(is_whole, items))
        case Apply("**", (a, b)):
            return is_whole(a) and is_whole(b)
        case Apply():
            return False
        case Choose(_, a, b):
            return is_whole(a) and is_whole(b)
        case Item(ListTerm(items), _):
            return all(map(is_whole, items))
        case Local(_, float_):
            return not float_
        case FloatParameter():
            return False
        case _:
            return True


class Printer:
    """Terms as source. `name` says what leaves are called."""

    def __init__(
        self,
        name: Callable[[Any, bool], str],
    ) -> None:
        self.name = name

    def __call__(self, term: Any, outer: int = 0, exact: bool = False) -> str:
        return self.source(term, outer, exact).flat()

    def source(self, term: Any, outer: int = 0, exact: bool = False) -> Source:
        """The source of a term, which can be broken over lines."""
        match term:
            case Apply(op, operands):
                return self._apply(op, operands, outer, exact)
            case Choose(c, a, b):
                other = self.source(b, 0, exact)
                first, *rest = other.parts if isinstance(other, Alternatives) else (other.flat(),)
                choice = Alternatives((self(a, 0, exact), f"if {self(c)}", f"else {first}", *rest))
                return Verbatim(f"({choice.flat()})") if outer else choice
        return Verbatim(self._text(term, outer, exact))

    def _text(self, term: Any, outer: int, exact: bool) -> str:
        match term:
            case NumberLiteral(v):
                return self._literal(v, outer, exact)
            case ConstantTerm(v):
                return constant_source(v)
            case Item(a, i):
                return f"{self(a, 9)}[{self(i)}]"
            case Length(a):
                return f"len({self(a)})"
            case ListTerm(items):
                inner = ", ".join(self(i, 0, exact) for i in items)
                return f"({inner},)" if len(items) == 1 else f"({inner})"
            case Compared() | Combined():
                text = self._condition(term)
                return f"({text})" if outer else text
        return self.name(term, exact)

    def _items(self, items: Any, exact: bool) -> str:
        """The items of a list in another."""
        if isinstance(items, ListTerm):
            return ", ".join(self(i, 0, exact) for i in items.items)
        return f"*{self(items, 9, exact)}"

    def _literal(self, v: Fraction, outer: int, exact: bool) -> str:
        if v.denominator == 1:
            text = repr(int(v))
        elif exact:
            short = repr(float(v))
            return (
                f'Fraction("{short}")'
                if Fraction(short) == v
                else f"Fraction({v.numerator}, {v.denominator})"
            )
        else:
            text = repr(float(v))
        return f"({text})" if v < 0 and outer > 3 else text

    def _apply(self, op: str, operands: tuple[Any, ...], outer: int, exact: bool) -> Source:
        if op == "joined":
            return Verbatim(f"({', '.join(self._items(o, exact) for o in operands)})")
        if op in PYTHON_FUNCTIONS:
            if (
                op in ("floor", "ceil")
                and isinstance(operands[0], Apply)
                and operands[0].operator == "/"
                and all(map(is_whole, operands[0].operands))
            ):
                a, b = operands[0].operands
                if op == "floor":
                    return self._apply("//", (a, b), outer, exact)
                text = f"-(-{self(a, 3)} // {self(b, 3)})"
                return Verbatim(f"({text})" if outer > 3 else text)
            inner = op in ("round", "floor", "ceil") or exact
            sources = [self(o, 0, inner) for o in operands]
            if inner and op in ("min", "max") and not all(map(is_whole, operands)):
                # Of an int and a Fraction, type checkers know no common type.
                pairs = zip(sources, operands, strict=True)
                sources = [f"Fraction({s})" if is_whole(o) else s for s, o in pairs]
            return call(PYTHON_FUNCTIONS[op], *sources)
        if len(operands) == 1:
            text = f"-{self(operands[0], 3, exact)}"
            return Verbatim(f"({text})" if outer > 3 else text)
        level = PRECEDENCE[op]
        a, b = operands
        if op == "+" and isinstance(b, NumberLiteral) and b.value < 0:
            op, b = "-", NumberLiteral(-b.value)
        if op == "/" and exact and is_whole(a) and is_whole(b):
            return call("Fraction", self(a), self(b))
        left = self(a, level + (op == "**"), exact)
        last = self.source(b, level + (op != "**"), exact)
        right = last.flat()
        # As formatters have it, powers of simple operands stand together.
        close = op == "**" and all(re.fullmatch(r"[\w.]+", side) for side in (left, right))
        text = f"{left}**{right}" if close else f"{left} {op} {right}"
        if level < outer or (op == "**" and outer > 3):
            return Verbatim(f"({text})")
        if isinstance(last, FunctionCall):
            return FunctionCall(f"{left} {op} {last.head}", last.args)  # broken inside of it
        return Verbatim(text)

    def _condition(self, c: Any) -> str:
        match c:
            case Combined("not", (a,)):
                return f"not {self._inner(a)}"
            case Combined(op, operands):
                return f" {op} ".join(self._inner(o, op) for o in operands)
            case Compared(first, ((op, ConstantTerm(bool() | None) as k),)) if op in ("==", "!="):
                if k.value is None:
                    return f"{self(first, 3)} is {'not ' if op == '!=' else ''}None"
                positive = k.value is (op == "==")
                return f"{'' if positive else 'not '}{self(first, 3)}"
            case Compared(first, rest):
                terms = (first, *(t for _, t in rest))
                exact = not (all(map(is_whole_or_text, terms)) or all(map(compares_alike, terms)))
                parts = [self(t, isinstance(t, Choose), exact) for t in terms]
                return " ".join(
                    chain(parts[:1], *zip((op for op, _ in rest), parts[1:], strict=True))
                )
        return self(c)

    def _inner(self, c: Any, op: str = "not") -> str:
        text = self._condition(c)
        nested = isinstance(c, Combined) and c.operator != "not" and c.operator != op
        return (
            f"({text})" if nested or (op == "not" and isinstance(c, Combined | Compared)) else text
        )


def is_whole_or_text(t: Any) -> bool:
    if isinstance(t, ConstantTerm):
        return True
    if isinstance(t, ListTerm):
        return all(map(is_whole_or_text, t.items))
    return is_whole(t)


def compares_alike(t: Any) -> bool:
    """Whether floats compare as the numbers do that they are written for: `width >= 0.1`."""
    match t:
        case NumberLiteral(v):
            return Fraction(repr(float(v))) == v
    return isinstance(t, FloatParameter) or is_whole_or_text(t)


def numbers_in(term: Any) -> Iterator[Any]:
    """The numbers that a term compares or rounds, and itself where it is a number."""
    match term:
        case Combined(_, conditions):
            for condition in conditions:
                yield from numbers_in(condition)
        case Compared(first, rest):
            yield from numbers_in(first)
            for _, other in rest:
                yield from numbers_in(other)
        case Choose(condition, a, b):
            parts: tuple[Any, ...] = (condition, a, b)
            for part in parts:
                yield from numbers_in(part)
        case Apply(_, operands):
            yield term
            for o in operands:
                yield from numbers_in(o)
        case _:
            yield term
