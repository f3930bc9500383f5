"""What is wrong with a model of Keras."""

from __future__ import annotations

from netspec.diagnostics.source import Span


class KerasError(Exception):
    """A diagnostic in the making: its code, message, place and help."""

    def __init__(self, code: str, message: str, span: Span | None = None, *help_: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.span = span
        self.help = help_
