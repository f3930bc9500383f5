"""How a processor best computes a convolution, and with how much memory beside its result.

Times are estimates from a few rates. These were measured with NumPy on one core with AVX-512, but
only their ratios matter, and those differ little between processors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import zip_longest
from math import prod
from typing import Literal

from netspec.codegen.backend import PlannedMemory
from netspec.ops import AvgPool, Conv, Linear, MaxPool
from netspec_numpy.fusion import FusedLayer, FusedNet
from netspec_numpy.memory_plan import place

MULTIPLY = 1 / 120e9
"""Seconds for a multiplication and addition inside a matrix product."""
COPY = 1 / 4e9
"""Seconds for an element that is gathered or put in place."""
FETCH = 4 / 25e9
"""Seconds to fetch an element of weights that are not in the cache."""

CALL = 7e-6
"""Seconds for a call of NumPy: threads lose most of it waiting for Python's interpreter."""

Kind = Literal["product", "winograd", "depthwise", "gather"]


@dataclass(frozen=True)
class Algorithm:
    """How a convolution or linear layer is computed.

    `rows` of results (of tiles, with Winograd's algorithm) are computed at once. `strip` and
    `packed` are the elements of the padded rows that are read and of the weights as they are
    rearranged, `scratch` those of each array that is kept meanwhile.
    """

    kind: Kind
    rows: int
    strip: int
    scratch: tuple[int, ...]
    packed: int
    seconds: float


def choose(stage: FusedLayer) -> Algorithm:
    """The fastest way to compute a convolution or linear layer."""
    op = stage.op
    if isinstance(op, Linear) or (isinstance(op, Conv) and _pointwise(op)):
        macs = stage.layer.macs
        return Algorithm("product", 0, 0, (), _weights(stage), macs * MULTIPLY)
    assert isinstance(op, Conv), "only convolutions and linear layers are computed so"
    channels = int(stage.inputs[0].shape[0])
    simple = op.stride[1] == 1 or op.dilation[1] == 1
    if op.group_count == channels == op.filters and channels > 1 and simple:
        return _depthwise(op, stage)
    gather = _gather(op, stage)
    square = op.kernel == (3, 3) and op.stride == (1, 1) and op.dilation == (1, 1)
    if square and op.group_count == 1:
        return min(gather, _winograd(op, stage), key=lambda a: a.seconds)
    return gather


def _pointwise(op: Conv) -> bool:
    one = op.kernel == (1, 1) and op.stride == (1, 1) and op.group_count == 1
    return one and not any(op.pads)


def _weights(stage: FusedLayer) -> int:
    return prod(stage.layer.layer.tensors["weight"].shape)


def _rows(limit: int, row: int, height: int) -> int:
    """How many rows of a size stay below a number of elements, if all parts are alike."""
    most = max(1, min(height, limit // max(1, row)))
    return -(-height // -(-height // most))


def _by_filters(stage: FusedLayer) -> bool:
    """Whether threads divide the filters, as they are more than the pixels, and not the rows."""
    _, (filters, height, width) = _shapes(stage)
    return height * width <= filters


def _gather(op: Conv, stage: FusedLayer) -> Algorithm:
    (channels, _, _), (_, height, width) = _shapes(stage)
    seen = prod(op.kernel) * channels
    rows = _rows(max(3 << 16, _weights(stage)), width * seen, height)
    if _by_filters(stage) and op.group_count == 1 and op.dilation == (1, 1):
        rows = height
    patches = width * height * seen
    seconds = stage.layer.macs * MULTIPLY + patches * COPY + _weights(stage) * FETCH
    seconds += 4 * -(-height // rows) * CALL
    strip, scratch = _strip(op, stage, rows), _padded(rows * width * seen)
    return Algorithm("gather", rows, strip, (scratch,), _weights(stage), seconds)


def _depthwise(op: Conv, stage: FusedLayer) -> Algorithm:
    _, (channels, height, width) = _shapes(stage)
    rows = _rows(1 << 16, width * channels, height)
    planes = _down(op, rows) * _across(op, stage) * channels if op.stride[1] > 1 else 0
    scratch = (_padded(planes), *[_padded(rows * width * channels)] * int(op.stride[1]))
    packed = prod(op.kernel) * channels * width
    seconds = prod(op.kernel) * height * width * channels * COPY
    strip = _strip(op, stage, rows)
    return Algorithm("depthwise", rows, strip, scratch, packed, seconds)


def _down(op: Conv | MaxPool | AvgPool, rows: int) -> int:
    """The rows of the input that some rows of the result depend on."""
    return int((rows - 1) * op.stride[0] + op.dilation[0] * (op.kernel[0] - 1) + 1)


def _across(op: Conv | MaxPool | AvgPool, stage: FusedLayer) -> int:
    """The width of the padded input."""
    return int(stage.inputs[0].shape[2] + op.pads[2] + op.pads[3])


def _strip(op: Conv | MaxPool | AvgPool, stage: FusedLayer, rows: int) -> int:
    """The elements of some rows with their padding; nothing, where there is none."""
    channels = int(stage.inputs[0].shape[0])
    return _padded(_down(op, rows) * _across(op, stage) * channels) if any(op.pads) else 0


def _winograd(op: Conv, stage: FusedLayer) -> Algorithm:
    """F(3x3, 3x3): 25 products for each tile of 3x3 results."""
    (channels, _, _), (filters, height, width) = _shapes(stage)
    down, across = -(-height // 3), -(-width // 3)
    rows = down if _by_filters(stage) else _rows(3 << 12, across * max(channels, filters), down)
    tiles = down * across
    products = 25 * channels * filters + 625 * channels + 225 * filters
    packed = 25 * channels * filters
    seconds = tiles * products * MULTIPLY * 1.2 + packed * FETCH
    seconds += tiles * (25 * channels + 9 * filters) * COPY
    copies = (1 + (height % 3 > 0)) * (1 + (width % 3 > 0))  # whole tiles, and what hangs over
    seconds += (6 + copies) * -(-down // rows) * CALL
    some = rows * across
    sizes = (25 * some * max(channels, filters), some * max(25 * channels, 9 * filters))
    strip = _padded((3 * rows + 2) * (3 * across + 2) * channels)
    return Algorithm("winograd", rows, strip, tuple(map(_padded, sizes)), packed, seconds)


def _shapes(stage: FusedLayer) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Channels, height and width of input and output, as plain numbers."""
    a, b = ([int(d) for d in v.shape] for v in (stage.inputs[0], stage.output))
    return (a[0], a[1], a[2]), (b[0], b[1], b[2])


def _padded(elements: int) -> int:
    return -(-elements // 16) * 16


def memory(program: FusedNet, threads: int = 1) -> PlannedMemory:
    """What a program is planned to need: values, what each thread works with, its weights.

    Weights are counted as they are rearranged for the fastest algorithms.
    """
    strip, weights = 0, 0
    scratch: list[int] = []
    for stage in program.stages:
        if isinstance(stage.op, Conv | Linear):
            algorithm = choose(stage)
            strip = max(strip, algorithm.strip)
            scratch = _larger(scratch, algorithm.scratch)
            weights += algorithm.packed + int(stage.output.shape[0])
        elif isinstance(stage.op, MaxPool | AvgPool):
            (channels, _, _), (_, height, _) = _shapes(stage)
            rows = -(-height // threads)
            scratch = _larger(scratch, [_padded(rows * _across(stage.op, stage) * channels)])
            strip = max(strip, _strip(stage.op, stage, rows))
    work = 4 * (sum(scratch) + strip) * threads
    return PlannedMemory(int(place(program).bytes), int(work), int(4 * weights))


def _larger(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """The larger of each two numbers, and those that only one has."""
    return [max(pair) for pair in zip_longest(a, b, fillvalue=0)]
