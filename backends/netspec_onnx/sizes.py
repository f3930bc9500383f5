"""Which heights and widths of inputs are free, and what else depends on them.

The shape rules of the ops run with numbers that know the size they came from. What a layer needs
as a plain number fixes the sizes that the number depends on; the net is then written again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.ir import FlatLayer, Net, Value
from netspec.ir.sizes import blocks, followed_sizes
from netspec.lazy_dataclasses import dataclass
from netspec.ops import Op, Shape, attributes, like
from netspec.symbolic.expr import (
    MAX_OPERATORS,
    Apply,
    Dim,
    Expr,
    Operator,
    Real,
    SizeOf,
    Symbol,
    apply,
    expr_of,
    follows,
    operators,
)
from netspec.symbolic.terms import leaves, substitute


@dataclass(frozen=True)
class SizedLayer:
    """A layer whose numbers know the sizes they came from: its op as settled and as stated."""

    op: Op
    stated: Any
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]


class SizeNumber(Dim):
    """A number that depends on sizes, and whatever a shape rule makes of it."""

    def _combine(
        self, operator: Operator, other: object, result: int, swapped: bool = False
    ) -> int:
        if not isinstance(other, int):
            return NotImplemented  # type: ignore[no-any-return]
        if operator == "//" and other == 1:
            return self
        pair = (expr_of(other), self.expr) if swapped else (self.expr, expr_of(other))
        large = sum(map(operators, pair)) >= MAX_OPERATORS
        expr = Apply(operator, pair) if large else apply(operator, *pair)
        return result if expr is None else SizeNumber(result, expr)

    def __neg__(self) -> SizeNumber:
        match self.expr:
            case Apply("-", (inner,)):
                return SizeNumber(-int(self), inner)
        return SizeNumber(-int(self), Apply("-", (self.expr,)))


class FreeSizes:
    """The shapes of all values. `fixed` are the sizes of inputs that are plain numbers."""

    def __init__(self, net: Net, fixed: set[SizeOf]) -> None:
        self.fixed = fixed
        self.shapes: dict[Value, Shape] = {}
        self._inputs: dict[SizeOf, frozenset[SizeOf]] = {}
        self._followed = followed_sizes(net)
        decides = any(isinstance(s, SizeOf) for b in blocks(net.body) for s in b.static)
        for value in net.body.inputs:
            channels, *sizes = map(int, value.shape)
            symbols = [SizeOf(value, axis) for axis, _ in enumerate(sizes, 1)]
            self._inputs |= {s: frozenset([s]) for s in symbols}
            if decides:
                fixed.update(symbols)
            pairs = zip(sizes, symbols, strict=True)
            numbers = (n if s in fixed else SizeNumber(n, s) for n, s in pairs)
            self.shapes[value] = (channels, *numbers)

    def follows(self, prefix: str) -> bool:
        """Whether a layer whose path begins so has numbers that follow sizes of some values."""
        return any(path.startswith(prefix) for path in self._followed)

    def layer(self, flat: FlatLayer) -> SizedLayer:
        """A layer with its numbers; its inputs must have come before."""
        inputs = tuple(self.shapes[v] for v in flat.inputs)
        meaning = self._followed.get(flat.path, {})
        stated = self._translated(flat.layer.stated or flat.op, meaning)
        op = stated.bind(inputs)
        outputs = op.outputs(inputs)
        for value, shape in zip(flat.outputs, outputs, strict=True):
            own = (self._named(value, axis, n) for axis, n in enumerate(shape))
            self.shapes[value] = like(shape, tuple(own))
        return SizedLayer(op, stated, inputs, tuple(self.shapes[v] for v in flat.outputs))

    def fix(self, number: Any) -> Any:
        """A plain number; the sizes that it depends on are fixed."""
        if isinstance(number, Dim | Real):
            for symbol in leaves(number.expr):
                self.fixed |= self._inputs.get(symbol, frozenset())
        return float(number) if isinstance(number, float) else int(number)

    def plain(self, op: Op, free: tuple[str, ...]) -> Op:
        """An op with plain numbers, but for the `free` attributes."""
        return _mapped(op, lambda n: self.fix(n), free)

    def _translated(self, op: Op, meaning: Mapping[Symbol, Expr]) -> Op:
        """An op whose numbers depend on sizes as this object names them, or are plain."""

        def size(symbol: Any) -> Expr:
            return expr_of(self.shapes[symbol.value][symbol.axis])

        def number(n: Dim | Real) -> int | float:
            expr = substitute(n.expr, meaning.__getitem__) if meaning else None
            expr = substitute(expr, size) if expr is not None and follows(expr) else None
            if expr is None or not follows(expr):
                return float(n) if isinstance(n, Real) else int(n)
            return Real(n, expr) if isinstance(n, Real) else SizeNumber(n, expr)

        return _mapped(op, number, ())

    def _named(self, value: Value, axis: int, n: int) -> int:
        """A dimension under a name of its own, so that expressions stay small."""
        if not isinstance(n, Dim) or isinstance(n.expr, SizeOf):
            return n
        symbol = SizeOf(value, axis)
        self._inputs[symbol] = frozenset().union(*(self._inputs[s] for s in leaves(n.expr)))
        return SizeNumber(int(n), symbol)


def _mapped(op: Op, function: Any, but: tuple[str, ...]) -> Op:
    """An op with other numbers in place of those that have an expression."""

    def mapped(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(map(mapped, value))
        return function(value) if isinstance(value, Dim | Real) else value

    names = [a.name for a in attributes(type(op)) if a.name not in but]
    found = {name: (getattr(op, name), mapped(getattr(op, name))) for name in names}
    changed = {name: new for name, (old, new) in found.items() if new is not old}
    return op.with_attributes(**changed) if changed else op
