"""Values of options in the language's own expressions: `--set filters=2*8`."""

from __future__ import annotations

from netspec.diagnostics import Diagnostic, Diagnostics
from netspec.diagnostics.source import Source, Span
from netspec.lazy_dataclasses import replace
from netspec.syntax.ast import Field, Name
from netspec.syntax.parser import parse_expression


def parse_option(option: str, name: str, value: str, diagnostics: Diagnostics) -> Field | None:
    """`--option NAME=VALUE` as a field, with its places in `NAME=VALUE`.

    None, and one diagnostic, where the value is no expression.
    """
    source = Source(option, f"{name}={value}")
    found = Diagnostics()
    expression = parse_expression(source, found, len(name) + 1, "given")
    if expression is None:
        diagnostics.add(no_constant(option, name, value, next(iter(found), None)))
        return None
    span = Span(source, 0, len(name))
    return Field(Name(name, span), expression, span.to(expression.span))


def no_constant(option: str, name: str, value: str, why: Diagnostic | None) -> Diagnostic:
    """The error of a value that is no constant; `why` is what is wrong with its expression."""
    message = f"{option} {name}={value} is no constant of the language"
    if why is None:
        return Diagnostic("wrong-type", message)
    return replace(why, code="wrong-type", message=message, label=why.message)
