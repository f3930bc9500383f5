"""What is known of terms: their bounds, and which conditions hold because others do.

reduced(a >= 1, known=[a == 3])    None: it holds
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any

from netspec.symbolic.conditions import OPPOSITE, Combined, Compared, ConstantTerm, ListTerm
from netspec.symbolic.expr import ONE, ZERO, Apply, Channels, Limits, NumberLiteral
from netspec.symbolic.terms import (
    OPERATIONS,
    Choose,
    Item,
    Length,
    decided,
    exchanged,
    folded,
    is_whole,
    leaves,
)


def multiple(number: Any, of: Any) -> Compared:
    """That a number is a whole multiple of another."""
    return Compared(folded("%", number, of), (("==", ZERO),))


def whole(number: Any) -> Compared:
    """That a number is a whole one."""
    return multiple(number, ONE)


def within(number: Any, limits: Limits) -> Compared:
    """That a number is within one or two limits, the lower one first."""
    if len(limits) == 1:
        ((sign, limit),) = limits
        return Compared(number, ((sign, NumberLiteral(limit)),))
    (low_sign, low), (high_sign, high) = limits
    first = NumberLiteral(low)
    return Compared(first, ((low_sign.replace(">", "<"), number), (high_sign, NumberLiteral(high))))


def bounds(term: Any, variables: Mapping[Any, tuple[Any, Any]]) -> tuple[Any, Any] | None:
    """Terms of the least and the largest value that a whole number has in a loop.

    `variables` have the first and last values of loop variables. None where it is no sum of these.
    """
    match term:
        case NumberLiteral():
            return term, term
        case Choose(_, a, b):
            x, y = bounds(a, variables), bounds(b, variables)
            return x if x == y else None
        case Apply("+" | "-" as op, (a, b)):
            x, y = bounds(a, variables), bounds(b, variables)
            if x is None or y is None:
                return None
            low, high = (y[0], y[1]) if op == "+" else (y[1], y[0])
            return folded(op, x[0], low), folded(op, x[1], high)
        case Apply("%", (_, NumberLiteral(n))) if n > 0:
            return ZERO, NumberLiteral(n - 1)
    if any(x in variables for x in leaves(term)):
        return variables.get(term)
    return term, term


def item_of(length: Any, index: Any, variables: Mapping[Any, tuple[Any, Any]]) -> Compared | None:
    """That a list of a length has an item of this number; None where it always has."""
    low, high = bounds(index, variables) or (None, None)
    from_start = isinstance(low, NumberLiteral) and low.value >= 0
    beyond = high is not None and folded("-", length, high)
    if from_start and isinstance(beyond, NumberLiteral) and beyond.value > 0:
        return None
    if from_start and isinstance(high, NumberLiteral):
        return Compared(length, ((">=", NumberLiteral(high.value + 1)),))
    last = folded("-", length, ONE)
    return Compared(ZERO, (("<=", index), ("<=", last)))


def facts(condition: Any, truth: bool = True) -> Iterator[Compared]:
    """The comparisons that hold where a condition has this truth."""
    match condition:
        case Compared(a, ((sign, b),)):
            yield Compared(a, ((sign if truth else OPPOSITE[sign], b),))
        case Compared(a, rest) if truth:
            for sign, b in rest:
                yield Compared(a, ((sign, b),))
                a = b
        case Combined("not", (inner,)):
            yield from facts(inner, not truth)
        case Combined(op, operands) if truth == (op == "and"):
            for o in operands:
                yield from facts(o, truth)


def reduced(condition: Any, known: Sequence[Compared]) -> Compared | None:
    """A condition in simplest terms; None where it holds by what is known."""
    a: Any
    b: Any
    n: Any
    if decided(condition) is not None:
        return None if decided(condition) else condition
    match condition:
        case Compared(_, (_, _)):
            parts = [part for part in facts(condition) if reduced(part, known)]
            return condition if len(parts) > 1 else reduced(parts[0], known) if parts else None
        case Compared(Apply("%", (Apply("+" | "-", (a, b)), NumberLiteral(n))), _) if n == 1:
            for one, other in ((a, b), (b, a)):
                if is_whole(one):
                    return reduced(whole(other), known)
        case Compared(Apply("%", (Apply("/", (a, b)), NumberLiteral(n))), _) if n == 1:
            if is_whole(a) and is_whole(b):
                return None if is_multiple(a, b, known) else multiple(a, b)
    match condition:
        case Compared(Apply("%", (a, b)), (("==", _),)):
            return None if is_multiple(a, b, known) else condition
        case Compared(NumberLiteral() as n, ((sign, a),)):
            return reduced(Compared(a, ((sign.translate(_FLIPPED), n),)), known)
        case Compared(a, (("==", b),)):
            return None if equal(a, b, known) else condition
        case Compared(a, ((">=" | "<=" as sign, b),)) if isinstance(
            more := folded("-", *((a, b) if sign == ">=" else (b, a))), NumberLiteral
        ):
            return None if more.value >= 0 else condition
        case Compared(a, (("!=", b),)) if b == ZERO:
            low = lowest(a, known)
            return None if condition in known or (low is not None and low > 0) else condition
        case Compared(a, ((">=", NumberLiteral(n)),)):
            return _at_least(a, n, known)
        case Compared(a, ((">", NumberLiteral(n)),)):
            low = lowest(a, known)
            return None if condition in known or (low is not None and low > n) else condition
    return None if condition in known else condition


_FLIPPED = str.maketrans("<>", "><")


def _at_least(term: Any, least: Fraction, known: Sequence[Compared]) -> Compared | None:
    low = lowest(term, known)
    if low is not None and low >= least:
        return None
    match term:
        case Apply("*", (NumberLiteral(n), a) | (a, NumberLiteral(n))) if n > 0 and is_whole(a):
            return _at_least(a, Fraction(-(-least // n)), known)
        case Apply("*", (a, b)) if least in (0, 1) and is_whole(a) and is_whole(b):
            for one, other in ((a, b), (b, a)):
                low = lowest(one, known)
                if low is not None and low >= 1:
                    return _at_least(other, least, known)
        case Apply("/" | "//", (a, NumberLiteral(n) as divisor)) if n > 0:
            if least == 1 and is_multiple(a, divisor, known):
                return _at_least(a, least, known)
            return _at_least(a, least * n, known)
        case Apply("+", (a, NumberLiteral(n)) | (NumberLiteral(n), a)):
            return _at_least(a, least - n, known)
        case Apply("-", (a, NumberLiteral(n))):
            return _at_least(a, least + n, known)
    return Compared(term, ((">=", NumberLiteral(least)),))


def lowest(term: Any, known: Sequence[Compared]) -> Fraction | None:
    """A number that a term is never below; None where there is none known."""
    lows: list[Fraction | None] = []
    match term:
        case NumberLiteral(v):
            return v
        case Apply("abs" | "%", _):
            return Fraction(0)
        case Apply("-", (a, NumberLiteral(n))):
            low = lowest(a, known)
            return None if low is None else low - n
        case Apply("/" | "//" as op, (a, NumberLiteral(n))) if n > 0:
            low = lowest(a, known)
            return None if low is None else Fraction(OPERATIONS[op](low, n))
        case Apply("max", operands):
            return max((x for o in operands if (x := lowest(o, known)) is not None), default=None)
        case Apply("+" | "*" | "min" | "round" | "floor" | "ceil" | "int" as op, operands):
            lows = [lowest(o, known) for o in operands]
            if None in lows or (op == "*" and min(lows) < 0):  # type: ignore[type-var, operator]
                return None
            return Fraction(OPERATIONS[op](*lows))
        case Apply("**", (a, _)):
            low = lowest(a, known)
            return Fraction(1) if low is not None and low >= 1 and is_whole(term) else None
        case Choose(_, a, b):
            lows = [lowest(a, known), lowest(b, known)]
        case Item(ListTerm(items), _):
            lows = [lowest(i, known) for i in items]
        case Channels():
            return Fraction(1)
    if lows:
        return None if None in lows else min(lows)  # type: ignore[type-var]
    found = [
        v.value + (sign == ">" and is_whole(term))
        for c in known
        for (sign, v) in c.rest
        if c.first == term and isinstance(v, NumberLiteral) and sign in (">=", ">", "==")
    ]
    return max(found, default=Fraction(0) if isinstance(term, Length) else None)


def is_multiple(a: Any, b: Any, known: Sequence[Compared]) -> bool:
    """Whether a number is a whole multiple of another."""
    if isinstance(b, NumberLiteral) and b.value == 1 and is_whole(a):
        return True
    if isinstance(a, NumberLiteral) and isinstance(b, NumberLiteral) and b.value:
        return a.value % b.value == 0
    if Compared(Apply("%", (a, b)), (("==", ZERO),)) in known or equal(a, b, known):
        return True
    match a:
        case Apply("*", operands) if all(map(is_whole, operands)):
            return any(is_multiple(o, b, known) for o in operands)
        case Apply("+" | "-", operands):
            return all(is_multiple(o, b, known) for o in operands)
        case Apply("**", (base, NumberLiteral(n))) if n >= 1 and is_whole(a):
            return is_multiple(base, b, known)
    return False


def equal(a: Any, b: Any, known: Sequence[Compared]) -> bool:
    """Whether two terms are equal where these conditions hold."""
    if a == b:
        return True
    for c in known:
        match c:
            case Compared(x, (("==", y),)):
                if (a, b) in ((x, y), (y, x)):
                    return True
                for old, new in ((x, y), (y, x)):
                    if isinstance(old, Apply | NumberLiteral | ConstantTerm):
                        continue
                    if exchanged(a, {old: new}) == b or exchanged(b, {old: new}) == a:
                        return True
    return False
