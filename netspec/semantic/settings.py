"""Values for a net's parameters from outside, as constants of the language."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.diagnostics import Diagnostics
from netspec.semantic.constants import constant_of
from netspec.semantic.evaluator import Evaluator
from netspec.semantic.limits import LimitExceeded
from netspec.semantic.scope import EvaluationError, Scope
from netspec.syntax.ast import OpLiteral


class SettingText(str):
    """A value of `--set`, still as text of the language."""


def constants_of(settings: Mapping[str, Any], diagnostics: Diagnostics) -> dict[str, Any]:
    """Settings as constants: Python values, or text of the language as `SettingText`.

    Text that is no constant is reported and left out. Raises TypeError for other objects.
    """
    found = {}
    for name, value in settings.items():
        if not isinstance(value, SettingText):
            found[name] = constant_of(value)
            continue
        constant = parse_constant(name, value, diagnostics)
        if constant is not None or value == "none":
            found[name] = constant
    return found


def parse_constant(name: str, text: str, diagnostics: Diagnostics) -> Any:
    """`10`, `50%`, `3x3`, `true` or a bare word as a constant of the language.

    None, and a diagnostic that names the parameter, for what is none.
    """
    from netspec.syntax.parser.options import no_constant, parse_option

    field = parse_option("--set", name, text, diagnostics)
    if field is None:
        return None
    if isinstance(field.value, OpLiteral):
        return str(text)  # what it is shows where its net is known
    try:
        return Evaluator(Scope()).constant(field.value)
    except (EvaluationError, LimitExceeded) as error:
        if text.isidentifier():
            return str(text)
        diagnostics.add(no_constant("--set", name, text, error.diagnostic))
        return None


def texts_of(settings: Mapping[str, Any]) -> dict[str, str]:
    """Settings as text, as `--set` takes it: `10`, `true`, `relu`, `[64, 128]`."""
    return {name: _text(value) for name, value in settings.items()}


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_text, value))}]"
    return str(value).lower() if isinstance(value, bool) else str(value)
