"""Whether a text is a prototxt."""

from __future__ import annotations

import re
from pathlib import PurePath

from netspec.diagnostics.source import Source

SUFFIXES = (".prototxt", ".pbtxt", ".prototext")

_BEGINNING = (
    r"(?:\s|#[^\n]*\n)*"
    r"(?:(?:name|input|input_dim|input_shape|layer|layers|state|force_backward|debug_info)\s*[:{]"
    r"|(?:net|train_net|test_net|test_iter|base_lr|item)\s*[:{]\s*[\"'\d{])"
)


def may_be_prototxt(source: Source) -> bool:
    """Whether a text is one, by its name, or how it begins (standard input, `deploy.txt`)."""
    suffix = PurePath(source.name).suffix
    if suffix in SUFFIXES:
        return True
    return suffix != ".net" and re.match(_BEGINNING, source.text) is not None
