"""Terms: expressions and conditions, with choices, items of lists and local variables in them.

folded("+", literal(2), literal(3))    the literal 5
substitute(term, known)                the term with others for its leaves
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from netspec.lazy_dataclasses import dataclass
from netspec.symbolic.conditions import COMPARISONS, Combined, Compared, ConstantTerm, ListTerm
from netspec.symbolic.expr import ONE, ZERO, Apply, NumberLiteral, collected, quotient


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
class FloatItem:
    """An item of a list that Python has as a float, and the language as an exact number."""

    term: Any


@dataclass(frozen=True)
class Length:
    """`len(sequence)`."""

    sequence: Any


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
        case Length(inner) | FloatItem(inner):
            parts = (inner,)
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
                return None if None in new else item(*new)
            case Length(a):
                n = walk(a)
                return None if n is None else length(n)
            case FloatItem(a):
                n = walk(a)
                return n if n is None or is_literal(n) else FloatItem(n)
            case NumberLiteral() | ConstantTerm():
                return t
        return known(t)

    return walk(term)


def item(sequence: Any, index: Any) -> Any:
    """The term of an item of a list; of a table of constants, as an item of one column."""
    if not isinstance(index, NumberLiteral):
        return Item(sequence, index)
    place = int(index.value)
    match sequence:
        case ListTerm(items) if 0 <= place < len(items):
            return items[place]
        case Item(ListTerm(rows), row) if _shortest(rows) > place:
            column: Any = tuple(r.items[place] for r in rows)  # type: ignore[union-attr]
            return Item(ListTerm(column), row)
    return Item(sequence, index)


def length(sequence: Any) -> Any:
    """The term of the length of a list, a literal where that is known."""
    match sequence:
        case ListTerm(items):
            return NumberLiteral(Fraction(len(items)))
        case Apply("enumerate" | "zip", (items, *_)):
            return length(items)
        case Item(ListTerm(rows), _) if rows:
            lengths = [length(r) for r in rows]
            if all(n == lengths[0] for n in lengths):
                return lengths[0]
    return Length(sequence)


def _shortest(rows: Sequence[Any]) -> int:
    """The length of the shortest of these lists, 0 where one is no list as it stands."""
    return min((len(r.items) if isinstance(r, ListTerm) else 0 for r in rows), default=0)


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
        case "enumerate", (ListTerm(items), NumberLiteral(n)):
            pairs = ((NumberLiteral(n + k), i) for k, i in enumerate(items))
            return ListTerm(tuple(map(ListTerm, pairs)))
        case "zip", _ if all(isinstance(o, ListTerm) for o in operands):
            return ListTerm(tuple(map(ListTerm, zip(*(o.items for o in operands), strict=True))))
        case "joined", _ if all(isinstance(o, ListTerm) for o in operands):
            return ListTerm(tuple(i for o in operands for i in o.items))
        case "tuple", (ListTerm() as items,):
            return items
        case "sum" | "min" | "max", (ListTerm(items),) if items and all(map(is_literal, items)):
            numbers = [plain(i) for i in items]
            return NumberLiteral(sum(numbers) if op == "sum" else OPERATIONS[op](numbers))
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
        case FloatParameter() | FloatItem():
            return False
        case _:
            return True
