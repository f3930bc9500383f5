"""Several labels a picture, each there or not."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.diagnostics import spec_error
from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass
from netspec.ops.activation import Sigmoid
from netspec.report import number_format
from netspec.report.columns import Column
from netspec.report.table import Grid
from netspec.runtime.classify import class_count
from netspec.training.distributed import Processes
from netspec.training.judgement import percent
from netspec.training.tasks.classification import MOST_SAID, Classification
from netspec.training.tasks.task import Judged, Tally
from netspec.weights.array import Array

TINY = 1e-6


class ManyLabels(Classification):
    """A score a label; targets are (N, labels) of 0 and 1, the loss their binary cross entropy.

    A label is answered where its probability is above a half. The best weights are those with the
    highest F1, the mean over the labels.
    """

    figure = "f1"
    title = "mean F1"

    def __init__(self, net: Net) -> None:
        super().__init__(net)
        made = next(f.op for f in net.layers if net.flat_outputs[0] in f.outputs)
        if made.yields_probabilities:
            message = f"{net.name} ends in a softmax, which has one class a picture"
            help_ = ("`loss: bce` goes with a sigmoid at the end, or with nothing",)
            raise spec_error("bad-data", message, help=help_)

    def scores(self, outputs: Tensor, probabilities: bool) -> Tensor:
        """Logits of shape (N, labels)."""
        found = outputs.float().flatten(1)
        return torch.logit(found, TINY) if probabilities else found

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        smoothing = self.net.training.label_smoothing if self.net.training else 0.0
        targets = self._marks(targets) * (1 - smoothing) + smoothing / 2
        return F.binary_cross_entropy_with_logits(outputs, targets)

    def hits(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return ((outputs > 0) == (self._marks(targets) > 0.5)).float().mean(1).sum()

    def tally(self) -> Tally:
        return LabelTally(class_count(self.net), self.names)

    def remarks(self, figures: Mapping[str, Any]) -> Iterator[str]:
        """The recall of each label, or of those where it is lowest; whether none is answered."""
        known = [row for row in figures["classes"] if row["recall"] is not None]
        shown = sorted(known, key=lambda row: row["recall"])[:MOST_SAID]
        if len(known) <= MOST_SAID:
            shown = known
        text = ", ".join(f"{row['name']} {row['recall']:.0%}" for row in shown)
        yield f"{'lowest recall' if len(known) > MOST_SAID else 'recall'}: {text}"
        if all(row["precision"] is None for row in figures["classes"]):
            yield "warning: no label is ever answered"

    def _marks(self, targets: Tensor) -> Tensor:
        """Targets of samples that have classes are marks of these."""
        if targets.ndim == 1:
            targets = F.one_hot(targets, class_count(self.net))
        return targets.float()

    def judged(
        self, batches: Iterable[tuple[Array, Tensor]], names: Sequence[str], trained: Sequence[str]
    ) -> Judged:
        count = class_count(self.net)
        places = list(range(count))
        if len(trained) == count and names and set(names) <= set(trained):
            places, names = [trained.index(name) for name in names], trained
        tally, samples = LabelTally(count, tuple(names) if len(names) == count else ()), 0
        last = next(f.op for f in self.net.layers if self.net.flat_outputs[0] in f.outputs)
        for outputs, targets in batches:
            scores = self.scores(torch.from_numpy(np.array(outputs)), isinstance(last, Sigmoid))
            if targets.ndim == 1:
                targets = F.one_hot(targets, len(places))
            marks = torch.zeros(len(targets), count)
            marks[:, places] = targets.float()
            tally.add(scores, marks)
            samples += len(targets)
        return LabelJudgement(samples, tally.figures())


@dataclass(frozen=True)
class LabelJudgement:
    """How well labels are told: `figures` are those of a `LabelTally`."""

    samples: int
    figures: Mapping[str, Any]

    def data(self) -> dict[str, Any]:
        return {"samples": self.samples, **self.figures}

    def grid(self, title: str, summary: Mapping[str, str]) -> Grid:
        columns = (
            Column("name", "label", "", left=True),
            Column("count", "samples", "", show=number_format.count),
            Column("precision", "precision", "", show=percent, zero=True),
            Column("recall", "recall", "", show=percent, zero=True),
        )
        figures = (
            ("loss", f"{self.figures['loss']:.4f}"),
            ("mean F1", f"{self.figures['f1']:.2%} of {self.samples:,}"),
            ("right labels", f"{self.figures['accuracy']:.2%}"),
            *summary.items(),
        )
        return Grid("", title, columns, tuple(map(tuple, self.csv()[1:])), summary=figures)

    def csv(self) -> list[list[Any]]:
        """Count, precision and recall of each label."""
        keys = ("name", "count", "precision", "recall")
        return [list(keys), *([row[key] for key in keys] for row in self.figures["classes"])]

    def picture(self, title: str) -> str:
        message = "labels that don't exclude each other have no confusion matrix to draw"
        raise spec_error("bad-option", message)

    def remarks(self) -> list[str]:
        answered = any(row["precision"] is not None for row in self.figures["classes"])
        return [] if answered else ["no label is ever answered"]


class LabelTally:
    """The sum of the losses; of each label how many samples have it, for how many it is answered,
    and how often that is right."""

    def __init__(self, labels: int, names: tuple[str, ...]) -> None:
        self.names = names or tuple(map(str, range(labels)))
        self.sums = torch.zeros(2, dtype=torch.float64)
        self.counts = torch.zeros(3, labels, dtype=torch.float64)

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        if targets.ndim == 1:
            targets = F.one_hot(targets, outputs.shape[1])
        losses = F.binary_cross_entropy_with_logits(outputs, targets.float(), reduction="none")
        self.sums[0] += losses.mean(1).sum().double().cpu()
        self.sums[1] += len(targets)
        marks, answers = targets > 0, outputs > 0
        for row, found in zip(self.counts, (marks, answers, marks & answers), strict=True):
            row += found.sum(0).cpu()

    def gather(self, group: Processes) -> None:
        self.sums = torch.stack(group.gather(self.sums)).sum(0)
        self.counts = torch.stack(group.gather(self.counts)).sum(0)

    def figures(self) -> dict[str, Any]:
        loss, samples = self.sums.tolist()
        rows, scores, wrong = [], [], 0.0
        for name, (of, said, right) in zip(self.names, self.counts.T.tolist(), strict=True):
            precision, recall = right / said if said else None, right / of if of else None
            rows.append({"name": name, "count": int(of), "precision": precision, "recall": recall})
            scores.append(2 * right / (of + said) if of + said else 1.0)
            wrong += of + said - 2 * right
        return {
            "loss": loss / samples,
            "f1": sum(scores) / len(scores),
            "accuracy": 1 - wrong / (samples * len(rows)),
            "classes": rows,
        }
