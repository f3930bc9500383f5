"""Where the tensors of a net lie in a caffemodel."""

from __future__ import annotations

from typing import Literal

from netspec.lazy_dataclasses import dataclass


@dataclass(frozen=True)
class WeightBlob:
    """Blob number `index` of a layer, and how its numbers become those of the tensor.

    `as_is` and `transposed` are plain; a `statistic` (mean, variance) is divided by the first
    number of blob `factor`. `copies` are further layers that have the same blob, as they share it.
    """

    layer: str
    type: str
    index: int
    how: Literal["as_is", "transposed", "statistic"] = "as_is"
    factor: int | None = None
    copies: tuple[str, ...] = ()
