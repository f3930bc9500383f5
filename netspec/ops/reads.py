"""Which places of its input, along height or width, a place of an op's result depends on.

Places outside the input are those that it would have if it went on: padding counts as input.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

from netspec.lazy_dataclasses import dataclass


class Reads:
    """The places of an input that each place of a result depends on, in one direction.

    `places` are those of a place; those of a place `period[0]` further are `period[1]` further.
    """

    def places(self, at: int) -> Sequence[int]:
        """The places, evenly spaced; none where nothing of the input gets to."""
        raise NotImplementedError

    @property
    def period(self) -> tuple[int, int]:
        """After how many places of the result all repeats, and how many of the input later."""
        raise NotImplementedError


@dataclass(frozen=True)
class Range(Reads):
    """Every `step`-th place from (stride * o + first) // scale to (stride * o + last) // scale."""

    stride: int = 1
    first: int = 0
    last: int = 0
    scale: int = 1
    step: int = 1

    def places(self, at: int) -> Sequence[int]:
        start = self.stride * at
        first, last = (start + self.first) // self.scale, (start + self.last) // self.scale
        return range(first, last + 1, self.step)

    @property
    def period(self) -> tuple[int, int]:
        common = gcd(self.stride, self.scale)
        return self.scale // common, self.stride // common


@dataclass(frozen=True)
class Around(Reads):
    """Two places on either side of (stride * o + first) / scale, or this place alone if it is one.

    These are those that a cubic interpolation takes.
    """

    stride: int
    first: int
    scale: int

    def places(self, at: int) -> Sequence[int]:
        low, rest = divmod(self.stride * at + self.first, self.scale)
        return range(low - 1, low + 3) if rest else range(low, low + 1)

    @property
    def period(self) -> tuple[int, int]:
        return Range(self.stride, scale=self.scale).period


@dataclass(frozen=True)
class Window(Reads):
    """`kernel` places, `dilation` apart, from o * stride - pad on."""

    kernel: int
    stride: int = 1
    pad: int = 0
    dilation: int = 1

    def places(self, at: int) -> Sequence[int]:
        first = at * self.stride - self.pad
        return range(first, first + (self.kernel - 1) * self.dilation + 1, self.dilation)

    @property
    def period(self) -> tuple[int, int]:
        return 1, self.stride


@dataclass(frozen=True)
class Covering(Reads):
    """The places whose windows, if windows slide over the result, hold the place."""

    kernel: int
    stride: int = 1
    pad: int = 0
    dilation: int = 1

    def places(self, at: int) -> Sequence[int]:
        # Place i has it as number k of its window where i * stride + k * dilation = at + pad.
        common = gcd(self.stride, self.dilation)
        place, rest = divmod(at + self.pad, common)
        if rest:
            return ()
        stride, dilation = self.stride // common, self.dilation // common
        k = place * pow(dilation, -1, stride) % stride  # the first one; then every stride-th
        last = (place - k * dilation) // stride
        return range(last, last - len(range(k, self.kernel, stride)) * dilation, -dilation)

    @property
    def period(self) -> tuple[int, int]:
        return self.stride, 1


ITSELF = Range()
ONE = Range(stride=0)
"""The same place for all."""
NOTHING = Range(stride=0, last=-1)
"""No place."""


@dataclass(frozen=True)
class ReceptiveField:
    """What a place of an op's result depends on, along height and width; None is all there is.

    `order` is for an op that exchanges channels, height and width: the dimension of the input that
    each of the result is.
    """

    height: Reads | None = ITSELF
    width: Reads | None = ITSELF
    order: tuple[int, int, int] = (0, 1, 2)
