"""What the rule of a layer type works with: one layer while it is translated."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from netspec.diagnostics import Diagnostic, Label
from netspec.diagnostics.source import Span
from netspec.importers.caffe.blob_values import BlobValue, Dims, dims_text, language_shape
from netspec.importers.caffe.caffe_net import CaffeLayer
from netspec.importers.caffe.layer_error import LayerError
from netspec.importers.caffe.message_fields import MessageFields
from netspec.importers.caffe.net_translation import NetTranslation
from netspec.importers.caffe.weight_blob import WeightBlob
from netspec.importers.structure.graph import ConstantValue, FieldValue, GraphValue, Node


class LayerTranslation:
    """A layer with the values of its bottoms; rules of `layers/` add its nodes with `emit`."""

    def __init__(
        self, net: NetTranslation, layer: CaffeLayer, bottoms: Sequence[BlobValue]
    ) -> None:
        self.net = net
        self.layer = layer
        self.bottoms = list(bottoms)
        self.in_place = [any(t.name == b.name for b in layer.bottoms) for t in layer.tops]

    @property
    def x(self) -> BlobValue:
        """The first bottom's value and dimensions."""
        return self.bottoms[0]

    def params(self, name: str) -> MessageFields:
        """The layer's own message, its fields checked."""
        fields = self.layer.params(name)
        fields.check()
        self.layer.fields.warn_of_lost()
        if self.layer.fields.kind == "LayerParameter":
            for spec in self.layer.fields.messages("param"):
                spec.warn_of_lost()
        return fields

    def emit(self, op: str, *args: Any, **settings: Any) -> GraphValue:
        """Add a node as `emit_node` does, and return its first value."""
        return self.emit_node(op, *args, **settings).value

    def emit_node(
        self,
        op: str,
        inputs: Sequence[GraphValue] | GraphValue | None = None,
        step: bool = False,
        blobs: dict[str, WeightBlob] | None = None,
        part: str = "",
        **settings: Any,
    ) -> Node:
        """Add a node and return it. It takes `inputs`, else the first bottom.

        `settings` are values, or pairs of value and place; those that are None are left out.
        `step` is for a node that is only a step towards the layer's value, `part` the name of one
        that would be a layer of its own elsewhere. Raises LayerError where the shapes do not fit.
        """
        values = [self.x.value] if inputs is None else inputs
        if isinstance(values, GraphValue):
            values = [values]
        places = {
            id(d.value): r.span for d, r in zip(self.bottoms, self.layer.bottoms, strict=False)
        }
        node = Node(
            op,
            list(values),
            {n: self._setting(v) for n, v in settings.items() if v is not None},
            f"{self.layer.name}/{part}" if part else self.layer.name,
            self.layer.type_span,
            [places.get(id(v), self.layer.type_span) for v in values],
            in_place=bool(self.in_place and self.in_place[0]),
            is_step=step,
            origins=dict(blobs or {}),
        )
        return self.net.add(node)

    def _setting(self, value: Any) -> FieldValue:
        span = self.layer.type_span
        if isinstance(value, FieldValue):
            return value
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Span):
            value, span = value
        return FieldValue(constant(value), span)

    def blob(self, index: int, how: Any = "as_is", factor: int | None = None) -> WeightBlob:
        """Where the layer's weight number `index` lies in a caffemodel."""
        return WeightBlob(self.layer.name, self.layer.type, index, how, factor)

    def data(self, value: GraphValue, dims: Dims) -> BlobValue:
        """A top of this layer, with the batch of the first bottom."""
        return BlobValue(value, dims, self.x.batch if self.bottoms else None, self.layer.place)

    def same(self, value: GraphValue) -> list[BlobValue]:
        """The only top, with the dimensions of the first bottom."""
        return [self.data(value, self.x.dims)]

    def spatial(self) -> tuple[int, int, int]:
        """The first bottom's channels, height and width. Raises LayerError for another rank."""
        if len(self.x.dims) != 3:
            raise LayerError.invalid(
                "wrong-rank",
                f"{self.layer.type} needs channels x height x width, but "
                f"{self.layer.bottoms[0].name} is {dims_text(self.x.dims)}",
                self.layer.bottoms[0].span,
            )
        return self.x.dims[0], self.x.dims[1], self.x.dims[2]

    def require_size(self, kernel: Sequence[int], pads: Sequence[int]) -> None:
        """Raise LayerError where a window exceeds the padded input in a file without sizes.

        `pads` are those of the top, the bottom, the left and the right. Programs that state the
        size of pictures when they run have files that say 1x1.
        """
        added = pads[0] + pads[1], pads[2] + pads[3]
        size = zip(kernel, added, self.x.dims[1:], strict=True)
        given = self.net.without_size()
        if given is None or all(k <= n + p for k, p, n in size):
            return
        shape = dims_text(given.value.shape)
        raise LayerError.invalid(
            "missing-shape",
            f"the file says that the input {given.name} is {shape}, which {self.layer.name} can't "
            "take",
            given.span,
            f"say its size with `--input`, for example `--input {given.value.shape[0]}x368x368`",
            others=(Label(self.layer.type_span, f"its window is {kernel[0]}x{kernel[1]}"),),
        )

    def axis(self, number: int, span: Span, least: int = 1) -> int:
        """An axis of the first bottom, negative ones counted from the end.

        Raises LayerError for one that does not exist, or is less than `least` (0 is the batch).
        """
        rank = len(self.x.dims) + 1
        axis = number + rank if number < 0 else number
        if not 0 <= axis < rank:
            raise LayerError.invalid(
                "out-of-range", f"{self.layer.bottoms[0].name} has no axis {number}", span
            )
        if axis < least:
            raise LayerError.unsupported(
                f"{self.layer.type} along axis {axis} mixes the inputs of a batch", span
            )
        return axis

    def value_of(self, data: BlobValue, dims: Dims) -> GraphValue:
        """A blob's value reshaped to `dims`, which hold as many elements."""
        shape = language_shape(dims)
        if tuple(data.value.shape) == shape:
            return data.value
        return self.reshaped(data.value, shape)

    def reshaped(self, value: GraphValue, shape: Dims, step: bool = True) -> GraphValue:
        """A value in another shape of the language; itself where it has that shape."""
        if tuple(value.shape) == shape:
            return value
        if len(shape) == 1:
            return self.emit("flatten", value, step=step)
        return self.emit("reshape", value, step=step, shape=tuple(Fraction(d) for d in shape))

    def permuted(self, value: GraphValue, order: Sequence[int], step: bool = True) -> GraphValue:
        """A value with its three dimensions in another order; itself for the order they have."""
        if list(order) == [0, 1, 2]:
            return value
        return self.emit("permute", value, step=step, order=tuple(Fraction(i) for i in order))

    def warn(self, code: str, message: str) -> None:
        """Report a warning at the layer's type."""
        self.net.diagnostics.add(Diagnostic(code, message, self.layer.type_span))


def constant(value: Any) -> ConstantValue:
    """A Python value as a constant of the language."""
    if isinstance(value, bool | str | Fraction):
        return value
    if isinstance(value, tuple | list):
        return tuple(Fraction(v) for v in value)
    return Fraction(value)
