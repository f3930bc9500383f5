"""A prototxt as a list of layers, in all forms that layers have, and its inputs."""

from __future__ import annotations

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.source import Source, Span
from netspec.importers.caffe.message_fields import MessageFields
from netspec.importers.caffe.oldest_form import upgraded
from netspec.importers.caffe.phases import belongs, state_of
from netspec.importers.caffe.read_options import ReadOptions
from netspec.importers.caffe.schema import (
    FORK_V1_TYPES,
    V1_NUMBERS,
    V1_TYPES,
    message_of,
)
from netspec.lazy_dataclasses import dataclass
from netspec.syntax.protobuf_text.ast import Message


@dataclass(frozen=True)
class BlobName:
    """The name of a blob, and where a layer or an input has it."""

    name: str
    span: Span


@dataclass(frozen=True)
class InputDeclaration:
    """A data input outside of layers: its name, and its dimensions, batch first."""

    blob: BlobName
    dims: tuple[int, ...] | None
    span: Span


@dataclass(frozen=True)
class CaffeLayer:
    """One layer; `place` is the place of its name, `type_span` that of its type."""

    name: str
    type: str
    bottoms: tuple[BlobName, ...]
    tops: tuple[BlobName, ...]
    fields: MessageFields
    place: Span
    type_span: Span

    def params(self, name: str) -> MessageFields:
        """The message in the field `name`, such as `convolution_param`; empty if absent."""
        return self.fields.inner(name, message_of(name) or name)


@dataclass(frozen=True)
class CaffeNet:
    """The layers that belong to the phase and stages that are read, in order."""

    name: str
    source: Source
    inputs: tuple[InputDeclaration, ...]
    layers: tuple[CaffeLayer, ...]
    left_out: tuple[CaffeLayer, ...]
    """The layers that belong to other phases and stages only."""
    phase: str


def net_inside(file: Message) -> Message | None:
    """The net that stands in a solver's own file; None without one."""
    for name in ("net_param", "train_net_param"):
        given = [f.value for f in file.fields if f.name == name and isinstance(f.value, Message)]
        if given:
            return given[-1]
    return None


def net_of(
    tree: Message, source: Source, options: ReadOptions, diagnostics: Diagnostics
) -> CaffeNet:
    """The net of a file. Values of wrong types are reported, and left out."""
    fields = MessageFields("NetParameter", (tree,), tree.span, diagnostics)
    if "layer" in fields or "layers" in fields:
        fields.check()
    state = state_of(fields, options)
    layers: list[CaffeLayer] = []
    left_out: list[CaffeLayer] = []
    for given in _given_layers(fields, diagnostics):
        layer = _layer(given, diagnostics)
        if layer is None:
            continue
        (layers if belongs(layer.fields, state, diagnostics) else left_out).append(layer)
    made = {top.name for layer in layers for top in layer.tops}
    inputs = [i for i in _inputs(fields, diagnostics) if i.dims or i.blob.name not in made]
    return CaffeNet(
        fields.text("name"), source, tuple(inputs), tuple(layers), tuple(left_out), state.phase
    )


def _given_layers(fields: MessageFields, diagnostics: Diagnostics) -> list[MessageFields]:
    """The layers of all forms, which a file may mix, in the order of the text."""
    found: list[tuple[str, Span, Message]] = []
    for f in sorted(fields.given("layer") + fields.given("layers"), key=lambda f: f.span.start):
        if isinstance(f.value, Message):
            found.append((f.name, f.name_span, f.value))
        else:
            message = f"{f.name} takes a message, not {f.value.text}"
            diagnostics.add(Diagnostic("wrong-type", message, f.value.span))
    places = {value.span: (name, span) for name, span, value in found}
    kinds = {"layer": "LayerParameter", "layers": "V1LayerParameter"}
    result = []
    for value in upgraded([value for _, _, value in found]):
        name, span = places[value.span]
        result.append(MessageFields(kinds[name], (value,), span, diagnostics))
    return result


def _inputs(fields: MessageFields, diagnostics: Diagnostics) -> list[InputDeclaration]:
    """The inputs outside of layers. Caffe drops those without a shape, which a layer makes."""
    names = fields.texts("input")
    shapes = [shape.integers("dim") for shape in fields.messages("input_shape")]
    dims = fields.integers("input_dim")
    if not shapes and dims:
        shapes = [dims[i : i + 4] for i in range(0, len(dims), 4)]
    result = []
    for i, (name, span) in enumerate(names):
        shape = tuple(shapes[i]) if i < len(shapes) else None
        result.append(InputDeclaration(BlobName(name, span), shape, span))
    if len(shapes) > len(names):
        given = fields.given("input_shape") or fields.given("input_dim")
        message = f"there are {len(shapes)} shapes for {len(names)} inputs"
        diagnostics.add(Diagnostic("wrong-type", message, given[-1].span))
    return result


# --- layers --------------------------------------------------------------------------------------


def _layer(fields: MessageFields, diagnostics: Diagnostics) -> CaffeLayer | None:
    type_, type_span = _type(fields, diagnostics)
    names = fields.texts("name")
    name, place = names[-1] if names else ("", type_span)
    if not type_:
        return None
    # What crops pictures and their labels at random is the source of its crops.
    is_source = type_ == "DetectNetTransformation"
    bottoms = () if is_source else tuple(BlobName(*b) for b in fields.texts("bottom"))
    tops = tuple(BlobName(*t) for t in fields.texts("top"))
    return CaffeLayer(name, type_, bottoms, tops, fields, place, type_span)


def _type(fields: MessageFields, diagnostics: Diagnostics) -> tuple[str, Span]:
    """The layer's type, by its current name, and its place; empty where it has none."""
    given = fields.given("type")
    if not given:
        message = "this layer has no type"
        diagnostics.add(Diagnostic("missing-field", message, fields.span))
        return "", fields.span
    value = given[-1].value
    if isinstance(value, Message):
        diagnostics.add(Diagnostic("wrong-type", "type takes no message", value.span))
        return "", value.span
    text = value.text
    if fields.kind == "LayerParameter" and value.kind == "string":
        return text, value.span
    if value.kind == "number" and text.isdigit() and len(text) < 9:
        known = V1_NUMBERS.get(int(text), "")
    else:
        known = V1_TYPES[text][1] if text in V1_TYPES else FORK_V1_TYPES.get(text, "")
    if known:
        return known, value.span
    if value.kind == "string":
        return text, value.span
    if fields.kind == "V1LayerParameter":
        return text, value.span  # a word of some fork
    message = f"there is no layer type {text}"
    help_ = (f'write `type: "{text}"`',)
    diagnostics.add(Diagnostic("unknown-op", message, value.span, help=help_))
    return "", value.span
