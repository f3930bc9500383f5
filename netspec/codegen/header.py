"""What an emitted file says at its top: the version of netspec, the spec, and what was set."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from netspec import __version__
from netspec.ir import Net

EMITTED = re.compile(r"Compiled by netspec (?:[\w.+]+ )?from\s")
"""Emitted files have it at their top; those of netspec 0.1 without a version."""
_LONGEST = 60
"""Most characters that are shown of a file's name or a value."""


def compiled_from(nets: Sequence[Net]) -> str:
    """The sentence at the top of the file of these nets of one spec.

    `Compiled by netspec 0.2.0 from squeezenet1_0.net with classes=10: change the spec, ...`
    """
    settings = {name: text for net in nets for name, text in net.settings.items()}
    given = ", ".join(f"{_shown(name)}={_shown(text)}" for name, text in settings.items())
    spec = spec_file(nets[0]) + (f" with {given}" if given else "")
    origin = f"Compiled by netspec {__version__} from {spec}"
    # Python takes `coding:` and `coding=` in a comment for the encoding of the file.
    return re.sub(r"coding(?=[:=])", "coding ", f"{origin}: change the spec, not this file.")


def spec_file(net: Net) -> str:
    """The name of a net's file, without its folder."""
    return _shown(Path(net.file).name)


def _shown(text: str) -> str:
    """A text on one line, cut where it is long."""
    line = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 3] + "..."
