"""The whole way from a prototxt to a tree of the language."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import PurePath
from typing import Any

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.source import Source
from netspec.importers.caffe.graph import (
    Blob,
    DataInput,
    FieldValue,
    Graph,
    GraphValue,
    Node,
)
from netspec.importers.caffe.lines import lines_of
from netspec.importers.caffe.names import identifier
from netspec.importers.caffe.proto import (
    CaffeLayer,
    CaffeNet,
    Reading,
    net_of,
)
from netspec.importers.caffe.simplify import simplify
from netspec.importers.caffe.structure import groups_of
from netspec.importers.caffe.translate import Translation, translate
from netspec.importers.caffe.tree import Tree, TreeWriter
from netspec.importers.caffe.until import until
from netspec.ir import Net
from netspec.semantic.input_block import INPUT_FIELDS
from netspec.symbolic.expr import Num
from netspec.syntax.ast import File
from netspec.syntax.protobuf_text.parser import parse_prototxt

MAX_ENDS = 8
"""Most blobs that are named as ends of what can be expressed."""
OWN_SETTINGS = ("phase", "stage", "level", "input", "until")
"""What `--set`, or an option of the same name, says of how to read a prototxt."""


@dataclass(frozen=True)
class Converted:
    """A prototxt as a tree of the language.

    `nodes` come in the order of the layers of the spec. `dropped` are layers that only train and
    measure; `means` are files of means that the net's input lacks.
    """

    file: File
    nodes: tuple[Node, ...]
    graph: Graph
    net: CaffeNet
    dropped: tuple[CaffeLayer, ...]
    means: tuple[str, ...]


def read(source: Source, reading: Reading, diagnostics: Diagnostics) -> Converted | None:
    """The tree of a prototxt; None where there is nothing to check any more.

    A file with layers whose shapes do not fit gives a tree without modules, for checking it to
    say what is wrong.
    """
    message = parse_prototxt(source, diagnostics)
    if message is None:
        return None
    net = net_of(message, source, reading, diagnostics)
    if not net.layers:
        if not diagnostics.failed:
            diagnostics.add(_no_layers(net, {f.name for f in message.fields}))
        return None
    net = until(net, reading.until, diagnostics)
    translation = translate(net, reading, diagnostics)
    _report_what_remains(translation, source, diagnostics)
    graph = translation.graph
    for given in graph.inputs:
        given.settings = _settings(given, reading)
    name = identifier(net.name, "net") or _name_by_file(PurePath(source.name)) or "net_"
    origin = f"from {PurePath(source.name).name}."
    doc = f"{net.name}, {origin}" if net.name else f"F{origin[1:]}"
    writer = TreeWriter(source, graph, name, doc)
    if translation.failed or diagnostics.failed:
        if not graph.nodes or not graph.inputs or not _has_errors(graph):
            return None
        graph.outputs = []
        tree = writer.tree(lines_of(graph), [], None)
        return _converted(source, tree, net, translation)
    if not graph.outputs or not graph.inputs:
        diagnostics.add(Diagnostic("missing-value", f"{source.name} has no input or no result"))
        return None
    simplify(graph)
    if not graph.nodes:
        diagnostics.add(Diagnostic("missing-value", f"{source.name} computes nothing"))
        return None
    lines = lines_of(graph)
    groups = groups_of(lines, graph.outputs)
    inside = {id(n) for g in groups for p in g.parts for line in p.lines for n in line.nodes}
    last = _classifier(graph, translation)
    taken = {identifier(given.name, "data") for given in graph.inputs}
    if last is not None and (id(last) in inside or "classes" in taken):
        last = None
    return _converted(source, writer.tree(lines, groups, last), net, translation)


_WHAT_FOR = re.compile(
    r"(deploy|train|test|val|trainval|train_val|train_test|solver|net|model|inference|merged|pose)"
    r"([_-]?(deploy|train|test|val|net|model|\d+))*"
)
"""Names of files that say what they are for, and not which net they hold."""


def _name_by_file(path: PurePath) -> str:
    """What a net without a name is called: its file; where that is `deploy`, the file's folder."""
    folder = identifier(path.parent.name, "net")
    if folder and _WHAT_FOR.fullmatch(path.stem.lower()):
        return folder
    return identifier(path.stem, "net") or folder


def origins(converted: Converted, net: Net) -> dict[str, Blob]:
    """Where each tensor of the checked net lies in a caffemodel."""
    found: dict[str, Blob] = {}
    for node, layer in zip(converted.nodes, net.layers, strict=True):
        assert node.op == layer.op.keyword, "layers come in the order in which they were written"
        for name in layer.layer.tensors:
            if name in node.blobs:
                found[f"{layer.path}.{name}"] = node.blobs[name]
    return found


def _converted(source: Source, tree: Tree, net: CaffeNet, translation: Translation) -> Converted:
    file = File(source, tuple(tree.items), ())
    dropped = tuple(translation.dropped)
    means = tuple(dict.fromkeys(translation.mean_files))
    return Converted(file, tuple(tree.nodes), translation.graph, net, dropped, means)


def _has_errors(graph: Graph) -> bool:
    """Whether a node's shapes fail, so that checking the tree will report it."""
    from netspec.ops import ShapeError
    from netspec.ops.attribute_types import AttributeTypeError

    for node in graph.nodes:
        try:
            node.bound().outputs([v.shape for v in node.inputs])
        except (AttributeTypeError, ShapeError):
            return True
    return False


def _no_layers(net: CaffeNet, names: set[str]) -> Diagnostic:
    if names & {"base_lr", "lr_policy", "max_iter", "train_net"}:
        message = f"{net.source.name} is a solver: it says how to train, and names the net's file"
    else:
        message = f"{net.source.name} has no layers" + (
            " in this phase and stage" if net.left_out else ""
        )
    return Diagnostic("no-net", message)


def _report_what_remains(t: Translation, source: Source, diagnostics: Diagnostics) -> None:
    """One diagnostic for each layer without counterpart; the last one counts them."""
    if not t.unsupported:
        return
    *others, (_, last) = t.unsupported
    sound = not diagnostics.failed
    for _, diagnostic in others:
        diagnostics.add(diagnostic)
    kinds = Counter(layer.type for layer, _ in t.unsupported).most_common()
    listed = ", ".join(f"{kind} ({count})" if count > 1 else kind for kind, count in kinds)
    what = f"{len(t.unsupported)} of the {t.count} layers of {source.name}"
    note = f"{what} can't be expressed: {listed}"
    help_ = last.help
    if 0 < len(t.ends) <= MAX_ENDS and sound:
        ends = " ".join(f"--until {name}" for name in t.ends)
        help_ = (*help_, f"what comes before them is a net: `{ends}`")
    diagnostics.add(replace(last, notes=(*last.notes, note), help=help_))


def _settings(given: DataInput, reading: Reading) -> dict[str, FieldValue]:
    """The fields of an input: those said from outside, else the file's. Caffe has BGR pictures."""
    shape = given.value.shape
    stated: dict[str, FieldValue] = {}
    picture = len(shape) == 3 and shape[0] in (1, 3)
    if picture and shape[0] == 3:
        stated["channels"] = FieldValue("bgr", given.span)
    stated |= given.settings if picture else {}
    if picture:
        for name, value in reading.preprocessing.items():
            stated[name] = FieldValue(value, given.span)  # type: ignore[arg-type]
    return {name: stated[name] for name in INPUT_FIELDS if name in stated}


_BETWEEN = {
    *("softmax", "log_softmax", "argmax", "flatten", "reshape", "permute", "relu", "dropout"),
    *("global_avgpool", "avgpool", "adaptive_avgpool", "upsample", "crop"),
}


def _classifier(graph: Graph, translation: Translation) -> Node | None:
    """The layer whose outputs are classes: the last with weights, in front of a softmax."""
    if len(graph.outputs) != 1:
        return None
    uses = graph.uses()
    node = graph.outputs[0].node
    dropped = {layer.type for layer in translation.dropped}
    decides = bool(dropped & {"SoftmaxWithLoss", "Accuracy"})
    while node is not None and node.op in _BETWEEN:
        decides = decides or node.op in ("softmax", "log_softmax", "argmax")
        value: GraphValue = node.inputs[0]
        if uses[value] != [node]:
            return None
        node = value.node
    weighted = node is not None and node.op in ("conv", "linear")
    fixed = (
        node is not None
        and node.settings.get("groups", FieldValue("", node.span)).value == "depthwise"
    )
    return node if weighted and decides and not fixed else None


# --- settings from outside -----------------------------------------------------------------------


def reading_of(
    settings: Mapping[str, Any], diagnostics: Diagnostics
) -> tuple[Reading, dict[str, Any]]:
    """What the settings say of how to read a prototxt, and those that are left for the net.

    `phase`, `stage` (or several `stage:NAME`), `level`, `input` (or `input:NAME` for one of
    several), `until` (or several `until:BLOB`), and the fields of an input (`mean`, `scale`, ...).
    """
    left: dict[str, Any] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    stages: list[str] = []
    blobs: list[str] = []
    phase: str | None = None
    level: int | None = None
    preprocessing: dict[str, Any] = {}

    def wrong(message: str) -> None:
        diagnostics.add(Diagnostic("wrong-type", message))

    for name, value in settings.items():
        kind, _, which = name.partition(":")
        if kind == "phase":
            phase = str(value).upper()
            if phase not in ("TRAIN", "TEST"):
                wrong(f"a phase is TRAIN or TEST, not {value}")
        elif kind == "stage":
            stages += [which] if which else [s for s in str(value).split(",") if s]
        elif kind == "until":
            blobs += [which] if which else [s for s in str(value).split(",") if s]
        elif kind == "level":
            if isinstance(value, Num) and value.value.denominator == 1:
                level = int(value.value)
            else:
                wrong("a level is a whole number")
        elif kind == "input":
            shape = _shape(value)
            if shape is None:
                wrong(f"an input's shape is written like 3x227x227, not {value}")
            else:
                shapes[which] = shape
        elif name in INPUT_FIELDS:
            preprocessing[name] = _plain(value)
        else:
            left[name] = value
    stated = tuple(stages) if stages else None
    return Reading(phase, stated, level, shapes, preprocessing, tuple(blobs)), left


def _shape(value: Any) -> tuple[int, ...] | None:
    if isinstance(value, str):
        parts = value.split("x")
        if not all(p.isdigit() and len(p) < 10 for p in parts):
            return None
        return tuple(int(p) for p in parts)
    items = value if isinstance(value, tuple) else (value,)
    if all(isinstance(v, Num) and v.value.denominator == 1 and v.value > 0 for v in items):
        return tuple(int(v.value) for v in items)
    return None


def _plain(value: Any) -> Any:
    """A constant of the language as a field's value."""
    if isinstance(value, tuple):
        return tuple(v.value if isinstance(v, Num) else Fraction(0) for v in value)
    return value.value if isinstance(value, Num) else value
