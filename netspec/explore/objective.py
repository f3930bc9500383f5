"""Conditions and objectives on results of a sweep, in the language's own expressions.

`params <= 1.25M and SR < 0.5`, `macs + 10 * params`: what `expect` knows of a whole net, the
parameters that were set, and `accuracy` and `loss` of nets that were trained.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from netspec.diagnostics import Diagnostic, Diagnostics, SpecError, spec_error
from netspec.diagnostics.source import Source, Span
from netspec.diagnostics.suggest import one_of
from netspec.lazy_dataclasses import replace
from netspec.semantic.constants import constant_of
from netspec.semantic.evaluator import METRICS, Evaluator
from netspec.semantic.limits import LimitExceeded
from netspec.semantic.scope import EvaluationError, LayerReference, Scope, TracedConstant
from netspec.symbolic.expr import Num
from netspec.syntax.parser import parse_expression


class Formula:
    """An expression that is evaluated on results."""

    def __init__(self, option: str, text: str) -> None:
        """Parse an expression given for an option. Raises SpecError (bad-option)."""
        diagnostics = Diagnostics()
        expression = parse_expression(Source(option, text), diagnostics)
        if expression is None:
            message = f"{option} {text!r} is no expression of the language"
            help_ = "for example `params <= 1.25M and macs < 500M`"
            why = diagnostics.sorted()[0]
            error = replace(why, code="bad-option", message=message, label=why.message)
            raise SpecError([replace(error, help=(*why.help, help_))])
        self.text = text
        self.option = option
        self.expression = expression

    def uses(self, names: Iterable[str]) -> bool:
        """Whether one of these names is in the expression."""
        return any(re.search(rf"\b{name}\b", self.text) for name in names)

    def holds(self, metrics: Mapping[str, Any], settings: Mapping[str, Any]) -> bool:
        """Whether a condition is true of a result. Raises SpecError (bad-option)."""
        return bool(self._evaluate(metrics, settings, condition=True))

    def value(self, metrics: Mapping[str, Any], settings: Mapping[str, Any]) -> Fraction:
        """The value of an expression of numbers. Raises SpecError (bad-option)."""
        found = self._evaluate(metrics, settings, condition=False)
        if not isinstance(found, Num):
            message = f"{self.option} {self.text!r} is no number"
            raise spec_error("bad-option", message)
        return found.value

    def _evaluate(
        self, metrics: Mapping[str, Any], settings: Mapping[str, Any], condition: bool
    ) -> Any:
        span = self.expression.span
        scope = Scope()
        figures = {name: value for name, value in metrics.items() if name not in METRICS}
        known = {**figures, **settings}
        for name, value in known.items():
            scope.names[name] = (
                TracedConstant(constant_of(value), frozenset()),
                Span(span.source, 0, 0),
            )
        evaluator = Evaluator(scope, metrics=_NetMetrics(metrics))
        try:
            if condition:
                return evaluator.truth(self.expression)
            return evaluator.constant(self.expression)
        except (EvaluationError, LimitExceeded) as error:
            raise SpecError([self._error(error.diagnostic, known)]) from None

    def _error(self, why: Diagnostic | None, settings: Mapping[str, Any]) -> Diagnostic:
        what = f"{self.option} {self.text!r}"
        if why is None:
            return Diagnostic("bad-option", f"{what} can't be computed")
        help_ = why.help
        if why.code == "unknown-name":
            help_ = (*help_, f"it may use {one_of((*METRICS, *settings))}")
        return replace(why, code="bad-option", message=f"{what}: {why.message}", help=help_)


class _NetMetrics:
    """The metrics of a whole net; nothing is known of its parts."""

    def __init__(self, metrics: Mapping[str, Any]) -> None:
        self.metrics = metrics

    def __call__(self, name: str, line: LayerReference | None) -> int:
        assert line is None, "a formula has no lines"
        return int(self.metrics[name])

    def inside(self, line: LayerReference, name: str) -> LayerReference | None:
        return None

    def names_inside(self, line: LayerReference) -> list[str]:
        return []

    def note(self, name: str, line: LayerReference | None) -> str:
        return ""
