"""The folder of a training and its files."""

from __future__ import annotations

from pathlib import Path

from netspec.lazy_dataclasses import dataclass
from netspec.util.atomic_write import made_folder, refuse_input


@dataclass(frozen=True)
class Folder:
    """The folder of a run and the paths of its files."""

    path: Path

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.pt"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def table(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def curve(self) -> Path:
        return self.path / "curve.svg"

    @property
    def labels(self) -> Path:
        return self.path / "labels.txt"

    @property
    def best(self) -> Path:
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        return self.path / "last.safetensors"

    def make(self) -> None:
        """Make the folder where it is not there. Raises SpecError, also for inputs in it."""
        written = (self.best, self.last, self.labels, self.metrics, self.table, self.curve)
        for path in (*written, self.checkpoint):
            refuse_input(path)
        made_folder(self.path)
