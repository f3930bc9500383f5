"""Filters that interpolate, as Caffe's filler has them."""

from __future__ import annotations

import torch
from torch import Tensor


def bilinear_(weight: Tensor) -> Tensor:
    """Fill each filter with the weights of a bilinear interpolation."""
    sides = []
    for size in weight.shape[-2:]:
        half = (size + 1) // 2
        middle = (2 * half - 1 - half % 2) / (2 * half)
        sides.append(1 - (torch.arange(size, device=weight.device) / half - middle).abs())
    with torch.no_grad():
        return weight.copy_(torch.outer(*sides).expand_as(weight))
