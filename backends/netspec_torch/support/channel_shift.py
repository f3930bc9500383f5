"""A shift for each channel, as Caffe's Bias layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class ChannelShift(nn.Module):
    """A learned number per channel, added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.bias)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bias.view(-1, *(1 for _ in x.shape[2:]))
