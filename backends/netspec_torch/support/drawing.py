"""How weights begin: filters that interpolate, layers that keep how theirs begin."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn


def bilinear_(weight: Tensor) -> Tensor:
    """Fill each filter with the weights of a bilinear interpolation."""
    sides = []
    for size in weight.shape[-2:]:
        half = (size + 1) // 2
        middle = (2 * half - 1 - half % 2) / (2 * half)
        sides.append(1 - (torch.arange(size, device=weight.device) / half - middle).abs())
    with torch.no_grad():
        return weight.copy_(torch.outer(*sides).expand_as(weight))


def drawn(layer: nn.Module, weight: Any = None, bias: Any = None) -> Any:
    """The layer, of which `draw_own` fills weight and bias so."""
    layer.__dict__["draw"] = weight, bias
    return layer


def draw_own(model: nn.Module) -> None:
    """Fill the tensors of the layers that keep how theirs begin; other biases of theirs are 0."""
    for m in model.modules():
        weight, bias = m.__dict__.get("draw", (None, None))
        if weight is not None:
            weight(m.weight)
        shift = getattr(m, "bias", None)
        if (weight or bias) and isinstance(shift, Tensor):
            (bias or nn.init.zeros_)(shift)
