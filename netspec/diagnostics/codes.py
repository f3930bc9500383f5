"""Every diagnostic code, its severity, and what it means in a line."""

from __future__ import annotations

from typing import Literal, NamedTuple


class Code(NamedTuple):
    severity: Literal["error", "warning"]
    meaning: str


def _error(meaning: str) -> Code:
    return Code("error", meaning)


def _warning(meaning: str) -> Code:
    return Code("warning", meaning)


_TEXT = {
    "syntax": _error("the text does not follow the grammar"),
    "unreadable-file": _error("a file can't be read, or is not UTF-8 text"),
    "bad-number": _error("a number has a unit that does not exist"),
    "bad-string": _error("a string has an escape that does not exist"),
    "too-deep": _error("brackets, blocks or modules are nested too deeply"),
    "too-large": _error("a number, a loop or the whole net exceeds what netspec handles"),
}
_NAMES = {
    "unknown-op": _error("there is no op or module of this name at this place"),
    "unknown-field": _error("the op or module has no such field"),
    "conflicting-fields": _error("two fields exclude each other"),
    "unknown-value": _error("an enumerated field does not know this word"),
    "unknown-name": _error("there is no value, constant or parameter of this name at this place"),
    "ambiguous-name": _error("a contract uses a name that is both a constant's and a metric's"),
    "unknown-parameter": _error("--set names a parameter that the net does not have"),
    "unknown-module": _error("an import finds no module"),
    "missing-field": _error("a field without default is not given"),
    "duplicate-name": _error("a name is given twice"),
    "duplicate-field": _error("a field is given twice"),
    "import-cycle": _error("files import each other in a circle"),
    "recursion": _error("a module uses itself"),
    "no-net": _error("the file has no net, or not just one"),
}
_VALUES = {
    "wrong-type": _error("a value is not of the kind that is needed"),
    "not-integral": _error("a whole number is needed"),
    "out-of-range": _error("a number lies outside the permitted range"),
    "bad-arithmetic": _error("an operation has no result, such as a division by zero"),
    "missing-value": _error("nothing flows into this place, or nothing comes out"),
    "wrong-arity": _error("an op or module takes another number of inputs"),
    "missing-shape": _error("the input of a net has no shape"),
}
_SHAPES = {
    "shape-mismatch": _error("shapes that must be equal are not"),
    "wrong-rank": _error("an op needs a value with height and width, or without"),
    "groups-mismatch": _error("groups or parts do not divide the channels"),
    "wrong-indices": _error("indices of a pooling are needed, or are where values are needed"),
    "window-too-large": _error("a window is larger than its padded input"),
    "pad-too-large": _error("a pooling pads so much that a window sees nothing else"),
    "ambiguous-rounding": _error("a pooling must say how it rounds"),
    "ambiguous-alignment": _error("a bilinear upsampling must say what it aligns"),
    "ambiguous-average": _error("an average must say whether padding counts"),
}
_CONTRACTS = {
    "unmet-expect": _error("an expect does not hold"),
    "unmet-prefer": _warning("a prefer does not hold"),
}
_UNUSED = {
    "unused-parameter": _warning("a module never uses one of its parameters"),
    "unused-layer": _warning("no output depends on a layer"),
    "unused-input": _warning("no output depends on an input of the net"),
    "unused-default": _warning("no call takes anything from a default"),
    "doubtful-value": _warning("a number is allowed, but hardly meant"),
    "weights-not-shared": _warning("an op or module is called that a line bears the name of"),
}
_CAFFE = {
    "unsupported-layer": _error("a layer of a prototxt has no counterpart in the language"),
    "ignored-field": _warning("a prototxt says something that has no effect"),
    "pooled-regions": _warning("the regions that a prototxt pools become an input"),
    "assumed-shape": _warning("a prototxt does not say how large its input is"),
    "left-out-boxes": _warning("what makes and picks the boxes of a detector is left out"),
    "shared-weights": _warning("layers of a prototxt share weights in a way that no spec can say"),
}
_OPTIONS = {
    "bad-option": _error("an option of a command has a value that it does not take"),
}
_FILES = {
    "bad-weights": _error("a weight file can't be read"),
    "weights-mismatch": _error("the weights are not those of the net"),
    "bad-names": _error("a file of names can't be read, or does not fit the net"),
    "bad-data": _error("the data can't be read, or is not for the net or its recipe"),
    "bad-checkpoint": _error("a checkpoint can't be read, or is of another run"),
    "bad-device": _error("there is no such device to train on"),
    "diverged": _error("a training came to no finite loss"),
    "bad-image": _error("a picture can't be read"),
    "bad-labels": _error("a file of labels can't be read, or has too few"),
}
_BACKENDS = {
    "unknown-backend": _error("no backend of this name is installed"),
    "unsupported-op": _error("the backend has no emitter for an op"),
    "missing-package": _error("a command needs a package that is not installed"),
    "unwritable-file": _error("a result can't be written"),
    "written-out": _warning("a class is written for certain arguments of its module only"),
    "no-logits": _warning("a softmax or sigmoid stays in the forward of an emitted class"),
    "backends-differ": _error("two backends compute different results"),
}

GROUPS: dict[str, dict[str, Code]] = {
    "text": _TEXT,
    "names": _NAMES,
    "values": _VALUES,
    "shapes": _SHAPES,
    "contracts": _CONTRACTS,
    "things worth a look": _UNUSED,
    "files of Caffe": _CAFFE,
    "options of commands": _OPTIONS,
    "weight files and pictures": _FILES,
    "backends and results": _BACKENDS,
}
"""The codes by subject."""

CODES: dict[str, Code] = {code: c for group in GROUPS.values() for code, c in group.items()}
