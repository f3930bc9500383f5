"""Layers to nodes, one after the other, with the shapes of all blobs.

Blobs are Caffe's: in-place layers give a name a new value. A layer whose shape fails is kept, so
that checking the spec says what is wrong with it; what depends on it is left out without a word.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import prod
from typing import Any

from netspec.diagnostics import Diagnostic, Diagnostics, Label
from netspec.diagnostics.source import Span
from netspec.diagnostics.suggest import did_you_mean
from netspec.importers.caffe.graph import (
    Blob,
    Constant,
    DataInput,
    FieldValue,
    Graph,
    GraphValue,
    Node,
)
from netspec.importers.caffe.messages import MessageFields
from netspec.importers.caffe.proto import (
    CaffeLayer,
    CaffeNet,
    InputDeclaration,
    Reading,
    Reference,
)
from netspec.ops import IndexShape, ShapeError
from netspec.ops.attribute_types import AttributeTypeError
from netspec.ops.base import MAX_ELEMENTS

Dims = tuple[int, ...]


@dataclass(frozen=True)
class BlobValue:
    """A blob: its value, and Caffe's dimensions of it behind the batch.

    A value of rank 2 is kept as `a x b x 1`, one of rank 0 as a vector of 1. `place` is where it
    came from.
    """

    value: GraphValue
    dims: Dims
    batch: int | None
    place: Span


@dataclass(frozen=True)
class Nothing:
    """A blob without a value: of a label, or (`failed`) of a layer that can't be read."""

    failed: bool
    place: Span


class UnsupportedLayer(Exception):
    """A layer that can't be expressed: why, and where."""

    def __init__(self, reason: str, span: Span | None = None, help: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.span = span
        self.help = help


class Failed(Exception):
    """A layer that can't be made for its shapes; checking the spec will say why."""


class Wrong(Exception):
    """A layer that Caffe would refuse."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


@dataclass
class Translation:
    """The graph, and what was left out or remains."""

    graph: Graph
    failed: bool = False
    dropped: list[CaffeLayer] = field(default_factory=list)
    unsupported: list[tuple[CaffeLayer, Diagnostic]] = field(default_factory=list)
    means: list[str] = field(default_factory=list)
    """Files of means that Caffe would subtract from the input."""
    count: int = 0
    ends: tuple[str, ...] = ()
    """The blobs that no layer takes which can be expressed."""


def language_shape(dims: Dims) -> Dims:
    """The shape that a value has in the language."""
    if len(dims) == 2:
        return (*dims, 1)
    return dims or (1,)


class Translator:
    """State of one translation: the blobs in sight, the nodes so far."""

    def __init__(self, net: CaffeNet, reading: Reading, diagnostics: Diagnostics) -> None:
        self.net = net
        self.reading = reading
        self.diagnostics = diagnostics
        self.blobs: dict[str, BlobValue | Nothing] = {}
        self.nodes: list[Node] = []
        self.inputs: list[DataInput] = []
        self.silenced: set[GraphValue] = set()
        self.tops: list[GraphValue] = []
        """First results of layers, those that may be the net's."""
        self.result = Translation(Graph([], [], []))
        self.indices: dict[GraphValue, Node] = {}
        self.shared: dict[str, CaffeLayer] = {}

    # --- inputs ----------------------------------------------------------------------------------

    def add_input(
        self, blob: Reference, dims: Dims, batch: int | None, settings: dict[str, FieldValue]
    ) -> BlobValue:
        """A data input. Raises Unsupported for a rank that the language does not have."""
        if not all(0 < d < 2**31 for d in dims) or len(dims) > 3:
            shape = "x".join(map(str, dims)) or "nothing"
            raise UnsupportedLayer(
                f"the input {blob.name} is {shape} behind its batch, which no value can be",
                blob.span,
            )
        value = GraphValue(None, language_shape(dims))
        self.inputs.append(DataInput(value, blob.name, blob.span, settings))
        return BlobValue(value, dims, batch, blob.span)

    def shape_from_outside(self, name: str) -> Dims | None:
        return self.reading.shapes.get(name) or self.reading.shapes.get("")

    # --- nodes -----------------------------------------------------------------------------------

    def add(self, node: Node) -> Node:
        """Add a node and compute its shapes. Raises Failed, and Wrong for one that is too large."""
        self.nodes.append(node)
        try:
            op = node.bound()
            shapes = op.outputs([v.shape for v in node.inputs])
        except (AttributeTypeError, ShapeError):
            self.result.failed = True
            node.outputs = [GraphValue(node, (1,))]
            raise Failed from None
        plain = [s if isinstance(s, IndexShape) else tuple(int(d) for d in s) for s in shapes]
        several = len(shapes) > 1
        node.outputs = [
            GraphValue(node, shape, result if several and i else "")
            for i, (shape, result) in enumerate(zip(plain, op.result_names, strict=True))
        ]
        if max(prod(s) for s in plain) > MAX_ELEMENTS:
            shape = "x".join(map(str, max(plain, key=prod)))
            message = f"{node.name or node.op} gives {shape}, which is more than netspec handles"
            raise Wrong(Diagnostic("too-large", message, node.span))
        return node


class LayerTranslation:
    """One layer while it is translated: what a rule of `layers/` works with."""

    def __init__(
        self, translator: Translator, layer: CaffeLayer, bottoms: Sequence[BlobValue]
    ) -> None:
        self.t = translator
        self.layer = layer
        self.bottoms = list(bottoms)
        self.in_place = [any(t.name == b.name for b in layer.bottoms) for t in layer.tops]

    @property
    def name(self) -> str:
        return self.layer.name

    @property
    def x(self) -> BlobValue:
        """The first bottom."""
        return self.bottoms[0]

    def params(self, name: str) -> MessageFields:
        """The layer's own message, its fields checked."""
        fields = self.layer.params(name)
        fields.check()
        return fields

    def emit(
        self,
        op: str,
        inputs: Sequence[GraphValue] | GraphValue | None = None,
        part: bool = False,
        blobs: dict[str, Blob] | None = None,
        **settings: Any,
    ) -> GraphValue:
        """Add a node; its first value. `settings` are values, or pairs of value and place.

        `part` is for a node that is only a step towards the layer's value. Settings that are None
        are left out. Raises Failed.
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
            self.layer.name,
            self.layer.type_span,
            [places.get(id(v), self.layer.type_span) for v in values],
            in_place=bool(self.in_place and self.in_place[0]),
            part=part,
            blobs=blobs or {},
        )
        return self.t.add(node).value

    def _setting(self, value: Any) -> FieldValue:
        span = self.layer.type_span
        if isinstance(value, FieldValue):
            return value
        if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], Span):
            value, span = value
        return FieldValue(constant(value), span)

    def blob(self, index: int, how: Any = "as_is", factor: int | None = None) -> Blob:
        """Where the layer's weights lie in a caffemodel."""
        return Blob(self.layer.name, self.layer.type, index, how, factor)

    def data(self, value: GraphValue, dims: Dims) -> BlobValue:
        """A blob of this layer."""
        return BlobValue(value, dims, self.x.batch if self.bottoms else None, self.layer.place)

    def same(self, value: GraphValue) -> list[BlobValue]:
        """The one top, of the dimensions of the first bottom."""
        return [self.data(value, self.x.dims)]

    def spatial(self, what: str = "") -> tuple[int, int, int]:
        """The first bottom's channels, height and width. Raises Wrong."""
        if len(self.x.dims) != 3:
            shape = "x".join(map(str, self.x.dims)) or "1"
            raise self.wrong(
                "wrong-rank",
                f"{self.layer.type} needs channels x height x width, but "
                f"{self.layer.bottoms[0].name} is {shape}",
                self.layer.bottoms[0].span,
            )
        return self.x.dims[0], self.x.dims[1], self.x.dims[2]

    def axis(self, number: int, span: Span, least: int = 1) -> int:
        """An axis, negative ones counted from the end. Raises Wrong, Unsupported for the batch."""
        rank = len(self.x.dims) + 1
        axis = number + rank if number < 0 else number
        if not 0 <= axis < rank:
            raise self.wrong(
                "out-of-range", f"{self.layer.bottoms[0].name} has no axis {number}", span
            )
        if axis < least:
            raise UnsupportedLayer(
                f"{self.layer.type} along axis {axis} mixes the inputs of a batch", span
            )
        return axis

    def value_of(self, data: BlobValue, dims: Dims) -> GraphValue:
        """A blob's value reshaped to `dims`, which hold as many elements."""
        shape = language_shape(dims)
        if tuple(data.value.shape) == shape:
            return data.value
        return self.reshaped(data.value, shape)

    def reshaped(self, value: GraphValue, shape: Dims, part: bool = True) -> GraphValue:
        if tuple(value.shape) == shape:
            return value
        if len(shape) == 1:
            return self.emit("flatten", value, part=part)
        return self.emit("reshape", value, part=part, shape=tuple(Fraction(d) for d in shape))

    def permuted(self, value: GraphValue, order: Sequence[int], part: bool = True) -> GraphValue:
        """The dimensions in another order; nothing where that is the one they have."""
        if list(order) == [0, 1, 2]:
            return value
        return self.emit("permute", value, part=part, order=tuple(Fraction(i) for i in order))

    def wrong(self, code: str, message: str, span: Span | None = None, *help: str) -> Wrong:
        """What Caffe would refuse as well."""
        return Wrong(Diagnostic(code, message, span or self.layer.type_span, help=help))


def constant(value: Any) -> Constant:
    """A Python value as a constant of the language."""
    if isinstance(value, bool | str | Fraction):
        return value
    if isinstance(value, tuple | list):
        return tuple(Fraction(v) for v in value)
    return Fraction(value)


# --- the whole net -------------------------------------------------------------------------------


def translate(net: CaffeNet, reading: Reading, diagnostics: Diagnostics) -> Translation:
    """The graph of a net. Layers that can't be expressed are reported one by one."""
    t = Translator(net, reading, diagnostics)
    for given in net.inputs:
        _old_input(t, given)
    for layer in net.layers:
        rule = _rules().get(layer.type)
        t.result.count += 1
        if rule is None and _only_measures(layer):
            _drop(t, layer)
            continue
        tops = _run(t, layer, rule)
        _assign(t, layer, tops)
    t.result.graph = Graph(t.inputs, t.nodes, _outputs(t))
    last = {value: name for name, data in t.blobs.items() if (value := _value(data)) is not None}
    t.result.ends = tuple(last[v] for v in t.result.graph.outputs if v in last)
    return t.result


def _old_input(t: Translator, given: InputDeclaration) -> None:
    name = given.blob.name
    dims = t.shape_from_outside(name)
    try:
        if dims is None:
            if given.dims is None:
                raise _shapeless(name, given.span)
            dims = given.dims[1:]
        batch = given.dims[0] if given.dims else None
        t.blobs[name] = t.add_input(given.blob, dims, batch, {})
    except UnsupportedLayer as error:
        t.diagnostics.add(Diagnostic("unsupported-layer", error.reason, error.span))
        t.blobs[name] = Nothing(True, given.span)
    except Wrong as error:
        t.diagnostics.add(error.diagnostic)
        t.blobs[name] = Nothing(True, given.span)


def _shapeless(name: str, span: Span) -> Wrong:
    return Wrong(
        Diagnostic(
            "missing-shape",
            f"the file does not say what shape the input {name} has",
            span,
            help=("say it with `--input`, for example `--input 3x224x224`",),
        )
    )


def _only_measures(layer: CaffeLayer) -> bool:
    """Losses and measures, which are no part of what the net computes, those of forks included."""
    return any(word in layer.type for word in ("Loss", "Accuracy")) or layer.type in (
        *("HDF5Output", "Silence", "DetectionEvaluate", "VideoOutput"),
    )


def _drop(t: Translator, layer: CaffeLayer) -> None:
    if layer.type == "Silence":
        for bottom in layer.bottoms:
            data = t.blobs.get(bottom.name)
            if isinstance(data, BlobValue):
                t.silenced.add(data.value)
    else:
        t.result.dropped.append(layer)
    for top in layer.tops:
        t.blobs[top.name] = Nothing(False, top.span)


def _run(t: Translator, layer: CaffeLayer, rule: Any) -> list[BlobValue | Nothing]:
    """The tops of a layer; Nothing for each where it fails, which is reported."""
    nothing: list[BlobValue | Nothing] = [Nothing(True, top.span) for top in layer.tops]
    bottoms = [_bottom(t, layer, reference) for reference in layer.bottoms]
    found = [b for b in bottoms if isinstance(b, BlobValue)]
    if rule is None:
        if not layer.bottoms and layer.tops and layer.type != "Parameter":
            rule = _rules()["Data"]  # a source of data of some fork, or written in Python
        else:
            t.result.unsupported.append((layer, _unknown(layer, list(_rules()))))
            return nothing
    if len(found) != len(bottoms):
        if any(b is None or (isinstance(b, Nothing) and b.failed) for b in bottoms):
            t.result.failed = True
            return nothing
        # What takes labels serves training.
        t.result.dropped.append(layer)
        return [Nothing(False, top.span) for top in layer.tops]
    before = len(t.nodes)
    try:
        use = LayerTranslation(t, layer, found)
        rule.check(use)
        _warn_of_sharing(t, layer)
        return list(rule.run(use))
    except UnsupportedLayer as error:
        del t.nodes[before:]
        title = f"layer {layer.name or '(without a name)'}: {error.reason}"
        help_ = (error.help,) if error.help else ()
        span = error.span or layer.type_span
        diagnostic = Diagnostic("unsupported-layer", title, span, help=help_)
        t.result.unsupported.append((layer, diagnostic))
    except Wrong as error:
        t.result.failed = True
        t.diagnostics.add(error.diagnostic)
    except Failed:
        t.result.failed = True
    return nothing


def _rules() -> Mapping[str, Any]:
    from netspec.importers.caffe.layers import RULES

    return RULES


def _unknown(layer: CaffeLayer, known: Sequence[str]) -> Diagnostic:
    name = f"layer {layer.name}: " if layer.name else ""
    reason = REASONS.get(layer.type, f"netspec has no counterpart of Caffe's {layer.type}")
    alike = did_you_mean(layer.type, known) if layer.type not in REASONS else ()
    return Diagnostic("unsupported-layer", f"{name}{reason}", layer.type_span, help=alike)


REASONS: dict[str, str] = {
    "Parameter": "netspec has no blobs that are learned by themselves (Parameter)",
    "Python": "a Python layer is a program of its own, which the file does not hold",
    "RNN": "netspec has no recurrent layers",
    "LSTM": "netspec has no recurrent layers",
    "LSTMUnit": "netspec has no recurrent layers",
    "PriorBox": "netspec ends in front of the boxes of detectors (PriorBox)",
    "DetectionOutput": "netspec ends in front of the boxes of detectors (DetectionOutput)",
    "Proposal": "netspec ends in front of the boxes of detectors (Proposal)",
    "ROIPooling": "netspec has no pooling over regions (ROIPooling)",
    "BatchReindex": "BatchReindex mixes the inputs of a batch",
    "Filter": "Filter drops inputs of a batch",
}


def _bottom(t: Translator, layer: CaffeLayer, reference: Reference) -> BlobValue | Nothing | None:
    found = t.blobs.get(reference.name)
    if found is None:
        found = _of_another_phase(t, reference.name)
    if found is None:
        message = f"there is no blob {reference.name} that {layer.name or layer.type} could take"
        help_ = did_you_mean(reference.name, t.blobs)
        others = tuple(
            Label(top.span, f"{layer.name} makes it, but only in another phase or stage")
            for layer in t.net.left_out
            for top in layer.tops
            if top.name == reference.name
        )[:1]
        t.diagnostics.add(
            Diagnostic("unknown-name", message, reference.span, others=others, help=help_)
        )
    return found


def _of_another_phase(t: Translator, name: str) -> BlobValue | Nothing | None:
    """What a source of data makes that belongs to another phase or stage: the input all the same.

    Files for training alone have no source for tests, and those of DIGITS none to be deployed with.
    """
    for layer in t.net.left_out:
        rule = _rules().get(layer.type)
        if rule is None or rule.most != 0 or all(top.name != name for top in layer.tops):
            continue
        for top, data in zip(layer.tops, _run(t, layer, rule), strict=False):
            t.blobs.setdefault(top.name, data)
        return t.blobs.get(name)
    return None


def _warn_of_sharing(t: Translator, layer: CaffeLayer) -> None:
    """Weights that several layers share in Caffe are several sets here."""
    if layer.fields.kind == "LayerParameter":
        names = [p.text("name") for p in layer.fields.messages("param")]
    else:
        names = [text for text, _ in layer.fields.texts("param")]
    for name in filter(None, names):
        first = t.shared.setdefault(name, layer)
        if first is not layer and first.type == layer.type:
            message = f"{layer.name} shares its weights with {first.name}; here each has its own"
            others = (Label(first.place, "the first layer with these weights"),)
            t.diagnostics.add(Diagnostic("shared-weights", message, layer.place, others=others))
            return


def _assign(t: Translator, layer: CaffeLayer, tops: list[BlobValue | Nothing]) -> None:
    bottoms = {b.name for b in layer.bottoms}
    for reference, data in zip(layer.tops, tops, strict=False):
        earlier = t.blobs.get(reference.name)
        if earlier is not None and reference.name not in bottoms:
            message = f"two layers make the blob {reference.name}"
            others = (Label(earlier.place, "the first one"),)
            t.diagnostics.add(Diagnostic("duplicate-name", message, reference.span, others=others))
        t.blobs[reference.name] = data
        if isinstance(data, BlobValue) and not isinstance(data.value.shape, IndexShape):
            t.tops.append(data.value)


def _value(data: BlobValue | Nothing) -> GraphValue | None:
    return data.value if isinstance(data, BlobValue) else None


def _outputs(t: Translator) -> list[GraphValue]:
    """What no layer takes, in the order of the file; or the blobs that the net is to end at."""
    if t.reading.until:
        ends = [t.blobs.get(name) for name in t.reading.until]
        return list(dict.fromkeys(d.value for d in ends if isinstance(d, BlobValue)))
    taken = {v for node in t.nodes for v in node.inputs} | t.silenced
    inputs = {given.value for given in t.inputs}
    return [v for v in dict.fromkeys(t.tops) if v not in taken and v not in inputs]
