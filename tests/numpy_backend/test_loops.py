"""Repeated steps are written as loops, and compute what they did."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from netspec.codegen.backend import emit, get, load_model
from netspec.weights import fresh
from tests.backends.nets import net_of

TEXT = """
module unit(filters, ends = false) {
  input x
  y: conv { filters: filters  kernel: 3  pad: 1 } -> batchnorm -> relu
  if ends { z: conv { filters: filters  kernel: 1 } -> tanh }
  out: identity
  add(out, x)
}
net t { input data: 6x9x9
  for j in 1..2 { for i in 2..5 { b[j][i]: unit { filters: 6 } } }
  for i in 8..11 { c[1][i]: conv { filters: 6  kernel: 1 }  n[1][i]: batchnorm }
  for i in 1..3 { e[i]: unit { filters: 6  ends: true } }
  for i in 1..3 { up[0][i]: conv_transpose { filters: 6  kernel: 2 } }
  last: conv { filters: 3  kernel: 1 } }
"""


def test_repeated_steps_are_loops() -> None:
    source = emit(net_of(TEXT), get("numpy"))
    network = source.partition("def network(")[2].partition("\n\n\n")[0]
    assert network.count('unit(p, x, f"b1_{i}"') == network.count('unit(p, x, f"b2_{i}"') == 1
    assert re.findall(r"for i in range\((\d+), (\d+)\):", network)[:3] == [
        ("3", "6"),  # the first takes `data`
        ("2", "6"),
        ("8", "12"),
    ]
    assert 'fold_batch_norm(p, f"c1_{i}", f"n1_{i}"' in network
    # A lambda would see the variable's last value.
    assert all(f"up0_{i}.weight" in network for i in (1, 2, 3))


@pytest.mark.parametrize("size", [9, 12])
def test_loops_compute_what_the_net_does(size: int) -> None:
    net = net_of(TEXT)
    weights = fresh(net.tensors, 3, varied=True)
    x = np.random.default_rng(1).standard_normal((2, 6, size, size))
    results = []
    for backend in (get("numpy"), get("torch")):
        model: Any = load_model(net, backend)
        if backend.name == "numpy":
            assert list(model.weights) == list(model.shapes)
            assert set(model.weights) == set(weights)
        backend.set_weights(model, weights)
        model = model if backend.name == "numpy" else model.double()
        results.append(backend.run(model, x)[0])
    found, wanted = results
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-9 * np.abs(wanted).max())
