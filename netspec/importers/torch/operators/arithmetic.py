"""Arithmetic and activations."""

from __future__ import annotations

from collections.abc import Callable
from math import isinf

from netspec.importers.tensors.program import ProgramTensor
from netspec.importers.torch.arguments import Arguments, CallError, operator


def _with_alpha(kind: str) -> Callable[[Arguments], ProgramTensor]:
    def rule(c: Arguments) -> ProgramTensor:
        x, y, alpha = c.tensor("self"), c.tensor("other"), c.number("alpha", 1)
        if alpha != 1:
            y = c.step("mul", y, c.constant(alpha))
        return c.last(kind, x, y)

    return rule


@operator("rsub")
def _rsub(c: Arguments) -> ProgramTensor:
    x, y, alpha = c.tensor("self"), c.tensor("other"), c.number("alpha", 1)
    if alpha != 1:
        x = c.step("mul", x, c.constant(alpha))
    return c.last("sub", y, x)


def _binary(kind: str) -> Callable[[Arguments], ProgramTensor]:
    return lambda c: c.last(kind, c.tensor("self"), c.tensor("other"))


@operator("div")
def _div(c: Arguments) -> ProgramTensor:
    made = c.step("div", c.tensor("self"), c.tensor("other"), shape=c.shape)
    rounding = c.get("rounding_mode")
    if rounding is None:
        return made
    if rounding != "floor":
        raise CallError(f"its rounding_mode {rounding} can't be said")
    return c.last("floor", made)


@operator("pow")
def _pow(c: Arguments) -> ProgramTensor:
    return c.last("pow", c.tensor("self"), c.tensor("exponent"))


def _unary(kind: str) -> Callable[[Arguments], ProgramTensor]:
    return lambda c: c.last(kind, c.tensor())


@operator("clamp", "clamp_min", "clamp_max")
def _clamp(c: Arguments) -> ProgramTensor:
    given = {n: c.number(n, infinite=True) for n in ("min", "max") if c.get(n) is not None}
    bounds = {n: value for n, value in given.items() if not isinf(value)}
    if not bounds:
        return c.tensor("self")
    return c.last("clamp", c.tensor("self"), **bounds)


@operator("addcmul")
def _addcmul(c: Arguments) -> ProgramTensor:
    made = c.step("mul", c.tensor("tensor1"), c.tensor("tensor2"))
    if c.number("value", 1) != 1:
        made = c.step("mul", made, c.constant(c.number("value")))
    return c.last("add", c.tensor("self"), made)


def _activation(kind: str, **fields: tuple[str, float]) -> Callable[[Arguments], ProgramTensor]:
    """An activation; `fields` are the argument and its default that each field takes."""

    def rule(c: Arguments) -> ProgramTensor:
        given = {field: c.number(name, default) for field, (name, default) in fields.items()}
        return c.last(kind, c.tensor(), **given)

    return rule


@operator("hardtanh")
def _hardtanh(c: Arguments) -> ProgramTensor:
    low, high = c.number("min_val", -1), c.number("max_val", 1)
    if (low, high) == (0, 6):
        return c.last("relu6", c.tensor("self"))
    return c.last("hardtanh", c.tensor("self"), min=low, max=high)


@operator("elu")
def _elu(c: Arguments) -> ProgramTensor:
    alpha, scale, inner = (
        c.number("alpha", 1),
        c.number("scale", 1),
        c.number("input_scale", 1),
    )
    if scale == inner == 1:
        return c.last("elu", c.tensor("self"), alpha=alpha)
    if inner != 1:
        raise CallError("its input_scale can't be said")
    return c.last("mul", c.step("elu", c.tensor("self"), alpha=alpha), c.constant(scale))


@operator("gelu")
def _gelu(c: Arguments) -> ProgramTensor:
    x = c.tensor("self")
    if c.get("approximate", "none") == "none":
        return c.last("gelu", x)
    cube = c.step("mul", c.step("pow", x, c.constant(3)), c.constant(0.044715))
    inner = c.step("mul", c.step("add", x, cube), c.constant(0.7978845608028654))
    outer = c.step("add", c.step("tanh", inner), c.constant(1))
    return c.last("mul", c.step("mul", x, c.constant(0.5)), outer)


@operator("softplus")
def _softplus(c: Arguments) -> ProgramTensor:
    beta, threshold = c.number("beta", 1), c.number("threshold", 20)
    if threshold < 15:  # log(1 + exp(15)) is 15 in float32
        raise CallError(f"its threshold {threshold:g} can't be said, but 20 can")
    if beta == 1:
        return c.last("softplus", c.tensor("self"))
    scaled = c.step("mul", c.tensor("self"), c.constant(beta))
    return c.last("mul", c.step("softplus", scaled), c.constant(1 / beta))


def _softmax(kind: str) -> Callable[[Arguments], ProgramTensor]:
    def rule(c: Arguments) -> ProgramTensor:
        x = c.tensor("self")
        return c.last(kind, x, axis=c.axis(len(x.shape)))

    return rule


@operator("glu")
def _glu(c: Arguments) -> ProgramTensor:
    x = c.tensor("self")
    axis = c.axis(len(x.shape), default=-1)
    half = x.shape[axis] // 2
    shape = (*x.shape[:axis], half, *x.shape[axis + 1 :])
    kept = c.step("slice", x, shape=shape, axis=axis, start=0, end=half, step=1)
    gate = c.step("slice", x, shape=shape, axis=axis, start=half, end=2 * half, step=1)
    return c.last("mul", kept, c.step("sigmoid", gate))


def _power(exponent: float) -> Callable[[Arguments], ProgramTensor]:
    return lambda c: c.last("pow", c.tensor("self"), c.constant(exponent))


operator("add")(_with_alpha("add"))
operator("sub")(_with_alpha("sub"))
for _name in ("mul", "maximum", "minimum"):
    operator(_name)(_binary(_name))
for _name in ("sqrt", "reciprocal", "neg", "exp", "log", "floor", "round", "erf", "abs"):
    operator(_name)(_unary(_name))
for _name in ("sigmoid", "tanh", "relu", "relu6", "silu", "mish", "selu", "hardswish"):
    operator(_name)(_unary(_name))
operator("hardsigmoid")(_unary("hardsigmoid"))
operator("log_sigmoid")(_unary("logsigmoid"))
operator("square")(_power(2))
operator("rsqrt")(_power(-0.5))
operator("leaky_relu")(_activation("leaky_relu", slope=("negative_slope", 0.01)))
operator("celu")(_activation("celu", alpha=("alpha", 1)))
operator("threshold")(_activation("threshold", threshold=("threshold", 0), value=("value", 0)))
operator("hardshrink")(_activation("hardshrink", threshold=("lambd", 0.5)))
operator("softshrink")(_activation("softshrink", threshold=("lambd", 0.5)))
operator("softmax", "_softmax")(_softmax("softmax"))
operator("log_softmax", "_log_softmax")(_softmax("log_softmax"))
