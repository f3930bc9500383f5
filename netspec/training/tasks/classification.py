"""Classification: which class a picture is of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.ir import Net
from netspec.training.datasets import TrainingData, Watch, read
from netspec.training.distributed import Processes
from netspec.training.tasks.task import Tally
from netspec.training.transforms import Preparation

TINY = 1e-30


class Classification:
    """A score a class; a target is the number of a class, the loss its cross entropy."""

    figure = "accuracy"
    title = "accuracy"
    step_figure = "accuracy"

    def __init__(self, net: Net) -> None:
        self.net = net

    def read(
        self,
        path: Path,
        preparation: Preparation,
        held_out: float,
        skip_bad: bool = False,
        watch: Watch = lambda done, total: None,
    ) -> TrainingData:
        return read(path, self.net, preparation, held_out, skip_bad, watch)

    def scores(self, outputs: Tensor, probabilities: bool) -> Tensor:
        """Logits or log-probabilities of shape (N, classes)."""
        found = outputs.float().flatten(1)
        return found.clamp_min(TINY).log() if probabilities else found

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        smoothing = self.net.training.label_smoothing if self.net.training else 0.0
        return F.cross_entropy(outputs, targets, label_smoothing=smoothing)

    def hits(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(1) == targets).sum()

    def tally(self) -> Tally:
        return _Tally()


class _Tally:
    """The sum of the losses, how many answers are right, and of how many samples."""

    def __init__(self) -> None:
        self.sums = torch.zeros(3, dtype=torch.float64)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        self.sums[0] += F.cross_entropy(outputs, targets, reduction="sum").double().cpu()
        self.sums[1] += (outputs.argmax(1) == targets).sum().cpu()
        self.sums[2] += len(targets)

    def gather(self, group: Processes) -> None:
        self.sums = torch.stack(group.gather(self.sums)).sum(0)

    def figures(self) -> dict[str, Any]:
        loss, correct, count = self.sums.tolist()
        return {"loss": loss / count, "accuracy": correct / count}
