"""Ops that keep one number of several channels."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.ops.base import Family, Op, Shape, op

REDUCING = Family("reducing", "Ops that keep one number of several channels.")


@op("argmax", REDUCING)
class ArgMax(Op):
    """Which channel has the largest value, counted from 0, at each place; the first of equal ones.

    The result has one channel, of numbers like the input's.
    """

    same_on_vectors = True

    def outputs(self, inputs: Sequence[Shape]) -> tuple[Shape, ...]:
        return ((1, *inputs[0][1:]),)
