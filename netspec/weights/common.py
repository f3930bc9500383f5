"""What the readers of weight files share."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import numpy as np

from netspec.diagnostics import SpecError, spec_error

Array = np.ndarray[Any, np.dtype[Any]]

COUNTERS = ".num_batches_tracked"
"""How PyTorch's names end for what batch norms count, which is no weight."""


def bad(message: str, *help: str) -> SpecError:
    """The error of a weight file that can't be used."""
    return spec_error("bad-weights", message, help=help)


def file_size(path: Path) -> int:
    """The size of a plain file in bytes. Raises SpecError where there is none."""
    try:
        status = os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        raise bad(f"there is no weight file {path}") from None
    except OSError as error:
        raise unreadable(path, error) from None
    except ValueError:
        raise bad(f"{str(path)!r} is no name that a file can have") from None
    if stat.S_ISDIR(status.st_mode):
        raise bad(f"{path} is a folder, not a weight file")
    if not stat.S_ISREG(status.st_mode):
        raise bad(f"{path} is a device or a pipe, not a weight file")
    return status.st_size


def unreadable(path: Path, error: OSError) -> SpecError:
    """The error of a file that the system does not let us read."""
    return bad(f"{path} can't be read: {error.strerror or error}")
