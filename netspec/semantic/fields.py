"""Fields: the names of those of a call; those of an input or a `train` block, with their values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from netspec.diagnostics import Diagnostic, Diagnostics, Label
from netspec.diagnostics.source import Span
from netspec.diagnostics.suggest import did_you_mean, one_of
from netspec.ops import find_op
from netspec.semantic.foreign_names import field_help, field_near
from netspec.semantic.limits import MAX_ERRORS
from netspec.semantic.scope import EvaluationError
from netspec.syntax.ast import Call, Field

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


def check_fields(
    call: Call,
    names: Sequence[str],
    required: Sequence[str],
    what: str,
    diagnostics: Diagnostics,
    help_where_missing: str = "",
) -> None:
    """Check the names of a call's fields against those that its op or module has."""
    given: dict[str, Span] = {}
    known = set(names)
    kind = "field" if what in ("op", "module") else "parameter"
    for f in call.fields:
        name = f.name.text
        if len(diagnostics) >= MAX_ERRORS:
            return
        if name in given:
            diagnostics.add(field_given_twice(f, given[name]))
        elif name not in known:
            free = [n for n in names if n not in given]
            help_ = field_help(name, free, f.value.span.text, f.span) if what == "op" else ()
            help_ = help_ or did_you_mean(name, free)
            if not help_:
                twice = field_help(name, names) if what == "op" else ()
                twice = twice or did_you_mean(name, names)
                help_ = tuple(f"{h} It is given already" for h in twice)
            if not help_ and what == "op":
                help_ = field_near(name, free)
            if not help_:
                help_ = (f"it has {one_of(names)}" if names else f"it has no {kind}s",)
            diagnostics.add(
                Diagnostic(
                    "unknown-field",
                    f"the {what} {call.op.text} has no {kind} {name}",
                    f.name.span,
                    help=help_,
                )
            )
        given.setdefault(name, f.name.span)
    missing = [n for n in required if n not in given]
    # A misspelt field is one error, not two.
    if missing and given.keys() <= known:
        diagnostics.add(
            Diagnostic(
                "missing-field",
                f"{call.op.text} needs the {kind}{'s' * (len(missing) > 1)} "
                + " and ".join(missing),
                call.op.span,
                help=_example(call.op.text, not call.fields)
                if what == "op"
                else (help_where_missing,) * bool(help_where_missing),
            )
        )


def _example(keyword: str, bare: bool) -> tuple[str, ...]:
    """A use of an op, as help; of a pooling without any fields, also the one that needs none."""
    op = find_op(keyword)
    written = re.search(rf"\b{keyword} {{[^}}]*}}", op.example if op is not None else "")
    whole = f"global_{keyword}"
    more = f"; over the whole map goes `{whole}`" if bare and find_op(whole) else ""
    return (f"for example `{written[0]}`{more}",) if written else ()
