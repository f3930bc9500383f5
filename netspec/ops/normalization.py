"""Normalizations, and the learned factor and shift that they share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Literal, Self

from netspec.ops.attribute_types import (
    Flag,
    Integer,
    OneOf,
    RealNumber,
)
from netspec.ops.base import (
    Elementwise,
    Family,
    KeepsShape,
    Learned,
    LearnedWithBias,
    Saved,
    Shape,
    ShapeError,
    Tensor,
    attr,
    group_size,
    op,
    spatial,
    text,
)
from netspec.ops.reads import ReceptiveField

NORMALIZATION = Family(
    "normalization",
    "Normalizations, and the learned factor and shift that they share.",
    follows=True,
)


@op("batchnorm", NORMALIZATION)
class BatchNorm(LearnedWithBias, Elementwise):
    """Batch normalization over each channel (Ioffe and Szegedy 2015, arXiv:1502.03167).

    Learns a factor and a shift per channel; keeps a running mean and variance, which are no
    parameters, and uses them when not training. Training updates them by `momentum` in the sense
    of PyTorch: new = (1 - momentum) * old + momentum * batch. A frozen one uses its statistics in
    training as well, and keeps them.
    """

    overwritable = True
    foreign_names = ("BatchNormalization", "BN")
    short_name = "bn"
    channel_affine = True

    example = "conv { filters: 64  kernel: 3x3  pad: 1  bias: false } -> batchnorm"

    eps: float = attr(RealNumber(positive=True), "added to the variance", default=1e-5)
    momentum: float = attr(
        RealNumber(0, 1), "weight of the newest batch in the statistics", default=0.1
    )
    affine: bool = attr(Flag(), "whether a factor and a shift are learned", default=True)

    def doubts(self) -> Sequence[tuple[str, str, str]]:
        momentum = float(self.momentum)
        if momentum < 0.5:
            return ()
        message = (
            f"a momentum of {momentum:g} forgets {100 * momentum:g}% of the statistics at every "
            "iteration: here, as in PyTorch, it is the weight of the newest batch"
        )
        fix = f"{1 - momentum:.6g}"
        return (
            ("momentum", message, f"what Keras and Caffe call {momentum:g} is `momentum: {fix}`"),
        )

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        channels = (inputs[0][0],)
        tensors: dict[str, Tensor] = {}
        if self.affine:
            tensors["weight"] = Tensor(channels, init=self.begun(1))
            tensors["bias"] = Tensor(channels, init=self.begun_bias)
        tensors["running_mean"] = Tensor(channels, learnable=False, init=0)
        tensors["running_var"] = Tensor(channels, learnable=False, init=1)
        return tensors

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        # The mean and deviation of the batch; a frozen one takes its statistics.
        return Saved((0,), once=0 if self.frozen else 8 * int(inputs[0][0]))


@op("layernorm", NORMALIZATION)
class LayerNorm(LearnedWithBias, KeepsShape):
    """Layer normalization over the channels of each place (Ba et al. 2016, arXiv:1607.06450).

    (x - mean) / sqrt(variance + eps), times a learned factor plus a learned shift per channel.
    """

    foreign_names = ("LayerNormalization",)

    eps: float = attr(RealNumber(positive=True), "added to the variance", default=1e-5)

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        channels = (inputs[0][0],)
        return {
            "weight": Tensor(channels, init=self.begun(1)),
            "bias": Tensor(channels, init=self.begun_bias),
        }

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        return Saved((0,), own=8 * prod(map(int, inputs[0][1:])))  # a mean and deviation a place


class _Standardizing(LearnedWithBias, KeepsShape):
    """What subtracts the mean of several places and divides by their deviation."""

    affine: bool

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        if not self.affine:
            return {}
        channels = (inputs[0][0],)
        return {
            "weight": Tensor(channels, init=self.begun(1)),
            "bias": Tensor(channels, init=self.begun_bias),
        }

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        return None


@op("groupnorm", NORMALIZATION)
class GroupNorm(_Standardizing):
    """Group normalization: over height, width and the channels of a group, picture by picture.

    (x - mean) / sqrt(variance + eps), times a learned factor plus a learned shift per channel (Wu
    and He 2018, arXiv:1803.08494). It keeps no statistics, so batches may be small. `groups: 1` is
    over the whole picture; `layernorm` is over the channels of each place.
    """

    foreign_names = ("GroupNormalization", "GN")
    short_name = "gn"
    same_on_vectors = True

    example = "conv { filters: 64  kernel: 3x3  pad: 1  bias: false } -> groupnorm { groups: 16 }"

    groups: int = attr(Integer(), "how many equal parts the channels are in")
    eps: float = attr(RealNumber(positive=True), "added to the variance", default=1e-5)
    affine: bool = attr(Flag(), "whether a factor and a shift are learned", default=True)

    def bind(self, inputs: Sequence[Shape]) -> Self:
        channels, *places = inputs[0]
        if group_size(self.groups, channels, "groupnorm") * prod(places) <= 1:
            raise ShapeError(
                "out-of-range",
                f"each group of {text(inputs[0])} is a single number, of which groupnorm makes 0",
                "groups",
            )
        return self

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        return Saved((0,), own=8 * int(self.groups))


@op("instancenorm", NORMALIZATION)
class InstanceNorm(_Standardizing):
    """Instance normalization: over height and width, of each channel and picture by itself.

    (x - mean) / sqrt(variance + eps) (Ulyanov et al. 2016, arXiv:1607.08022). It keeps no
    statistics. Nothing is learned unless `affine: true` says so, as in PyTorch.
    """

    foreign_names = ("InstanceNormalization", "IN")

    example = "conv { filters: 64  kernel: 3x3  pad: 1 } -> instancenorm { affine: true }"

    eps: float = attr(RealNumber(positive=True), "added to the variance", default=1e-5)
    affine: bool = attr(
        Flag(), "whether a factor and a shift are learned for each channel", default=False
    )

    def bind(self, inputs: Sequence[Shape]) -> Self:
        _, height, width = spatial(inputs[0], "instancenorm")
        if height * width <= 1:
            raise ShapeError(
                "out-of-range",
                f"each channel of {text(inputs[0])} is a single number, of which instancenorm "
                "makes 0",
                0,
            )
        return self

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        # PyTorch repeats the factors for each sample.
        return Saved((0,), own=(12 if self.affine else 8) * int(inputs[0][0]))


@op("lrn", NORMALIZATION)
class Lrn(KeepsShape):
    """Local response normalization across channels (Krizhevsky et al. 2012, section 3.3).

    x / (k + alpha / size * sum of squares of the `size` channels around it) ** beta. The paper does
    not divide alpha by size; Caffe, PyTorch and ONNX do.
    """

    foreign_names = ("LocalResponseNorm",)
    short_name = "norm"

    example = "lrn { size: 5  alpha: 1e-4  beta: 0.75 }"

    size: int = attr(Integer(odd=True), "how many channels, the own one in the middle")
    alpha: float = attr(RealNumber(least=0), "weight of the squares; divided by size", default=1e-4)
    beta: float = attr(RealNumber(least=0), "exponent", default=0.75)
    k: float = attr(RealNumber(positive=True), "added to the sum", default=1.0)

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        # The padded squares, the sum that is raised, and what it divides by.
        channels, *places = map(int, inputs[0])
        return Saved((0,), own=4 * (3 * channels + self.size - 1) * prod(places))


@op("normalize", NORMALIZATION)
class Normalize(KeepsShape):
    """Divides by the length of the vector of all channels at each place, or of all elements.

    x / sqrt(sum of squares + eps): Liu et al. 2015 (ParseNet, arXiv:1506.04579, section 3.3), whose
    factor per channel is a `scale` behind it.
    """

    across: Literal["channels", "all"] = attr(
        OneOf(("channels", "all")), "what the sum is over", default="channels"
    )
    eps: float = attr(RealNumber(least=0), "added to the sum", default=1e-10)

    def receptive_field(
        self, inputs: Sequence[Shape], outputs: Sequence[Shape]
    ) -> ReceptiveField | None:
        return None if self.across == "all" else super().receptive_field(inputs, outputs)

    def saved(self, inputs: Sequence[Shape], outputs: Sequence[Shape]) -> Saved:
        lengths = 1 if self.across == "all" else prod(map(int, inputs[0][1:]))
        return Saved((0,), own=4 * lengths)


@op("shift", NORMALIZATION)
class Shift(Learned, Elementwise):
    """A learned number per channel, added."""

    saves = "nothing"
    channel_affine = True

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        return {"bias": Tensor((inputs[0][0],), init=self.begun(0))}


@op("scale", NORMALIZATION)
class Scale(LearnedWithBias, Elementwise):
    """A learned factor per channel, and a learned shift."""

    channel_affine = True

    bias: bool = attr(Flag(), "whether a shift is learned", default=True)

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        channels = (inputs[0][0],)
        tensors = {"weight": Tensor(channels, init=self.begun(1))}
        if self.bias:
            tensors["bias"] = Tensor(channels, init=self.begun_bias)
        return tensors
