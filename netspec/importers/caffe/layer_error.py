"""The one way in which a layer fails."""

from __future__ import annotations

from netspec.diagnostics import Diagnostic, Label
from netspec.diagnostics.source import Span

UNSUPPORTED = "unsupported-layer"


class LayerError(Exception):
    """A layer, or an input, that can't be translated. `translate` catches and reports it.

    A diagnostic without a place is about the layer's type. It is None where the shapes of a node
    do not fit, which checking the converted net reports.
    """

    def __init__(self, diagnostic: Diagnostic | None = None) -> None:
        super().__init__(diagnostic.message if diagnostic else "shapes do not fit")
        self.diagnostic = diagnostic

    @classmethod
    def invalid(
        cls,
        code: str,
        message: str,
        span: Span | None = None,
        *help: str,
        others: tuple[Label, ...] = (),
    ) -> LayerError:
        """The error of a layer that Caffe refuses as well."""
        return cls(Diagnostic(code, message, span, help=help, others=others))

    @classmethod
    def unsupported(cls, reason: str, span: Span | None = None, *help: str) -> LayerError:
        """The error of a layer that netspec can't express. The report adds the layer's name."""
        return cls(Diagnostic(UNSUPPORTED, reason, span, help=help))

    @property
    def is_unsupported(self) -> bool:
        """Whether the layer is valid, but can't be expressed."""
        return self.diagnostic is not None and self.diagnostic.code == UNSUPPORTED
