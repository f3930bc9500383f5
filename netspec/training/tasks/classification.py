"""Classification: which class a picture is of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.diagnostics import spec_error
from netspec.ir import Net
from netspec.lazy_dataclasses import replace
from netspec.runtime.classify import class_count
from netspec.training import augment
from netspec.training.datasets import Samples, TrainingData, Watch, read, read_part
from netspec.training.distributed import Processes
from netspec.training.inspection import remarks
from netspec.training.judgement import judged
from netspec.training.sampler import Rolls
from netspec.training.targets import refuse_masks
from netspec.training.tasks.task import Judged, Tally, yields_probabilities
from netspec.training.transforms import Preparation
from netspec.weights.array import Array

TINY = 1e-30
MOST_SAID = 10
"""Most classes whose recall is said; of more, those with the lowest."""


class Classification:
    """A score a class; a target is the number of a class, the loss its cross entropy.

    The targets of mixed samples are (N, classes), the share of each class.
    """

    figure = "accuracy"
    title = "accuracy"
    step_figure = "accuracy"

    def __init__(self, net: Net) -> None:
        self.net = net
        self.names: tuple[str, ...] = ()
        self.weights: Tensor | None = None

    def read(
        self,
        path: Path,
        preparation: Preparation,
        held_out: float,
        skip_bad: bool = False,
        watch: Watch = lambda done, total: None,
    ) -> TrainingData:
        refuse_masks(path, self.net)
        data = read(path, self.net, preparation, held_out, skip_bad, watch)
        self.names = data.classes
        self.weights = self._class_weights(data)
        return replace(data, remarks=tuple(remarks(data)))

    def _class_weights(self, data: TrainingData) -> Tensor | None:
        """How much each class counts. Raises SpecError (bad-data)."""
        training, count = self.net.training, class_count(self.net)
        stated = training.class_weights if training is not None else None
        if stated is None:
            return None
        if stated == "balanced":
            samples = np.bincount(data.train.labels, minlength=count)
            balanced = len(data.train.labels) / ((samples > 0).sum() * np.maximum(samples, 1))
            return torch.from_numpy(balanced.astype(np.float32))
        if len(stated) != count:
            message = f"there are {len(stated):,} class_weights for {count:,} classes"
            raise spec_error("bad-data", message)
        return torch.tensor(stated, dtype=torch.float32)

    def read_part(
        self, path: Path, preparation: Preparation, part: str | None, skip_bad: bool = False
    ) -> tuple[str, Samples, tuple[str, ...]]:
        refuse_masks(path, self.net)
        return read_part(path, self.net, preparation, part, skip_bad)

    def scores(self, outputs: Tensor, probabilities: bool) -> Tensor:
        """Logits or log-probabilities of shape (N, classes)."""
        found = outputs.float().flatten(1)
        return found.clamp_min(TINY).log() if probabilities else found

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        smoothing = self.net.training.label_smoothing if self.net.training else 0.0
        if self.weights is None:
            return F.cross_entropy(outputs, targets, label_smoothing=smoothing)
        # The mean of PyTorch's `weight` divides by the weights of a batch, and so would give parts
        # of a batch another share than they have in it.
        losses = F.cross_entropy(outputs, targets, label_smoothing=smoothing, reduction="none")
        weights = self.weights.to(outputs.device)
        return (losses * (targets @ weights if targets.ndim == 2 else weights[targets])).mean()

    def mix(self, x: Tensor, targets: Tensor, rolls: Rolls) -> tuple[Tensor, Tensor]:
        """A batch whose samples are mixed in pairs, as the recipe says."""
        assert self.net.training is not None, "a net that is trained has a recipe"
        if targets.ndim == 1:
            targets = F.one_hot(targets, class_count(self.net))
        return augment.mixed(x, targets.float(), self.net.training, rolls)

    def hits(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(1) == (targets.argmax(1) if targets.ndim == 2 else targets)).sum()

    def tally(self) -> Tally:
        return _ClassTally(class_count(self.net), self.names)

    def remarks(self, figures: Mapping[str, Any]) -> Iterator[str]:
        """The recall of each class, or of those where it is lowest; whether one is all that is
        answered."""
        known = [row for row in figures["classes"] if row["recall"] is not None]
        if len(known) < 2:
            return
        shown = known
        if len(known) > MOST_SAID:
            shown = sorted(known, key=lambda row: row["recall"])[:MOST_SAID]
        text = ", ".join(f"{row['name']} {row['recall']:.0%}" for row in shown)
        yield f"{'lowest recall' if len(known) > MOST_SAID else 'recall'}: {text}"
        answered = [row["name"] for row in figures["classes"] if row["precision"] is not None]
        if len(answered) == 1:
            yield f"warning: {answered[0]} is all that is answered"

    def judged(
        self, batches: Iterable[tuple[Array, Tensor]], names: Sequence[str], trained: Sequence[str]
    ) -> Judged:
        found, targets = zip(*batches, strict=True)
        scored = np.concatenate([part.reshape(len(part), -1) for part in found]).astype(np.float64)
        labels = np.concatenate([part.numpy() for part in targets])
        if labels.ndim > 1:
            message = "pictures with several labels can't be judged by one class each"
            raise spec_error("bad-data", message)
        if not yields_probabilities(self.net):
            scored = np.exp(scored - scored.max(1, keepdims=True))
            scored /= scored.sum(1, keepdims=True)
        count = scored.shape[1]
        if len(trained) == count and names and set(names) <= set(trained):
            labels = np.array([trained.index(name) for name in names])[labels]
            names = trained
        return judged(scored, labels, names if len(names) == count else ())


class _ClassTally:
    """The sum of the losses; of each class how many samples are of it, how many are taken for it,
    and how often that is right."""

    def __init__(self, classes: int, names: tuple[str, ...]) -> None:
        self.names = names or tuple(map(str, range(classes)))
        self.loss = torch.zeros(1, dtype=torch.float64)
        self.counts = torch.zeros(3, classes, dtype=torch.float64)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        self.loss += F.cross_entropy(outputs, targets, reduction="sum").double().cpu()
        answers, targets = outputs.argmax(1).cpu(), targets.cpu()
        right = targets[answers == targets]
        for row, found in zip(self.counts, (targets, answers, right), strict=True):
            row += torch.bincount(found, minlength=len(row))

    def gather(self, group: Processes) -> None:
        self.loss = torch.stack(group.gather(self.loss)).sum(0)
        self.counts = torch.stack(group.gather(self.counts)).sum(0)

    def figures(self) -> dict[str, Any]:
        count, right = float(self.counts[0].sum()), float(self.counts[2].sum())
        classes = [
            {
                "name": name,
                "count": int(of),
                "precision": hits / said if said else None,
                "recall": hits / of if of else None,
            }
            for name, (of, said, hits) in zip(self.names, self.counts.T.tolist(), strict=True)
        ]
        return {"loss": float(self.loss) / count, "accuracy": right / count, "classes": classes}
