"""From a picture to an input."""

from __future__ import annotations

import numpy as np

from netspec_numpy.kernels.arrays import Array


def resize(image: Array, height: int, width: int) -> Array:
    """Scale a picture (H, W, C) bilinearly, with antialiasing where it shrinks."""
    kind = np.result_type(image, np.float32)
    for size in (height, width):
        scale = len(image) / size
        centers = (np.arange(size)[:, None] + 0.5) * scale
        distance = np.abs(np.arange(len(image)) + 0.5 - centers) / max(scale, 1.0)
        shares = np.maximum(1 - distance, 0)
        shares /= shares.sum(axis=1, keepdims=True)
        image = np.tensordot(shares.astype(kind), image, axes=1).swapaxes(0, 1)
    return image


def center_crop(image: Array, height: int, width: int) -> Array:
    """Cut the centre out of a picture (H, W, C)."""
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    if top < 0 or left < 0:
        size = f"{image.shape[0]}x{image.shape[1]}"
        raise ValueError(f"no {height}x{width} can be cut out of a picture of {size}")
    return image[top : top + height, left : left + width]
