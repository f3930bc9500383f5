"""Numbers of a block as source: by the names of the class's arguments where they came from them."""

from __future__ import annotations

from collections.abc import Mapping

from netspec.naming import Names
from netspec.symbolic import (
    Channels,
    Expr,
    Literally,
    Parameter,
    evaluate,
    expr_of,
    operators,
    symbols,
    whole,
)
from netspec.symbolic import python as python_source


class Writer:
    """Writes the numbers of one block.

    `values` are what the block's parameters and input channels are here; a parameter that is not
    in it is written as the number it is. `used` collects the symbols that were written, with their
    argument names. `most_operators` bounds the expressions; `refused` collects the symbols of those
    that were not written. `supports` collects the support classes that the block needs.
    """

    def __init__(
        self, values: Mapping[Parameter | Channels, int | float], names: Names, most_operators: int
    ) -> None:
        self.values = values
        self.names = names
        self.most_operators = most_operators
        self.used: dict[Parameter | Channels, str] = {}
        self.refused: set[Parameter | Channels] = set()
        self.needs_math = False
        self.supports: set[str] = set()

    def argument(self, symbol: Parameter | Channels) -> str:
        """The constructor's argument for a symbol."""
        if symbol not in self.used:
            if isinstance(symbol, Parameter):
                wanted = symbol.name
            else:
                inputs = [s for s in self.values if isinstance(s, Channels)]
                wanted = "in_channels" if len(inputs) == 1 else f"{symbol.input}_channels"
            self.used[symbol] = self.names.identifier(wanted)
        return self.used[symbol]

    def number(self, number: int | float, expr: Expr | None = None) -> str:
        """Source that has this value in the class."""
        plain = repr(float(number)) if isinstance(number, float) else repr(int(number))
        expr = expr_of(number) if expr is None else expr
        if isinstance(expr, Literally):
            return plain
        known = set(symbols(expr))
        if operators(expr) > self.most_operators or not known <= set(self.values):
            self.refused |= known
            return plain
        # The language computes exactly, Python with floats: write only what comes to the same.
        if evaluate(expr, self.values.__getitem__) != number:
            self.refused |= known
            return plain
        if isinstance(number, int):
            expr = whole(expr, self.values.__getitem__)
        source = python_source(expr, self.argument)
        self.needs_math = self.needs_math or "math." in source
        return source

    def fixed(self, number: int | float) -> str:
        """A number where the constructor's arguments are out of reach, as in `forward`."""
        self.refused |= set(symbols(expr_of(number)))
        return repr(float(number)) if isinstance(number, float) else repr(int(number))

    def fixed_pair(self, pair: tuple[int, int]) -> str:
        """`3` for equal numbers, else `(1, 3)`, out of reach of the arguments."""
        height, width = self.fixed(pair[0]), self.fixed(pair[1])
        return height if height == width else f"({height}, {width})"

    def support(self, name: str) -> str:
        """A class that is copied into the file."""
        self.supports.add(name)
        return name

    def pair(self, pair: tuple[int, int]) -> str:
        """`3` for equal numbers, else `(1, 3)`."""
        height, width = self.number(pair[0]), self.number(pair[1])
        return height if height == width else f"({height}, {width})"
