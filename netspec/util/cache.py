"""The user's cache folder: what takes time to make and can be made again."""

from __future__ import annotations

import os


def cache_folder() -> str | None:
    """netspec's folder in the user's cache folder; None where there is no home."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return None if base.startswith("~") else os.path.join(base, "netspec")


def store(path: str, data: bytes) -> None:
    """Write a file whole, or not at all: a cache that can't be written is no error."""
    import tempfile

    try:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=os.path.dirname(path))
        with open(handle, "wb") as out:
            out.write(data)
        os.replace(beside, path)
    except OSError:
        pass
