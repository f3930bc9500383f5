"""The measurements of a run for TensorBoard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netspec.diagnostics import spec_error
from netspec.util.atomic_write import unwritable

NO_MEASURES = ("kind", "iteration", "epoch")


class Board:
    """Writes event files, in which each number of a measurement is `NAME/train` or
    `NAME/held-out`."""

    def __init__(self, folder: Path, done: int) -> None:
        """Continue behind iteration `done`; what an earlier part wrote behind it is dropped.

        Raises SpecError.
        """
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            message = "--tensorboard needs the package tensorboard, which is not installed"
            help_ = ("pip install 'netspec-compiler[tensorboard]'",)
            raise spec_error("missing-package", message, help=help_) from None
        self.folder = folder
        try:
            self.writer: Any = SummaryWriter(str(folder), purge_step=done + 1 if done else None)
        except OSError as error:
            raise unwritable(folder, error) from None

    def add(self, row: Mapping[str, Any]) -> None:
        """Write a line of metrics. Raises SpecError."""
        try:
            for name, value in row.items():
                if name not in NO_MEASURES and isinstance(value, int | float):
                    self.writer.add_scalar(f"{name}/{row['kind']}", value, row["iteration"])
        except OSError as error:
            raise unwritable(self.folder, error) from None

    def flush(self) -> None:
        self.writer.flush()

    def close(self) -> None:
        self.writer.close()
