"""Which layers made a shape what it is, and which change would make it what a contract wants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from netspec.diagnostics import Diagnostic, Label
from netspec.diagnostics.fixes import Fix
from netspec.diagnostics.source import Span
from netspec.ir import Layer, Node, Value
from netspec.lazy_dataclasses import dataclass, field, replace
from netspec.ops import Op, Shape, ShapeError, attributes, text
from netspec.semantic.contracts.check import Wanted
from netspec.semantic.shape_errors import made_by, settings_of, variants
from netspec.semantic.shape_patterns import Pattern, matches
from netspec.syntax.edits import set_fields

MAX_STEPS = 8
"""Most changes of height and width that a note lists."""
MAX_WALKED = 20_000
"""Most layers on the way to a value that are looked at."""
MAX_TRIED = 20_000
"""Most layers whose shape is worked out anew in search of a fix."""


@dataclass(frozen=True)
class _ShapeStep:
    """A layer on the way to a value: what it makes, what it takes, and the path it is inside of.

    `own` says that it stands in the block whose contract it is, and not inside an instance.
    """

    node: Layer
    made: Value
    taken: Value
    prefix: str
    own: bool

    @property
    def resizes(self) -> bool:
        return self.made.shape[1:] != self.taken.shape[1:]


@dataclass(frozen=True)
class _Explained:
    """What is added to a diagnostic."""

    others: tuple[Label, ...] = ()
    notes: tuple[str, ...] = ()
    help: tuple[str, ...] = ()


@dataclass
class Provenance:
    """Explains shapes by the layers of one block and by its other contracts.

    `kept` are values that are as expected, `broken` those whose height or width is not, with the
    contract's place. `prefix` is the path of the instance that the block is inside of.
    """

    nodes: Sequence[Node]
    makers: Mapping[Value, Node]
    places: Mapping[Value, Span]
    kept: set[Value] = field(default_factory=set)
    broken: dict[Value, Span] = field(default_factory=dict)
    prefix: str = ""

    def note(self, wanted: Iterable[Wanted], place: Span) -> None:
        """Keep that the contract at a place is not met."""
        for shape in wanted:
            if _misses_size(shape):
                self.broken.setdefault(shape.line.value, place)

    def explain(self, diagnostic: Diagnostic, wanted: Wanted) -> Diagnostic:
        """The diagnostic of an unmet contract, with the layers that made the shape."""
        value, within = wanted.line.value, wanted.line.within
        block = self
        if within is not None and value not in self.makers:
            makers = {v: n for n in within.nodes for v in n.outputs}
            prefix, dot, _ = wanted.line.name.rpartition(".")
            block = replace(self, nodes=within.nodes, makers=makers, places={}, prefix=prefix + dot)
        found = (
            block._explain_size(wanted) if _misses_size(wanted) else block._explain_other(wanted)
        )
        return replace(
            diagnostic,
            others=diagnostic.others + tuple(o for o in found.others if o.span != diagnostic.span),
            notes=diagnostic.notes + found.notes,
            help=diagnostic.help + found.help,
        )

    def _explain_other(self, wanted: Wanted) -> _Explained:
        """The same for channels, the length of a vector, or the number of dimensions."""
        value, pattern, name = wanted.line.value, wanted.pattern, wanted.line.name
        node = made_by(value, self.makers)
        what = f"{name} is {text(value.shape)}"
        help_: tuple[str, ...] = ()
        if len(pattern) == len(value.shape) and not matches(value.shape[:1], pattern[:1]):
            source, field_ = self._source(value)
            if source is not None:
                node, what = source, f"the {value.shape[0]} channels of {name} are"
                number = str(pattern[0])
                how = f"`{field_}: {number}` {self._at(source)} would make it so"
                help_ = (Fix(how, *set_fields(source.span, **{field_: number})),)
        place = node.span if node else self.places.get(value)
        if place is None:
            return _Explained()
        how = settings_of(node) if not help_ else ""
        label = f"{what} from here" + (f": {how}" if how else "")
        return _Explained((Label(place, label),), (), help_)

    def _source(self, value: Value) -> tuple[Layer | None, str]:
        """The layer that decides how many channels a value has, and the name of its field for that.

        None where that is an input, or a layer without such a field.
        """
        node = self.makers.get(value)
        while isinstance(node, Layer):
            own = {a.name for a in attributes(type(node.op))}
            for name in ("filters", "units"):
                if name in own:
                    return node, name
            if len(node.inputs) != 1 or node.inputs[0].shape[0] != value.shape[0]:
                break
            node = self.makers.get(node.inputs[0])
        return None, ""

    def _at(self, node: Node) -> str:
        return f"at {self.prefix}{node.line or node.name} (line {node.span.line})"

    def _explain_size(self, wanted: Wanted) -> _Explained:
        """Labels, notes and a fix for a height or width: the layers on the way that change it."""
        value, name = wanted.line.value, wanted.line.name
        steps: list[_ShapeStep] = []
        start = self._walk(value, self.makers, self.prefix, True, steps)
        changes = [step for step in steps if step.resizes]
        if not changes:
            return self._explain_other(wanted)
        notes: list[str] = []
        if len(changes) > 1:
            way = [f"{s.prefix}{s.made.name} {text(s.made.shape[1:])}" for s in changes[::-1]]
            if start is not None:
                way.insert(0, f"{self.prefix}{start.name} {text(start.shape[1:])}")
            notes.append(f"height and width on the way: {', '.join(way[-MAX_STEPS:])}")
        for place, step in enumerate(steps):
            before = f"{step.prefix}{step.taken.name}"
            if step.taken in self.broken:
                line = self.broken[step.taken].line
                notes.append(
                    f"{before}, of which it is made, is not as expected either (line {line})"
                )
                return _Explained((), tuple(notes))
            if step.taken in self.kept:
                changes = [s for s in steps[: place + 1] if s.resizes] or changes[:1]
                notes.append(f"up to {before} all is as expected")
                break
        last = changes[0]
        how = f"{settings_of(last.node)}, on {text(last.taken.shape[1:])}".removeprefix(", ")
        what = f"the {text(last.made.shape[1:])} of {name} is from here: {how}"
        own = [step.node for step in reversed(changes) if step.own]
        fix = self._fix(value, wanted.pattern, own)
        return _Explained((Label(last.node.span, what),), tuple(notes), fix)

    def _walk(
        self,
        value: Value,
        makers: Mapping[Value, Node],
        prefix: str,
        own: bool,
        steps: list[_ShapeStep],
    ) -> Value | None:
        """Add the layers on the way to a value, the last one first.

        Returns the input of the block that it begins with, None where there is none.
        """
        while len(steps) < MAX_WALKED:
            node = makers.get(value)
            if node is None:
                return value
            if isinstance(node, Layer):
                taken = next((v for v in node.inputs if len(v.shape) == 3), None)
                if taken is None:
                    return None
                steps.append(_ShapeStep(node, value, taken, prefix, own))
                value = taken
                continue
            inner = {v: n for n in node.block.nodes for v in n.outputs}
            result = node.block.outputs[node.outputs.index(value)]
            begun = self._walk(result, inner, f"{prefix}{node.name}.", False, steps)
            if begun is None or begun not in node.block.inputs:
                return None
            value = node.inputs[node.block.inputs.index(begun)]
        return None

    def _fix(self, value: Value, pattern: Pattern, nodes: Sequence[Layer]) -> tuple[str, ...]:
        """One field of one of these layers that would make the value as wanted."""
        trial = _Trial(self.nodes)
        for node in nodes:
            for name, op, written in (*_roundings(node.op), *variants(node.op)):
                shape = trial.shape(value, node, op)
                if shape is not None and matches(shape, pattern):
                    how = f"`{name}: {written}` {self._at(node)} would make it {text(shape)}"
                    return (Fix(how, *set_fields(node.span, **{name: written})),)
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


class _SearchLimit(Exception):
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
        except (ShapeError, _SearchLimit):
            return None
        return shapes.get(value)

    def _replay(self, nodes: Sequence[Node], shapes: dict[Value, Shape]) -> None:
        """Complete `shapes` with those of all that depends on them."""
        for node in nodes:
            self.left -= 1
            if self.left < 0:
                raise _SearchLimit
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
