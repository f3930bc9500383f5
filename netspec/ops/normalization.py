"""Normalizations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netspec.ops.base import Elementwise, Shape, Tensor, attr, op
from netspec.ops.kinds import Flag, Number


@op("batchnorm")
class BatchNorm(Elementwise):
    """Batch normalization over each channel (Ioffe and Szegedy 2015, arXiv:1502.03167).

    Learns a factor and a shift per channel; keeps a running mean and variance, which are no
    parameters, and uses them when not training. Training updates them by `momentum` in the sense
    of PyTorch: new = (1 - momentum) * old + momentum * batch.
    """

    eps: float = attr(Number(positive=True), "added to the variance", default=1e-5)
    momentum: float = attr(
        Number(0, 1), "weight of the newest batch in the statistics", default=0.1
    )
    affine: bool = attr(Flag(), "whether a factor and a shift are learned", default=True)

    def tensors(self, inputs: Sequence[Shape]) -> Mapping[str, Tensor]:
        channels = (inputs[0][0],)
        tensors: dict[str, Tensor] = {}
        if self.affine:
            tensors["weight"] = Tensor(channels, init="ones")
            tensors["bias"] = Tensor(channels, init="zeros")
        tensors["running_mean"] = Tensor(channels, learnable=False, init="zeros")
        tensors["running_var"] = Tensor(channels, learnable=False, init="ones")
        return tensors
