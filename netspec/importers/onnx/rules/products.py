"""Matrix products."""

from __future__ import annotations

from typing import Any

import numpy as np

from netspec.importers.onnx.call import NodeCall, Refused, rule
from netspec.importers.onnx.values import NodeValue


def _product_shape(x: tuple[int, ...], y: tuple[int, ...]) -> tuple[int, ...]:
    if len(x) < 2 or len(y) < 2 or x[-1] != y[-2]:
        raise Refused("multiplies matrices that do not go together", "shape-mismatch")
    return (*np.broadcast_shapes(x[:-2], y[:-2]), x[-2], y[-1])


def _product(c: NodeCall, x: NodeValue, y: NodeValue) -> NodeValue:
    return c.emit("matmul", x, y, shape=_product_shape(x.shape, y.shape))


def _turned(c: NodeCall, x: NodeValue) -> NodeValue:
    return c.transpose(x, (1, 0))


@rule("MatMul")
def matmul(c: NodeCall) -> NodeValue:
    x, y = c.input(0), c.input(1)
    if y.constant is None or len(y.shape) != 2 or x.known:
        return _product(c, x, y)
    shape = _product_shape(x.shape, y.shape) if len(x.shape) > 1 else (y.shape[1],)
    return c.emit("linear", x, _turned(c, y), None, shape=shape)


@rule("Gemm")
def gemm(c: NodeCall) -> NodeValue:
    x, y = c.input(0), c.input(1)
    alpha, beta = c.get("alpha", 1.0), c.get("beta", 1.0)
    if len(x.shape) != 2 or len(y.shape) != 2:
        raise Refused("multiplies what are no matrices", "wrong-rank")
    if c.get("transA", 0):
        x = _turned(c, x)
    if not c.get("transB", 0):
        y = _turned(c, y)  # units x inputs
    if x.shape[1] != y.shape[1]:
        raise Refused("multiplies matrices that do not go together", "shape-mismatch")
    shape = (x.shape[0], y.shape[0])
    bias = c.input(2) if c.has(2) and beta else None
    if y.constant is None or x.known:
        result = _product(c, x, _turned(c, y))
        if alpha != 1:
            result = c.both("mul", result, alpha)
    else:
        weight = _times(c, y, alpha)
        fits = (
            bias is not None and bias.known and bias.shape in ((), (1,), shape[1:], (1, *shape[1:]))
        )
        own = _times(c, bias, beta, shape[1:]) if fits and bias is not None else None
        result = c.emit("linear", x, weight, own, shape=shape)
        if own is not None:
            return result
    if bias is None:
        return result
    if beta != 1:
        bias = _times(c, bias, beta) if bias.known else c.both("mul", bias, beta)
    return c.both("add", result, bias)


def _times(
    c: NodeCall, x: NodeValue, factor: float, shape: tuple[int, ...] | None = None
) -> NodeValue:
    """A constant times a number, spread to a shape."""
    assert x.constant is not None
    to = x.shape if shape is None else shape
    if factor == 1 and to == x.shape:
        return x

    def scaled(array: Any) -> Any:
        array = np.broadcast_to(array.reshape(-1), to) if shape is not None else array
        return array * np.float32(factor) if factor != 1 else array

    return c.constant(x.constant.changed(to, scaled, ("times", factor, to)))
