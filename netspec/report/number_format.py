"""Numbers and names as texts for tables."""

from __future__ import annotations

from fractions import Fraction

from netspec.ops import Shape
from netspec.ops import text as shape_text

MOST_PARTS = 4096
"""Greatest denominator of a number that is written as a fraction."""


def count(n: int) -> str:
    """A count with thousands separated, `1,234`; empty for 0."""
    return f"{n:,}" if n else ""


def millions(n: int) -> str:
    """A count in millions, `1.2 M`; exactly below 100,000."""
    return f"{n / 1e6:,.1f} M" if n >= 100_000 else f"{n:,}"


def megabytes(n: int) -> str:
    """Bytes in MB of 10^6 bytes, `4.99 MB`; exactly below 100,000."""
    return f"{n / 1e6:,.2f} MB" if n >= 100_000 else f"{n:,} bytes"


def percent(share: float) -> str:
    """A share of 1 in percent, without the sign; empty for 0."""
    return f"{100 * share:.1f}" if share else ""


def number(value: float) -> str:
    """A number as short as it is exact: `0.485`, and `1/255` where that is shorter."""
    if value == int(value) and abs(value) < 1e15:
        return str(int(value))
    written = repr(value)
    if len(written) > 6:
        fraction = Fraction(value).limit_denominator(MOST_PARTS)
        if float(fraction) == value and len(str(fraction)) < len(written):
            return str(fraction)
    return written


def shape(value: Shape | None) -> str:
    """A shape as `3x224x224`; empty for None."""
    return "" if value is None else shape_text(value)


def shortened(text: str, width: int) -> str:
    """A text with its middle left out where it is too long."""
    if len(text) <= width:
        return text
    if width < 5:
        return text[:width]
    tail = (width - 2) // 2
    return f"{text[: width - 2 - tail]}..{text[len(text) - tail :]}"
