"""Ops of several inputs."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from netspec.ops.base import Family, Op, Saved, Shape, ShapeError, op, text

MERGING = Family("merging", "Ops of several inputs.")


@op("concat", MERGING)
class Concat(Op):
    """The channels of all inputs, one after the other; heights and widths must be equal."""

    saves = "nothing"
    hands_gradient_on = True
    overwritable = True
    foreign_names = ("Cat", "Concatenate", "Concatenation")
    same_on_vectors = True
    equal_inputs = "height and width"

    example = (
        "left: conv(x) { filters: 16  kernel: 1x1 }\n"
        "right: conv(x) { filters: 48  kernel: 3x3  pad: 1 }\n"
        "concat(left, right)"
    )

    arity = (1, None)

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        first = inputs[0]
        for i, shape in enumerate(inputs):
            if shape[1:] != first[1:]:
                what = "ranks" if len(shape) != len(first) else "height and width"
                raise ShapeError(
                    "shape-mismatch",
                    f"concat needs inputs of equal {what}, "
                    f"but they are {' and '.join(_distinct(inputs))}",
                    i,
                )
        channels = inputs[0][0]
        for shape in inputs[1:]:
            channels = channels + shape[0]
        return ((channels, *first[1:]),)


class Arithmetic(Op):
    """Element by element on equal shapes; channels, height or width of 1 spread.

    An input of Cx1x1 is the same at every place, one of 1xHxW in every channel.
    """

    elementwise = True
    same_on_vectors = True

    arity = (2, None)

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        largest = max(inputs, key=lambda s: (len(s), prod(map(int, s))))
        whole = [shape for shape in inputs if len(shape) == len(largest)]
        result = tuple(max(sizes, key=int) for sizes in zip(*whole, strict=True))
        # What does not go with the largest is likelier to be wrong.
        for shape in (largest, result):
            for i, other in enumerate(inputs):
                if len(other) != len(shape) or not all(map(_agree, other, shape)):
                    others = _distinct(inputs)
                    raise ShapeError(
                        "shape-mismatch",
                        f"{self.keyword} needs equal shapes, but they are {' and '.join(others)}",
                        i,
                    )
        return (result,)

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        if self.saves == "nothing":
            return Saved()
        # Of three, the first two make a value of their own.
        between = (len(inputs) - 2) * prod(map(int, outputs[0]))
        return Saved(tuple(range(len(inputs))), own=4 * between)


def _agree(size: int, other: int) -> bool:
    """Whether two dimensions are equal, or one of them is 1 and spreads."""
    return (int(size) == 1) != (int(other) == 1) or size == other


def _distinct(inputs: Sequence[Shape]) -> list[str]:
    return list(dict.fromkeys(text(shape) for shape in inputs))


@op("add", MERGING)
class Add(Arithmetic):
    """The sum of all inputs, element by element; dimensions of 1 spread."""

    saves = "nothing"
    hands_gradient_on = True
    overwritable = True
    example = "left: conv(x) { filters: 64  kernel: 3x3  pad: 1 }\nadd(left, x)"


@op("sub", MERGING)
class Sub(Arithmetic):
    """The first input minus all others, element by element; dimensions of 1 spread."""

    saves = "nothing"
    overwritable = True
    foreign_names = ("Subtract",)

    example = "left: conv(x) { filters: 64  kernel: 3x3  pad: 1 }\nsub(left, x)"


@op("mul", MERGING)
class Mul(Arithmetic):
    """The product of all inputs, element by element; dimensions of 1 spread.

    With a gate of one number per channel: squeeze-and-excitation (Hu et al. 2017,
    arXiv:1709.01507).
    """

    foreign_names = ("Multiply", "Prod")

    example = "gate: conv(x) { filters: 64  kernel: 56x56 } -> sigmoid\nmul(x, gate)"


@op("div", MERGING)
class Div(Arithmetic):
    """The first input divided by all others, element by element; dimensions of 1 spread."""

    foreign_names = ("Divide", "TrueDivide")

    example = "norm: conv(x) { filters: 64  kernel: 1x1 } -> softplus\ndiv(x, norm)"


@op("maximum", MERGING)
class Maximum(Arithmetic):
    """The largest of all inputs, element by element; dimensions of 1 spread."""

    foreign_names = ("Max",)

    example = "left: conv(x) { filters: 64  kernel: 3x3  pad: 1 }\nmaximum(left, x)"


@op("minimum", MERGING)
class Minimum(Arithmetic):
    """The smallest of all inputs, element by element; dimensions of 1 spread."""

    foreign_names = ("Min",)

    example = "left: conv(x) { filters: 64  kernel: 3x3  pad: 1 }\nminimum(left, x)"
