"""The learning rate of each iteration."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, cos, exp, inf, pi
from typing import Any

from netspec.ir import Training

RISE, START = 0.3, 1 / 25
"""Of one_cycle: the share of the iterations in which the rate rises, and where it starts."""


def iterations(training: Training, samples: int) -> int:
    """The number of steps of the optimizer in a whole run."""
    if training.iterations is not None:
        return training.iterations
    assert training.epochs is not None, "a checked recipe has iterations or epochs"
    return max(1, ceil(training.epochs * samples / training.batch_size))


def rate(training: Training, iteration: int, total: int, falls: int = 0) -> float:
    """The rate of an iteration, counted from 0, of `total`; of plateau, after so many falls.

    Most are Caffe's (caffe.proto, `lr_policy`), poly with the rate of the end added; cosine is
    that of Loshchilov and Hutter 2017 (arXiv:1608.03983, equation 5) without restarts, one_cycle
    that of Smith and Topin 2018 (arXiv:1708.07120) in PyTorch's form, two halves of a cosine.
    Poly and cosine fall over what the warm-up leaves, the others count from the beginning; the
    warm-up reaches the base rate in its last step.
    """
    base, final = training.learning_rate, training.final_rate
    if training.schedule == "one_cycle":
        top = (training.warmup or RISE * total) - 1
        if iteration <= top:
            return _half_cosine(base * START, base, iteration / top if top > 0 else 1.0)
        return _half_cosine(base, final, (iteration - top) / (total - 1 - top))
    if iteration < training.warmup:
        return base * (iteration + 1) / training.warmup
    if training.schedule == "step":
        if len(training.steps) == 1:
            falls = iteration // training.steps[0]
        else:
            falls = sum(step <= iteration for step in training.steps)
        return base * float(training.gamma**falls)
    if training.schedule == "inv":
        return base * float((1 + training.gamma * iteration) ** -training.power)
    if training.schedule == "exp":
        return base * float(training.gamma**iteration)
    if training.schedule == "sigmoid":
        # Beyond that the rate is 0 in every precision.
        exponent = min(-training.gamma * (iteration - training.steps[0]), 700.0)
        return base / (1 + exp(exponent))
    if training.schedule == "plateau":
        return max(base * float(training.gamma**falls), min(final, base))
    done = (iteration - training.warmup) / max(total - training.warmup, 1)
    if training.schedule == "poly":
        return final + (base - final) * float((1 - done) ** training.power)
    if training.schedule == "cosine":
        return _half_cosine(base, final, done)
    return base


def _half_cosine(start: float, end: float, done: float) -> float:
    return end + (start - end) * (1 + cos(pi * done)) / 2


class Plateau:
    """How often the rate of `schedule: plateau` has fallen: each time that more than `wait`
    evaluations in a row bring no held-out loss that is smaller by a ten-thousandth.

    As PyTorch's ReduceLROnPlateau counts.
    """

    def __init__(self, training: Training) -> None:
        self.wait = 10 if training.wait is None else training.wait
        self.falls = 0
        self.best = inf
        self.bad = 0

    def see(self, loss: float) -> None:
        """Count an evaluation."""
        if loss < self.best * (1 - 1e-4):
            self.best, self.bad = loss, 0
        else:
            self.bad += 1
        if self.bad > self.wait:
            self.falls, self.bad = self.falls + 1, 0

    def state(self) -> dict[str, Any]:
        return {"falls": self.falls, "best": self.best, "bad": self.bad}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.falls, self.best, self.bad = state["falls"], state["best"], state["bad"]
