"""Shapes of inputs as the option `--input` gives them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.symbolic.expr import Num


def shape_of(value: Any) -> tuple[int, ...] | None:
    """The shape that `3x224x224`, or a list of numbers, is; None for anything else."""
    if isinstance(value, str):
        parts = value.split("x")
        if not all(p.isdigit() and len(p) < 10 for p in parts):
            return None
        return tuple(int(p) for p in parts)
    items = value if isinstance(value, tuple) else (value,)
    if all(isinstance(v, Num) and v.value.denominator == 1 and v.value > 0 for v in items):
        return tuple(int(v.value) for v in items)
    return None


def bad_shape(value: Any) -> Diagnostic:
    """The error of a shape that is none."""
    return Diagnostic("wrong-type", f"an input's shape is written like 3x227x227, not {value}")


def input_shapes(
    settings: Mapping[str, Any], diagnostics: Diagnostics
) -> tuple[dict[str, tuple[int, ...]], dict[str, Any]]:
    """The shapes of inputs in the settings, by name, and the settings that are left.

    Shapes are without the batch; the name "" is for any input.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    left: dict[str, Any] = {}
    for name, value in settings.items():
        kind, _, which = name.partition(":")
        if kind != "input":
            left[name] = value
        elif (shape := shape_of(value)) is None:
            diagnostics.add(bad_shape(value))
        else:
            shapes[which] = shape
    return shapes, left
