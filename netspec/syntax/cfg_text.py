"""Telling a cfg of Darknet from a spec."""

from __future__ import annotations

from netspec.diagnostics.source import Source

MAX_HEAD = 2**16
"""Within so many characters the first section begins."""


def may_be_cfg(source: Source) -> bool:
    """Whether a text begins as a cfg of Darknet does: `[net]`."""
    for line in source.text[:MAX_HEAD].split("\n"):
        words = line.strip()
        if words and words[0] not in "#;":
            return words.startswith(("[net]", "[network]"))
    return False
