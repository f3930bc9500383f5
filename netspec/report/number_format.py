"""Numbers and names as tables write them."""

from __future__ import annotations

from fractions import Fraction

from netspec.ops import Shape
from netspec.ops import text as shape_text

MOST_PARTS = 4096
"""Greatest denominator of a number that is written as a fraction."""


def count(n: int) -> str:
    """Exactly, thousands apart; nothing for none."""
    return f"{n:,}" if n else ""


def millions(n: int) -> str:
    """In millions, or exactly where that would round a small number away."""
    return f"{n / 1e6:,.1f} M" if n >= 100_000 else f"{n:,}"


def megabytes(n: int) -> str:
    """Bytes in MB of 10^6 bytes, or as they are where that would round a few away."""
    return f"{n / 1e6:,.2f} MB" if n >= 100_000 else f"{n:,} bytes"


def percent(share: float) -> str:
    """A share of 1 in percent; nothing for none."""
    return f"{100 * share:.1f}" if share else ""


def number(value: float) -> str:
    """A number as one would write it: `0.485`, and `1/255` where that is the same and shorter."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    written = repr(value)
    if len(written) > 6:
        fraction = Fraction(value).limit_denominator(MOST_PARTS)
        if float(fraction) == value and len(str(fraction)) < len(written):
            return str(fraction)
    return written


def shape(value: Shape | None) -> str:
    return "" if value is None else shape_text(value)


def cut(text: str, width: int) -> str:
    """A text with its middle left out where it is too long."""
    if len(text) <= width:
        return text
    if width < 5:
        return text[:width]
    tail = (width - 2) // 2
    return f"{text[: width - 2 - tail]}..{text[len(text) - tail :]}"
