"""Other dimensions of a blob as channels, for ops that act on channels."""

from __future__ import annotations

from math import prod

from netspec.importers.caffe.blob_values import BlobValue, Dims, language_shape
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.importers.structure.graph import GraphValue


class Folded:
    """A blob reshaped so that its dimensions from `first` up to `end` are the channels of `value`.

    An op on channels then acts on those dimensions: a factor of each row, or of each element. An
    empty range is one channel that holds all elements.
    """

    def __init__(self, use: LayerTranslation, data: BlobValue, first: int, end: int) -> None:
        dims = data.dims
        self.use = use
        self.lead, self.count = prod(dims[:first]), prod(dims[first:end])
        self.rest = prod(dims[end:])
        if self.lead == 1:
            self.value = use.reshaped(data.value, (self.count, self.rest, 1))
        else:
            apart = use.reshaped(data.value, (self.lead, self.count, self.rest))
            self.value = use.permuted(apart, [1, 0, 2])

    def unfolded(self, value: GraphValue, channels: Dims, dims: Dims) -> GraphValue:
        """`value` reshaped to `dims`, which have `channels` in place of the folded dimensions."""
        if self.lead != 1:
            apart = (prod(channels), self.lead, self.rest)
            value = self.use.permuted(self.use.reshaped(value, apart), [1, 0, 2])
        return self.use.reshaped(value, language_shape(dims), step=False)
