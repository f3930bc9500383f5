"""Poolings and reductions."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from netspec.importers.tensors.program import ProgramTensor
from netspec.importers.torch.arguments import Arguments, CallError, Result, operator


@operator("max_pool2d", "max_pool2d_with_indices")
def _max_pool(c: Arguments) -> list[ProgramTensor]:
    kernel = c.pair("kernel_size", 1)
    return c.results(
        "maxpool",
        [c.tensor("self")],
        kernel=kernel,
        stride=c.pair("stride", kernel),
        pad=c.pads(),
        dilation=c.pair("dilation", 1),
        ceil=c.get("ceil_mode", False) is True,
    )


@operator("avg_pool2d")
def _avg_pool(c: Arguments) -> ProgramTensor:
    kernel = c.pair("kernel_size", 1)
    divisor = c.get("divisor_override")
    if divisor not in (None, kernel[0] * kernel[1]):
        raise CallError("its divisor_override can't be said")
    return c.last(
        "avgpool",
        c.tensor("self"),
        kernel=kernel,
        stride=c.pair("stride", kernel),
        pad=c.pads(),
        ceil=c.get("ceil_mode", False) is True,
        count_include_pad=c.get("count_include_pad", True) is True,
    )


def _adaptive(kind: str) -> Callable[[Arguments], list[ProgramTensor]]:
    def rule(c: Arguments) -> list[ProgramTensor]:
        made = c.last(kind, c.tensor("self"), size=c.pair("output_size", 1))
        return [made, *(ProgramTensor(f"{c.word}_indices", s) for s in c.shapes[1:])]

    return rule


def _reduce(kind: str) -> Callable[[Arguments], Result]:
    def rule(c: Arguments) -> Result:
        x = c.tensor("self")
        if isinstance(c.get("other"), ProgramTensor):  # `max` and `min` of two tensors
            return c.last(f"{kind}imum", x, c.tensor("other"))
        axes, keep = c.axes(len(x.shape)), c.get("keepdim", False) is True
        if not x.shape:
            return x
        made = c.last(kind, x, axes=axes, keepdims=keep)
        indices = [ProgramTensor(f"{c.word}_indices", s) for s in c.shapes[1:]]
        return [made, *indices]

    return rule


@operator("argmax")
def _argmax(c: Arguments) -> ProgramTensor:
    x = c.tensor("self")
    if c.get("dim") is None:
        raise CallError("it is over all numbers of the batch")
    axis = c.axis(len(x.shape))
    return c.last("argmax", x, axis=axis, keepdims=c.get("keepdim", False) is True)


@operator("var", "std", "var_mean", "std_mean")
def _variance(c: Arguments) -> list[ProgramTensor]:
    """The variance as the mean of squares, with its results' order and its root as asked."""
    x = c.tensor("self")
    axes = c.axes(len(x.shape))
    keep = c.get("keepdim", False) is True
    narrow = [1 if a in axes else n for a, n in enumerate(x.shape)]
    rest = [n for a, n in enumerate(x.shape) if a not in axes]
    mean = c.step("mean", x, shape=narrow, axes=axes, keepdims=True)
    away = c.step("sub", x, mean)
    squares = c.step("mul", away, away)
    shape = narrow if keep else rest
    made = c.step("mean", squares, shape=shape, axes=axes, keepdims=keep)
    correction = c.get("correction", 1 if c.get("unbiased", True) else 0)
    count = prod(x.shape[a] for a in axes)
    less = count - (1 if correction is None else int(correction))
    if less != count and less > 0:
        made = c.step("mul", made, c.constant(count / less))
    if c.word.startswith("std"):
        made = c.step("sqrt", made)
    if not c.word.endswith("_mean"):
        return [made]
    if not keep:
        mean = c.step("reshape", mean, shape=rest)
    return [made, mean]


@operator("linalg_vector_norm", "norm")
def _vector_norm(c: Arguments) -> ProgramTensor:
    x = c.tensor("self")
    order = c.number("ord" if "ord" in c.values else "p", 2)
    axes, keep = c.axes(len(x.shape)), c.get("keepdim", False) is True
    if order == 1:
        return c.last("sum", c.step("abs", x), axes=axes, keepdims=keep)
    if order != 2:
        raise CallError(f"a norm of order {order} can't be said")
    squares = c.step("mul", x, x)
    return c.last("sqrt", c.step("sum", squares, shape=c.shape, axes=axes, keepdims=keep))


operator("adaptive_avg_pool2d", "_adaptive_avg_pool2d")(_adaptive("adaptive_avgpool"))
operator("adaptive_max_pool2d")(_adaptive("adaptive_maxpool"))
operator("mean")(_reduce("mean"))
operator("sum")(_reduce("sum"))
operator("max", "amax")(_reduce("max"))
operator("min", "amin")(_reduce("min"))
