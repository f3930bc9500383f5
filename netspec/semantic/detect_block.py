"""The fields of a net's `detect` block: how its planes become boxes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, NamedTuple

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.ir import Detection
from netspec.ops import Shape, text
from netspec.ops.attribute_types import (
    AttributeType,
    BoxSizes,
    Integer,
    OneOf,
    RealNumber,
    Texts,
)
from netspec.semantic.evaluator import Evaluator
from netspec.semantic.fields import Report, read_fields
from netspec.semantic.scope import EvaluationError, evaluation_error
from netspec.syntax.ast import Field, NetBlock


class DetectField(NamedTuple):
    kind: AttributeType
    doc: str


_FACTOR = RealNumber(0)

DETECT_FIELDS: dict[str, DetectField] = {
    "anchors": DetectField(BoxSizes(), "heights and widths of the anchors, in pixels of the input"),
    "decode": DetectField(OneOf(("squeezedet",)), "the order and the meaning of the planes"),
    "labels": DetectField(Texts(), "the names of the classes, in order"),
    "threshold": DetectField(RealNumber(0, 1), "least score of a box (0.005)"),
    "top": DetectField(Integer(), "most boxes of a picture that are looked at (64)"),
    "nms": DetectField(
        RealNumber(0, 1), "of boxes of a class that overlap by more, the best one stays (0.4)"
    ),
    "shown": DetectField(RealNumber(0, 1), "least score of a box that `netspec run` shows (0.4)"),
    "clip": DetectField(
        RealNumber(), "where the exponential factor of a size goes on as a line (1)"
    ),
    "box_loss": DetectField(_FACTOR, "factor of the loss of places and sizes (5)"),
    "object_loss": DetectField(_FACTOR, "factor of the loss of objects' confidences (75)"),
    "background_loss": DetectField(_FACTOR, "factor of that of all others' (100)"),
    "class_loss": DetectField(_FACTOR, "factor of the loss of classes (1)"),
}


def detection(statement: NetBlock, evaluator: Evaluator, report: Report) -> Detection | None:
    """What a `detect` block says; None where it is wrong, and everything that is is reported."""
    values, _ = read_fields(statement.fields, partial(_value, evaluator), report)
    if len(values) < len(statement.fields):
        return None
    if "anchors" not in values:
        help_ = ("for example `anchors: [37x36, 174x366]`, in pixels of the input",)
        message = "a detect block needs anchors"
        report(EvaluationError(Diagnostic("missing-field", message, statement.word, help=help_)))
        return None
    return Detection(**values)


def _value(evaluator: Evaluator, f: Field) -> Any:
    """A field's value as a plain Python value. Raises EvaluationError."""
    name = f.name.text
    if name not in DETECT_FIELDS:
        help_ = did_you_mean(name, DETECT_FIELDS) or (
            f"it has {one_of(DETECT_FIELDS, len(DETECT_FIELDS))}",
        )
        message = f"a detect block has no field {name}"
        raise evaluation_error("unknown-field", message, f.name.span, *help_)
    kind = DETECT_FIELDS[name].kind
    return _plain(evaluator.field(f.value, kind, f"{name} of a detect block"))


def _plain(value: Any) -> Any:
    """A value without the expression that a number came from, which only layers need."""
    if isinstance(value, tuple):
        return tuple(_plain(v) for v in value)
    if isinstance(value, str):
        return value
    return int(value) if isinstance(value, int) else float(value)


def wrong_planes(
    statement: NetBlock, found: Detection, inputs: Iterable[Shape], outputs: Iterable[Shape]
) -> Diagnostic | None:
    """What is wrong with a `detect` block beside the net's inputs and outputs."""
    places = {f.name.text: f.value.span for f in statement.fields}
    inputs, outputs = list(inputs), list(outputs)
    if len(inputs) != 1 or len(inputs[0]) != 3 or len(outputs) != 1 or len(outputs[0]) != 3:
        message = "a detect block is of a net with one picture as input, and planes as its output"
        return Diagnostic("wrong-rank", message, statement.word)
    planes, anchors = int(outputs[0][0]), len(found.anchors)
    classes = found.classes(planes)
    if not classes:
        message = (
            f"the output {text(outputs[0])} has {planes:,} channels, but {anchors} anchors take "
            f"{anchors} x (classes + 1 + 4)"
        )
        fitting = [n for n in range(1, planes // 6 + 1) if planes % n == 0]
        help_ = (f"{planes:,} channels may be of {one_of(map(str, fitting))} anchors",)
        return Diagnostic("shape-mismatch", message, places["anchors"], help=help_ * bool(fitting))
    if found.labels and len(found.labels) != classes:
        message = (
            f"there are {len(found.labels)} labels, but {planes:,} channels of {anchors} anchors "
            f"have {classes} classes"
        )
        return Diagnostic("shape-mismatch", message, places["labels"])
    return None
