"""Shape patterns: shapes in which `?` stands for any size."""

from __future__ import annotations

from netspec.ops import Shape
from netspec.semantic.evaluator import Evaluator
from netspec.syntax.ast import (
    Expression,
    ListLiteral,
    ShapeLiteral,
    Wildcard,
)

Pattern = tuple[int | None, ...]


def shape_pattern(e: Expression, evaluator: Evaluator) -> Pattern:
    """A shape, a list or a number as a pattern; None stands for `?`. Raises EvaluationError."""
    if isinstance(e, ShapeLiteral):
        return e.dims
    if isinstance(e, ListLiteral):
        return tuple(
            None if isinstance(item, Wildcard) else evaluator.integer(item, "a size")
            for item in e.items
        )
    return (evaluator.integer(e, "a size"),)


def matches(shape: Shape, pattern: Pattern) -> bool:
    """Whether a shape has as many sizes as a pattern, and those that the pattern gives."""
    return len(shape) == len(pattern) and all(
        p is None or p == d for d, p in zip(shape, pattern, strict=True)
    )


def pattern_text(pattern: Pattern) -> str:
    """`3x?x13`."""
    return "x".join("?" if p is None else str(p) for p in pattern)
