"""Layers with weights, and matrix products."""

from __future__ import annotations

from collections.abc import Sequence

from netspec.importers.tensors.program import ProgramConstant, ProgramTensor
from netspec.importers.torch.arguments import Arguments, CallError, operator

MOST_REPEATED = 1 << 24
"""Most numbers of matrices that are looked through."""


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
        raise CallError("its beta or alpha is not 1")
    return _by_rows(c, c.tensor("mat1"), c.tensor("mat2"), c.tensor("self"))


@operator("mm", "matmul", "bmm")
def _product(c: Arguments) -> ProgramTensor:
    return _by_rows(c, c.tensor("self"), c.tensor("other", "mat2"), None)


def _by_rows(
    c: Arguments, x: ProgramTensor, y: ProgramTensor, bias: ProgramTensor | None
) -> ProgramTensor:
    """A product, and a bias; that of all places of a map laid out as rows is one of the map."""
    rows = c.made_by(x, "reshape")
    whole = rows.inputs[0] if rows is not None and len(x.shape) == len(y.shape) < 4 else None
    shape = c.shape
    if y.constant is not None and len(y.shape) == 3 and _is_repeated(y.constant):
        y = c.changed(y, y.shape[1:], lambda a: a[0])
    if whole is not None and len(whole.shape) > 2 and whole.shape[-1] == x.shape[-1]:
        x, shape = whole, (*whole.shape[:-1], y.shape[-1])
    made = c.step("matmul", x, y, shape=shape)
    if bias is not None:
        made = c.step("add", made, bias, shape=shape)
    return made if shape == c.shape else c.last("reshape", made, shape=c.shape)


def _is_repeated(matrices: ProgramConstant) -> bool:
    """Whether several matrices are all the same, as an expansion makes them."""
    if matrices.size > MOST_REPEATED:
        return False
    found = matrices.load()
    return bool((found == found[:1]).all())


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


@operator("where")
def _where(c: Arguments) -> ProgramTensor:
    """x where it is above 0, else a learned part of it: a PReLU that was taken apart."""
    x, other = c.tensor("self"), c.tensor("other")
    above, part = c.made_by(c.tensor("condition"), "gt"), c.made_by(other, "mul")
    if above is not None and part is not None and above.inputs[0] is x and x in part.inputs:
        slope = next((t for t in part.inputs if t is not None and t.constant is not None), None)
        if slope is not None and slope.constant is not None and above.attributes["bound"] == 0:
            vector = c.reshaped(slope, (slope.constant.size,))
            return c.last("prelu", x, vector)
    return c.last("where", c.tensor("condition"), x, other)


@operator("gt")
def _above(c: Arguments) -> ProgramTensor:
    bound = c.get("other")
    return c.last("gt", c.tensor("self"), bound=None if isinstance(bound, ProgramTensor) else bound)


@operator("_native_batch_norm_legit")
def _instance_norm_apart(c: Arguments) -> list[ProgramTensor]:
    """A batch norm whose channels are those of all pictures: an instance norm taken apart."""
    x = c.tensor("input")
    rows = c.made_by(x, "reshape")
    whole = x if rows is None else rows.inputs[0]
    if whole is None or "running_mean" in c.values or len(whole.shape) != len(x.shape):
        return _batch_norm(c)
    if x.shape != (1, *_pictures_as_channels(whole.shape)):
        return _batch_norm(c)
    channels = whole.shape[1]
    weights = [
        None if w is None else c.changed(w, (channels,), lambda a: a.reshape(-1, channels)[0])
        for w in (c.optional("weight"), c.optional("bias"))
    ]
    made = c.step("instancenorm", whole, *weights, eps=c.number("eps", 1e-5), shape=whole.shape)
    made = c.last("reshape", made, shape=c.shape)
    return [made, *(ProgramTensor(f"{c.word}_saved", s) for s in c.shapes[1:])]


def _pictures_as_channels(shape: Sequence[int]) -> tuple[int, ...]:
    return (shape[0] * shape[1], *shape[2:])


@operator("prelu", "_prelu_kernel")
def _prelu(c: Arguments) -> ProgramTensor:
    return c.last("prelu", c.tensor("self"), c.tensor("weight"))
