"""Fields of height and width: `stride`, or `stride_h` and `stride_w`; kernels."""

from __future__ import annotations

from netspec.diagnostics.source import Span
from netspec.importers.caffe.layer_error import LayerError
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.importers.caffe.message_fields import MessageFields

HeightWidth = tuple[int, int]
Sides = tuple[int, int, int, int]
"""Padding at the top, at the bottom, on the left and on the right."""


def height_width(
    p: MessageFields, name: str, high: str, wide: str, default: int
) -> tuple[HeightWidth, Span]:
    """Height and width of a field of one or two numbers, or of its `_h` and `_w` forms; its place.

    What is missing is `default`; numbers beyond two are ignored.
    """
    if high in p or wide in p:
        first = p.maybe_integer(high)
        second = p.maybe_integer(wide)
        given = p.place(high if high in p else wide)
        return (default if first is None else first, default if second is None else second), given
    values = p.integers(name)
    if not values:
        return (default, default), p.span
    return (values[0], values[-1 if len(values) == 1 else 1]), p.place(name)


def padding(p: MessageFields) -> tuple[Sides, Span]:
    """The padding of each side, which a fork has fields for, and its place."""
    sides = ("pad_t", "pad_b", "pad_l", "pad_r")
    given = [name for name in sides if name in p]
    if given:
        top, bottom, left, right = map(p.integer, sides)
        return (top, bottom, left, right), p.place(given[0])
    (rows, columns), place = height_width(p, "pad", "pad_h", "pad_w", 0)
    return (rows, rows, columns, columns), place


def pad_field(sides: Sides) -> tuple[int, ...]:
    """The field `pad` for a padding: two numbers where opposite sides are alike."""
    top, bottom, left, right = sides
    return (top, left) if top == bottom and left == right else sides


def kernel_size(use: LayerTranslation, p: MessageFields) -> tuple[HeightWidth, Span]:
    """Height and width of a kernel, and its place. Raises LayerError without a kernel."""
    if "kernel_size" not in p and not ("kernel_h" in p and "kernel_w" in p):
        raise LayerError.invalid(
            "missing-field", f"{use.layer.type} needs kernel_size, or kernel_h and kernel_w"
        )
    return height_width(p, "kernel_size", "kernel_h", "kernel_w", 1)
