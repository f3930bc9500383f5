"""Scaling pictures to another size, for the `preprocess` of emitted models."""

from __future__ import annotations

import numpy as np

from netspec_numpy.kernels.arrays import Array


def resize(image: Array, height: int, width: int) -> Array:
    """Scale a picture (H, W, C) bilinearly, with antialiasing where it shrinks."""
    dtype = np.result_type(image, np.float32)
    for size in (height, width):
        centers, reach = (np.arange(size) + 0.5) * len(image) / size, max(len(image) / size, 1)
        rows = np.floor(centers - reach).astype(int) + np.arange(int(2 * reach) + 2)[:, None]
        shares = np.maximum(1 - np.abs(rows + 0.5 - centers) / reach, 0)
        shares *= (rows >= 0) & (rows < len(image))
        shares = (shares / shares.sum(axis=0)).astype(dtype)[..., None, None]
        rows = rows.clip(0, len(image) - 1)
        parts = (share * image[row] for row, share in zip(rows, shares, strict=True))
        image = sum(parts, np.zeros((), dtype)).swapaxes(0, 1)
    return image
