"""Both code backends against each other; tests/onnx_backend compares them with ONNX Runtime."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import netspec
from netspec.codegen.backend import get, load_model
from netspec.runtime.verify import compare, random_inputs
from netspec.weights import fresh

from .nets import BODIES, BUNDLED, POOLINGS, net_of, of_layers, smaller

pytestmark = pytest.mark.slow

CASES = {**BODIES, **POOLINGS}


@pytest.mark.parametrize("case", CASES)
def test_torch_and_numpy_agree(case: str) -> None:
    net = of_layers(*CASES[case])
    weights = fresh(net.tensors, 1, varied=True)
    result = compare(net, get("torch"), get("numpy"), weights)
    assert result.diverges(1e-5) is None, result.diverges(1e-5)


@pytest.mark.parametrize("spec", BUNDLED)
def test_bundled_specs_agree(spec: str) -> None:
    net = smaller(spec)
    weights = fresh(net.tensors, 2, varied=True)
    inputs = random_inputs(net, 0, batch=1)
    result = compare(net, get("torch"), get("numpy"), weights, inputs)
    assert result.diverges(1e-4) is None, result.diverges(1e-4)
    assert len(result.layers) == len(net.layers)


def test_modules_with_branches_and_several_results_agree() -> None:
    net = net_of(BRANCHES)
    weights = fresh(net.tensors, 1, varied=True)
    result = compare(net, get("torch"), get("numpy"), weights)
    assert result.diverges(1e-5) is None
    assert [d.path for d in result.layers] == [f.path for f in net.layers]


SYMBOLIC = """
module deep(n) {
  input x
  conv { filters: ((n + 1) * 2 + (n + 2) * 3 + (n + 3) * 4 + (n + 4) * 5) // 7 * 2  kernel: 1 }
  s: split { parts: 2 }
  pad { pads: 1 value: n / 4 }
}
net numbers(n = 3, m = 4, slope = 0.3) {
  input data: 4x5x5
  leaky_relu { slope: slope }
  deep { n: n }
  conv { filters: n kernel: 1 }
  conv { filters: m + 4 kernel: 1 }
  s: split { parts: [4, m] }
  conv(s.part2) { filters: m kernel: 3 }
}
"""


@pytest.mark.parametrize(
    "settings", [{}, {"n": 7}, {"m": 6, "slope": 0.5}, {"n": 4, "m": 3, "slope": 0.25}]
)
def test_numbers_of_forward_are_arguments_too(settings: dict[str, Any]) -> None:
    """A split's parts and a pad's value are in `forward`, and follow the constructor's arguments."""
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(netspec.compile(net_of(SYMBOLIC), backend="torch"), namespace)
    net = net_of(SYMBOLIC, **settings)
    weights = fresh(net.tensors, 1, varied=True)
    assert compare(net, get("torch"), get("numpy"), weights).diverges(1e-5) is None
    model, reference = namespace["Numbers"](**settings), load_model(net, get("numpy"))
    get("torch").set_weights(model, weights)
    get("numpy").set_weights(reference, weights)
    inputs = random_inputs(net, 3)
    results = get("torch").run(model, *inputs), get("numpy").run(reference, *inputs)
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-4, atol=1e-5)


SEVERAL = """
module three(n) {
  input x
  a: conv { filters: n kernel: 1 }
  b: relu(a)
  c: conv(b) { filters: n kernel: 1 }
  output a, b, c
}
net uses {
  input data: 3x4x4
  one: three { n: 2 }
  two: three(one) { n: 3 }
  third: three(two.b) { n: 4 }
  s: split(third.c) { parts: 4 }
  output two.a, s.part2, s.part3
}
"""


def test_some_of_several_results() -> None:
    net = net_of(SEVERAL)
    result = compare(net, get("torch"), get("numpy"), fresh(net.tensors, 1, varied=True))
    assert result.diverges(1e-5) is None


INDICES = """
module encode(n) {
  input x
  conv { filters: n kernel: 3 pad: 1 } -> relu
  p: maxpool { kernel: 2 stride: 2 round: ceil }
  output p, p.indices
}
module decode(n) {
  input x
  input places
  maxunpool(x, places) -> conv { filters: n kernel: 3 pad: 1 }
}
net auto {
  input data: 2x13x10
  a: encode { n: 4 }
  b: encode { n: 6 }
  c: decode(b, b.indices) { n: 4 }
  d: decode(c, a.indices) { n: 2 }
  expect d: 2x13x10
}
"""


def test_indices_pass_through_modules() -> None:
    net = net_of(INDICES)
    weights = fresh(net.tensors, 1, varied=True)
    result = compare(net, get("torch"), get("numpy"), weights)
    assert result.diverges(1e-5) is None
    assert compare(net, get("numpy"), get("onnx"), weights).diverges(1e-5) is None


BRANCHES = """
module block(filters, stride = 1) {
  input x
  main: conv { filters: filters kernel: 3 stride: stride pad: 1 bias: false } -> batchnorm -> relu
        -> conv { filters: filters kernel: 3 pad: 1 bias: false } -> batchnorm
  if stride != 1 or x.channels != filters {
    short: conv(x) { filters: filters kernel: 1 stride: stride bias: false } -> batchnorm
    add(main, short)
  } else {
    add(main, x)
  }
  relu
}
module twice(n) {
  input a
  input b
  c: conv(a) { filters: n kernel: 1 }
  d: block(b) { filters: 2 * n stride: 2 }
  output c, d
}
net tangle(classes = 5, w = 4) {
  input data: 3x16x16
  first: conv { filters: w kernel: 3 pad: same } -> relu
  a: block { filters: w }
  b: block { filters: 2 * w  stride: 2 }
  both: twice(a, b) { n: 3 }
  e: relu(both.d)
  for i in 1..2 { e[i]: block { filters: 6 } }
  f: concat(e2, e, e1)
  global_avgpool -> linear { units: classes }
  head: softmax
  output head, both
}
"""


def test_indices_alone_are_indices() -> None:
    """Where in the input each largest element stood, counted along its rows."""
    net = of_layers("p: maxpool { kernel: 2 round: floor }\n output p.indices", "1x2x4")
    x = np.array([[[[1, 2, 3, 4], [9, 0, 7, 8]]]], dtype=np.float32)
    for name in ("torch", "numpy"):
        backend = get(name)
        (result,) = backend.run(load_model(net, backend), x)
        assert result.tolist() == [[[[4, 7]]]]


@pytest.mark.parametrize(
    "statement",
    ["lrn { size: 3  alpha: 1 }", "layernorm", "normalize", "batchnorm", "softmax", "prelu"],
)
def test_normalizations_of_vectors(statement: str) -> None:
    net = net_of(f"net n {{ input x: 7\n {statement} }}")
    weights = fresh(net.tensors, 1, varied=True)
    assert compare(net, get("torch"), get("numpy"), weights).diverges(1e-5) is None
