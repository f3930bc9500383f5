"""The fields of an input or of a `train` block: each given once and evaluated."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from netspec.diagnostics import Diagnostic, Label
from netspec.diagnostics.source import Span
from netspec.semantic.scope import EvaluationError
from netspec.syntax.ast import Field

Report = Callable[[EvaluationError], None]
"""What becomes of an error; the rest is looked at all the same."""


def read_fields(
    fields: Iterable[Field], evaluate: Callable[[Field], Any], report: Report
) -> tuple[dict[str, Any], dict[str, Field]]:
    """The values of fields by name, and the fields themselves.

    A field that is wrong is reported and has no value. `evaluate` may raise EvaluationError.
    """
    values: dict[str, Any] = {}
    given: dict[str, Field] = {}
    for f in fields:
        name = f.name.text
        try:
            if name in given:
                raise EvaluationError(field_given_twice(f, given[name].name.span))
            given[name] = f
            values[name] = evaluate(f)
        except EvaluationError as error:
            report(error)
    return values, given


def field_given_twice(f: Field, first: Span) -> Diagnostic:
    message = f"the field {f.name.text} is given twice"
    others = (Label(first, "the first one"),)
    return Diagnostic("duplicate-field", message, f.name.span, others=others)
