"""The docstring of an emitted class: what it says of poolings that leave their rounding open."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import netspec
from netspec.codegen.backend import summary

from ..helpers import body, net_of

SAID = "At other sizes poolings round down"


@pytest.mark.parametrize(
    ("statements", "said"),
    [
        ("maxpool { kernel: 2 }\n global_avgpool", True),
        ("avgpool { kernel: 2 }", True),
        ("maxpool { kernel: 2  round: floor }", False),
        ("maxpool { kernel: 3  stride: 1 }", False),
        ("maxpool { kernel: 3  stride: 2  pad: same }", False),
        ("maxpool { kernel: 2 } -> flatten -> linear { units: 2 }", False),
        ("maxpool { kernel: 32 } -> flatten", True),
    ],
)
def test_rounding_that_is_left_open(statements: str, said: bool) -> None:
    assert (SAID in summary(net_of(body(statements)))) == said


def test_poolings_round_down_at_other_sizes() -> None:
    net = net_of(body("maxpool { kernel: 2 }"))
    x = np.random.default_rng(1).random((1, 3, 9, 11), np.float32)
    expected = x[:, :, :8, :10].reshape(1, 3, 4, 2, 5, 2).max((3, 5))
    assert np.array_equal(netspec.build(net, backend="numpy")(x), expected)
    model = netspec.build(net, backend="torch")
    assert torch.equal(model(torch.from_numpy(x)), torch.from_numpy(expected))
