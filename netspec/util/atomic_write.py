"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from pathlib import Path

from netspec.diagnostics import spec_error


def write_text(path: Path, text: str) -> None:
    """Write a text as `write_bytes` does, in UTF-8, its line breaks as they are."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file beside its place, then move it there. Raises SpecError where that fails.

    A file that is there keeps its mode, and is left alone if it may not be written; a link keeps
    pointing where it does.
    """
    beside = None
    try:
        target = Path(os.path.realpath(path))
        mode = _mode(target)
        handle, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with open(handle, "wb") as out:
            out.write(content)
        os.chmod(beside, mode)  # mkstemp makes files that only their owner can read
        os.replace(beside, target)
    except OSError as error:
        if beside is not None and os.path.exists(beside):
            os.unlink(beside)
        message = f"{path} can't be written: {error.strerror or error}"
        raise spec_error("unwritable-file", message) from None


def _mode(path: Path) -> int:
    """The mode that a file has, or that a new one gets. Raises OSError if it can't be replaced."""
    if not path.exists():
        umask = os.umask(0)
        os.umask(umask)
        return 0o666 & ~umask
    if not path.is_file():
        raise OSError(errno.EINVAL, "it is no regular file")
    if not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return stat.S_IMODE(path.stat().st_mode)
