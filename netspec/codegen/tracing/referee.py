"""Holds a trace against the net that it was made for: the layers that it makes, and their tensors.

A trace says what a text does for any arguments; for those of the net it must come to the net.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any

from netspec.codegen.tracing.expressions import completed
from netspec.codegen.tracing.made_ops import MadeOp
from netspec.codegen.tracing.names import has_tensors
from netspec.codegen.tracing.nodes import (
    CannotTrace,
    ChannelsNode,
    Extent,
    ForNode,
    IfNode,
    InstanceCall,
    InstanceSize,
    ItemExtent,
    LayerPath,
    LetNode,
    LineNode,
    OpCall,
    Trace,
    TraceNode,
    TraceValue,
)
from netspec.codegen.tracing.numbers import constant, literal
from netspec.ir import Net
from netspec.ops import IndexShape, Op, attributes
from netspec.symbolic.conditions import Combined, Compared
from netspec.symbolic.expr import Channels, Dim, Parameter, Real
from netspec.symbolic.terms import FloatParameter, Local, decided, plain, substitute

Shape = tuple[int, ...]
FoundTensor = tuple[str, Shape, bool]
"""The name of a tensor, its shape; whether its layer is there already."""


def check(trace: Trace, net: Net) -> None:
    """Raise CannotTrace where the class of a trace would have other tensors than its net."""
    arguments = {p.name: p.value for p in net.parameters}
    run = _TraceRun(trace, arguments, [v.shape for v in net.body.inputs])
    found: dict[str, Shape] = {}
    try:
        for key, shape, again in run.tensors(trace.nodes):
            if again and found.get(key) != shape:
                raise CannotTrace(f"{key}, which another use would need in another shape")
            found[key] = shape
    except KeyError:
        raise CannotTrace("a number that only other arguments decide") from None
    wanted = {name: tuple(map(int, t.shape)) for name, t in net.tensors.items()}
    for name in (*wanted, *found):
        if found.get(name) != wanted.get(name):
            raise CannotTrace(f"{name}, which would not be that of the net")


class _TraceRun:
    """A trace run with numbers. `shapes` are those of its inputs, `path` begins all names."""

    def __init__(
        self, trace: Trace, arguments: Mapping[str, Any], shapes: Sequence[Shape], path: str = ""
    ) -> None:
        self.path = path
        self.shapes: dict[TraceValue, Shape] = dict(zip(trace.inputs, shapes, strict=True))
        self.results: dict[InstanceCall, list[Shape]] = {}
        self.items: dict[Any, Shape] = {}
        """The shapes of what iterations made, by value and indices."""
        self.variables: dict[str, Any] = {}
        self.known: dict[Any, Any] = {}
        for name, value in arguments.items():
            self.known |= dict.fromkeys(
                (Parameter(name), FloatParameter(name)), constant(value).term
            )
        for v, shape in self.shapes.items():
            self.known[Channels(v.name)] = literal(int(shape[0]))

    def term(self, term: Any) -> Any:
        """A term for these arguments."""
        return substitute(term, self._leaf)

    def _leaf(self, leaf: Any) -> Any:
        match leaf:
            case Local(name):
                return self.variables[name]
            case Extent(value, axis):
                shape = self.shape(value)
                plane = shape.plane if isinstance(shape, IndexShape) else ()
                return literal(int((*shape[:3], *plane)[axis]))
            case ItemExtent(value, key, axis):
                shape = self.items[value, tuple(map(self.term, key))]
                return literal(int(shape.plane[axis - 1] if isinstance(shape, IndexShape) else 0))
            case InstanceSize(instance, index, axis):
                return literal(int((*self.results[instance][index], 1, 1)[axis]))
        return self.known[leaf]

    def value(self, term: Any) -> Any:
        """What a term comes to."""
        found = self.term(term)
        return decided(found) if isinstance(found, Compared | Combined) else plain(found)

    def shape(self, value: TraceValue) -> Shape:
        if value.item_of is None:
            return self.shapes[value]
        of, key = value.item_of
        found = self.items.get((of, tuple(map(self.term, key))))
        if found is None:
            raise CannotTrace("an item of a loop that has no layer of its own")
        return found

    def number(self, value: Any) -> Any:
        """An attribute with its numbers for these arguments."""
        if isinstance(value, Dim | Real):
            found = plain(self.term(value.expr))
            return float(found) if isinstance(value, Real) else int(found)
        return tuple(map(self.number, value)) if type(value) is tuple else value

    def name(self, path: LayerPath | None) -> str:
        if path is None:
            raise CannotTrace("a layer with weights that has no name of its own")
        parts = (plain(self.term(s.term)) for s in path.indices)
        return self.path + path.base + "_".join(str(p) for p in parts) + path.suffix

    def _key(self, path: LayerPath) -> tuple[Any, ...]:
        """The indices of a name; none where nothing needs to know them."""
        try:
            return tuple(self.term(s.term) for s in path.indices)
        except KeyError:
            return ()

    def tensors(self, nodes: Sequence[TraceNode]) -> Iterator[FoundTensor]:
        """The tensors of layers."""
        for node in nodes:
            match node:
                case LetNode(local, term) | ChannelsNode(local, term):
                    with suppress(KeyError):  # of a count that nothing asks for
                        self.variables[local.name] = self.term(term)
                case LineNode():
                    for c in node.calls:
                        yield from self._call(c)
                case IfNode():
                    met = [decided(self.term(c)) for c, _ in node.cases]
                    chosen = met.index(True) if True in met else len(met)
                    yield from self.tensors(node.bodies[chosen])
                    for phi in node.phis:
                        source = phi.sources[chosen]
                        if source is not None:
                            self.shapes[phi.value] = self.shape(source)
                case ForNode():
                    yield from self._loop(node)

    def _loop(self, node: ForNode) -> Iterator[FoundTensor]:
        values = plain(self.term(node.first))
        if node.last is not None:
            last, step = (int(plain(self.term(t))) for t in (node.last, node.step))
            values = range(int(values), last + (1 if step > 0 else -1), step)
        for k in node.carried:
            self.shapes[k.value] = self.shape(k.before)
        for value in values:
            self._assign(node.target, value)
            yield from self.tensors(node.body)
            # What only a branch makes may not be there, and is then read by nothing.
            made = [k for k in node.carried if k.after.item_of or k.after in self.shapes]
            after = [self.shape(k.after) for k in made]
            self.shapes |= dict(zip((k.value for k in made), after, strict=True))

    def _assign(self, target: Any, value: Any) -> None:
        """Give the variables of a loop a value."""
        if isinstance(target, Local):
            self.variables[target.name] = constant(value).term
        else:
            for part, item in zip(target, value, strict=True):
                self._assign(part, item)

    def _call(self, c: Any) -> Iterator[FoundTensor]:
        shapes = [self.shape(v) for v in c.inputs]
        for v, shape in zip(c.inputs, shapes, strict=True):
            self._hold(v, shape)
        if isinstance(c, OpCall):
            op = self._op(c)
            bound = op.bind(shapes)
            results = list(bound.outputs(shapes))
            for tensor, t in bound.tensors(shapes).items():
                path = self.name(c.attribute)
                key = path if c.bare else f"{path}.{tensor}"
                yield key, tuple(map(int, t.shape)), bool(c.kept)
        else:
            template, trace, given = c.template, c.trace, dict[str, Any]()
            if c.maker is not None:
                value = plain(self.known[Parameter(c.maker.parameter)])
                template, trace = value.callee, c.maker.classes[value.callee]
                given = {n: constant(v) for n, v in value.fields}
            given |= {n: constant(self.value(s.term)) for n, s in c.arguments.items()}
            arguments = {n: s.value for n, s in completed(template, given).items()}
            path = self.name(c.attribute) + "." if has_tensors(c) or c.kept else ""
            inner = _TraceRun(trace, arguments, shapes, path)
            for key, shape, again in inner.tensors(trace.nodes):
                yield key, shape, again or bool(c.kept)
            results = self.results[c] = [inner.shape(v) for v in trace.outputs]
        for v, shape in zip(c.outputs, results, strict=False):  # arguments say how many parts
            self.shapes[v] = shape
            if v.item_like is not None:
                of, index = v.item_like
                self.items[of, tuple(map(self.term, index))] = shape
            if c.name is not None:
                self.items[v, self._key(c.name)] = shape

    def _hold(self, v: TraceValue, shape: Shape) -> None:
        """Raise CannotTrace where the sizes that a class would write for a value are others."""
        for size, term in zip(shape, (v.channels, *(v.static or ())), strict=False):
            with suppress(KeyError):
                if plain(self.term(term)) != size:
                    raise CannotTrace(f"{v.name or 'a value'}, which would not be that of the net")

    def _op(self, c: OpCall) -> Op:
        if isinstance(c.op, MadeOp):
            return c.op.of(plain(self.known[Parameter(c.op.parameter)]))
        numbers = {a.name: self.number(getattr(c.op, a.name)) for a in attributes(type(c.op))}
        return c.op.with_attributes(**numbers | {n: self.value(t) for n, t in c.terms.items()})
