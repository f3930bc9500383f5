"""Files that are written whole or not at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from netspec.diagnostics import SpecError, spec_error
from netspec.util.inputs import is_input
from netspec.util.interrupt import on_interrupt


def unwritable(path: Path, reason: OSError | str) -> SpecError:
    """The error of a file that can't be written, to be raised."""
    if isinstance(reason, OSError):
        reason = reason.strerror or str(reason)
    return spec_error("unwritable-file", f"{path} can't be written: {reason}")


def write_text(path: Path, text: str, *, own: bool = False) -> None:
    """Write a text as `write_bytes` does, in UTF-8, its line breaks as they are."""
    write_bytes(path, text.encode("utf-8"), own=own)


def write_bytes(path: Path, content: bytes, *, own: bool = False) -> None:
    """Write a file as `replacing` does. Raises SpecError (unwritable-file)."""
    with replacing(path, own=own) as beside:
        beside.write_bytes(content)


def write_files(files: Mapping[Path, Iterable[bytes | memoryview]]) -> None:
    """Write several files in pieces as `replacing` does: all of them, the first one last, or none.

    Raises SpecError (unwritable-file).
    """
    with ExitStack() as stack:
        for path, pieces in files.items():
            with stack.enter_context(replacing(path)).open("wb") as file:
                file.writelines(pieces)


@contextmanager
def replacing(path: Path, *, own: bool = False) -> Iterator[Path]:
    """An empty file beside `path`, which takes its place at the end of the block.

    A file that is there keeps its mode, and is left alone if it may not be written or the block
    fails; a link keeps pointing where it does. Raises SpecError (unwritable-file), also for an
    OSError of the block, and where `path` is an input of the command, unless it is the `own` one
    that the command is there to change.
    """
    if not own:
        refuse_input(path)
    try:
        target = Path(os.path.realpath(path))
        mode = _mode(target)
        beside = target.with_name(f".{target.name}.{os.urandom(4).hex()}")
        with on_interrupt(lambda: beside.unlink(missing_ok=True)):
            try:
                # Nobody else should read or have made what is not whole yet.
                os.close(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
                yield beside
                os.chmod(beside, mode)
                os.replace(beside, target)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise unwritable(path, error) from None


def made_folder(path: Path) -> Path:
    """The folder, made where it is not there. Raises SpecError (unwritable-file)."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise unwritable(path, "it is a file, and a folder is needed") from None
    except OSError as error:
        raise unwritable(path, error) from None
    return path


def refuse_input(path: Path) -> None:
    """Raise SpecError (unwritable-file) where a path leads to an input of the command."""
    if is_input(path):
        message = f"{path} is an input of this command, which its result would replace"
        raise spec_error("unwritable-file", message, help=("write to another file",))


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
