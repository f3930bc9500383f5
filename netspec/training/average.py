"""The mean of a model's weights over the iterations, which is evaluated and kept in their place."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn


class Average:
    """An exponential moving average of all that a model learns and keeps, statistics included.

    Behind the t-th update from 1 the share of the past is min(decay, (1 + t) / (10 + t)), as
    TensorFlow's ExponentialMovingAverage has it, so that the first weights are soon forgotten.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = deepcopy(model).requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take the weights of a model in."""
        self.updates += 1
        share = min(self.decay, (1 + self.updates) / (10 + self.updates))
        means: list[Tensor] = []
        values: list[Tensor] = []
        now = model.state_dict()
        for name, mean in self.model.state_dict().items():
            if mean.is_floating_point():
                means.append(mean)
                values.append(now[name])
            else:
                mean.copy_(now[name])
        torch._foreach_lerp_(means, values, 1 - share)

    def state(self) -> dict[str, Any]:
        return {"updates": self.updates, "model": self.model.state_dict()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.updates = state["updates"]
        self.model.load_state_dict(state["model"])
