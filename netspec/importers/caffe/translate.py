"""The layers of a net as a graph: one after the other, with the shapes of all blobs.

Blobs are Caffe's: in-place layers give a name a new value. A layer whose shapes do not fit stays in
the graph, so that checking the spec reports it; what depends on it is left out without a report.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from netspec.diagnostics import Diagnostic, Diagnostics, Label
from netspec.diagnostics.suggest import did_you_mean
from netspec.importers.caffe.blob_values import BlobValue, NoValue
from netspec.importers.caffe.caffe_net import (
    BlobName,
    CaffeLayer,
    CaffeNet,
    InputDeclaration,
)
from netspec.importers.caffe.labels import labels_of
from netspec.importers.caffe.layer_error import LayerError
from netspec.importers.caffe.layer_translation import LayerTranslation
from netspec.importers.caffe.layers import REASONS, RULES, Rule, is_measure, makes_boxes
from netspec.importers.caffe.layers.pooling import POOLS_REGIONS
from netspec.importers.caffe.net_translation import MissingShape, NetTranslation
from netspec.importers.caffe.read_options import ReadOptions
from netspec.importers.caffe.schema import V1_TYPES
from netspec.importers.caffe.training_facts import states_multipliers
from netspec.importers.structure.graph import Graph, GraphValue, Node
from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops import IndexShape

MAX_RESULTS = 8
"""Most results of a net that a warning lists."""


@dataclass(frozen=True)
class Translation:
    """The graph of a net, and what was left out."""

    graph: Graph
    failed: bool
    """Whether a layer is missing, or its shapes do not fit."""
    dropped: list[CaffeLayer]
    """Layers that only train and measure."""
    unsupported: list[tuple[CaffeLayer, Diagnostic]]
    """Layers that can't be expressed, not reported yet."""
    missing: Mapping[str, MissingShape]
    """Inputs without a shape."""
    mean_files: list[str]
    """Files of means that Caffe would subtract from the input."""
    count: int
    """How many layers there are."""
    ends: tuple[str, ...]
    """The blobs that are results of what can be expressed."""
    boxes: list[CaffeLayer]
    """Layers of a detector's boxes, which are left out."""
    cut: list[CaffeLayer]
    """Layers in place that can't be expressed, of blobs at which the net ends."""


def translate(net: CaffeNet, options: ReadOptions, diagnostics: Diagnostics) -> Translation:
    """The graph of a net. Errors are reported, but for layers that can't be expressed."""
    translator = _Translator(net, options, diagnostics)
    for given in net.inputs:
        translator.declared_input(given)
    for layer in net.layers:
        translator.layer(layer)
    return translator.result()


class _Translator:
    """The blobs and errors so far; the nodes so far are in `state`."""

    def __init__(self, net: CaffeNet, options: ReadOptions, diagnostics: Diagnostics) -> None:
        self.net = net
        self.state = NetTranslation(
            options, labels_of(net), net.phase, states_multipliers(net.layers), diagnostics
        )
        self.diagnostics = diagnostics
        self.blobs: dict[str, BlobValue | NoValue] = {}
        self.tops: list[GraphValue] = []
        """The tops of all layers, which may be the net's results."""
        self.failed = False
        self.dropped: list[CaffeLayer] = []
        self.unsupported: list[tuple[CaffeLayer, Diagnostic]] = []
        self.overwritten: dict[GraphValue, str] = {}
        """The names of values that layers without counterpart overwrite."""
        self.cut: dict[str, CaffeLayer] = {}
        """Blobs that end in front of a layer in place which can't be expressed."""
        self.silenced: set[GraphValue] = set()
        """Values that a Silence takes, which are results only where there are no others."""
        self.boxes: list[CaffeLayer] = []
        """Layers of a detector's boxes, which are left out."""
        self.first_with_weights: dict[str, tuple[CaffeLayer, int]] = {}
        """The first layer that uses weights by their name, and which of its blobs they are."""
        self.nodes_of: dict[int, list[Node]] = {}
        """The nodes with weights of each layer, by its id."""

    def result(self) -> Translation:
        graph = Graph(self.state.inputs, self.state.nodes, self._outputs())
        names = {b.value: name for name, b in self.blobs.items() if isinstance(b, BlobValue)}
        names = {**self.overwritten, **names}
        ends = tuple(names[v] for v in graph.outputs if v in names)
        if self.boxes and not self.failed and not self.unsupported:
            self.diagnostics.add(_without_boxes(self.boxes, ends))
        return Translation(
            graph,
            self.failed,
            self.dropped,
            self.unsupported,
            self.state.missing,
            self.state.mean_files,
            len(self.net.layers),
            ends,
            self.boxes,
            list(self.cut.values()),
        )

    def _outputs(self) -> list[GraphValue]:
        """The blobs that `--until` names, else what no layer takes, in the order of the file."""
        until = self.state.options.until
        if until:
            ends = [self.blobs.get(name) for name in until]
            return list(dict.fromkeys(d.value for d in ends if isinstance(d, BlobValue)))
        taken = {v for node in self.state.nodes for v in node.inputs} | self.state.unneeded
        inputs = {given.value for given in self.state.inputs}
        kept = set(self.state.results)
        tops = [v for v in dict.fromkeys(self.tops) if v not in inputs or v in kept]
        results = [v for v in tops if v in kept or v not in taken]
        return results or [v for v in tops if v in self.silenced]

    # --- inputs ----------------------------------------------------------------------------------

    def declared_input(self, given: InputDeclaration) -> None:
        """Add an input of the older form, outside of the layers."""
        name = given.blob.name
        if self.state.labels.holds(given.blob) and name not in self.state.options.shapes:
            self.blobs[name] = NoValue(False, given.span)
            return
        dims = self.state.stated_shape(name)
        if dims is None and given.dims is not None:
            dims = given.dims[1:]
        batch = given.dims[0] if given.dims else None
        try:
            self.blobs[name] = self.state.add_input(given.blob, dims, batch, {})
        except LayerError as error:
            self._report(error, None)
            self.blobs[name] = NoValue(True, given.span)

    # --- layers ----------------------------------------------------------------------------------

    def layer(self, layer: CaffeLayer) -> None:
        """Translate a layer and assign its tops."""
        rule = RULES.get(layer.type)
        if id(layer) in self.state.labels.proposing:
            tops: Sequence[BlobValue | NoValue] = [NoValue(False, top.span) for top in layer.tops]
        elif rule is None and (is_measure(layer) or not layer.tops):
            tops = self._drop(layer)
        elif self._is_of_boxes(layer, rule):
            self.boxes.append(layer)
            tops = [NoValue(False, top.span, boxes=True) for top in layer.tops]
        else:
            tops = self._without(layer) or self._run(layer, rule)
        self._assign(layer, tops)

    def _is_of_boxes(self, layer: CaffeLayer, rule: Rule | None) -> bool:
        """Whether a layer makes boxes, or only takes such; a net that ends at them is asked for."""
        if any(top.name in self.state.options.until for top in layer.tops):
            return False
        if rule is None and makes_boxes(layer):
            return True
        found = [self.blobs.get(b.name) for b in layer.bottoms[:1] if layer.type in POOLS_REGIONS]
        found = found or [self.blobs.get(b.name) for b in layer.bottoms]
        return bool(found) and all(isinstance(b, NoValue) and b.boxes for b in found)

    def _without(self, layer: CaffeLayer) -> Sequence[BlobValue | NoValue]:
        """The value of a blob that ended in front of an earlier layer; empty for others."""
        if all(b.name in self.cut for b in layer.bottoms) and layer.bottoms:
            return [self.blobs[b.name] for b in layer.bottoms]
        return []

    def _may_cut(self, layer: CaffeLayer) -> bool:
        """Whether the net ends at this layer's blob, which only layers in place change."""
        names = [b.name for b in layer.bottoms]
        if len(names) != 1 or names != [t.name for t in layer.tops]:
            return False
        later = self.net.layers[self.net.layers.index(layer) + 1 :]
        takers = [x for x in later if names[0] in (b.name for b in x.bottoms)]
        return names[0] in self.state.options.until and all(
            [b.name for b in x.bottoms] == names == [t.name for t in x.tops] for x in takers
        )

    def _drop(self, layer: CaffeLayer) -> Sequence[BlobValue | NoValue]:
        if layer.type == "Silence":
            found = [self.blobs.get(bottom.name) for bottom in layer.bottoms]
            self.silenced.update(b.value for b in found if isinstance(b, BlobValue))
            self.state.unneeded.update(self.silenced)
        else:
            self.dropped.append(layer)
        return [NoValue(False, top.span) for top in layer.tops]

    def _run(self, layer: CaffeLayer, rule: Rule | None) -> Sequence[BlobValue | NoValue]:
        """The tops of a layer; without values where it fails, which is reported."""
        failed = [NoValue(True, top.span) for top in layer.tops]
        # The regions of a pooling need no value.
        read = layer.bottoms[:1] if layer.type in POOLS_REGIONS else layer.bottoms
        bottoms = [self._bottom(layer, reference) for reference in read]
        values = [b for b in bottoms if isinstance(b, BlobValue)]
        if rule is None and not layer.bottoms and layer.tops and layer.type != "Parameter":
            rule = RULES["Data"]  # a source of data of some fork, or written in Python
        before = len(self.state.nodes)
        try:
            if len(values) != len(bottoms):
                if any(isinstance(b, NoValue) and b.failed for b in bottoms):
                    raise _no_rule(layer) if rule is None else LayerError()
                if any(isinstance(b, NoValue) and b.boxes for b in bottoms):
                    raise LayerError.unsupported("it takes boxes, which no value can be")
                # What takes labels serves training.
                self.dropped.append(layer)
                return [NoValue(False, top.span) for top in layer.tops]
            if rule is None:
                raise _no_rule(layer)
            use = LayerTranslation(self.state, layer, values)
            rule.check(use)
            tops = rule.run(use)
            made = [n for n in self.state.nodes[before:] if n.origins]
            self.nodes_of[id(layer)] = made
            self._share_weights(layer, made)
            return tops
        except LayerError as error:
            if error.is_unsupported:
                del self.state.nodes[before:]
                if self._may_cut(layer):
                    self.cut[layer.tops[0].name] = layer
                    return values
                self.overwritten.update(
                    (b.value, r.name)
                    for b, r in zip(bottoms, read, strict=True)
                    if isinstance(b, BlobValue) and r.name in {t.name for t in layer.tops}
                )
            self._report(error, layer)
        return failed

    def _report(self, error: LayerError, layer: CaffeLayer | None) -> None:
        """Report the error of a layer, or of a declared input: the one place that handles them."""
        diagnostic = error.diagnostic
        if diagnostic is not None and layer is not None:
            if diagnostic.span is None:
                diagnostic = replace(diagnostic, span=layer.type_span)
            if error.is_unsupported:
                message = f"layer {layer.name or '(without a name)'}: {diagnostic.message}"
                self.unsupported.append((layer, replace(diagnostic, message=message)))
                return
        self.failed = True
        if diagnostic is not None:
            self.diagnostics.add(diagnostic)

    def _bottom(self, layer: CaffeLayer, reference: BlobName) -> BlobValue | NoValue:
        """The blob that a layer takes; one that does not exist is reported."""
        found = self.blobs.get(reference.name) or self._of_another_phase(reference.name)
        if found is not None:
            return found
        message = f"there is no blob {reference.name} that {layer.name or layer.type} could take"
        others = tuple(
            Label(top.span, f"{layer.name} makes it, but only in another phase or stage")
            for layer in self.net.left_out
            for top in layer.tops
            if top.name == reference.name
        )[:1]
        help_ = did_you_mean(reference.name, self.blobs)
        self.diagnostics.add(
            Diagnostic("unknown-name", message, reference.span, others=others, help=help_)
        )
        return NoValue(True, reference.span)

    def _of_another_phase(self, name: str) -> BlobValue | NoValue | None:
        """The top `name` of a data layer of another phase or stage, which serves as the input.

        Files for training alone have no data for tests, and those of DIGITS none for deployment.
        """
        for layer in self.net.left_out:
            rule = RULES.get(layer.type)
            if rule is None or rule.most != 0 or all(top.name != name for top in layer.tops):
                continue
            if any(bottom.name not in self.blobs for bottom in layer.bottoms):
                continue  # it may be what is asked for
            for top, data in zip(layer.tops, self._run(layer, rule), strict=False):
                self.blobs.setdefault(top.name, data)
            return self.blobs.get(name)
        return None

    def _share_weights(self, layer: CaffeLayer, nodes: Sequence[Node]) -> None:
        """Let nodes have the weights of an earlier layer; warn where only some are the same."""
        if layer.fields.kind == "LayerParameter":
            names = [p.text("name") for p in layer.fields.messages("param")]
        else:
            names = [text for text, _ in layer.fields.texts("param")]
        firsts = {
            i: self.first_with_weights.setdefault(name, (layer, i))
            for i, name in enumerate(names)
            if name
        }
        others = {id(x): x for x, _ in firsts.values() if x is not layer}
        if not others:
            return
        first, *more = others.values()
        blobs = {blob.index for n in nodes for blob in n.origins.values()}
        theirs = self.nodes_of.get(id(first), [])
        whole = not more and all(firsts.get(i) == (first, i) for i in blobs)
        if whole and len(nodes) == len(theirs):
            for node, earlier in zip(nodes, theirs, strict=True):
                node.shares = earlier.shares or earlier
            return
        name = next(n for i, n in enumerate(names) if n and firsts[i][0] is first)
        message = (
            f"{layer.name} shares {name} with {first.name}, but not all of its weights; "
            "here each has its own"
        )
        labels = (Label(first.place, "the first layer with these weights"),)
        self.diagnostics.add(Diagnostic("shared-weights", message, layer.place, others=labels))

    def _assign(self, layer: CaffeLayer, tops: Sequence[BlobValue | NoValue]) -> None:
        bottoms = {b.name for b in layer.bottoms}
        for reference, data in zip(layer.tops, tops, strict=False):
            earlier = self.blobs.get(reference.name)
            if earlier is not None and reference.name not in bottoms:
                message = f"two layers make the blob {reference.name}"
                others = (Label(earlier.place, "the first one"),)
                self.diagnostics.add(
                    Diagnostic("duplicate-name", message, reference.span, others=others)
                )
            self.blobs[reference.name] = data
            if isinstance(data, BlobValue) and not isinstance(data.value.shape, IndexShape):
                self.tops.append(data.value)


def _without_boxes(layers: Sequence[CaffeLayer], ends: Sequence[str]) -> Diagnostic:
    """The warning of a detector's layers that are left out, at the first of them."""
    types = Counter(layer.type for layer in layers).items()
    listed = ", ".join(f"{type_} ({count})" if count > 1 else type_ for type_, count in types)
    results = "the net gives " + ", ".join(ends) if len(ends) <= MAX_RESULTS else ""
    message = f"what makes and picks boxes is left out: {listed}"
    notes = (f"{results}; boxes are for the program that runs it",) if results else ()
    return Diagnostic("left-out-boxes", message, layers[0].type_span, notes=notes)


def _no_rule(layer: CaffeLayer) -> LayerError:
    reason = REASONS.get(layer.type, f"netspec has no counterpart of Caffe's {layer.type}")
    types = V1_TYPES if layer.fields.kind == "V1LayerParameter" else RULES
    alike = did_you_mean(layer.type, types) if layer.type not in REASONS else ()
    return LayerError.unsupported(reason, None, *alike)
