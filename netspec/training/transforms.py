"""Pictures to inputs of a net, many at once, with the changes that training makes.

Without these it computes what the emitted model's `preprocess` does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.codegen.preprocess import MOST_ELONGATED
from netspec.ir import Net, Preprocessing, Training


class Preparation:
    """Preprocessing and random changes for a net's input.

    Raw pictures are tensors of shape (N, C, H, W), RGB or grey, values 0 to 255.
    """

    def __init__(self, net: Net, training: Training) -> None:
        shape = tuple(int(d) for d in net.body.inputs[0].shape)
        self.shape = shape
        gray = shape[0] == 1
        stated = net.preprocessing[0] if net.preprocessing else None
        self.how = stated or Preprocessing(channels="gray" if gray else "rgb")
        self.training = training

    def pictures(self, x: Tensor, rngs: Sequence[np.random.Generator] | None) -> Tensor:
        """Inputs of raw pictures of one size; with a generator for each, changed at random."""
        x = x.to(torch.float32)
        height, width = self.shape[1:]
        size = self.size(x.shape[2], x.shape[3])
        if size != tuple(x.shape[2:]):
            x = F.interpolate(x, size, mode="bilinear", antialias=True)
        spare = size[0] - height, size[1] - width
        if rngs is not None and self.training.random_crop and spare != (0, 0):
            cut = []
            for picture, rng in zip(x, rngs, strict=True):
                top, left = int(rng.integers(spare[0] + 1)), int(rng.integers(spare[1] + 1))
                cut.append(picture[:, top : top + height, left : left + width])
            x = torch.stack(cut)
        else:
            top, left = spare[0] // 2, spare[1] // 2
            x = x[:, :, top : top + height, left : left + width]
        if self.how.channels == "bgr":
            x = x.flip(1)
        x = x * self.how.scale
        x = x - torch.tensor(self.how.mean, dtype=torch.float32).view(-1, 1, 1)
        x = x / torch.tensor(self.how.std, dtype=torch.float32).view(-1, 1, 1)
        return self.inputs(x, rngs)

    def inputs(self, x: Tensor, rngs: Sequence[np.random.Generator] | None) -> Tensor:
        """Inputs, with a generator for each mirrored and shifted at random."""
        if rngs is None or x.ndim != 4 or not (self.training.mirror or self.training.shift):
            return x.contiguous()
        changed = []
        for picture, rng in zip(x, rngs, strict=True):
            if self.training.mirror and rng.random() < 0.5:
                picture = picture.flip(2)
            if self.training.shift:
                by = self.training.shift
                top, left = (int(d) for d in rng.integers(2 * by + 1, size=2))
                padded = F.pad(picture, (by, by, by, by))
                height, width = picture.shape[1:]
                picture = padded[:, top : top + height, left : left + width]
            changed.append(picture)
        return torch.stack(changed)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that a picture is resized to.

        Raises ValueError for a long and narrow one, which would become too large.
        """
        resize = self.how.resize
        if resize is None:
            return self.shape[1], self.shape[2]
        if isinstance(resize, tuple):
            return resize
        shorter = min(height, width)
        if max(height, width) > MOST_ELONGATED * shorter:
            raise ValueError(f"a side is more than {MOST_ELONGATED} times as long as the other")
        return round(height * resize / shorter), round(width * resize / shorter)
