"""Layers with weights, and matrix products."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.importers.tensors.program import ProgramTensor
from netspec.importers.torch.arguments import Arguments, CallError, operator


@operator("conv2d", "convolution", "_convolution", "conv3d")
def _convolution(c: Arguments) -> ProgramTensor:
    x, weight = c.tensor("input"), c.tensor("weight")
    stride, dilation = c.pair("stride", 1), c.pair("dilation", 1)
    if len(weight.shape) != 4:
        raise CallError(f"a convolution over {len(weight.shape) - 2} directions can't be said")
    if c.get("transposed", False) is True:
        return _transposed(c)
    if isinstance(c.get("padding"), str):
        pad = _named_pads(c.get("padding"), weight.shape[2:], dilation)
    else:
        pad = c.pads()
    return c.last(
        "conv",
        x,
        weight,
        c.optional("bias"),
        stride=stride,
        pad=pad,
        dilation=dilation,
        groups=c.integer("groups", 1),
    )


@operator("conv1d")
def _convolution_1d(c: Arguments) -> ProgramTensor:
    """A convolution over one direction as one over rows of a map of height 1."""
    x, weight = c.tensor("input"), c.tensor("weight")
    if len(x.shape) != 3 or len(weight.shape) != 3 or isinstance(c.get("padding"), str):
        raise CallError("such a convolution over one direction can't be said")
    given = {n: c.integers(n, [d])[0] for n, d in (("stride", 1), ("padding", 0), ("dilation", 1))}
    batch, channels, length = x.shape
    filters, inner, kernel = weight.shape
    made = c.step(
        "conv",
        c.step("reshape", x, shape=(batch, channels, 1, length)),
        c.reshaped(weight, (filters, inner, 1, kernel)),
        c.optional("bias"),
        shape=(batch, filters, 1, c.shape[-1]),
        stride=(1, given["stride"]),
        pad=(0, given["padding"], 0, given["padding"]),
        dilation=(1, given["dilation"]),
        groups=c.integer("groups", 1),
    )
    return c.last("reshape", made, shape=c.shape)


def _named_pads(
    name: str, kernel: Sequence[int], dilation: tuple[int, int]
) -> tuple[int, int, int, int]:
    """The pads of `same`, whose larger half is behind, and of `valid`."""
    if name == "valid":
        return (0, 0, 0, 0)
    whole = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
    front = [n // 2 for n in whole]
    return (front[0], front[1], whole[0] - front[0], whole[1] - front[1])


@operator("conv_transpose2d")
def _transposed(c: Arguments) -> ProgramTensor:
    return c.last(
        "conv_transpose",
        c.tensor("input"),
        c.tensor("weight"),
        c.optional("bias"),
        stride=c.pair("stride", 1),
        pad=c.pads(),
        dilation=c.pair("dilation", 1),
        output_pad=c.pair("output_padding", 0),
        groups=c.integer("groups", 1),
    )


@operator("linear")
def _linear(c: Arguments) -> ProgramTensor:
    return c.last("linear", c.tensor("input"), c.tensor("weight"), c.optional("bias"))


@operator("addmm")
def _addmm(c: Arguments) -> ProgramTensor:
    if c.number("beta", 1) != 1 or c.number("alpha", 1) != 1:
        raise CallError("its alpha or beta is not 1")
    product = c.step("matmul", c.tensor("mat1"), c.tensor("mat2"), shape=c.shape)
    return c.last("add", product, c.tensor("self"))


@operator("mm", "matmul", "bmm")
def _product(c: Arguments) -> ProgramTensor:
    return c.last("matmul", c.tensor("self"), c.tensor("other", "mat2"))


@operator("batch_norm", "_native_batch_norm_legit_no_training", "cudnn_batch_norm")
def _batch_norm(c: Arguments) -> list[ProgramTensor]:
    if c.get("training", False) is True:
        raise CallError(
            "it takes the statistics of its batch, as in training: export the model after `eval()`"
        )
    made = c.last(
        "batchnorm",
        c.tensor("input"),
        *(c.optional(n) for n in ("weight", "bias", "running_mean", "running_var")),
        eps=c.number("eps", 1e-5),
        momentum=c.number("momentum", 0.1),
    )
    return [made, *(ProgramTensor(f"{c.word}_saved", s) for s in c.shapes[1:])]


@operator("layer_norm", "native_layer_norm")
def _layer_norm(c: Arguments) -> list[ProgramTensor]:
    x = c.tensor("input")
    count = len(c.integers("normalized_shape"))
    axes = list(range(len(x.shape) - count, len(x.shape)))
    weights = c.optional("weight"), c.optional("bias")
    made = c.last("layernorm", x, *weights, axes=axes, eps=c.number("eps", 1e-5))
    return [made, *(ProgramTensor(f"{c.word}_saved", s) for s in c.shapes[1:])]


@operator("group_norm", "native_group_norm")
def _group_norm(c: Arguments) -> list[ProgramTensor]:
    groups = c.integer("num_groups" if "num_groups" in c.values else "group")
    x, weights = c.tensor("input"), (c.optional("weight"), c.optional("bias"))
    made = c.last("groupnorm", x, *weights, groups=groups, eps=c.number("eps", 1e-5))
    return [made, *(ProgramTensor(f"{c.word}_saved", s) for s in c.shapes[1:])]


@operator("instance_norm")
def _instance_norm(c: Arguments) -> ProgramTensor:
    if c.get("use_input_stats", True) is not True:
        return _batch_norm(c)[0]
    weights = c.optional("weight"), c.optional("bias")
    return c.last("instancenorm", c.tensor("input"), *weights, eps=c.number("eps", 1e-5))


@operator("prelu", "_prelu_kernel")
def _prelu(c: Arguments) -> ProgramTensor:
    return c.last("prelu", c.tensor("self"), c.tensor("weight"))
