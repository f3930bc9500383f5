"""Where a shape departs from what a promise wants of it, and the change that would mend it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from netspec.blame import made_by, settings_of, variants
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


_Step = tuple[Node, Value, Value]
"""A node, what it makes, and what of the same kind it takes."""


def _resizes(step: _Step) -> bool:
    return step[1].shape[1:] != step[2].shape[1:]


@dataclass(frozen=True)
class _Told:
    others: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()


@dataclass
class Lineage:
    """The layers of one block, and what its promises say of shapes.

    `kept` are values that are as promised, `broken` those whose height or width is not, with the
    promise's place. `prefix` is the path of the instance that the block is inside of.
    """

    nodes: Sequence[Node]
    makers: Mapping[Value, Node]
    places: Mapping[Value, Span]
    kept: set[Value] = field(default_factory=set)
    broken: dict[Value, Span] = field(default_factory=dict)
    prefix: str = ""

    def note(self, wanted: Iterable[Wanted], place: Span) -> None:
        """Keep that the promise at this place is not met."""
        for one in wanted:
            if _misses_size(one):
                self.broken.setdefault(one.line.value, place)

    def explain(self, diagnostic: Diagnostic, wanted: Wanted) -> Diagnostic:
        """The diagnostic of an unmet promise, with how the shape came about."""
        value, within = wanted.line.value, wanted.line.within
        home = self
        if within is not None and value not in self.makers:
            makers = {v: n for n in within.nodes for v in n.outputs}
            prefix, dot, _ = wanted.line.name.rpartition(".")
            home = replace(self, nodes=within.nodes, makers=makers, places={}, prefix=prefix + dot)
        told = home._size(wanted) if _misses_size(wanted) else home._elsewhere(wanted)
        return replace(
            diagnostic,
            others=diagnostic.others + tuple(o for o in told.others if o.span != diagnostic.span),
            notes=diagnostic.notes + told.notes,
            help=diagnostic.help + told.help,
        )

    def _elsewhere(self, wanted: Wanted) -> _Told:
        """For channels, the length of a vector, or another number of dimensions."""
        value, pattern = wanted.line.value, wanted.pattern
        node = made_by(value, self.makers)
        place = node.span if node else self.places.get(value)
        if place is None:
            return _Told()
        how = settings_of(node)
        label = f"{wanted.line.name} is {text(value.shape)} from here" + (f": {how}" if how else "")
        help_: tuple[str, ...] = ()
        if isinstance(node, Layer) and len(pattern) == len(value.shape):
            own = {a.name for a in attributes(type(node.op))}
            for name in own & {"filters", "units"}:
                help_ = (f"`{name}: {pattern[0]}` {self._at(node)} makes it so",)
        return _Told((Label(place, label),), (), help_)

    def _at(self, node: Node) -> str:
        return f"at {self.prefix}{node.line or node.name} (line {node.span.line})"

    def _size(self, wanted: Wanted) -> _Told:
        """For height and width: the layers on the way that change them."""
        value, name = wanted.line.value, wanted.line.name
        steps = self._steps(value)
        changes = [step for step in steps if _resizes(step)]
        if not changes:
            return self._elsewhere(wanted)
        notes: list[str] = []
        if len(changes) > 1:
            way = [changes[-1][2], *(after for _, after, _ in reversed(changes))]
            shown = [f"{self.prefix}{v.name} {text(v.shape[1:])}" for v in way]
            notes.append(f"height and width on the way: {', '.join(shown[-MAX_STEPS:])}")
        for place, (_, _, before) in enumerate(steps):
            if before in self.broken:
                because = f"{self.prefix}{before.name}, of which it is made, is not as expected"
                notes.append(f"{because} either (line {self.broken[before].line})")
                return _Told((), tuple(notes))
            if before in self.kept:
                changes = [step for step in steps[: place + 1] if _resizes(step)] or changes[:1]
                notes.append(f"up to {self.prefix}{before.name} all is as expected")
                break
        node, after, before = changes[0]
        how = f"{settings_of(node)}, on {text(before.shape[1:])}".removeprefix(", ")
        label = Label(node.span, f"the {text(after.shape[1:])} of {name} is from here: {how}")
        mend = self._mend(value, wanted.pattern, [node for node, _, _ in reversed(changes)])
        return _Told((label,), tuple(notes), mend)

    def _steps(self, value: Value) -> list[_Step]:
        """The nodes on the way to a value that has height and width, the last one first."""
        steps = []
        while (node := self.makers.get(value)) is not None:
            before = next((v for v in node.inputs if len(v.shape) == 3), None)
            if before is None:
                break
            steps.append((node, value, before))
            value = before
        return steps

    def _mend(self, value: Value, pattern: Pattern, nodes: Sequence[Node]) -> tuple[str, ...]:
        """One field of one of these layers that would make the value as wanted."""
        trial = _Trial(self.nodes)
        for node in nodes:
            if not isinstance(node, Layer):
                continue
            for name, op, written in (*_roundings(node.op), *variants(node.op)):
                shape = trial.shape(value, node, op)
                if shape is not None and matches(shape, pattern):
                    return (f"`{name}: {written}` {self._at(node)} makes it {text(shape)}",)
        return ()


def _misses_size(wanted: Wanted) -> bool:
    shape, pattern = wanted.line.value.shape, wanted.pattern
    return len(pattern) == len(shape) == 3 and not matches(shape[1:], pattern[1:])


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
