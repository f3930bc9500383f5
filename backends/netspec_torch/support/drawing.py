"""Layers that keep how their weights begin."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


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
