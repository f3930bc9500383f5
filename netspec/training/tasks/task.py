"""What a task of a net is: its data, its loss, and what it is judged by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from netspec.ir import Net
from netspec.report.table import Grid
from netspec.training.datasets import Samples, TrainingData, Watch
from netspec.training.distributed import Processes
from netspec.training.transforms import Preparation
from netspec.weights.array import Array


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


class Judged(Protocol):
    """How good a net is on a part of the data."""

    @property
    def samples(self) -> int: ...

    def data(self) -> dict[str, Any]:
        """All of it as plain data."""
        ...

    def grid(self, title: str, summary: Mapping[str, str]) -> Grid:
        """A table, with the figures of all and those of `summary` below."""
        ...

    def csv(self) -> list[list[Any]]:
        """Rows for a file of comma-separated values, the headings first."""
        ...

    def picture(self, title: str) -> str:
        """A picture of it, an SVG."""
        ...

    def remarks(self) -> list[str]:
        """What people should be warned of."""
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

    def read_part(
        self, path: Path, preparation: Preparation, part: str | None, skip_bad: bool = False
    ) -> tuple[str, Samples, tuple[str, ...]]:
        """A part of the data, its name, and the names of the classes where they are known.

        Raises SpecError (bad-data).
        """
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

    def judged(
        self, batches: Iterable[tuple[Array, Tensor]], names: Sequence[str], trained: Sequence[str]
    ) -> Judged:
        """How good the net's outputs are beside their targets.

        `names` are those of the data's classes, `trained` those that the weights were trained on.
        """
        ...

    def remarks(self, figures: Mapping[str, Any]) -> Iterator[str]:
        """What is said about the figures of what is held out, a line each."""
        ...


def yields_probabilities(net: Net) -> bool:
    """Whether the channels of a net's first output are probabilities."""
    made = next(f.op for f in net.layers if net.flat_outputs[0] in f.outputs)
    return made.yields_probabilities
