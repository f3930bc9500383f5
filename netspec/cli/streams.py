"""Standard streams as the commands need them, however the process was started."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from io import TextIOWrapper


def repair() -> None:
    """Make the standard streams usable: closed ones, those that break, those of another encoding.

    The descriptor of a closed one would be the next file's that is opened. Reading what is closed,
    and writing results to it, are errors of the system; diagnostics are lost, the status is not.
    """
    for number, name, flags in (
        (0, "stdin", os.O_WRONLY),
        (1, "stdout", os.O_RDONLY),
        (2, "stderr", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            found = os.open(os.devnull, flags)
            if found != number:
                os.dup2(found, number)
                os.close(found)
            mode = "r" if number == 0 else "w"
            stream = open(number, mode, encoding="utf-8", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    if isinstance(sys.stderr, TextIOWrapper):
        sys.stderr = _Unbreakable(
            sys.stderr.buffer, sys.stderr.encoding, "backslashreplace", line_buffering=True
        )


class _Unbreakable(TextIOWrapper):
    """Nobody has to read what is wrong: a full disk or a closed pipe there changes no result."""

    def write(self, text: str, /) -> int:
        try:
            return super().write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def discard_output() -> None:
    """Let standard output go nowhere, that what it still holds does no harm at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
