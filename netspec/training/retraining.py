"""Training what is left of pruned and quantized weights (Han et al. 2016, arXiv:1510.00149).

First the places that pruning leaves out are held at 0. Then each weight's values are shared: what
is trained is its codebook, whose values get the sum of the gradients of all their places.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from netspec.compression import pruned, quantized
from netspec.compression.tensors import weights_of
from netspec.ir import Net
from netspec.metrics.compression import CODEBOOK_BITS, Compression, kept

_PLACE = ".parametrizations."
GROWTH = 2.0
"""As for `quantized`: training makes up for much."""


class Mask(nn.Module):
    """Keeps places of a weight at 0."""

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        mask: Any = self.mask
        return weight * mask  # type: ignore[no-any-return]


class Sharing(nn.Module):
    """A weight of a codebook (without its 0) and the place of each number in it."""

    def __init__(self, codes: Tensor, codebook: Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes)
        self.first = codebook

    def forward(self, codebook: Tensor) -> Tensor:
        codes: Any = self.codes
        return F.pad(codebook, (1, 0))[codes]

    def right_inverse(self, weight: Tensor) -> Tensor:
        return self.first


class Retraining:
    """The weights of a model that are compressed while it trains.

    Weights are pruned at once, and shared from iteration `shared_from` on: the second half of all
    iterations, or all where nothing is pruned; None where none are.
    """

    def __init__(self, net: Net, plan: Compression, total: int) -> None:
        self.kept: dict[str, int] = {}
        self.bits: dict[str, int] = {}
        for _, part, names in weights_of(net, plan):
            for name in names:
                self.kept[name] = kept(part.sparsity, int(net.tensors[name].size))
                if part.bits <= CODEBOOK_BITS:
                    self.bits[name] = part.bits
        is_pruned = any(n < net.tensors[name].size for name, n in self.kept.items())
        self.shared_from = (total // 2 if is_pruned else 0) if self.bits else None

    def prune(self, model: nn.Module) -> None:
        """Hold all but the largest numbers of each weight at 0."""
        for name, count in self.kept.items():
            module, local = _owner(model, name)
            weight = getattr(module, local).detach()
            mask = torch.from_numpy(pruned(weight.cpu().numpy(), count) != 0)
            parametrize.register_parametrization(
                module, local, Mask(mask.to(weight.device, weight.dtype))
            )

    def share(self, model: nn.Module) -> None:
        """Have each weight made of a codebook, as k-means finds it for what the weight is now."""
        for name, bits in self.bits.items():
            module, local = _owner(model, name)
            weight = getattr(module, local).detach()
            found = quantized(weight.float().cpu().numpy(), bits, "linear", GROWTH)
            codebook = torch.from_numpy(found.codebook[1:].copy()).to(weight.device)
            codes = torch.from_numpy(found.codes.astype(np.int64)).to(weight.device)
            self._share(module, local, codes, codebook)

    def restore(self, model: nn.Module, state: Mapping[str, Tensor]) -> None:
        """Make a model as it was when its state was saved behind `share`."""
        for name in self.bits:
            module, local = _owner(model, name)
            place = f"{name.removesuffix(local)}parametrizations.{local}"
            codebook = torch.zeros_like(state[f"{place}.original"])
            self._share(module, local, state[f"{place}.0.codes"], codebook)

    @staticmethod
    def _share(module: nn.Module, local: str, codes: Tensor, codebook: Tensor) -> None:
        if parametrize.is_parametrized(module, local):
            parametrize.remove_parametrizations(module, local)
        parametrize.register_parametrization(module, local, Sharing(codes, codebook))


def _owner(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    path, _, local = name.rpartition(".")
    return model.get_submodule(path), local


def plain_name(name: str) -> str:
    """The name of the tensor that a parameter of a model makes: `c.weight`."""
    return name.replace(_PLACE, ".").removesuffix(".original") if _PLACE in name else name


def tensors_of(model: nn.Module, names: Iterable[str]) -> dict[str, Tensor]:
    """The tensors of a model by the names of a net's, as they are used."""
    found = {}
    for name in names:
        module, local = _owner(model, name)
        found[name] = getattr(module, local).detach()
    return found
