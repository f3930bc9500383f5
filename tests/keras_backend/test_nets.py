"""Keras models give what NumPy's give: every op, bundled nets, random nets; on PyTorch and JAX."""

from __future__ import annotations

import pytest

from tests.backends.nets import net_of, smaller
from tests.backends.random_nets import RandomNet
from tests.helpers import checked

from .helpers import JOINED, OF_KERAS, difference, on_jax

pytestmark = [pytest.mark.slow, OF_KERAS]

NETS = (
    *("convnext_tiny", "efficientnet_b0", "ghostnet", "googlenet", "mobilenet_v3_small"),
    *("shufflenet_v2", "squeezenet1_0_caffe", "unet", "yolov8n"),
)
"""Some of the bundled nets, of different modules."""


@pytest.mark.parametrize("name", JOINED)
def test_ops(name: str) -> None:
    assert difference(net_of(JOINED[name])) < 1e-5


@pytest.mark.exhaustive
def test_ops_on_jax() -> None:
    found = on_jax(JOINED)
    assert found.keys() == JOINED.keys()
    assert {name: worst for name, worst in found.items() if not worst < 1e-5} == {}


@pytest.mark.exhaustive
@pytest.mark.parametrize("spec", NETS)
def test_bundled_nets(spec: str) -> None:
    assert difference(smaller(spec)) < 1e-4


@pytest.mark.exhaustive
def test_a_bundled_net_on_jax() -> None:
    assert on_jax(["squeezenet_micro"])["squeezenet_micro"] < 1e-4


@pytest.mark.parametrize("seed", range(4))
def test_random_nets(seed: int) -> None:
    """Random nets with modules, for random arguments."""
    drawn = RandomNet(seed)
    net, _ = checked(drawn.text, drawn.arguments())
    if net is None:
        net, _ = checked(drawn.text)
    if net is not None:
        assert difference(net) < 1e-4
