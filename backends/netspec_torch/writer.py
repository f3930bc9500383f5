"""Writes the numbers of a block as source, in terms of the arguments of its class.

A `conv { filters: 2 * width }` becomes `nn.Conv2d(in_channels, 2 * width, 1)`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.symbolic.conditions import Condition, condition_source, holds, known_symbols
from netspec.symbolic.expr import Expr as Expression
from netspec.symbolic.expr import (
    NumberLiteral,
    Parameter,
    Symbol,
    constant_source,
    evaluate,
    expr_of,
    expression_source,
    operators,
    symbols,
    unrounded,
    whole,
)

ITERATION = Parameter("the iteration of a loop, from 0")
"""Stands for the variable of a loop; no parameter has a name with blanks."""


class NumberWriter:
    """Writes the numbers of one block.

    `values` are the values of the block's parameters and input channels, `arguments` their names in
    the constructor; a number that depends on other symbols, or by more than `most_operators`
    operators, is written as the number it is. `iteration` is set while a loop is written once for
    all its iterations, to the one that is checked.

    Collected: `used`, the symbols that were written; `exact`, those of them that were written
    outside of all rounding; `refused`, those of expressions that were not written; `supports`, the
    support classes that the block needs.
    """

    def __init__(
        self, values: Mapping[Symbol, Any], arguments: Mapping[Symbol, str], most_operators: int
    ) -> None:
        self._values = values
        self.iteration: int | None = None
        self.arguments = arguments
        self.most_operators = most_operators
        self.used: set[Symbol] = set()
        self.exact: set[Symbol] = set()
        self.refused: set[Symbol] = set()
        self.needs_math = False
        self.supports: set[str] = set()

    @property
    def values(self) -> Mapping[Symbol, Any]:
        return (
            self._values if self.iteration is None else {**self._values, ITERATION: self.iteration}
        )

    def marked(self) -> tuple[set[Symbol], ...]:
        """What was collected up to now, for `forget`."""
        return set(self.used), set(self.refused), set(self.exact)

    def forget(self, mark: tuple[set[Symbol], ...]) -> None:
        """Restore what was collected before a text that is not used was written."""
        self.used, self.refused, self.exact = map(set, mark)

    def _name(self, symbol: Symbol) -> str:
        self.used.add(symbol)
        return self.arguments[symbol]

    def number(self, number: int | float, expr: Expression | None = None) -> str:
        """Source that has this value in the constructor, in terms of its arguments if it can be."""
        plain = repr(float(number)) if isinstance(number, float) else repr(int(number))
        expr = expr_of(number) if expr is None else expr
        if isinstance(expr, NumberLiteral):
            return plain
        known = set(symbols(expr))
        if operators(expr) > self.most_operators or not known <= set(self.values):
            self.refused |= known
            return plain
        # The language computes exactly, Python with floats: write only what gives the same value.
        if evaluate(expr, self.values.__getitem__) != number:
            self.refused |= known
            return plain
        if isinstance(number, int):
            expr = whole(expr, self.values.__getitem__)
        self.exact |= set(unrounded(expr))
        source = expression_source(expr, self._name)
        self.needs_math = self.needs_math or "math." in source
        return source

    def constant(self, value: Any, expr: Expression | None) -> str:
        """Source of a text, truth value or None: the argument that it came from, if any."""
        if isinstance(expr, Parameter) and expr in self.values:
            known = self.values[expr]
            if type(known) is type(value) and known == value:
                return self._name(expr)
        return constant_source(value)

    def pair(self, pair: tuple[int, int]) -> str:
        """`3` for equal numbers, else `(1, 3)`."""
        height, width = self.number(pair[0]), self.number(pair[1])
        return height if height == width else f"({height}, {width})"

    def literal(self, *numbers: int | float) -> bool:
        """Whether these numbers depend on no parameter."""
        return all(isinstance(expr_of(n), NumberLiteral) for n in numbers)

    def condition(self, condition: Condition, truth: bool) -> str | None:
        """A condition as source; None where it can't be written or is not of this truth here."""
        known = set(known_symbols(condition))
        if not known <= set(self.values):
            return None
        if holds(condition, self.values.__getitem__) is not truth:
            return None
        source = condition_source(condition, self._name)
        self.needs_math = self.needs_math or "math." in source
        return source

    def fixed(self, number: int | float) -> str:
        """A number as it is, for `forward`, where the constructor's arguments can't be used."""
        self.refused |= set(symbols(expr_of(number)))
        return repr(float(number)) if isinstance(number, float) else repr(int(number))

    def fixed_pair(self, pair: tuple[int, int]) -> str:
        """`3` for equal numbers, else `(1, 3)`, as `fixed` writes them."""
        height, width = self.fixed(pair[0]), self.fixed(pair[1])
        return height if height == width else f"({height}, {width})"

    def support(self, name: str) -> str:
        """The name of a support class, which is then copied into the file."""
        self.supports.add(name)
        return name
