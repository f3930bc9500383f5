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


def drawn(layer: nn.Module, draw: Any) -> Any:
    """The layer, of which `draw_own` fills the weight so."""
    layer.__dict__["draw"] = draw
    return layer


def draw_own(model: nn.Module) -> None:
    """Fill the weights of the layers that keep how theirs begin, and their biases with zeros."""
    for m in model.modules():
        draw = m.__dict__.get("draw")
        if draw is not None:
            draw(m.weight)
            if isinstance(m.bias, Tensor):
                nn.init.zeros_(m.bias)
