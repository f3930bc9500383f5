"""Where Winograd's algorithm is used: asked when compiling, and copied into emitted files."""

from __future__ import annotations


def winograd_pays(height: int, width: int, channels: int) -> bool:
    """Whether tiles are faster for a 3x3 convolution: of few pixels, more calls cost too much."""
    return height * width > 100 and channels > 3 and height * width * channels > 15_000
