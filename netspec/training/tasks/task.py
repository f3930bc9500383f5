"""What a task of a net is: its data, its loss, and what it is judged by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from netspec.training.datasets import TrainingData, Watch
from netspec.training.distributed import Processes
from netspec.training.transforms import Preparation


class Tally(Protocol):
    """What is counted over the batches of a part of the data."""

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Count a batch: what `Task.scores` gave, and the targets, on one device."""
        ...

    def gather(self, group: Processes) -> None:
        """Take what the other processes have counted."""
        ...

    def figures(self) -> dict[str, Any]:
        """`loss` and the figures of the task by name, as plain data."""
        ...


class Task(Protocol):
    """What a net is trained for.

    `figure` is the name of the figure by which the best weights are chosen, larger ones being
    better, `title` what people call it, and `step_figure` that of `hits`.
    """

    figure: str
    title: str
    step_figure: str

    def read(
        self,
        path: Path,
        preparation: Preparation,
        held_out: float,
        skip_bad: bool = False,
        watch: Watch = lambda done, total: None,
    ) -> TrainingData:
        """The data to train on. Raises SpecError (bad-data)."""
        ...

    def scores(self, outputs: Tensor, probabilities: bool) -> Tensor:
        """The model's output, logits or probabilities, in float32 as the loss takes it."""
        ...

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch that is trained on, the mean over its samples."""
        ...

    def hits(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """The sum over the samples of a batch of how right each answer is, from 0 to 1."""
        ...

    def tally(self) -> Tally:
        """Counts of a part of the data, none yet."""
        ...

    def remarks(self, figures: Mapping[str, Any]) -> Iterator[str]:
        """What is said about the figures of what is held out, a line each."""
        ...
