"""Keras models give what NumPy's give: every op, bundled nets, random nets; on PyTorch and JAX."""

from __future__ import annotations

import pytest

from netspec.driver import bundled
from tests.backends.nets import BUNDLED, net_of, smaller
from tests.backends.random_nets import RandomNet
from tests.helpers import checked

from .helpers import JOINED, OF_KERAS, difference, on_jax

pytestmark = [pytest.mark.slow, OF_KERAS]

UNPOOLING = {"segnet", "enet"}
"""Which Keras does not do."""
NETS = [spec for spec in BUNDLED if spec not in UNPOOLING]
ON_JAX = ("squeezenet_micro", "unet")


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
    assert spec in bundled()
    assert difference(smaller(spec)) < 1e-4


def test_bundled_nets_on_jax() -> None:
    assert max(on_jax(ON_JAX).values()) < 1e-4


@pytest.mark.parametrize("seed", range(6))
def test_random_nets(seed: int) -> None:
    """Random nets with modules, for random arguments."""
    drawn = RandomNet(seed)
    net, _ = checked(drawn.text, drawn.arguments())
    if net is None:
        net, _ = checked(drawn.text)
    if net is not None:
        assert difference(net) < 1e-4
