"""A program over batched tensors: operations in one vocabulary, for all importers that have such.

Shapes have the batch in front; axes are numbers from 0, which is the batch. `x` is an input that
may be computed; all others in the table are constants, where they are not said to be any tensor.
An input that an operation can do without is None.

Operations, their inputs and attributes (a pad is (top, left, bottom, right), a pair (rows,
columns)):

conv            x, weight (as PyTorch: filters x channels / groups x kernel), bias; stride, pad,
                dilation (pairs, pad), groups; same (whether the pad is TensorFlow's rule)
conv_transpose  x, weight (channels x filters / groups x kernel), bias; also output_pad
linear          x, weight (units x inputs), bias: over the last axis
matmul          x, y, any tensors: as numpy.matmul
batchnorm       x, weight, bias, mean, variance; eps, momentum (PyTorch's: weight of the newest),
                frozen (whether it keeps its statistics in training)
layernorm       x, weight, bias; axes, eps
groupnorm       x, weight, bias; groups, eps
instancenorm    x, weight, bias; eps
lrn             x; size, alpha (divided by size), beta, k
normalize       x; axes, eps (added to the sum of squares, whose root divides)
prelu           x, slope
maxpool         x; kernel, stride, pad, dilation, ceil (bool); a second result is the places, which
                nothing but maxunpool takes
maxunpool       x, places: any tensors; the result is as large as what was pooled
avgpool         x; kernel, stride, pad, ceil, count_include_pad
adaptive_avgpool, adaptive_maxpool   x; size (pair)
mean, sum, max, min   x; axes, keepdims
argmax          x; axis, keepdims
add, sub, mul, div, maximum, minimum, pow   x, y, any tensors: with numpy's broadcasting
concat          any tensors; axis
split           x; axis, sizes: as many results
slice           x; axis, start, end (exclusive, both 0 or more), step
flip            x; axis
reshape         x; shape (all numbers known): also for flatten, squeeze, unsqueeze and view
transpose       x; order (of all axes)
expand          x; shape
pad             x; before, after (one number an axis), mode (constant, reflect, edge), value
resize          x; size (pair), mode (nearest, bilinear, bicubic), align_corners; scale (pair), if
                the program says that; exact (nearest: whether places are rounded otherwise than
                floor(i * m / n))
pixel_shuffle, pixel_unshuffle   x; factor; PyTorch's order of channels
channel_shuffle x; groups
softmax, log_softmax   x; axis
dropout         x; ratio
identity        x
erf, sqrt, reciprocal, neg, exp, log, floor, round   x
and every activation of the language by its name with its fields as attributes, such as relu,
relu6, hardtanh (min, max), leaky_relu (slope), elu (alpha), silu, gelu, hardswish, hardsigmoid,
sigmoid, tanh, softplus, mish, clamp (min, max), abs. What has another name there is an error, with
that name in the message.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from typing import Any

from netspec.diagnostics.source import Source, Span
from netspec.importers.structure.graph import ConstantValue
from netspec.lazy_dataclasses import dataclass, field


@dataclass(frozen=True)
class ProgramConstant:
    """Numbers that a program has: a weight in a file, or what was computed of such.

    `load` gives them as an array of the shape, of any type of number; it may raise SpecError. Two
    constants with one `key` have the same numbers. `path` is the file they are in.
    """

    shape: tuple[int, ...]
    load: Callable[[], Any]
    key: object
    path: Path

    def changed(
        self, shape: tuple[int, ...], change: Callable[[Any], Any], how: object
    ) -> ProgramConstant:
        """The constant after a change of its numbers; `how` tells changes apart."""
        return ProgramConstant(shape, lambda: change(self.load()), (self.key, how), self.path)

    def read(self) -> Any:
        """The numbers as the spec's tensor has them: float32, in the order of rows."""
        import numpy as np

        return np.ascontiguousarray(self.load(), np.float32).reshape(self.shape)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return prod(self.shape)


@dataclass(eq=False)
class ProgramTensor:
    """A tensor of a program, batch first; `constant` where its numbers are known."""

    name: str
    shape: tuple[int, ...]
    constant: ProgramConstant | None = None


@dataclass(eq=False)
class Operation:
    """One operation; `kind` is one of the vocabulary above.

    `name` is the path of the module that it belongs to, its parts between dots, with the name of
    the function behind it where that is no module of its own: `layer1.0.conv1`, `layer1.0.add`.
    """

    kind: str
    inputs: list[ProgramTensor | None]
    outputs: list[ProgramTensor]
    name: str
    span: Span
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class TensorProgram:
    """Operations in an order in which each takes only results of earlier ones.

    `batch` is the number of pictures that shapes have in front. `modules` says which class a module
    is of, by its path, as far as that is known: `layer1.0` is a Bottleneck. `nodes` is the
    number of nodes in the file, with those of which there is no operation; `left_out` counts these
    by what they are, such as `identity`.
    """

    name: str
    source: Source
    batch: int
    inputs: list[ProgramTensor]
    operations: list[Operation]
    outputs: list[ProgramTensor]
    modules: Mapping[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    prepared: Mapping[str, ConstantValue] = field(default_factory=dict)
    """How pictures become the first input, as fields of it."""
    nodes: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
