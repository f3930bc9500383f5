"""Whether a weight file is there and can be read, for the readers of all formats."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from netspec.diagnostics import SpecError, spec_error
from netspec.util.inputs import note_input


def file_size(path: Path) -> int:
    """The size of a regular file in bytes. Raises SpecError (bad-weights) where there is none."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise spec_error("bad-weights", f"there is no weight file {path}") from None
    except OSError as error:
        raise unreadable(path, error) from None
    except ValueError:
        message = f"{str(path)!r} is no name that a file can have"
        raise spec_error("bad-weights", message) from None
    if stat.S_ISDIR(status.st_mode):
        raise spec_error("bad-weights", f"{path} is a folder, not a weight file")
    if not stat.S_ISREG(status.st_mode):
        raise spec_error("bad-weights", f"{path} is a device or a pipe, not a weight file")
    note_input(path)
    return status.st_size


def unreadable(path: Path, error: OSError) -> SpecError:
    """The error of a file that the system can't read, to be raised."""
    return spec_error("bad-weights", f"{path} can't be read: {error.strerror or error}")
