"""Chooses how a convolution is computed, and says what memory that takes.

1x1, no pads    matmul: one matrix product over all pixels
3x3, stride 1   winograd, where its fewer multiplications outweigh its further calls
one per channel depthwise: a sum over the elements of the filter
others          im2col: what the filters see is gathered, then one matrix product
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from math import prod
from typing import Literal

from netspec.codegen.backend import PlannedMemory
from netspec.lazy_dataclasses import dataclass
from netspec.ops.convolution import Conv, Linear
from netspec.ops.pooling import AvgPool, MaxPool
from netspec.planning.fusion import FusedLayer, FusedNet
from netspec.planning.memory_plan import plan_memory
from netspec_numpy.winograd_choice import winograd_pays

AlgorithmKind = Literal["matmul", "winograd", "depthwise", "im2col"]


@dataclass(frozen=True)
class Algorithm:
    """How a convolution or linear layer is computed, and the memory that it takes.

    `rows` of the result (of tiles, for Winograd's algorithm) are computed at once. Memory is in
    elements: `padded_rows` for the rows of the padded input that are read at once, `scratch` for
    each array of intermediate results, `packed` for the weights as they are rearranged.
    """

    kind: AlgorithmKind
    rows: int
    padded_rows: int
    scratch: tuple[int, ...]
    packed: int


def choose_algorithm(layer: FusedLayer) -> Algorithm:
    """The fastest way to compute a convolution or linear layer."""
    op = layer.op
    if isinstance(op, Linear) or (isinstance(op, Conv) and _is_pointwise(op, layer)):
        return Algorithm("matmul", 0, 0, (), _weights(layer))
    assert isinstance(op, Conv), "only convolutions and linear layers have algorithms"
    channels = int(layer.inputs[0].shape[0])
    simple = op.stride[1] == 1 or op.dilation[1] == 1
    if op.group_count == channels == op.filters and channels > 1 and simple:
        return _depthwise(op, layer)
    _, (_, height, width) = _shapes(layer)
    if is_square(op) and winograd_pays(height, width, channels):
        return _winograd(op, layer)
    return _im2col(op, layer)


def is_square(op: Conv) -> bool:
    """Whether Winograd's algorithm can compute a convolution."""
    square = op.kernel == (3, 3) and op.stride == (1, 1) and op.dilation == (1, 1)
    return square and op.group_count == 1


def _is_pointwise(op: Conv, layer: FusedLayer) -> bool:
    one = op.kernel == (1, 1) and op.stride == (1, 1) and op.group_count == 1
    return one and not any(op.pads) and not layer.sizes


def _weights(layer: FusedLayer) -> int:
    return prod(layer.layer.layer.tensors["weight"].shape)


def _rows(limit: int, row: int, height: int) -> int:
    """How many rows of `row` elements stay below `limit` elements, if all parts are alike."""
    most = max(1, min(height, limit // max(1, row)))
    return -(-height // -(-height // most))


def _divides_filters(layer: FusedLayer) -> bool:
    """Whether threads divide the filters, as they are more than the pixels, and not the rows."""
    _, (filters, height, width) = _shapes(layer)
    return height * width <= filters


def _im2col(op: Conv, layer: FusedLayer) -> Algorithm:
    (channels, _, _), (_, height, width) = _shapes(layer)
    window = prod(op.kernel) * channels
    rows = _rows(max(3 << 16, _weights(layer)), width * window, height)
    if _divides_filters(layer) and op.group_count == 1 and op.dilation == (1, 1):
        rows = height
    padded, scratch = _padded_rows(op, layer, rows), _aligned(rows * width * window)
    return Algorithm("im2col", rows, padded, (scratch,), _weights(layer))


def _depthwise(op: Conv, layer: FusedLayer) -> Algorithm:
    _, (channels, height, width) = _shapes(layer)
    rows = _rows(1 << 16, width * channels, height)
    planes = _input_rows(op, rows) * _padded_width(op, layer) * channels if op.stride[1] > 1 else 0
    scratch = (_aligned(planes), *[_aligned(rows * width * channels)] * int(op.stride[1]))
    packed = prod(op.kernel) * channels * width
    padded = _padded_rows(op, layer, rows)
    return Algorithm("depthwise", rows, padded, scratch, packed)


def _input_rows(op: Conv | MaxPool | AvgPool, rows: int) -> int:
    """How many rows of the input so many rows of the result depend on."""
    return int((rows - 1) * op.stride[0] + op.dilation[0] * (op.kernel[0] - 1) + 1)


def _padded_width(op: Conv | MaxPool | AvgPool, layer: FusedLayer) -> int:
    """The width of the padded input."""
    return int(layer.inputs[0].shape[2] + op.pads[2] + op.pads[3])


def _padded_rows(op: Conv | MaxPool | AvgPool, layer: FusedLayer, rows: int) -> int:
    """Elements of the padded input that so many rows of the result depend on; 0 without pads."""
    if not any(op.pads):
        return 0
    channels = int(layer.inputs[0].shape[0])
    return _aligned(_input_rows(op, rows) * _padded_width(op, layer) * channels)


def _winograd(op: Conv, layer: FusedLayer) -> Algorithm:
    """F(3x3, 3x3): 25 products for each tile of 3x3 results."""
    (channels, _, _), (filters, height, width) = _shapes(layer)
    down, across = -(-height // 3), -(-width // 3)
    fitting = _rows(3 << 12, across * max(channels, filters), down)
    rows = down if _divides_filters(layer) else fitting
    packed = 25 * channels * filters
    some = rows * across
    sizes = (25 * some * max(channels, filters), some * max(25 * channels, 9 * filters))
    padded = _aligned((3 * rows + 2) * (3 * across + 2) * channels)
    return Algorithm("winograd", rows, padded, tuple(map(_aligned, sizes)), packed)


def _shapes(layer: FusedLayer) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Channels, height and width of input and output, as plain numbers."""
    a, b = ([int(d) for d in v.shape] for v in (layer.inputs[0], layer.output))
    return (a[0], a[1], a[2]), (b[0], b[1], b[2])


def _aligned(elements: int) -> int:
    """Elements rounded up to whole cache lines of 16 float32."""
    return -(-elements // 16) * 16


def planned_memory(net: FusedNet, threads: int = 1) -> PlannedMemory:
    """Bytes that a net is planned to need: its values, each thread's scratch memory, its weights.

    Weights are counted as they are rearranged for the chosen algorithms.
    """
    padded, weights = 0, 0
    counted = set()
    """Layers with the batch norms in their weights, and sizes of input: each has its own copy."""
    scratch: list[int] = []
    for layer in net.layers:
        if isinstance(layer.op, Conv | Linear):
            algorithm = choose_algorithm(layer)
            padded = max(padded, algorithm.padded_rows)
            scratch = _larger(scratch, algorithm.scratch)
            norm = layer.batch_norm and layer.batch_norm.weights
            key = layer.layer.weights, norm, tuple(map(int, layer.inputs[0].shape))
            if key not in counted:
                weights += algorithm.packed + int(layer.output.shape[0])
            counted.add(key)
        elif isinstance(layer.op, MaxPool | AvgPool):
            (channels, _, _), (_, height, _) = _shapes(layer)
            rows = -(-height // threads)
            columns = rows * _padded_width(layer.op, layer) * channels
            scratch = _larger(scratch, [_aligned(columns)])
            padded = max(padded, _padded_rows(layer.op, layer, rows))
    work = 4 * (sum(scratch) + padded) * threads
    return PlannedMemory(int(plan_memory(net).bytes), int(work), int(4 * weights))


def _larger(a: Sequence[int], b: Sequence[int]) -> list[int]:
    """The larger of each two numbers, and those that only one has."""
    return [max(pair) for pair in zip_longest(a, b, fillvalue=0)]
