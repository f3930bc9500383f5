"""The data that flows between Caffe's layers, as values of the graph."""

from __future__ import annotations

from collections.abc import Iterable

from netspec.diagnostics.source import Span
from netspec.importers.structure.graph import GraphValue
from netspec.lazy_dataclasses import dataclass

Dims = tuple[int, ...]
"""Caffe's dimensions of a blob, without the batch."""


@dataclass(frozen=True)
class BlobValue:
    """A blob with a value. `place` is where the prototxt names the blob.

    The value has the blob's dimensions behind the batch, in the rank that `language_shape` gives.
    """

    value: GraphValue
    dims: Dims
    batch: int | None
    place: Span


@dataclass(frozen=True)
class NoValue:
    """A blob without a value: a label, the output of a layer that failed, or boxes."""

    failed: bool
    place: Span
    boxes: bool = False
    """Whether it is what a detector makes of its scores, or compares them with."""


def language_shape(dims: Dims) -> Dims:
    """The shape of a blob's value: `a x b` is `a x b x 1`, rank 0 is a vector of 1."""
    if len(dims) == 2:
        return (*dims, 1)
    return dims or (1,)


def dims_text(dims: Iterable[int], empty: str = "1") -> str:
    """Dimensions as text, such as `3x224x224`; `empty` for none."""
    return "x".join(map(str, dims)) or empty
