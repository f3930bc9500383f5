"""Which parameters are trained, at which rates, and the optimizer that does it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import torch
from torch import nn

from netspec.diagnostics import spec_error
from netspec.ir import Net, Training
from netspec.training.retraining import plain_name


def optimizer(
    model: nn.Module,
    net: Net,
    frozen: Collection[str] = (),
    factors: Mapping[str, float] = {},
) -> torch.optim.Optimizer:
    """The optimizer of a net's recipe for a model's parameters, which takes no frozen ones.

    `frozen` are paths of layers that the spec does not freeze, `factors` of the rate of layers
    come on top of the spec's.

    Each group of parameters has its factor of the rate as `lr_mult`, and that of an L1 penalty as
    `l1`, for which PyTorch's optimizers have no argument. Raises SpecError where nothing is left to
    train.
    """
    training = net.training
    assert training is not None, "a net that is trained has a recipe"
    rate, decay = training.learning_rate, training.weight_decay
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        path = plain_name(name).rpartition(".")[0]
        factor, share = net.multipliers.get(plain_name(name), (1.0, 1.0))
        factor *= factors.get(path, 1.0)
        parameter.requires_grad_(parameter.requires_grad and factor > 0 and path not in frozen)
        if parameter.requires_grad:
            groups.setdefault((factor, share), []).append(parameter)
    if not groups:
        raise spec_error("bad-data", "there is nothing to train: all layers are frozen")
    l1 = training.regularization == "l1"
    given = [
        {
            "params": parameters,
            "lr_mult": factor,
            "lr": rate * factor,
            "weight_decay": 0.0 if l1 else decay * share,
            "l1": decay * share if l1 else 0.0,
        }
        for (factor, share), parameters in groups.items()
    ]
    usual = {"adagrad": 1e-10, "adadelta": 1e-6}.get(training.optimizer, 1e-8)
    epsilon = usual if training.epsilon is None else training.epsilon
    momentum = training.used_momentum
    if training.optimizer in ("sgd", "nesterov"):
        nesterov = training.optimizer == "nesterov" and momentum > 0
        return torch.optim.SGD(given, rate, momentum=momentum, nesterov=nesterov)
    if training.optimizer == "adagrad":
        return torch.optim.Adagrad(given, rate, eps=epsilon)
    if training.optimizer == "adadelta":
        rho = 0.9 if training.rho is None else training.rho
        return torch.optim.Adadelta(given, rate, rho=rho, eps=epsilon)
    if training.optimizer == "rmsprop":
        alpha = 0.99 if training.rho is None else training.rho
        return torch.optim.RMSprop(given, rate, alpha=alpha, eps=epsilon, momentum=momentum)
    made: Any = _ADAMS[training.optimizer]
    found: torch.optim.Optimizer = made(given, rate, betas=(momentum, training.beta2), eps=epsilon)
    return found


_ADAMS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "adamax": torch.optim.Adamax,
}


def changes_gradients(training: Training) -> bool:
    """Whether gradients are other ones than the loss's when a step is made."""
    limits = training.clip_norm, training.clip_value
    return limits != (None, None) or training.regularization == "l1"


def change_gradients(optimizer: torch.optim.Optimizer, training: Training) -> None:
    """Clip the gradients of a step, then add those of an L1 penalty."""
    groups = optimizer.param_groups
    parameters = [p for group in groups for p in group["params"]]
    if training.clip_value is not None:
        nn.utils.clip_grad_value_(parameters, training.clip_value)
    if training.clip_norm is not None:
        nn.utils.clip_grad_norm_(parameters, training.clip_norm)
    if training.regularization == "l1":
        add_l1_gradients(optimizer)


def add_l1_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Add the gradient of the L1 penalty, which is the sign of each weight times its factor."""
    with torch.no_grad():
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.add_(parameter.sign(), alpha=group["l1"])
