"""Files that are written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from netspec.diagnostics import Diagnostic, SpecError


def write_text(path: Path, text: str) -> None:
    """Write a file beside its place, then move it there. Raises SpecError where that fails."""
    beside = None
    try:
        handle, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        with open(handle, "w", encoding="utf-8", newline="\n") as out:
            out.write(text)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(beside, 0o666 & ~umask)  # mkstemp makes files that only their owner can read
        os.replace(beside, path)
    except OSError as error:
        if beside is not None and os.path.exists(beside):
            os.unlink(beside)
        message = f"{path} can't be written: {error.strerror or error}"
        raise SpecError([Diagnostic("unwritable-file", message)]) from None
