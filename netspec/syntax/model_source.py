"""Telling files that hold a whole model of another tool, its weights inside, from texts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from netspec.diagnostics.source import Source

MODEL_SUFFIXES = {
    ".onnx": "onnx",
    ".pt2": "torch",
    ".keras": "keras",
    ".h5": "keras",
    ".hdf5": "keras",
}
"""The importer of a model's file by the file's suffix."""


class ModelSource(Source):
    """A file that holds a model, which its importer reads: it has no text of its own."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(path), "")
        self.path = path

    @property
    def importer(self) -> str:
        """The importer that reads it."""
        return MODEL_SUFFIXES[self.path.suffix.lower()]


class ModuleSource(ModelSource):
    """A module of PyTorch in memory, under a name, and examples of its inputs.

    Without examples the importer makes them, of the shapes of inputs that it is given.
    """

    importer = "torch"

    def __init__(self, name: str, module: Any, examples: tuple[Any, ...] = ()) -> None:
        super().__init__(Path(name))
        self.module = module
        self.examples = examples


def is_model(path: Path) -> bool:
    """Whether a path is that of a model's file, by its suffix."""
    return path.suffix.lower() in MODEL_SUFFIXES
