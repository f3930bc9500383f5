"""Pictures to inputs of a net, many at once, with the changes that training makes.

Without these it computes what the emitted model's `preprocess` does.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from netspec.ir import Net, Preprocessing, Training
from netspec.runtime.placement import GridAxis, resized_to
from netspec.training import augment
from netspec.training.sampler import Array, Rolls


class View(NamedTuple):
    """How a picture lies in an input: where its places are there, and what is seen of it.

    `seen` is the top, left, bottom and right of the input beyond which there are zeros.
    """

    y: GridAxis
    x: GridAxis
    seen: tuple[int, int, int, int]


class Preparation:
    """Preprocessing and random changes for a net's input.

    Raw pictures are tensors of shape (N, C, H, W), RGB or grey, values 0 to 255.
    """

    def __init__(self, net: Net, training: Training, keep: Path | None = None) -> None:
        """`keep` is a folder for decoded pictures."""
        self.keep = keep
        shape = tuple(int(d) for d in net.body.inputs[0].shape)
        self.shape = shape
        gray = shape[0] == 1
        stated = net.preprocessing[0] if net.preprocessing else None
        self.how = stated or Preprocessing(channels="gray" if gray else "rgb")
        self.training = training

    def pictures(self, x: Tensor, rolls: Rolls | None) -> Tensor:
        """Inputs of raw pictures of one size; with random numbers, changed."""
        sizes = np.tile(np.array(x.shape[2:]), (len(x), 1))
        if rolls is not None and self.training.resized_crop is not None:
            return self.finished(
                augment.cut(x.to(torch.float32), self.boxes(sizes, rolls), self.shape[1:]), rolls
            )
        size = self.size(x.shape[2], x.shape[3])
        if size != tuple(x.shape[2:]):
            x = F.interpolate(x.to(torch.float32), size, mode="bilinear", antialias=True)
        if size != self.shape[1:]:
            top, left = self._corners(np.tile(np.array(size), (len(x), 1)), rolls).T
            x = augment.windows(x, top, left, self.shape[1:])
        return self.finished(x, rolls)

    def boxes(self, sizes: Array, rolls: Rolls | None) -> Array:
        """What of pictures of these sizes (N, 2) becomes the input: top, left, bottom, right."""
        training = self.training
        if rolls is not None and training.resized_crop is not None:
            return augment.boxes(
                sizes, training.resized_crop, training.crop_ratio, rolls, "resized crop"
            )
        resized = np.array([self.size(int(h), int(w)) for h, w in sizes]).reshape(-1, 2)
        first = self._corners(resized, rolls)
        last = first + np.array(self.shape[1:])
        scale = np.tile(sizes / resized, 2)
        found: Array = np.concatenate([first, last], 1) * scale
        return found

    def view(self, picture: tuple[int, int], rolls: Rolls | None) -> View:
        """How a picture of this height and width lies in its input.

        `rolls` are those of one sample. Turned ones have no answer.
        """
        top, left, bottom, right = self.boxes(np.array([picture]), rolls)[0].tolist()
        (height, width), training = self.shape[1:], self.training
        down, across = height / (bottom - top), width / (right - left)
        y, x = GridAxis(down, -top * down), GridAxis(across, -left * across)
        seen = [0, 0, height, width]
        if rolls is not None:
            if training.mirror and augment.flips(rolls)[0]:
                x = x.then(GridAxis(-1.0, width))
            if training.shift:
                first = augment.shifts(training.shift, rolls)
                by = [training.shift - int(side[0]) for side in first]
                y, x = y.then(GridAxis(1.0, by[0])), x.then(GridAxis(1.0, by[1]))
                seen = [
                    min(max(edge + by[i % 2], 0), self.shape[1 + i % 2])
                    for i, edge in enumerate(seen)
                ]
        return View(y, x, (seen[0], seen[1], seen[2], seen[3]))

    def _corners(self, sizes: Array, rolls: Rolls | None) -> Array:
        """Where the input begins in resized pictures: top, left."""
        spare: Array = sizes - np.array(self.shape[1:])
        if rolls is None or not self.training.random_crop:
            middle: Array = spare // 2
            return middle
        top, left = (
            rolls.below(f"crop {s}", spare[:, i] + 1) for i, s in enumerate(("top", "left"))
        )
        return np.stack([top, left], 1)

    def finished(self, x: Tensor, rolls: Rolls | None, mirror: bool = True) -> Tensor:
        """Inputs of raw pictures that have their size; with `mirror`, they are still to be."""
        if rolls is not None:
            if mirror and self.training.mirror:  # of bytes, it is faster than later
                x = augment.mirrored(x, rolls)
            if self.training.randaugment is not None:
                x = augment.randaugment(x.to(torch.float32), *self.training.randaugment, rolls)
            x = augment.jitter(x, self.training, rolls)
        return self._changed(self.normalized(x), rolls)

    def normalized(self, x: Tensor) -> Tensor:
        """Channels in the net's order, scaled, without the mean, divided by the deviation."""
        if self.how.channels == "bgr":
            x = x.flip(1)
        mean, std = (
            np.array(numbers, np.float32).reshape(-1, 1, 1)
            for numbers in (self.how.mean, self.how.std)
        )
        found = torch.empty(x.shape, dtype=torch.float32, device=x.device)
        if x.is_cuda:
            found.copy_(x).mul_(self.how.scale)
            return found.sub_(to_device(torch.from_numpy(mean), x.device)).div_(
                to_device(torch.from_numpy(std), x.device)
            )
        # One at a time stays in the cache, and needs no thread to wait for another.
        for picture, made in zip(x.numpy(), found.numpy(), strict=True):
            made[...] = picture
            if self.how.scale != 1:
                made *= self.how.scale
            if mean.any():
                made -= mean
            if (std != 1).any():
                made /= std
        return found

    def inputs(self, x: Tensor, rolls: Rolls | None) -> Tensor:
        """Inputs; with random numbers, those changes made that need not be of a picture."""
        if rolls is not None and x.ndim == 4 and self.training.mirror:
            x = augment.mirrored(x, rolls)
        return self._changed(x, rolls)

    def _changed(self, x: Tensor, rolls: Rolls | None) -> Tensor:
        training = self.training
        if rolls is not None and x.ndim == 4:
            if training.shift:
                x = augment.shifted(x, training.shift, rolls)
            if training.rotate:
                x = augment.rotated(x, training.rotate, rolls)
            if training.erase:
                x = augment.erased(x, training.erase, rolls)
        return x.contiguous()

    # --- how pictures are read -------------------------------------------------------------------

    @property
    def keeps_whole(self) -> bool:
        """Whether kept pictures have what the files have, if smaller; else they are resized."""
        return self.training.resized_crop is not None

    @property
    def kept_as(self) -> Any:
        """What kept pictures depend on."""
        return [self.shape, None if self.keeps_whole else [self.how.resize]]

    def reduction(self, height: int, width: int) -> int:
        """What the sides of a picture may be divided by while it is decoded: 1, 2, 4 or 8.

        It stays twice as large as what becomes of it, so that one hardly sees a difference.
        Raises ValueError as `size` does.
        """
        if self.keeps_whole:
            rows = columns = max(self.shape[1:])
            height = width = min(height, width)
        else:
            rows, columns = self.size(height, width)
        fitting = (k for k in (8, 4, 2) if height // k >= 2 * rows and width // k >= 2 * columns)
        return next(fitting, 1)

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that a picture is resized to.

        Raises ValueError for a long and narrow one, which would become too large.
        """
        return resized_to((height, width), self.how.resize, (self.shape[1], self.shape[2]))


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """A tensor on a device; to CUDA it goes by memory that need not be copied on the way."""
    if x.device == device or device.type != "cuda":
        return x.to(device)
    return x.pin_memory().to(device, non_blocking=True)
