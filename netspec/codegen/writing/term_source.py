"""Terms as Python source, in exact fractions where the language's numbers ask for them."""

from __future__ import annotations

import re
from collections.abc import (
    Callable,
    Iterator,
)
from fractions import Fraction
from itertools import chain
from typing import Any

from netspec.codegen.python_source import (
    Alternatives,
    FunctionCall,
    Source,
    Verbatim,
    call,
    tuple_of,
)
from netspec.codegen.tracing.nodes import CannotTrace
from netspec.ir.op_value import OpValue
from netspec.symbolic.conditions import Combined, Compared, ConstantTerm, ListTerm
from netspec.symbolic.expr import (
    PRECEDENCE,
    PYTHON_FUNCTIONS,
    ZERO,
    Apply,
    NumberLiteral,
    constant_source,
)
from netspec.symbolic.terms import Choose, FloatItem, FloatParameter, Item, Length, is_whole


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
            case ListTerm(items):
                return tuple_of([self.source(i, 0, exact) for i in items])
        return Verbatim(self._text(term, outer, exact))

    def _text(self, term: Any, outer: int, exact: bool) -> str:
        match term:
            case NumberLiteral(v):
                return self._literal(v, outer, exact)
            case ConstantTerm(OpValue() as v):
                raise CannotTrace(f"{v.name} as a value")
            case ConstantTerm(v):
                return constant_source(v)
            case Item(a, Apply("-", (Length(), NumberLiteral() as n)) as i):
                own = i.operands[0] == Length(a)  # type: ignore[comparison-overlap]
                return f"{self(a, 9)}[{f'-{self(n)}' if own else self(i)}]"
            case Item(a, i):
                return f"{self(a, 9)}[{self(i)}]"
            case Length(a):
                return f"len({self(a)})"
            case FloatItem(a):
                return f"Fraction(str({self(a)}))" if exact else self(a, outer)
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
        if op in ("enumerate", "zip"):
            args = [self(o) for o in operands if o != ZERO]
            strict = {"strict": "True"} if op == "zip" else {}
            return call("tuple", call(op, *args, **strict))
        if op == "misfits":
            items, count, *path = operands
            place = "item" + "".join(f"[{self(k)}]" for k in path)
            return Verbatim(f"any(len({place}) != {self(count)} for item in {self(items)})")
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
            inner = op in ("round", "floor", "ceil", "int") or exact
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
    return isinstance(t, FloatParameter | FloatItem) or is_whole_or_text(t)


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
