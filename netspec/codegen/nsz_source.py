"""The source of what reads `.nsz` files, for the files that are compiled with `--nsz`."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

READER = Path(__file__).parent.parent / "weights" / "nsz_reader.py"


@cache
def nsz_reader() -> str:
    """Constants, classes and functions of the reader, read as text: NumPy is not imported.

    They read `np`, `json`, `Array`, `Iterator`, `NamedTuple`, `Path`, `crc32` and `prod`.
    """
    text = READER.read_text(encoding="utf-8")
    body = ast.parse(text).body
    first = next(node for node in body if isinstance(node, ast.Assign))
    return "\n".join(text.splitlines()[first.lineno - 1 :])
