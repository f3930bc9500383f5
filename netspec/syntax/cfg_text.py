"""Telling a cfg of Darknet from a spec."""

from __future__ import annotations

import re

from netspec.diagnostics.source import Source

_FIRST = re.compile(r"(?:\s|[#;][^\n]*)*\[(net|network)\]")


def may_be_cfg(source: Source) -> bool:
    """Whether a text begins as a cfg of Darknet does: `[net]`."""
    return _FIRST.match(source.text[: 2**16]) is not None
