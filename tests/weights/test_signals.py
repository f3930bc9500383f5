"""Weights of one-dimensional convolutions in nets of height 1."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from netspec import SpecError
from netspec.codegen.backend import get, load_model
from netspec.weights.matching import adapt
from tests.backends.nets import net_of

NET = """
net n {
  input x: 3x1x40
  conv { filters: 6  kernel: 1x5  stride: 1x2  pad: 0x2 } -> groupnorm { groups: 2 } -> relu
  conv { filters: 6  kernel: 1x3  dilation: 1x2  groups: depthwise } -> batchnorm
  conv_transpose { filters: 4  kernel: 1x4  stride: 1x2  pad: 0x1 }
  avgpool { kernel: 1x2 }
  conv { filters: 2  kernel: 1 }
}
"""


def model() -> nn.Sequential:
    found = nn.Sequential(
        nn.Conv1d(3, 6, 5, 2, 2),
        nn.GroupNorm(2, 6),
        nn.ReLU(),
        nn.Conv1d(6, 6, 3, dilation=2, groups=6),
        nn.BatchNorm1d(6),
        nn.ConvTranspose1d(6, 4, 4, 2, 1),
        nn.AvgPool1d(2),
        nn.Conv1d(4, 2, 1),
    )
    return found.eval()


@pytest.mark.parametrize("backend", ["torch", "numpy"])
def test_a_net_of_height_1_is_that_of_one_dimension(backend: str) -> None:
    torch.manual_seed(1)
    theirs, net = model(), net_of(NET)
    arrays: Any = {name: a.numpy() for name, a in theirs.state_dict().items()}
    adapted = adapt(arrays, net.tensors, "theirs.pt", "n", ordered=True)
    ours = load_model(net, get(backend))
    get(backend).set_weights(ours, adapted.arrays)
    x = torch.randn(2, 3, 40)
    (found,) = get(backend).run(ours, x[:, :, None].numpy())
    with torch.inference_mode():
        wanted = theirs(x).numpy()
    np.testing.assert_allclose(found[:, :, 0], wanted, rtol=1e-5, atol=1e-6)


def test_a_window_does_not_turn() -> None:
    """Weights of 3x1 are not those of 1x3, nor those of one dimension."""
    net = net_of("net n { input x: 2x8x8\n c: conv { filters: 4  kernel: 3x1  bias: false } }")
    for shape in ((4, 2, 1, 3), (4, 2, 3)):
        with pytest.raises(SpecError, match="does not fit"):
            adapt({"c.weight": np.ones(shape, np.float32)}, net.tensors, "f", "n")
