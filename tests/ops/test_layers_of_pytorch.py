"""Layers against the functions that PyTorch has for them, in both backends."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from netspec import SpecError
from netspec.codegen.backend import get, load_model
from netspec.weights import fresh
from tests.backends.nets import of_layers

Weights = Mapping[str, Tensor]

LAYERS: dict[str, tuple[str, Callable[[Tensor, Weights], Tensor]]] = {
    "groupnorm { groups: 3 }": (
        "6x4x5",
        lambda x, w: F.group_norm(x, 3, w["weight"], w["bias"]),
    ),
    "groupnorm { groups: 1  affine: false  eps: 0.5 }": (
        "6x4x5",
        lambda x, w: F.group_norm(x, 1, eps=0.5),
    ),
    "instancenorm": ("6x4x5", lambda x, w: F.instance_norm(x)),
    "instancenorm { affine: true  eps: 0.5 }": (
        "6x4x5",
        lambda x, w: F.instance_norm(x, None, None, w["weight"], w["bias"], eps=0.5),
    ),
    "pixel_shuffle { factor: 3 }": ("18x2x5", lambda x, w: F.pixel_shuffle(x, 3)),
    "pixel_unshuffle { factor: 2 }": ("3x4x10", lambda x, w: F.pixel_unshuffle(x, 2)),
    "adaptive_maxpool { size: 3x4 }": ("2x7x9", lambda x, w: F.adaptive_max_pool2d(x, (3, 4))),
    "adaptive_maxpool { size: 5 }": ("2x3x4", lambda x, w: F.adaptive_max_pool2d(x, 5)),
    "div(data, exp(data))": ("2x3x4", lambda x, w: x / x.exp()),
}


@pytest.mark.parametrize("backend", ["torch", "numpy"])
@pytest.mark.parametrize("layer", LAYERS)
def test_layer(layer: str, backend: str) -> None:
    shape, function = LAYERS[layer]
    net = of_layers(layer, shape)
    weights = fresh(net.tensors, 1, varied=True)
    b = get(backend)
    model = load_model(net, b)
    b.set_weights(model, weights)
    own: Any = {
        name.rpartition(".")[2]: torch.from_numpy(a).double() for name, a in weights.items()
    }
    x = np.random.default_rng(1).normal(1, 2, (3, *net.body.inputs[0].shape))
    (found,) = b.run(model, x)
    wanted = function(torch.from_numpy(x), own)
    assert found.shape[1:] == net.body.outputs[0].shape
    np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("layer", "code", "says"),
    [
        ("groupnorm { groups: 4 }", "groups-mismatch", "`groups: 3` divides 6"),
        ("groupnorm", "missing-field", "groups"),
        ("adaptive_avgpool { size: 1 } -> groupnorm { groups: 6 }", "out-of-range", "6x1x1"),
        ("adaptive_avgpool { size: 1 } -> instancenorm", "out-of-range", "6x1x1"),
        ("flatten -> instancenorm", "wrong-rank", "channels x height x width"),
        ("pixel_shuffle { factor: 2 }", "groups-mismatch", "one channel of 4"),
        ("pixel_unshuffle { factor: 2 }", "groups-mismatch", "width of 6x4x5"),
        ("flatten -> adaptive_maxpool { size: 2 }", "wrong-rank", "adaptive_maxpool"),
        ("a: conv { filters: 5  kernel: 1 }\n div(data, a)", "shape-mismatch", "filters: 6"),
    ],
)
def test_what_does_not_go(layer: str, code: str, says: str) -> None:
    with pytest.raises(SpecError) as raised:
        of_layers(layer, "6x4x5")
    (found,) = raised.value.diagnostics
    assert found.code == code
    assert says in " ".join([found.message, *found.help])
