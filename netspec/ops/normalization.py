"""Normalizations, and the learned factor and shift that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

from netspec.ops.attribute_types import (
    Flag,
    Integer,
    OneOf,
    RealNumber,
)
from netspec.ops.base import Elementwise, Shape, Tensor, attr, op


@op("batchnorm")
class BatchNorm(Elementwise):
    """Batch normalization over each channel (Ioffe and Szegedy 2015, arXiv:1502.03167).

    Learns a factor and a shift per channel; keeps a running mean and variance, which are no
    parameters, and uses them when not training. Training updates them by `momentum` in the sense
    of PyTorch: new = (1 - momentum) * old + momentum * batch.
    """

    example: ClassVar[str] = "conv { filters: 64  kernel: 3x3  pad: 1  bias: false } -> batchnorm"

    eps: float = attr(RealNumber(positive=True), "added to the variance", default=1e-5)
    momentum: float = attr(
        RealNumber(0, 1), "weight of the newest batch in the statistics", default=0.1
    )
    affine: bool = attr(Flag(), "whether a factor and a shift are learned", default=True)

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        channels = (inputs[0][0],)
        tensors: dict[str, Tensor] = {}
        if self.affine:
            tensors["weight"] = Tensor(channels, init=1)
            tensors["bias"] = Tensor(channels, init=0)
        tensors["running_mean"] = Tensor(channels, learnable=False, init=0)
        tensors["running_var"] = Tensor(channels, learnable=False, init=1)
        return tensors


@op("layernorm")
class LayerNorm(Elementwise):
    """Layer normalization over the channels of each place (Ba et al. 2016, arXiv:1607.06450).

    (x - mean) / sqrt(variance + eps), times a learned factor plus a learned shift per channel.
    """

    eps: float = attr(RealNumber(positive=True), "added to the variance", default=1e-5)

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        channels = (inputs[0][0],)
        return {"weight": Tensor(channels, init=1), "bias": Tensor(channels, init=0)}


@op("lrn")
class Lrn(Elementwise):
    """Local response normalization across channels (Krizhevsky et al. 2012, section 3.3).

    x / (k + alpha / size * sum of squares of the `size` channels around it) ** beta. The paper does
    not divide alpha by size; Caffe, PyTorch and ONNX do.
    """

    example: ClassVar[str] = "lrn { size: 5  alpha: 1e-4  beta: 0.75 }"

    size: int = attr(Integer(odd=True), "how many channels, the own one in the middle")
    alpha: float = attr(RealNumber(least=0), "weight of the squares; divided by size", default=1e-4)
    beta: float = attr(RealNumber(least=0), "exponent", default=0.75)
    k: float = attr(RealNumber(positive=True), "added to the sum", default=1.0)


@op("normalize")
class Normalize(Elementwise):
    """Divides by the length of the vector of all channels at each place, or of all elements.

    x / sqrt(sum of squares + eps): Liu et al. 2015 (ParseNet, arXiv:1506.04579, section 3.3), whose
    factor per channel is a `scale` behind it.
    """

    across: Literal["channels", "all"] = attr(
        OneOf(("channels", "all")), "what the sum is over", default="channels"
    )
    eps: float = attr(RealNumber(least=0), "added to the sum", default=1e-10)


@op("shift")
class Shift(Elementwise):
    """A learned number per channel, added."""

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        return {"bias": Tensor((inputs[0][0],), init=0)}


@op("scale")
class Scale(Elementwise):
    """A learned factor per channel, and a learned shift."""

    bias: bool = attr(Flag(), "whether a shift is learned", default=True)

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        channels = (inputs[0][0],)
        tensors = {"weight": Tensor(channels, init=1)}
        if self.bias:
            tensors["bias"] = Tensor(channels, init=0)
        return tensors
