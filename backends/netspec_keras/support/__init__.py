"""Functions and layers that Keras lacks; emitted files get copies of those they use."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from netspec.codegen.copied import CHECKS, definitions


@cache
def sources() -> dict[str, str]:
    """The source of each function and class, by its name, read as text: keras is not imported."""
    return definitions([CHECKS, *sorted(Path(__file__).parent.glob("*.py"))])
