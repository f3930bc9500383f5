"""Weights that a model's file of another tool holds beside the net."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netspec.importers.model_files import net_of
from netspec.ir import Net
from netspec.weights.array import Array


def read_model(path: Path) -> dict[str, Array]:
    """The weights of a model's file, by the names that its own net gives them. Raises SpecError."""
    return _arrays(net_of(path))


def read_stored(path: Path, net: Net) -> dict[str, Array]:
    """The weights of a model's file: by the names of `net`, where that is the file's own net.

    Raises SpecError.
    """
    stored: list[Any] = list(net.origins.values())
    own = bool(stored) and all(getattr(s, "path", None) == path for s in stored)
    return _arrays(net) if own else read_model(path)


def _arrays(net: Net) -> dict[str, Array]:
    return {name: net.origins[name].read() for name in net.tensors if name in net.origins}
