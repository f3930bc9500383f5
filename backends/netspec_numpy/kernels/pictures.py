"""From a picture to an input."""

from __future__ import annotations

import numpy as np

from netspec_numpy.kernels.arrays import Array


def resize(image: Array, height: int, width: int) -> Array:
    """Scale a picture (H, W, C) bilinearly, with antialiasing where it shrinks."""
    kind = np.result_type(image, np.float32)
    rows = triangle_weights(image.shape[0], height).astype(kind)
    columns = triangle_weights(image.shape[1], width).astype(kind)
    result: Array = columns @ np.tensordot(rows, image, axes=1)
    return result


def triangle_weights(size: int, wanted: int) -> Array:
    """How much each of `size` pixels has of each of `wanted` ones: (wanted, size)."""
    scale = size / wanted
    support = max(scale, 1.0)
    centers = (np.arange(wanted)[:, None] + 0.5) * scale
    distance = np.abs(np.arange(size) + 0.5 - centers) / support
    weights: Array = np.maximum(1 - distance, 0)
    weights /= weights.sum(axis=1, keepdims=True)
    return weights


def resize_shorter(image: Array, size: int) -> Array:
    """Scale a picture (H, W, C) so that its shorter side has `size` pixels."""
    shorter = min(image.shape[:2])
    height, width = (round(n * size / shorter) for n in image.shape[:2])
    return resize(image, height, width)


def center_crop(image: Array, height: int, width: int) -> Array:
    """Cut the centre out of a picture (H, W, C)."""
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    if top < 0 or left < 0:
        size = f"{image.shape[0]}x{image.shape[1]}"
        raise ValueError(f"no {height}x{width} can be cut out of a picture of {size}")
    return image[top : top + height, left : left + width]
