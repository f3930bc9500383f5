"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netspec.diagnostics import SpecError, spec_error


def unwritable(path: Path, reason: OSError | str) -> SpecError:
    """The error of a file that can't be written, to be raised."""
    if isinstance(reason, OSError):
        reason = reason.strerror or str(reason)
    return spec_error("unwritable-file", f"{path} can't be written: {reason}")


def write_text(path: Path, text: str) -> None:
    """Write a text as `write_bytes` does, in UTF-8, its line breaks as they are."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file as `replacing` does. Raises SpecError (unwritable-file)."""
    with replacing(path) as beside:
        beside.write_bytes(content)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """An empty file beside `path`, which takes its place at the end of the block.

    A file that is there keeps its mode, and is left alone if it may not be written or the block
    fails; a link keeps pointing where it does. Raises SpecError (unwritable-file), also for an
    OSError of the block.
    """
    beside = None
    try:
        target = Path(os.path.realpath(path))
        mode = _mode(target)
        handle, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        os.close(handle)
        yield Path(beside)
        os.chmod(beside, mode)  # mkstemp makes files that only their owner can read
        os.replace(beside, target)
        beside = None
    except OSError as error:
        raise unwritable(path, error) from None
    finally:
        if beside is not None and os.path.exists(beside):
            os.unlink(beside)


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
