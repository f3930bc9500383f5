"""What makes functions of modules needs to know of Python and the kernels."""

from __future__ import annotations

from collections.abc import Callable

from netspec.planning.module_functions import Language
from netspec.symbolic.expr import Apply, Expr, Symbol, evaluate, expression_source
from netspec_numpy.kernel_source import kernel_names, signature

_WORDS = frozenset(("True", "False", "None", "kernel", "stride", "pads", "dilation", "ceil"))


def python() -> Language:
    """Python with the kernels that there are."""
    return Language(kernel_names(), signature, _WORDS, _expression)


def _expression(expr: Expr, value: Callable[[Symbol], int]) -> Expr | None:
    """An expression that Python computes as an int; None where that takes an import."""
    if "math." in expression_source(expr, lambda symbol: "x"):
        return None
    return whole(expr, value)


def whole(expr: Expr, value: Callable[[Symbol], int | float]) -> Expr:
    """An expression of the same whole value that Python computes as an int, not as a float."""
    if not isinstance(evaluate(expr, value), float):
        return expr
    if isinstance(expr, Apply) and expr.operator == "/":
        quotient = Apply("//", expr.operands)
        if isinstance(evaluate(quotient, value), int):
            return quotient
    return Apply("int", (expr,))
