"""How to read a prototxt: what the options of commands say that the file does not."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.importers.shape_options import bad_shape, shape_of
from netspec.lazy_dataclasses import dataclass, field
from netspec.semantic.input_block import INPUT_FIELDS
from netspec.symbolic.expr import Num


@dataclass(frozen=True)
class ReadOptions:
    """How to read a prototxt. What is None is taken from the file, else from Caffe's defaults."""

    phase: str | None = None
    stages: tuple[str, ...] | None = None
    level: int | None = None
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Shapes of inputs by name, without the batch; the name "" is for any input."""
    preprocessing: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the input, as the language has them."""
    until: tuple[str, ...] = ()
    """The blobs at which the net ends; empty for the blobs that no layer takes."""
    examples: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """Shapes that would fit, of inputs by name, for messages."""


def read_options(
    settings: Mapping[str, Any], diagnostics: Diagnostics
) -> tuple[ReadOptions, dict[str, Any]]:
    """The options in the settings, and the settings that are left for the net's parameters.

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

    def report(message: str) -> None:
        diagnostics.add(Diagnostic("wrong-type", message))

    for name, value in settings.items():
        kind, _, which = name.partition(":")
        if kind == "phase":
            phase = str(value).upper()
            if phase not in ("TRAIN", "TEST"):
                report(f"a phase is TRAIN or TEST, not {value}")
        elif kind == "stage":
            stages += [which] if which else [s for s in str(value).split(",") if s]
        elif kind == "until":
            blobs += [which] if which else [s for s in str(value).split(",") if s]
        elif kind == "level":
            if isinstance(value, Num) and value.value.denominator == 1:
                level = int(value.value)
            else:
                report("a level is a whole number")
        elif kind == "input":
            shape = shape_of(value)
            if shape is None:
                diagnostics.add(bad_shape(value))
            else:
                shapes[which] = shape
        elif name in INPUT_FIELDS:
            preprocessing[name] = _plain(value)
        else:
            left[name] = value
    stated = tuple(stages) if stages else None
    return ReadOptions(phase, stated, level, shapes, preprocessing, tuple(blobs)), left


def _plain(value: Any) -> Any:
    """A constant of the language as the value of a field of the input."""
    if isinstance(value, tuple):
        return tuple(v.value if isinstance(v, Num) else Fraction(0) for v in value)
    return value.value if isinstance(value, Num) else value
