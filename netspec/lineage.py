"""Where a shape departs from what a promise wants of it, and the change that would mend it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from netspec.blame import made_by, origins, settings_of, variants
from netspec.diagnostics import Diagnostic, Label
from netspec.ir import Layer, Node, Value
from netspec.ops import Op, Shape, ShapeError, attributes, text
from netspec.patterns import Pattern, matches
from netspec.promises import Wanted
from netspec.source import Span

MAX_STEPS = 8
"""Most changes of height and width that a note lists."""
MAX_TRIED = 20_000
"""Most layers whose shape is worked out anew in search of a mend."""


@dataclass
class Lineage:
    """The layers of one block, and what its promises say of shapes.

    `kept` are values that are as promised, `broken` those that are not, with the promise's place.
    """

    nodes: Sequence[Node]
    makers: Mapping[Value, Node]
    places: Mapping[Value, Span]
    kept: set[Value] = field(default_factory=set)
    broken: dict[Value, Span] = field(default_factory=dict)

    def explain(self, diagnostic: Diagnostic, wanted: Wanted) -> Diagnostic:
        """The diagnostic of an unmet promise, with how the shape came about."""
        value, pattern = wanted.line.value, wanted.pattern
        home = self
        if wanted.line.within is not None and value not in self.makers:
            nodes = wanted.line.within.nodes
            makers = {v: n for n in nodes for v in n.outputs}
            home = replace(self, nodes=nodes, makers=makers, places={})
        assert diagnostic.span is not None
        if len(pattern) != len(value.shape):
            return home._told(
                diagnostic, origins((value,), home.makers, home.places, _here(diagnostic))
            )
        if len(pattern) == 3 and not matches(value.shape[1:], pattern[1:]):
            return home._size(diagnostic, wanted.line.name, value, pattern)
        return home._channels(diagnostic, value, pattern)

    def _told(
        self,
        diagnostic: Diagnostic,
        labels: tuple[Label, ...] = (),
        notes: tuple[str, ...] = (),
        help: tuple[str, ...] = (),
    ) -> Diagnostic:
        return replace(
            diagnostic,
            others=diagnostic.others + labels,
            notes=diagnostic.notes + notes,
            help=diagnostic.help + help,
        )

    # --- channels, or the length of a vector -----------------------------------------------------

    def _channels(self, diagnostic: Diagnostic, value: Value, pattern: Pattern) -> Diagnostic:
        labels = origins((value,), self.makers, self.places, _here(diagnostic))
        node = made_by(value, self.makers)
        help_: tuple[str, ...] = ()
        if isinstance(node, Layer):
            for name in ("filters", "units"):
                if any(a.name == name for a in attributes(type(node.op))):
                    place = f"at {node.line or node.name} (line {node.span.line})"
                    help_ = (f"`{name}: {pattern[0]}` {place} makes it so",)
        return self._told(diagnostic, labels, help=help_)

    # --- height and width ------------------------------------------------------------------------

    def _size(
        self, diagnostic: Diagnostic, name: str, value: Value, pattern: Pattern
    ) -> Diagnostic:
        changes = self._changes(value)
        if not changes:
            labels = origins((value,), self.makers, self.places, _here(diagnostic))
            return self._told(diagnostic, labels)
        sizes = [f"{v.name} {text(v.shape[1:])}" for _, v, _ in reversed(changes)]
        first = changes[-1][2]
        shown = ", ".join(sizes[-MAX_STEPS:])
        if len(sizes) <= MAX_STEPS:
            shown = f"{first.name} {text(first.shape[1:])}, {shown}"
        notes = (f"height and width on the way: {shown}",) if len(changes) > 1 else ()
        for place, (_, _, before) in enumerate(changes):
            if before in self.broken:
                line = self.broken[before].line
                because = f"{before.name}, of which this is made, is not as expected either"
                return self._told(diagnostic, notes=(*notes, f"{because} (line {line})"))
            if before in self.kept:
                changes = changes[: place + 1]
                notes += (f"up to {before.name} all is as expected",)
                break
        node, after, before = changes[0]
        how = f"{settings_of(node)}, on {text(before.shape[1:])}".removeprefix(", ")
        labels = (Label(node.span, f"the {text(after.shape[1:])} of {name} is from here: {how}"),)
        mend = self._mend(value, pattern, [node for node, _, _ in reversed(changes)])
        return self._told(diagnostic, labels, notes, mend)

    def _changes(self, value: Value) -> list[tuple[Node, Value, Value]]:
        """The nodes that changed height and width on the way to a value, the last one first.

        Each with the value that it made and the one that it took.
        """
        changes = []
        while (node := self.makers.get(value)) is not None:
            before = next((v for v in node.inputs if len(v.shape) == 3), None)
            if before is None:
                break
            if before.shape[1:] != value.shape[1:]:
                changes.append((node, value, before))
            value = before
        return changes

    def _mend(self, value: Value, pattern: Pattern, nodes: Sequence[Node]) -> tuple[str, ...]:
        """One field of one of these layers that would make the value as wanted."""
        trial = _Trial(self.nodes)
        for node in nodes:
            if not isinstance(node, Layer):
                continue
            for name, op, written in (*_roundings(node.op), *variants(node.op)):
                shape = trial.shape(value, node, op)
                if shape is not None and matches(shape, pattern):
                    place = f"at {node.line or node.name} (line {node.span.line})"
                    return (f"`{name}: {written}` {place} makes it {text(shape)}",)
        return ()


def _here(diagnostic: Diagnostic) -> Span:
    assert diagnostic.span is not None
    return diagnostic.span


def _roundings(op: Op) -> list[tuple[str, Op, str]]:
    """A pooling with the other rounding."""
    now = getattr(op, "round", None)
    if now not in ("floor", "ceil"):
        return []
    other = "ceil" if now == "floor" else "floor"
    return [("round", op.with_attributes(round=other), other)]


class _TooMuch(Exception):
    pass


class _Trial:
    """Shapes of a block in which one layer is another."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self.nodes = nodes
        self.left = MAX_TRIED

    def shape(self, value: Value, changed: Layer, op: Op) -> Shape | None:
        """The shape that a value would have; None where something would no longer fit."""
        shapes: dict[Value, Shape] = {}
        try:
            inputs = [v.shape for v in changed.inputs]
            made = op.bind(inputs).outputs(inputs)
            shapes.update(zip(changed.outputs, made, strict=False))
            self._replay(self.nodes, shapes)
        except (ShapeError, _TooMuch):
            return None
        return shapes.get(value)

    def _replay(self, nodes: Sequence[Node], shapes: dict[Value, Shape]) -> None:
        """Complete `shapes` with those of all that depends on them."""
        for node in nodes:
            self.left -= 1
            if self.left < 0:
                raise _TooMuch
            if node.outputs[0] in shapes or not any(v in shapes for v in node.inputs):
                continue
            inputs = [shapes.get(v, v.shape) for v in node.inputs]
            if isinstance(node, Layer):
                made: Sequence[Shape] = node.op.bind(inputs).outputs(inputs)
            else:
                inner = dict(zip(node.block.inputs, inputs, strict=True))
                self._replay(node.block.nodes, inner)
                made = [inner.get(v, v.shape) for v in node.block.outputs]
            shapes.update(zip(node.outputs, made, strict=False))
