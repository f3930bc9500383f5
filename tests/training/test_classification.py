"""The loss and the figures of classes against PyTorch's and arithmetic."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from netspec.diagnostics import SpecError
from netspec.training.distributed import Processes
from netspec.training.tasks import Classification
from netspec.training.transforms import Preparation

from ..helpers import net_of
from .samples import recipe

LEAST = "learning_rate: 1  batch_size: 2  epochs: 1"


def task(fields: str, path: Path, labels: Any = (0, 0, 0, 1, 2, 2)) -> Classification:
    net = net_of(f"net n {{ input data: 4\n linear {{ units: 3 }} train {{ {LEAST} {fields} }} }}")
    np.savez(path / "d.npz", x=np.zeros((len(labels), 4), np.float32), y=np.array(labels))
    made = Classification(net)
    made.read(path / "d.npz", Preparation(net, recipe(net)), 0.0)
    return made


def test_classes_count_as_their_weights_say(tmp_path: Path) -> None:
    outputs, targets = (
        torch.randn(6, 3, generator=torch.manual_seed(0)),
        torch.tensor([0, 1, 2] * 2),
    )
    losses = F.cross_entropy(outputs, targets, reduction="none")
    for fields, weights in (
        ("", [1, 1, 1]),
        ("class_weights: [1, 2.5, 0]", [1, 2.5, 0]),
        ("class_weights: balanced", [6 / 9, 6 / 3, 6 / 6]),
    ):
        made = task(fields, tmp_path)
        wanted = (losses * torch.tensor(weights * 2)).mean()
        torch.testing.assert_close(made.loss(outputs, targets), wanted)
        # Shares of classes are the same targets.
        torch.testing.assert_close(made.loss(outputs, F.one_hot(targets, 3).float()), wanted)
        halves = [made.loss(outputs[i : i + 3], targets[i : i + 3]) for i in (0, 3)]
        torch.testing.assert_close(sum(halves) / 2, wanted)
    with pytest.raises(SpecError, match="2 class_weights for 3 classes"):
        task("class_weights: [1, 2]", tmp_path)


def test_figures_of_each_class(tmp_path: Path) -> None:
    made = task("", tmp_path)
    tally = made.tally()
    answers, truth = [0, 0, 0, 2, 0, 0], [0, 0, 1, 2, 2, 1]
    outputs = F.one_hot(torch.tensor(answers), 3).float()
    for part in (slice(2), slice(2, 6)):
        tally.add(outputs[part], torch.tensor(truth)[part])
    tally.gather(Processes())
    found = tally.figures()
    assert found["accuracy"] == 0.5
    assert found["loss"] == pytest.approx(float(F.cross_entropy(outputs, torch.tensor(truth))))
    assert found["classes"] == [
        {"name": "0", "count": 2, "precision": 2 / 5, "recall": 1},
        {"name": "1", "count": 2, "precision": None, "recall": 0},
        {"name": "2", "count": 2, "precision": 1, "recall": 0.5},
    ]
    assert list(made.remarks(found)) == ["recall: 0 100%, 1 0%, 2 50%"]
    one = made.tally()
    one.add(torch.tensor([[0.0, 1, 0]] * 4), torch.tensor([0, 1, 1, 1]))
    assert list(made.remarks(one.figures())) == [
        *("recall: 0 0%, 1 100%", "warning: 1 is all that is answered"),
    ]
