"""The learning rate of each iteration."""

from __future__ import annotations

from math import ceil, cos, exp, pi

from netspec.ir import Training


def iterations(training: Training, samples: int) -> int:
    """The number of steps of the optimizer in a whole run."""
    if training.iterations is not None:
        return training.iterations
    assert training.epochs is not None, "a checked recipe has iterations or epochs"
    return max(1, ceil(training.epochs * samples / training.batch_size))


def rate(training: Training, iteration: int, total: int) -> float:
    """The rate of an iteration, counted from 0, of `total`.

    All but cosine are Caffe's (caffe.proto, `lr_policy`), poly with the rate of the end added;
    cosine is that of Loshchilov and Hutter 2017 (arXiv:1608.03983, equation 5) without restarts.
    Poly and cosine fall over what the warm-up leaves, the others count from the beginning; the
    warm-up reaches the base rate in its last step.
    """
    base, final = training.learning_rate, training.final_rate
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
    done = (iteration - training.warmup) / max(total - training.warmup, 1)
    if training.schedule == "poly":
        return final + (base - final) * float((1 - done) ** training.power)
    if training.schedule == "cosine":
        return final + (base - final) * (1 + cos(pi * done)) / 2
    return base
