"""The attributes of a node, with defaults filled in, in one form each."""

from __future__ import annotations

from fractions import Fraction
from functools import cache
from typing import Any

from netspec.importers.structure.graph import ConstantValue, Node
from netspec.ops import OPS, attributes
from netspec.ops.attribute_types import Padding, Pair

ALWAYS_WRITTEN = {("dropout", "ratio"), ("leaky_relu", "slope")}
"""Fields that are written even where they have their default."""
TRAINING_FIELDS = {a.name for op in OPS.values() for a in attributes(op) if a.training}
"""Fields that only say how a layer begins and is trained."""
COUNTS = {"filters", "units"}
"""Fields that count channels of the output."""


def attribute_values(node: Node) -> dict[str, ConstantValue]:
    """The attributes that have a value. Pairs are two numbers, pads two or four."""
    found: dict[str, ConstantValue] = {}
    for attribute in attributes(OPS[node.op]):
        name = attribute.name
        if name in node.settings:
            found[name] = _normalized(attribute.kind, node.settings[name].value)
        else:
            default = _defaults(node.op)[name]
            if default is not None:
                found[name] = default
    return found


def is_default(op: str, name: str, value: ConstantValue) -> bool:
    """Whether a field has its default, so that it need not be written."""
    default = _defaults(op).get(name)
    same = type(default) is type(value) and default == value
    return same and (op, name) not in ALWAYS_WRITTEN


@cache
def _defaults(op: str) -> dict[str, ConstantValue | None]:
    return {
        a.name: None if a.required else _declared(a.kind, a.default) for a in attributes(OPS[op])
    }


def _declared(kind: Any, value: Any) -> ConstantValue | None:
    """A default of an op's declaration as a constant; None for one that depends on others."""
    if value is None or (isinstance(value, str) and value.startswith("=")):
        return None
    if isinstance(value, bool | str):
        return value
    if isinstance(value, tuple):
        numbers = tuple(Fraction(v) for v in value)
        if len(numbers) == 4 and numbers[0] == numbers[1] and numbers[2] == numbers[3]:
            numbers = (numbers[0], numbers[2])
        return numbers
    return _normalized(kind, Fraction(repr(value)))


def _normalized(kind: Any, value: ConstantValue) -> ConstantValue:
    if isinstance(kind, Pair | Padding) and isinstance(value, Fraction):
        return (value, value)
    return value
