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
    """The dims of a shape, a list or a number in a pattern; None stands for `?`."""
    if isinstance(e, ShapeLiteral):
        return e.dims
    if isinstance(e, ListLiteral):
        return tuple(
            None if isinstance(item, Wildcard) else evaluator.integer(item, "a size")
            for item in e.items
        )
    return (evaluator.integer(e, "a size"),)


def matches(shape: Shape, pattern: Pattern) -> bool:
    return len(shape) == len(pattern) and all(
        p is None or p == d for d, p in zip(shape, pattern, strict=True)
    )


def pattern_text(pattern: Pattern) -> str:
    return "x".join("?" if p is None else str(p) for p in pattern)
