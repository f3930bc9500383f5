"""The fields of a net's input: how a picture is made into it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.ir import Preprocessing
from netspec.ops import Shape
from netspec.ops.attribute_types import (
    AttributeType,
    Numbers,
    OneOf,
    Pair,
    RealNumber,
)
from netspec.semantic.evaluator import Evaluator
from netspec.semantic.fields import Report, read_fields
from netspec.semantic.scope import evaluation_error
from netspec.syntax.ast import Field, ListLiteral, ShapeLiteral


class InputField(NamedTuple):
    kind: AttributeType
    doc: str


INPUT_FIELDS: dict[str, InputField] = {
    "channels": InputField(
        OneOf(("rgb", "bgr", "gray")), "order of the colours (rgb; gray for one channel)"
    ),
    "scale": InputField(RealNumber(), "factor for the values 0 to 255, before the mean (1)"),
    "mean": InputField(Numbers(), "subtracted: one number, or one per channel (0)"),
    "std": InputField(Numbers(), "divided by, after the mean: one number, or one per channel (1)"),
    "resize": InputField(Pair(), "length of the shorter side, or height x width"),
    "crop": InputField(OneOf(("center",)), "the part that is taken after resizing"),
}


def preprocessing(
    fields: Sequence[Field], shape: Shape, evaluator: Evaluator, report: Report
) -> Preprocessing | None:
    """The preprocessing that the fields of an input state; None where they state none.

    What is wrong with a field is reported, and the field left out.
    """
    if not fields:
        return None

    def checked(f: Field) -> Any:
        value = _value(f, evaluator)
        _check(f, value, shape)
        return value

    values, given = read_fields(fields, checked, report)
    if "resize" in values and not _is_pair(given["resize"]):
        values["resize"] = values["resize"][0]
    if "channels" not in values and shape[0] == 1:
        values["channels"] = "gray"
    return Preprocessing(**values)


def _value(f: Field, evaluator: Evaluator) -> Any:
    """A field's value. Raises EvaluationError."""
    name = f.name.text
    if name not in INPUT_FIELDS:
        help_ = did_you_mean(name, INPUT_FIELDS) or (f"it has {one_of(INPUT_FIELDS)}",)
        raise evaluation_error(
            "unknown-field", f"an input has no field {name}", f.name.span, *help_
        )
    kind = INPUT_FIELDS[name].kind
    return evaluator.field(f.value, kind, f"{name} of an input")


def _is_pair(f: Field) -> bool:
    return isinstance(f.value, ShapeLiteral | ListLiteral)


def _check(f: Field, value: Any, shape: Shape) -> None:
    """What only holds together with the input's shape. Raises EvaluationError."""
    name = f.name.text
    if name in ("resize", "crop") and len(shape) != 3:
        message = f"a plain vector is no picture, and has no use for {name}"
        raise evaluation_error("wrong-rank", message, f.name.span)
    if name in ("mean", "std") and len(value) not in (1, shape[0]):
        message = f"{name} has {len(value)} numbers, but the input has {shape[0]} channels"
        raise evaluation_error("wrong-type", message, f.value.span)
    if name == "std" and 0 in value:
        raise evaluation_error("out-of-range", "std divides, so it can't be 0", f.value.span)
    if name == "channels" and shape[0] != (1 if value == "gray" else 3):
        message = f"{value} pictures do not have {shape[0]} channels"
        raise evaluation_error("shape-mismatch", message, f.value.span)
    if name == "resize" and (value[0] < shape[1] or value[1] < shape[2]):
        message = f"pictures resized to less than the input of {shape[1]}x{shape[2]} do not fill it"
        raise evaluation_error("out-of-range", message, f.value.span)
