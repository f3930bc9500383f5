"""The choice of an algorithm for each convolution."""

from __future__ import annotations

import pytest
from netspec_numpy.cost_model import choose_algorithm

from netspec.ops.convolution import Conv
from netspec.planning.fusion import fuse

from ..helpers import loaded


def algorithms(spec: str) -> dict[str, str]:
    """The kind of algorithm of each convolution, by its path."""
    layers = fuse(loaded(spec)).layers
    return {x.layer.path: choose_algorithm(x).kind for x in layers if isinstance(x.op, Conv)}


def test_winograd_where_it_pays() -> None:
    kinds = algorithms("squeezenet1_0")
    assert kinds["conv1"] == "im2col"
    assert kinds["fire2.squeeze"] == "matmul"
    for i in range(2, 9):
        assert kinds[f"fire{i}.expand3x3"] == "winograd"
    # 13x13 pixels are few for so many more calls, and the tiles hang over.
    assert kinds["fire9.expand3x3"] == "im2col"


@pytest.mark.parametrize("spec", ["mobilenet_v1", "mobilenet_v2"])
def test_depthwise_convolutions_have_an_algorithm_of_their_own(spec: str) -> None:
    net = loaded(spec)
    depthwise = {
        layer.path
        for layer in net.layers
        if isinstance(layer.op, Conv) and layer.op.group_count == layer.op.filters
    }
    assert depthwise
    assert {path for path, kind in algorithms(spec).items() if kind == "depthwise"} == depthwise
