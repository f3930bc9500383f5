"""Every op and bundled nets in C against NumPy, in memory that holds NaN before."""

from __future__ import annotations

import pytest

from netspec.ir import Net
from tests.backends.nets import BODIES, BUNDLED, POOLINGS, net_of, of_layers, smaller
from tests.backends.random_nets import RandomNet
from tests.helpers import checked

from .helpers import compare, model, side_by_side

pytestmark = pytest.mark.slow

NEAR_TIES = {"segnet", "enet"}
"""Nets in which indices of nearly equal maxima put values elsewhere."""
CASES = [case for case in BODIES.values() if "output" not in case[0]]
GROUPS = 4


@pytest.mark.parametrize("group", range(GROUPS))
def test_every_op(group: int) -> None:
    compare(net_of(side_by_side(CASES[group::GROUPS])))


def test_poolings() -> None:
    compare(net_of(side_by_side([*POOLINGS.values()])))


def test_several_outputs() -> None:
    """Indices are integers; an output may be an input, or twice the same."""
    text = """
        input v: 12
        p: maxpool(data) { kernel: 3 stride: 2 pad: 1 dilation: 1 round: ceil }
        q: maxpool(data) { kernel: 2 dilation: 2 stride: 1 round: floor }
        a: relu(data)
        s: split(v) { parts: [5, 7] }
        n: parameter(v) { shape: 12 }
        output p, p.indices, other: q.indices, data, a, twice: a, s.part2, n
    """
    compare(of_layers(text, "3x8x8"))


def residual() -> Net:
    """A net whose sums are part of convolutions, or can't be."""
    text = """
        module block(f, act = relu) {
          input x
          a: conv { filters: f  kernel: 3  pad: 1  bias: false } -> batchnorm -> relu
          b: conv { filters: f  kernel: 3  pad: 1  bias: false } -> batchnorm
          add(b, x) -> act
        }
        net residual {
          input data: 3x9x10
          first: conv { filters: 24  kernel: 3  pad: 1 } -> relu6
          one: block { f: 24 }
          two: block { f: 24  act: tanh }
          low: conv { filters: 24  kernel: 1 }
          other: conv(two) { filters: 24  kernel: 1 }
          sum: add(low, other)
          twice: add(sum, sum)
          both: add(sum, conv(twice) { filters: 24  kernel: 3  pad: 1  groups: depthwise })
          output both, concat(low, twice, both), add(data, conv(data) { filters: 3  kernel: 1 })
        }
    """
    return net_of(text)


def test_sums_in_convolutions() -> None:
    compare(residual())


@pytest.mark.parametrize("seed", range(4))
def test_random_nets(seed: int) -> None:
    for other in range(40 * seed, 40 * seed + 40):
        random = RandomNet(other)
        net, _ = checked(random.text, random.arguments())
        if net is not None:
            compare(net, 1e-4, 0.999)
            return
    pytest.fail("no random net is sound")


QUICK_NETS = {"squeezenet1_0", "squeezenet_digits", "shufflenet_v2"}


@pytest.mark.parametrize(
    "spec",
    [pytest.param(s, marks=[] if s in QUICK_NETS else [pytest.mark.exhaustive]) for s in BUNDLED],
)
def test_bundled_nets(spec: str) -> None:
    compare(smaller(spec), 1e-4, 0.99 if spec in NEAR_TIES else 1.0)


def test_threads_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    net = residual()
    import numpy as np

    from netspec.runtime.verify import random_inputs

    built = model(net)
    inputs = random_inputs(net, 2)
    wanted = built.run(*inputs)
    for threads in (3, 1, 2):
        built.threads = threads
        for ours, theirs in zip(built.run(*inputs), wanted, strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
