"""What a person asked to see: colours or none, warnings and progress or none."""

from __future__ import annotations

import os
from typing import TextIO

WHEN = ("auto", "always", "never")

_color = "auto"
_quiet = False


def ask(color: str, quiet: bool) -> None:
    """Set what `--color` and `--quiet` say, for the command at hand."""
    global _color, _quiet
    _color, _quiet = color, quiet


def is_quiet() -> bool:
    """Whether only results and errors are to be shown."""
    return _quiet


def is_terminal(stream: TextIO) -> bool:
    """Whether a stream is a terminal that can do more than print lines."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def is_colored(stream: TextIO) -> bool:
    """Whether to colour what goes to a stream.

    The option decides, then NO_COLOR (https://no-color.org), then FORCE_COLOR, then the stream.
    """
    if _color != "auto":
        return _color == "always"
    if os.environ.get("NO_COLOR"):
        return False
    forced = os.environ.get("FORCE_COLOR")
    if forced:
        return forced not in ("0", "false")
    return is_terminal(stream)
