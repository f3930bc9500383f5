"""Bounds on what one spec may cost, so that any text is checked in seconds."""

from __future__ import annotations

from netspec.diagnostics import Diagnostic
from netspec.diagnostics.source import Span

MAX_ERRORS = 200
"""Most errors that are looked for."""
MAX_VARIANTS = 100
"""Most variants of a net: each is built to be checked."""
MAX_STEPS = 400_000
"""Most statements that are run in all."""
MAX_WORK = 2_000_000
"""Most parts of expressions, and items of lists, that are evaluated in all."""


class LimitExceeded(Exception):
    """The whole elaboration ends; no diagnostic where the errors found already are enough."""

    def __init__(self, diagnostic: Diagnostic | None = None) -> None:
        super().__init__()
        self.diagnostic = diagnostic


class Budget:
    """What is left for one elaboration."""

    def __init__(self) -> None:
        self.steps = MAX_STEPS
        self.work = MAX_WORK

    def step(self, span: Span) -> None:
        """Count a statement. Raises LimitExceeded."""
        self.steps -= 1
        if self.steps < 0:
            raise LimitExceeded(
                _spent(f"this spec takes more than {MAX_STEPS:,} statements to run", span)
            )

    def spend(self, amount: int, span: Span) -> None:
        """Count parts of an expression. Raises LimitExceeded."""
        self.work -= amount
        if self.work < 0:
            message = f"the expressions of this spec take more than {MAX_WORK:,} steps to evaluate"
            raise LimitExceeded(_spent(message, span))


def _spent(message: str, span: Span) -> Diagnostic:
    return Diagnostic("too-large", message, span)
