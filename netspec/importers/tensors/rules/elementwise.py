"""Functions of each element."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from netspec.importers.tensors.numbers import fraction
from netspec.importers.tensors.program import Operation
from netspec.importers.tensors.rules.registry import rule
from netspec.importers.tensors.translation import (
    ProgramTranslation,
)
from netspec.ops import OPS, attributes


def activation(to: ProgramTranslation, o: Operation) -> None:
    fields = {a.name for a in attributes(OPS[o.kind])}
    given = {n: _field(v) for n, v in o.attributes.items() if v is not None and n in fields}
    view = to.settled(o.inputs[0])
    to.set(o.outputs[0], view.on(to.emit(o.kind, view.value, **given).value))


@rule("softmax", "log_softmax")
def softmax(to: ProgramTranslation, o: Operation) -> None:
    view = to.along(o.inputs[0], int(o.attributes["axis"]), "a softmax")
    to.set(o.outputs[0], view.on(to.emit(o.kind, view.value).value))


@rule("dropout")
def dropout(to: ProgramTranslation, o: Operation) -> None:
    view = to.view(o.inputs[0])
    ratio = fraction(o.attributes.get("ratio", 0.5))
    if ratio:
        view = view.on(to.emit("dropout", view.value, ratio=ratio).value)
    to.set(o.outputs[0], view)


_POWERS = {"neg": "scale", "sqrt": "exponent", "reciprocal": "exponent"}


@rule(*_POWERS)
def power(to: ProgramTranslation, o: Operation) -> None:
    """A root, a reciprocal or a change of sign."""
    view = to.settled(o.inputs[0])
    number = Fraction(1, 2) if o.kind == "sqrt" else Fraction(-1)
    settings: dict[str, Any] = {_POWERS[o.kind]: number}
    to.set(o.outputs[0], view.on(to.emit("power", view.value, **settings).value))


@rule("exp", "log")
def exp(to: ProgramTranslation, o: Operation) -> None:
    view = to.settled(o.inputs[0])
    to.set(o.outputs[0], view.on(to.emit(o.kind, view.value).value))


def _field(value: Any) -> Any:
    return value if isinstance(value, bool | str) else fraction(value)
