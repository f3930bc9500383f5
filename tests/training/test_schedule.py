"""Learning rates against Caffe's formulas and PyTorch's schedulers; which samples come when."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from netspec.ir import Training
from netspec.training.sampler import Rolls, Sampler
from netspec.training.schedule import Plateau, iterations, rate

BASE = Training(learning_rate=0.04, batch_size=8, iterations=100)


def rates(training: Training, total: int = 100) -> list[float]:
    return [rate(training, i, total) for i in range(total)]


def test_the_paper() -> None:
    """base_lr 0.04, poly, power 1, 170,000 iterations: "linearly decrease LR" (solver.prototxt)."""
    paper = Training(learning_rate=0.04, batch_size=512, iterations=170_000, schedule="poly")
    assert rate(paper, 0, 170_000) == 0.04
    assert rate(paper, 85_000, 170_000) == pytest.approx(0.02)
    assert rate(paper, 169_999, 170_000) == pytest.approx(0.04 / 170_000)


@pytest.mark.parametrize(
    ("training", "caffe"),
    [
        (BASE, lambda i: 0.04),
        (replace(BASE, schedule="poly", power=0.5), lambda i: 0.04 * (1 - i / 100) ** 0.5),
        (replace(BASE, schedule="step", steps=(30,), gamma=0.1), lambda i: 0.04 * 0.1 ** (i // 30)),
        (
            replace(BASE, schedule="step", steps=(30, 35, 80), gamma=0.5),
            lambda i: 0.04 * 0.5 ** ((i >= 30) + (i >= 35) + (i >= 80)),
        ),
        (
            replace(BASE, schedule="inv", gamma=0.02, power=0.75),
            lambda i: 0.04 * (1 + 0.02 * i) ** -0.75,
        ),
        (replace(BASE, schedule="exp", gamma=0.9), lambda i: 0.04 * 0.9**i),
        (
            replace(BASE, schedule="sigmoid", gamma=-0.3, steps=(40,)),
            lambda i: 0.04 / (1 + math.exp(0.3 * (i - 40))),
        ),
    ],
)
def test_caffe(training: Training, caffe: Any) -> None:
    assert rates(training) == pytest.approx([caffe(i) for i in range(100)])


@pytest.mark.parametrize(
    ("training", "scheduler"),
    [
        (
            replace(BASE, schedule="poly", power=2.0),
            lambda o: torch.optim.lr_scheduler.PolynomialLR(o, 100, 2.0),
        ),
        (
            replace(BASE, schedule="cosine", final_rate=0.001),
            lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, 100, 0.001),
        ),
        (
            replace(BASE, schedule="step", steps=(20, 50), gamma=0.3),
            lambda o: torch.optim.lr_scheduler.MultiStepLR(o, [20, 50], 0.3),
        ),
        (
            replace(BASE, schedule="exp", gamma=0.97),
            lambda o: torch.optim.lr_scheduler.ExponentialLR(o, 0.97),
        ),
        (
            replace(BASE, schedule="poly", final_rate=0.01),
            lambda o: torch.optim.lr_scheduler.LinearLR(o, 1, 0.25, 100),
        ),
        (
            replace(BASE, schedule="one_cycle", final_rate=0.04 / 25 / 1e4),
            lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.04, 100, cycle_momentum=False),
        ),
        (
            replace(BASE, schedule="one_cycle", warmup=10),
            lambda o: torch.optim.lr_scheduler.OneCycleLR(
                o, 0.04, 100, pct_start=0.1, cycle_momentum=False, final_div_factor=float("inf")
            ),
        ),
    ],
)
def test_pytorch(training: Training, scheduler: Any) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.04)
    schedule, wanted = scheduler(optimizer), []
    for _ in range(100):
        wanted.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert rates(training) == pytest.approx(wanted)


def test_one_cycle_of_few_iterations() -> None:
    for total in (1, 2, 3, 5):
        found = rates(replace(BASE, schedule="one_cycle", iterations=total), total)
        assert all(0 <= r <= 0.04 for r in found)


@given(st.lists(st.floats(0, 3, width=16), max_size=60), st.integers(0, 4))
def test_plateau(losses: list[float], wait: int) -> None:
    """PyTorch's, evaluation by evaluation."""
    training = replace(BASE, schedule="plateau", wait=wait, gamma=0.5, final_rate=0.004)
    plateau = Plateau(training)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], 0.04)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
        optimizer, factor=0.5, patience=wait, min_lr=0.004
    )
    for loss in losses:
        plateau.see(loss)
        scheduler.step(loss)
        assert rate(training, 50, 100, plateau.falls) == pytest.approx(
            optimizer.param_groups[0]["lr"]
        )
        plateau, before = Plateau(training), plateau  # as behind an interruption
        plateau.restore(before.state())


@pytest.mark.parametrize("schedule", ["constant", "poly", "cosine"])
def test_warm_up(schedule: Any) -> None:
    warm = rates(replace(BASE, schedule=schedule, warmup=10))
    assert warm[:10] == pytest.approx([0.004 * (i + 1) for i in range(10)])
    # What follows is the schedule over the 90 iterations that are left.
    assert warm[10:] == rates(replace(BASE, schedule=schedule), 90)


def test_iterations() -> None:
    assert iterations(BASE, 12345) == 100
    epochs = Training(learning_rate=1, batch_size=8, epochs=3)
    assert iterations(epochs, 16) == 6
    assert iterations(epochs, 17) == 7
    assert iterations(replace(epochs, epochs=0.01), 17) == 1


@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 5))
def test_every_sample_once_an_epoch(samples: int, batch: int, seed: int) -> None:
    order = Sampler(samples, batch, seed)
    count = -(-3 * samples // batch)
    drawn = np.concatenate([order.draws(i).samples for i in range(count)])
    assert len(drawn) == count * batch
    for epoch in range(3):
        part = drawn[epoch * samples : (epoch + 1) * samples]
        assert sorted(part) == list(range(samples))
    # Any iteration can be asked for at any time.
    again = Sampler(samples, batch, seed).draws(count - 1)
    assert again.samples.tolist() == drawn[-batch:].tolist()
    assert again.places.tolist() == list(range((count - 1) * batch, count * batch))


def test_order_changes_with_epoch_and_seed() -> None:
    epochs = {tuple(Sampler(20, 20, seed).draws(i).samples) for seed in (0, 1) for i in (0, 1)}
    assert len(epochs) == 4


def test_as_many_of_each_class() -> None:
    classes = np.repeat([0, 1, 3], [70, 25, 5])
    order = Sampler(100, 100, 0, classes)
    for epoch in range(3):
        drawn = order.draws(epoch).samples
        assert sorted(np.bincount(classes[drawn]).tolist()) == [0, 33, 33, 34]
        frequent, rare = (np.bincount(drawn, minlength=100)[classes == c] for c in (0, 3))
        assert frequent.max() == 1
        assert set(rare) <= {6, 7}
    assert (order.draws(0).samples != order.draws(1).samples).any()
    assert (Sampler(100, 100, 0, classes).draws(2).samples == drawn).all()


def test_random_numbers_of_a_sample() -> None:
    whole = Rolls(3, np.arange(20_000))
    numbers = whole.uniform("a")
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts, _ = np.histogram(numbers, 20)
    assert (abs(counts - 1000) < 150).all()  # five standard deviations
    others = [Rolls(4, whole.places).uniform("a"), whole.uniform("b"), np.roll(numbers, 1)]
    for other in others:
        assert abs(np.corrcoef(numbers, other)[0, 1]) < 0.04
    assert (whole[7:9].uniform("a") == numbers[7:9]).all()
    assert set(whole.below("c", 3)) == {0, 1, 2}
    between = whole.between("d", -2, 4)
    assert between.min() > -2
    assert between.max() < 4
    assert abs(between.mean() - 1) < 0.1
    first, second = (g.random() for g in whole[5:7])
    assert first != second
    assert whole.generator(6).random() == second
