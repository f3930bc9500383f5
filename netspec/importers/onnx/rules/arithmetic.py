"""Activations, arithmetic and reductions."""

from __future__ import annotations

from math import inf, isclose, pi, sqrt
from typing import Any

from netspec.importers.onnx.call import NodeCall, Refused, rule
from netspec.importers.onnx.folding import axis_of
from netspec.importers.onnx.values import NodeValue

PLAIN = {
    "Relu": "relu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "Softplus": "softplus",
    "Softsign": "softsign",
    "HardSwish": "hardswish",
    "Mish": "mish",
    "Abs": "abs",
    "Neg": "neg",
    "Exp": "exp",
    "Log": "log",
    "Sqrt": "sqrt",
    "Reciprocal": "reciprocal",
    "Erf": "erf",
    "Floor": "floor",
    "Round": "round",
}
"""Operators without attributes."""
LARGE = 1e30
"""A bound that bounds nothing: some tools write the largest float32."""


@rule(*PLAIN)
def plain(c: NodeCall) -> NodeValue:
    return c.same(PLAIN[c.operator], c.input())


@rule("LeakyRelu")
def leaky_relu(c: NodeCall) -> NodeValue:
    return c.same("leaky_relu", c.input(), slope=c.get("alpha", 0.01))


@rule("Elu", "Celu")
def elu(c: NodeCall) -> NodeValue:
    return c.same(c.operator.lower(), c.input(), alpha=c.get("alpha", 1.0))


@rule("Selu")
def selu(c: NodeCall) -> NodeValue:
    alpha, gamma = c.get("alpha", 1.67326324), c.get("gamma", 1.05070098)
    if not (isclose(alpha, 1.67326324, rel_tol=1e-5) and isclose(gamma, 1.05070098, rel_tol=1e-5)):
        raise Refused("has other numbers than those of a selu")
    return c.same("selu", c.input())


@rule("HardSigmoid")
def hardsigmoid(c: NodeCall) -> NodeValue:
    alpha, beta = c.get("alpha", 0.2), c.get("beta", 0.5)
    if isclose(alpha, 1 / 6, rel_tol=1e-4) and beta == 0.5:
        return c.same("hardsigmoid", c.input())
    line = c.both("add", c.both("mul", c.input(), alpha), beta)
    return c.same("clamp", line, min=0.0, max=1.0)


@rule("Gelu")
def gelu(c: NodeCall) -> NodeValue:
    x = c.input()
    if c.get("approximate", "none") != "tanh":
        return c.same("gelu", x)
    cube = c.both("mul", c.both("pow", x, 3.0), 0.044715)
    inner = c.both("mul", c.both("add", x, cube), sqrt(2 / pi))
    return c.both("mul", c.both("mul", x, c.both("add", c.same("tanh", inner), 1.0)), 0.5)


@rule("Swish")
def swish(c: NodeCall) -> NodeValue:
    x, alpha = c.input(), c.get("alpha", 1.0)
    if alpha == 1:
        return c.same("silu", x)
    return c.both("mul", x, c.same("sigmoid", c.both("mul", x, alpha)))


@rule("ThresholdedRelu")
def thresholded(c: NodeCall) -> NodeValue:
    return c.same("threshold", c.input(), threshold=c.get("alpha", 1.0), value=0.0)


@rule("Shrink")
def shrink(c: NodeCall) -> NodeValue:
    threshold, bias = c.get("lambd", 0.5), c.get("bias", 0.0)
    if bias not in (0, threshold):
        raise Refused(f"moves by {bias:g} beyond {threshold:g}, which can't be expressed")
    return c.same("softshrink" if bias else "hardshrink", c.input(), threshold=threshold)


@rule("Clip")
def clip(c: NodeCall) -> NodeValue:
    x = c.input()
    if c.opset < 11:
        low, high = c.get("min", -inf), c.get("max", inf)
    else:
        low, high = c.number(1, "bound", -inf) or 0.0, c.number(2, "bound", inf) or 0.0
    bounds = (low if low > -LARGE else None, high if high < LARGE else None)
    if bounds == (None, None):
        return x
    if bounds == (0, None):
        return c.same("relu", x)
    if bounds == (0, 6):
        return c.same("relu6", x)
    given = zip(("min", "max"), bounds, strict=True)
    return c.same("clamp", x, **{name: n for name, n in given if n is not None})


@rule("Dropout")
def dropout(c: NodeCall) -> NodeValue:
    ratio = c.get("ratio", 0.5)
    if c.opset >= 12:
        ratio = c.number(1, "ratio", 0.5) if c.has(1) and c.input(1).known else 0.5
    return c.same("dropout", c.input(), ratio=ratio)


@rule("Identity")
def identity(c: NodeCall) -> NodeValue:
    return c.input()


@rule("Cast", "CastLike")
def cast(c: NodeCall) -> NodeValue:
    x = c.input()
    kind = c.get("to", 1) if c.operator == "Cast" else 1
    floats = (1, 10, 11, 16)  # FLOAT, FLOAT16, DOUBLE, BFLOAT16
    if kind not in floats and not x.whole:
        raise Refused("rounds to a whole number, which can't be expressed")
    if x.kind == "bool":
        raise Refused("makes numbers of a condition, which can't be expressed")
    return x


@rule("Softmax", "LogSoftmax")
def softmax(c: NodeCall) -> NodeValue:
    x, kind = c.input(), "softmax" if c.operator == "Softmax" else "log_softmax"
    rank = len(x.shape)
    axis = c.axis("axis", -1 if c.opset >= 13 else 1, rank)
    if c.opset >= 13 or all(n == 1 for n in x.shape[axis + 1 :]):
        return c.same(kind, x, axis=axis)
    # Until opset 12, over all axes from this one on.
    front, back = 1, 1
    for i, n in enumerate(x.shape):
        front, back = (front * n, back) if i < axis else (front, back * n)
    flat = c.reshape(x, (front, back))
    return c.reshape(c.same(kind, flat, axis=1), x.shape)


# --- several inputs ------------------------------------------------------------------------------

PAIRS = {
    "Add": "add",
    "Sub": "sub",
    "Mul": "mul",
    "Div": "div",
    "Pow": "pow",
    "Max": "maximum",
    "Min": "minimum",
    "Sum": "add",
    "Mean": "add",
}


@rule(*PAIRS)
def merged(c: NodeCall) -> NodeValue:
    result = c.input()
    for number in range(1, len(c.inputs)):
        other = c.input(number)
        if c.opset < 7 and "axis" in c.attributes:  # where the second begins
            begin = c.axis("axis", 0, len(result.shape))
            behind = max(len(result.shape) - begin - len(other.shape), 0)
            other = c.reshape(other, other.shape + (1,) * behind)
        result = c.both(PAIRS[c.operator], result, other)
    if c.operator == "Mean" and len(c.inputs) > 1:
        result = c.both("div", result, float(len(c.inputs)))
    return result


@rule("Greater", "GreaterOrEqual")
def greater(c: NodeCall) -> NodeValue:
    """What compares is known to `Where` only, by how it was made."""
    x, bound = c.input(), c.number(1, "bound")
    if c.operator != "Greater" or bound is None:
        raise Refused("compares, which can't be expressed")
    condition = NodeValue(type(x.tensor)("", x.shape), "bool")
    condition.above = (x, bound)
    return condition


@rule("Where")
def where(c: NodeCall) -> NodeValue:
    condition, x = c.input(0), c.input(1)
    other = c.number(2, "second value")
    above = condition.above
    if above is None or above[0] is not x or other is None:
        raise Refused("chooses by a condition, which can't be expressed")
    return c.same("threshold", x, threshold=above[1], value=other)


# --- reductions ----------------------------------------------------------------------------------

REDUCED = {"ReduceMean": "mean", "ReduceSum": "sum", "ReduceMax": "max", "ReduceMin": "min"}


def _axes(c: NodeCall, x: NodeValue) -> tuple[tuple[int, ...], bool, tuple[int, ...]]:
    """The axes that a reduction is over, whether they stay, and the shape of its result."""
    rank = len(x.shape)
    given = c.integers("axes", 1)
    keeps = bool(c.get("keepdims", 1))
    if not given and c.get("noop_with_empty_axes", 0):
        return (), keeps, x.shape
    axes = tuple(sorted({axis_of(a, rank) for a in given or range(rank)}))
    kept = [(1 if i in axes else n, i) for i, n in enumerate(x.shape)]
    return axes, keeps, tuple(n for n, i in kept if keeps or i not in axes)


def _reduced(c: NodeCall, kind: str, x: NodeValue) -> NodeValue:
    axes, keeps, shape = _axes(c, x)
    return c.emit(kind, x, shape=shape, axes=axes, keepdims=keeps) if axes else x


@rule(*REDUCED)
def reduced(c: NodeCall) -> NodeValue:
    return _reduced(c, REDUCED[c.operator], c.input())


@rule("ReduceSumSquare", "ReduceL2")
def reduced_squares(c: NodeCall) -> NodeValue:
    result = _reduced(c, "sum", c.both("mul", c.input(), c.input()))
    return c.same("sqrt", result) if c.operator == "ReduceL2" else result


@rule("ArgMax")
def argmax(c: NodeCall) -> NodeValue:
    x = c.input()
    axis, keeps = c.axis("axis", 0, len(x.shape)), bool(c.get("keepdims", 1))
    if c.get("select_last_index", 0):
        raise Refused("takes the last of equal ones, which can't be expressed")
    dims: list[Any] = [*x.shape]
    dims[axis : axis + 1] = [1] if keeps else []
    found = c.emit("argmax", x, shape=tuple(dims), axis=axis, keepdims=keeps)
    found.kind = "int64"
    return found
