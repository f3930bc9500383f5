"""How pictures become inputs, as netspec notes it in files of its own."""

from __future__ import annotations

import json
from fractions import Fraction
from typing import Any

from onnx import ModelProto

from netspec.importers.structure.graph import ConstantValue
from netspec.importers.tensors.numbers import fraction

KEY = "netspec.preprocessing"
CHANNELS = ("rgb", "bgr", "gray")


def preparation(model: ModelProto) -> dict[str, ConstantValue]:
    """The fields of the first input; none where the file says nothing, or nothing sound."""
    said = next((p.value for p in model.metadata_props if p.key == KEY), "")
    if not 0 < len(said) < 10_000:
        return {}
    try:
        given = json.loads(said)
        found = _fields(given) if isinstance(given, dict) else {}
    except (ValueError, TypeError, OverflowError, RecursionError, ZeroDivisionError):
        return {}
    return found


def _fields(given: dict[str, Any]) -> dict[str, ConstantValue]:
    """The fields that are not as they are without being said. Raises ValueError and TypeError."""
    found: dict[str, ConstantValue] = {}
    if given.get("channels") in CHANNELS[1:]:
        found["channels"] = given["channels"]
    scale = given.get("scale", 1)
    if scale != 1:
        whole = round(1 / scale)
        found["scale"] = Fraction(1, whole) if whole and 1 / whole == scale else fraction(scale)
    for name, usual in (("mean", 0), ("std", 1)):
        numbers = [fraction(n) for n in given.get(name, [usual])[:4]]
        if any(n != usual for n in numbers):
            found[name] = tuple(numbers) if numbers[1:] else numbers[0]
    resize = given.get("resize")
    if isinstance(resize, int):
        found["resize"] = Fraction(resize)
    elif isinstance(resize, list) and len(resize) == 2:
        found["resize"] = tuple(Fraction(int(n)) for n in resize)
    if given.get("crop") == "center":
        found["crop"] = "center"
    return found
