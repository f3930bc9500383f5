"""Where the files that come with netspec are."""

from __future__ import annotations

from functools import cache
from pathlib import Path


@cache
def folder(name: str) -> Path:
    """The folder `grammars` or `specs`: inside the installed package, or beside it in a checkout.

    Raises FileNotFoundError where the installation lacks it.
    """
    # A wheel is always unpacked, so a plain path does (importlib.resources costs 20 ms to import).
    package = Path(__file__).resolve().parent.parent
    for place in (package / name, package.parent / name):
        if place.is_dir():
            return place
    raise FileNotFoundError(f"netspec is installed without its folder {name!r}")
