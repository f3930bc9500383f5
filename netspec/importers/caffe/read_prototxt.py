"""From a prototxt to a tree of the language."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path, PurePath
from shlex import quote

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.source import Source
from netspec.importers.caffe.caffe_net import CaffeLayer, CaffeNet, net_inside, net_of
from netspec.importers.caffe.input_shapes import settle_shapes
from netspec.importers.caffe.read_options import ReadOptions
from netspec.importers.caffe.translate import Translation, translate
from netspec.importers.caffe.truncate import truncate
from netspec.importers.caffe.weight_blob import WeightBlob
from netspec.importers.imported import Found, ImportedNet, tensor_origins
from netspec.importers.spec_tree.tree import NetHeading, SpecTree, plain_tree, structured_tree
from netspec.importers.structure.graph import DataInput, FieldValue, Graph
from netspec.importers.structure.names import identifier
from netspec.importers.structure.sharing import not_shared, settle_sharing
from netspec.importers.structure.simplify import simplify
from netspec.ir import Net
from netspec.lazy_dataclasses import dataclass, replace
from netspec.ops import ShapeError
from netspec.ops.attribute_types import AttributeTypeError
from netspec.semantic.input_block import INPUT_FIELDS
from netspec.syntax.protobuf_text.parser import parse_prototxt

MAX_ENDS = 24
"""Most blobs that are named as ends of what can be expressed; of more, only the last is."""


@dataclass(frozen=True)
class ImportedPrototxt(ImportedNet):
    """A prototxt as a tree of the language, and the net that its file states."""

    net: CaffeNet


def read(source: Source, options: ReadOptions, diagnostics: Diagnostics) -> ImportedPrototxt | None:
    """The tree of a prototxt, also of the net in a solver's file; None, and diagnostics, without.

    Layers whose shapes do not fit are in the tree, without modules: checking it reports them.
    """
    file = parse_prototxt(source, diagnostics)
    if file is None:
        return None
    message = net_inside(file) or file
    net = net_of(message, source, options, diagnostics)
    if not net.layers:
        if not diagnostics.failed:
            diagnostics.add(_no_layers(net, {f.name for f in message.fields}))
        return None
    net = truncate(net, options.until, diagnostics)
    found = Diagnostics()
    translation = translate(net, options, found)
    if translation.missing:
        options = settle_shapes(net, options, translation.missing, diagnostics)
        found = Diagnostics()
        translation = translate(net, options, found)
    for diagnostic in found:
        diagnostics.add(diagnostic)
    _report_unsupported(translation, source, diagnostics)
    graph = translation.graph
    for given in graph.inputs:
        given.settings = _input_settings(given, options)
    heading = _heading(net)
    if translation.failed or diagnostics.failed:
        if not graph.nodes or not graph.inputs or not _has_errors(graph):
            return None
        graph.outputs = []
        return _imported(plain_tree(graph, heading), net, translation)
    if not graph.outputs or not graph.inputs:
        diagnostics.add(Diagnostic("missing-value", f"{source.name} has no input or no result"))
        return None
    simplify(graph)
    for one in settle_sharing(graph):
        diagnostics.add(not_shared(one))
    if not graph.nodes:
        diagnostics.add(Diagnostic("missing-value", f"{source.name} computes nothing"))
        return None
    classifies = any(d.type in ("SoftmaxWithLoss", "Accuracy") for d in translation.dropped)
    return _imported(structured_tree(graph, heading, classifies), net, translation)


def origins(imported: ImportedPrototxt, net: Net) -> dict[str, WeightBlob]:
    """Where each tensor of the checked net lies in a caffemodel."""
    found: dict[str, WeightBlob] = {}
    for layer, name, origin in tensor_origins(imported, net):
        key = f"{layer.weights}.{name}"
        if layer.shares is not None:
            origin = replace(found[key], copies=(*found[key].copies, origin.layer))
        found[key] = origin
    return found


def _imported(tree: SpecTree, net: CaffeNet, translation: Translation) -> ImportedPrototxt:
    left_out = {
        "training layer": len(translation.dropped),
        "layer of boxes": len(translation.boxes),
        "layer behind the end": len(translation.cut),
    }
    found = Found(translation.count, left_out | translation.graph.left_out)
    return ImportedPrototxt(tree.file, tree.nodes, tuple(_notes(translation)), found, net)


def _notes(translation: Translation) -> list[str]:
    """Notes on what the spec leaves out."""
    notes = []
    if translation.dropped:
        named = [f"{layer.name} ({_what(layer)})" for layer in translation.dropped[:8]]
        more = len(translation.dropped) - len(named)
        listed = ", ".join(named) + (f" and {more} more" if more else "")
        notes.append(f"Left out, since it serves training and measuring: {listed}.")
    for mean in dict.fromkeys(translation.mean_files):
        notes.append(f"Caffe subtracts the mean picture {mean} from the input.")
    if translation.cut:
        layers = ", ".join(f"{layer.name} ({layer.type})" for layer in translation.cut)
        notes.append(f"The net ends in front of {layers}.")
    return notes


def _what(layer: CaffeLayer) -> str:
    """The type of a layer that is left out, and what it says of its part in the training."""
    weights = ", ".join(f"{float(w):g}" for w in layer.fields.numbers("loss_weight"))
    said = [f"loss_weight {weights}"] if weights else []
    said += ["loss_param"] if "loss_param" in layer.fields else []
    return ", ".join([layer.type, *said])


# --- the net's name ------------------------------------------------------------------------------


def _heading(net: CaffeNet) -> NetHeading:
    path = PurePath(net.source.name)
    name = identifier(net.name, "net") or _name_by_file(path) or "net_"
    doc = f"{net.name}, from {path.name}." if net.name else f"From {path.name}."
    return NetHeading(name, doc, net.source)


_WHAT_FOR = re.compile(
    r"(deploy|train|test|val|trainval|train_val|train_test|solver|net|model|inference|merged|pose)"
    r"([_-]?(deploy|train|test|val|net|model|\d+))*"
)
"""Names of files that say what they are for, and not which net they hold."""


def _name_by_file(path: PurePath) -> str:
    """The name of a net without one: its file's; where that is `deploy`, the name of its folder."""
    # A file that is named without its folder lies in the folder of the command.
    inside = not path.parent.name and Path(path).is_file()
    folder = identifier(Path(path).absolute().parent.name if inside else path.parent.name, "net")
    if folder and _WHAT_FOR.fullmatch(path.stem.lower()):
        return folder
    return identifier(path.stem, "net") or folder


# --- inputs --------------------------------------------------------------------------------------


def _input_settings(given: DataInput, options: ReadOptions) -> dict[str, FieldValue]:
    """The fields of an input: those of the options, else the file's. Caffe's pictures are BGR."""
    shape = given.value.shape
    if len(shape) != 3 or shape[0] not in (1, 3):
        return {}
    stated = {"channels": FieldValue("bgr", given.span)} if shape[0] == 3 else {}
    stated |= given.settings
    for name, value in options.preprocessing.items():
        stated[name] = FieldValue(value, given.span)
    return {name: stated[name] for name in INPUT_FIELDS if name in stated}


# --- errors --------------------------------------------------------------------------------------


def _has_errors(graph: Graph) -> bool:
    """Whether a node's shapes fail, so that checking the tree will report it."""
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


def _report_unsupported(t: Translation, source: Source, diagnostics: Diagnostics) -> None:
    """Report each layer that can't be expressed; the last report counts them."""
    if not t.unsupported:
        return
    *others, (_, last) = t.unsupported
    sound = not diagnostics.failed
    for _, diagnostic in others:
        diagnostics.add(diagnostic)
    types = Counter(layer.type for layer, _ in t.unsupported).most_common()
    listed = ", ".join(f"{type_} ({count})" if count > 1 else type_ for type_, count in types)
    what = f"{len(t.unsupported)} of the {t.count} layers of {source.name}"
    note = f"{what} can't be expressed: {listed}"
    help_ = last.help
    if t.ends and sound:
        named = t.ends if len(t.ends) <= MAX_ENDS else t.ends[-1:]
        ends = " ".join(f"--until {quote(name)}" for name in named)
        help_ = (*help_, f"what comes before them is a net: `{ends}`")
    diagnostics.add(replace(last, notes=(*last.notes, note), help=help_))
