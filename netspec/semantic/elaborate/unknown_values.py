"""What an unknown name of a value may mean: a layer without a name, or one made further down."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.diagnostics import Diagnostic, Label
from netspec.diagnostics.fixes import Edit, Fix
from netspec.diagnostics.source import Span
from netspec.lazy_dataclasses import replace
from netspec.syntax.ast import Definition, LayerStatement, Let
from netspec.syntax.visitor import statements


def explained(
    diagnostic: Diagnostic, span: Span, automatic: Mapping[str, Span], definition: Definition
) -> Diagnostic:
    """The diagnostic of an unknown name, with what it may mean.

    `automatic` are the names of layers that the spec gives none.
    """
    place = automatic.get(span.text)
    if place is not None:
        label = Label(place, f"called {span.text} in tables, for want of a name of its own")
        named = Edit(Span(place.source, place.start, place.start), f"{span.text}: ")
        help_ = (Fix(f"write `{span.text}: ` in front of the layer to name it", named),)
        return replace(diagnostic, others=(label,), help=help_)
    later = _made_below(span, definition)
    if later is not None:
        label = Label(later, "it is made here, further down")
        return replace(
            diagnostic, others=(label,), help=("a name can be used below the line that defines it",)
        )
    if (
        not diagnostic.help
        and "//" in span.source.line(span.line)[: span.source.position(span.start)[1]]
    ):
        return replace(diagnostic, help=("`//` divides; a comment begins with `#`",))
    return diagnostic


def _made_below(span: Span, definition: Definition) -> Span | None:
    """The place further down where a name is given; None where there is none."""
    for s in statements(definition.body):
        if isinstance(s, LayerStatement) and s.name is not None and not s.name.indices:
            name = s.name.base
        elif isinstance(s, Let):
            name = s.name
        else:
            continue
        if name.text == span.text and name.span.source is span.source:
            if name.span.start > span.start:
                return name.span
    return None
