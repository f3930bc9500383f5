"""Constants of the language: exact numbers, strings, truth values, `none`, and tuples of these."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from netspec.ir.op_value import OpValue
from netspec.semantic.imports import ModuleDefinition
from netspec.semantic.templates import template_of
from netspec.symbolic.expr import Expr, Num, Parameter, ParameterItem, SizeOf
from netspec.symbolic.terms import leaves

MAX_BITS = 512
"""Most binary digits of a numerator or denominator."""

# --- to and from Python --------------------------------------------------------------------------


def constant_of(value: Any) -> Any:
    """A Python value as a constant of the language. Raises TypeError."""
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | Fraction):
        return Num(Fraction(value))
    if isinstance(value, float):
        # What the number reads like, not what its binary digits come to.
        return Num(Fraction(repr(value)))
    if isinstance(value, list | tuple):
        return tuple(constant_of(v) for v in value)
    raise TypeError(f"a parameter can't be set to {value!r}")


def python_value(value: Any) -> Any:
    """A constant as backends and Python callers see it: numbers as int or float."""
    if isinstance(value, Num):
        return int(value.value) if value.value.denominator == 1 else float(value.value)
    if isinstance(value, tuple):
        return tuple(python_value(v) for v in value)
    if isinstance(value, OpValue):
        callee = value.callee
        callee = template_of(callee) if isinstance(callee, ModuleDefinition) else callee
        return OpValue(value.name, callee, tuple((n, python_value(v)) for n, v in value.fields))
    return value


def exact(value: Any) -> Any:
    """A constant without the expressions that its numbers came from: numbers as Fraction."""
    if isinstance(value, Num):
        return value.value
    if isinstance(value, tuple):
        return tuple(exact(v) for v in value)
    if isinstance(value, OpValue):
        return (id(value.callee), *((n, key_of(v)) for n, v in value.fields))
    return value


def key_of(value: Any) -> object:
    """Equal for equal constants, and for no others."""
    # Numbers and truth values are equal in Python, and not in the language.
    if isinstance(value, tuple):
        return tuple(key_of(v) for v in value)
    return (type(value).__name__, exact(value))


def as_parameter(name: str, value: Any) -> Any:
    """A parameter's value inside its block, where its name is the expression for it.

    Numbers of lists are plain there, but those that follow the height or width of a value.
    """
    if isinstance(value, tuple):
        items = [plain(v) for v in value]
        for i, _ in followed_items(value):
            items[i] = Num(value[i].value, ParameterItem(name, i))
        return tuple(items)
    return Num(value.value, Parameter(name)) if isinstance(value, Num) else value


def followed_items(value: Any) -> tuple[tuple[int, Expr], ...]:
    """The numbers of a list that follow heights or widths: their places and expressions."""
    if not isinstance(value, tuple):
        return ()
    exprs = ((i, v.known) for i, v in enumerate(value) if isinstance(v, Num))
    of_sizes = SizeOf | ParameterItem
    return tuple((i, e) for i, e in exprs if any(isinstance(s, of_sizes) for s in leaves(e)))


def plain(value: Any) -> Any:
    """A constant whose numbers come from no parameter."""
    if isinstance(value, tuple):
        return tuple(map(plain, value))
    return Num(value.value) if isinstance(value, Num) else value


# --- sizes ---------------------------------------------------------------------------------------


def count_items(items: tuple[Any, ...], most: int) -> int:
    """How many items a list has, those of lists in it counted; counting stops behind `most`."""
    count = len(items)
    for item in items:
        if count > most:
            break
        if isinstance(item, tuple):
            count += count_items(item, most - count)
    return count
