"""The fields of a net's input: how a picture becomes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from netspec.evaluate import Evaluator, fault
from netspec.ir import Preprocessing
from netspec.ops import Shape
from netspec.ops.kinds import Choice, Kind, KindError, Number, Numbers, Pair
from netspec.suggest import did_you_mean, one_of
from netspec.syntax import Field, Variable


class InputField(NamedTuple):
    kind: Kind
    doc: str


INPUT_FIELDS: dict[str, InputField] = {
    "channels": InputField(
        Choice(("rgb", "bgr", "gray")), "order of the colours (rgb; gray for one channel)"
    ),
    "scale": InputField(Number(), "factor for the values 0 to 255, before the mean (1)"),
    "mean": InputField(Numbers(), "subtracted: one number, or one per channel (0)"),
    "std": InputField(Numbers(), "divided by, after the mean: one number, or one per channel (1)"),
    "resize": InputField(Pair(), "length of the shorter side, or height x width"),
    "crop": InputField(Choice(("center",)), "the part that is taken after resizing"),
}


def preprocessing(
    fields: Sequence[Field], shape: Shape, evaluator: Evaluator
) -> Preprocessing | None:
    """The preprocessing that the fields of an input state; None where they state none.

    Raises Fault.
    """
    if not fields:
        return None
    values: dict[str, Any] = {}
    for f in fields:
        name = f.name.text
        if name not in INPUT_FIELDS:
            help_ = did_you_mean(name, INPUT_FIELDS) or (f"it has {one_of(INPUT_FIELDS)}",)
            raise fault("unknown-field", f"an input has no field {name}", f.name.span, *help_)
        if name in values:
            raise fault("duplicate-field", f"the field {name} is given twice", f.name.span)
        kind = INPUT_FIELDS[name].kind
        try:
            if isinstance(f.value, Variable) and kind.words:
                values[name] = kind.convert(f.value.name)
            else:
                values[name] = kind.convert(evaluator.constant(f.value))
        except KindError as error:
            message = f"{name} of an input {error.message}"
            raise fault(error.code, message, f.value.span, error.help) from None
        _check(f, values[name], shape)
    single = any(f.name.text == "resize" and not _is_pair(f) for f in fields)
    if "resize" in values and single:
        values["resize"] = values["resize"][0]
    if "channels" not in values and shape[0] == 1:
        values["channels"] = "gray"
    return Preprocessing(**values)


def _is_pair(f: Field) -> bool:
    from netspec.syntax import ListLiteral, ShapeLiteral

    return isinstance(f.value, ShapeLiteral | ListLiteral)


def _check(f: Field, value: Any, shape: Shape) -> None:
    """What only holds together with the input's shape. Raises Fault."""
    name = f.name.text
    if name in ("mean", "std") and len(value) not in (1, shape[0]):
        message = f"{name} has {len(value)} numbers, but the input has {shape[0]} channels"
        raise fault("wrong-type", message, f.value.span)
    if name == "std" and 0 in value:
        raise fault("out-of-range", "std divides, so it can't be 0", f.value.span)
    if name == "channels" and shape[0] != (1 if value == "gray" else 3):
        message = f"{value} pictures do not have {shape[0]} channels"
        raise fault("shape-mismatch", message, f.value.span)
