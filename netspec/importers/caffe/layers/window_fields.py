"""Fields of height and width: `stride`, or `stride_h` and `stride_w`."""

from __future__ import annotations

from netspec.diagnostics.source import Span
from netspec.importers.caffe.message_fields import MessageFields

HeightWidth = tuple[int, int]


def height_width(
    p: MessageFields, name: str, high: str, wide: str, default: int
) -> tuple[HeightWidth, Span]:
    """A field of one or two numbers, or its `_h` and `_w` forms, height first, and its place.

    Raises nothing: what is missing or too much is `default`, or the first two.
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
