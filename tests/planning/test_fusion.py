"""Fused layers: which layers are merged, and which stay apart."""

from __future__ import annotations

import pytest

from netspec.ops.activation import Relu, Relu6
from netspec.ops.merging import Concat
from netspec.ops.pooling import MaxPool
from netspec.planning.fusion import FusedLayer, FusedNet, fuse, unfused
from tests.backends.nets import of_layers

from ..helpers import loaded


def named(net: FusedNet, name: str) -> FusedLayer:
    return next(layer for layer in net.layers if layer.layer.path == name)


def test_squeezenet_has_a_fused_layer_for_each_convolution_pooling_and_concat() -> None:
    net = fuse(loaded("squeezenet1_0"))
    found = [layer.op.keyword for layer in net.layers]
    assert {k: found.count(k) for k in set(found)} == {
        "conv": 26,
        "maxpool": 3,
        "concat": 8,
        "global_avgpool": 1,
        "softmax": 1,
    }
    # conv1's relu is applied after the pooling, which leaves fewer elements.
    assert named(net, "conv1").activation is None
    assert isinstance(named(net, "pool1").activation, Relu)
    concats = [layer for layer in net.layers if isinstance(layer.op, Concat)]
    pooled = {v for layer in net.layers if isinstance(layer.op, MaxPool) for v in layer.inputs}
    with_relu = [isinstance(layer.activation, Relu) for layer in concats]
    assert with_relu == [layer.output not in pooled for layer in concats]
    assert isinstance(named(net, "pool8").activation, Relu)


def test_a_batch_norm_goes_into_the_weights_before_it() -> None:
    net = of_layers("a: conv { filters: 4 kernel: 3 bias: false } -> batchnorm -> relu6")
    (layer,) = fuse(net).layers
    assert layer.batch_norm is not None
    assert isinstance(layer.activation, Relu6)


@pytest.mark.parametrize(
    "layers",
    [
        "a: conv { filters: 4 kernel: 1 }\n b: batchnorm(a)\n add(a, b)",
        "a: conv { filters: 4 kernel: 1 }\n b: relu(a)\n output a, b",
        "a: conv { filters: 4 kernel: 1 } -> relu -> batchnorm\n b: relu\n output a, b",
    ],
)
def test_values_that_are_used_elsewhere_are_still_computed(layers: str) -> None:
    net = of_layers(layers)
    before, after = unfused(net), fuse(net)
    assert after.outputs == before.outputs
    assert len(after.layers) > 1
    made = {v for layer in after.layers for v in layer.outputs}
    for layer in after.layers:
        assert set(layer.inputs) <= made | set(after.inputs)
    assert named(after, "a").activation is None or named(after, "a").batch_norm is None


def test_an_activation_moves_behind_a_concat_only_if_all_its_inputs_have_it() -> None:
    text = "a: conv { filters: 4 kernel: 1 } -> relu\n b: conv(data) { filters: 4 kernel: 1 }\n"
    net = fuse(of_layers(text + "concat(a, b)"))
    assert net.layers[-1].activation is None
    assert isinstance(net.layers[0].activation, Relu)


def test_an_activation_stays_before_a_pooling_whose_indices_are_used() -> None:
    """Of windows below 0 the indices differ: all elements are equal after relu."""
    layers = "p: conv { filters: 4 kernel: 1 } -> relu -> maxpool { kernel: 2 round: floor }\n"
    net = fuse(of_layers(layers + "output p.indices"))
    assert isinstance(net.layers[0].activation, Relu)
    assert net.layers[1].activation is None
