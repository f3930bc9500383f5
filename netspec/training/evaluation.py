"""Loss and accuracy of a net's PyTorch model on labelled samples."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from netspec.codegen.backend import EndsInLogits, get, load_model
from netspec.diagnostics import spec_error
from netspec.ir import Net, Training
from netspec.lazy_dataclasses import dataclass
from netspec.ops.activation import Sigmoid
from netspec.training.loader import Loader
from netspec.training.tasks import Judged, Tally, task_of
from netspec.training.transforms import Preparation
from netspec.weights.array import Array

BATCH = 64
MOST_PIXELS = 2**21


@dataclass(frozen=True)
class Score:
    """How a net does on so many samples: its mean loss, and the figure of its task."""

    samples: int
    loss: float
    accuracy: float


def classifier(net: Net) -> tuple[nn.Module, bool]:
    """The net's model, and whether it gives probabilities rather than logits."""
    backend = get("torch")
    model: nn.Module = load_model(net, backend)
    logits = isinstance(backend, EndsInLogits) and backend.ends_in_logits[0]
    made = next(f.op for f in net.layers if net.flat_outputs[0] in f.outputs)
    return model, (made.yields_probabilities or isinstance(made, Sigmoid)) and not logits


def _preparation(net: Net) -> Preparation:
    """What samples become inputs by, unchanged at random.

    Raises SpecError (bad-data) for a net that has not one input and one output.
    """
    if len(net.body.inputs) != 1 or len(net.body.outputs) != 1:
        raise spec_error("bad-data", f"{net.name} has not one input and one output")
    return Preparation(net, net.training or Training(learning_rate=1.0, batch_size=1))


def count(
    tally: Tally,
    forward: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]],
    batches: Iterable[tuple[Tensor, Tensor]],
) -> None:
    """Count batches of inputs and targets; `forward` gives scores and targets for them."""
    with torch.no_grad():
        for x, y in batches:
            tally.add(*forward(x, y))


class Evaluation:
    """A net's model beside labelled data, to be measured with one set of weights after another."""

    def __init__(self, net: Net, data: Path, held_out: float = 0.1) -> None:
        """Read the data's held-out part, or `held_out` of each class; all where that is 0.

        Raises SpecError as training does for data that can't be used.
        """
        self.net, self.task = net, task_of(net)
        found = self.task.read(data, _preparation(net), held_out)
        self.samples = found.held_out or found.train
        self.model, self.probabilities = classifier(net)

    def __call__(self, arrays: Mapping[str, Any]) -> Score:
        """The score with these weights, by the net's names."""
        get("torch").set_weights(self.model, arrays)
        self.model.eval()
        samples = len(self.samples.labels)
        loader = Loader(self.samples, 0, 0)
        size = batch_size(self.net)
        batches = (range(i, min(i + size, samples)) for i in range(0, samples, size))

        def forward(x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
            return self.task.scores(self.model(x), self.probabilities), y

        tally = self.task.tally()
        count(tally, forward, loader.plain(iter(batches)))
        figures = tally.figures()
        return Score(samples, figures["loss"], figures[self.task.figure])


def batch_size(net: Net) -> int:
    """How many samples a model gets at once: so many that all inputs together are not large."""
    pixels = prod(int(d) for d in net.body.inputs[0].shape[1:])
    return max(1, min(BATCH, MOST_PIXELS // pixels))


def judge(
    net: Net,
    arrays: Mapping[str, Any],
    data: Path,
    backend: str = "torch",
    part: str | None = None,
    classes: Sequence[str] = (),
    skip_bad: bool = False,
) -> tuple[str, Judged, float]:
    """The part of the data, how good the net is on it, and the seconds that the model took.

    `classes` are the names of the classes that the weights were trained on, in order; folders of
    these names are theirs. Raises SpecError for data that can't be used.
    """
    task = task_of(net)
    part, samples, names = task.read_part(data, _preparation(net), part, skip_bad)
    runner = get(backend)
    model = load_model(net, runner)
    runner.set_weights(model, arrays)
    count, size, seconds = len(samples.labels), batch_size(net), 0.0

    def batches() -> Iterator[tuple[Array, Tensor]]:
        nonlocal seconds
        for i in range(0, count, size):
            x, targets = samples.batch(range(i, min(i + size, count)), None)
            begun = time.perf_counter()
            outputs = runner.run(model, x.numpy())[0]
            seconds += time.perf_counter() - begun
            yield outputs, targets

    found = task.judged(batches(), names, classes)
    return part, found, seconds
