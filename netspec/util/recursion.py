"""Python's settings for a walk over a large or deep tree."""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def deep_recursion() -> Iterator[None]:
    """Set Python's limits for walks over deep and large trees while the block runs.

    Nesting is bounded by the parser, but deeper than Python's careful default allows. Next to
    nothing that these make is cyclic garbage, and looking for it again and again in a growing
    tree would cost more than in proportion.
    """
    limit = sys.getrecursionlimit()
    collects = gc.isenabled()
    sys.setrecursionlimit(max(limit, 30_000))
    gc.disable()
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)
        if collects:
            gc.enable()
