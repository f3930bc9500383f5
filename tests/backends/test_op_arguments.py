"""Ops as arguments of emitted classes: what makes their modules."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import nn

from netspec.codegen.backend import emit, get, load_model
from netspec.weights import fresh

from .nets import net_of

pytestmark = pytest.mark.slow

BLOCK = """
module unit(filters, act = relu, norm = batchnorm { eps: 1e-3 }) {
  input x
  c: conv { filters: filters  kernel: 3  pad: 1 } -> norm -> act
}
module block(filters, act = relu, norm = batchnorm) {
  input x
  a: unit { filters: filters  act: act  norm: norm }
  b: unit { filters: filters  act: act }
  for i in 1..2 { d[i]: conv { filters: filters  kernel: 1 } -> norm -> act }
  add(d2, act(b))
}
"""
NET = f"""{BLOCK}
net n(act = relu, norm = batchnorm) {{
  input x: 3x8x8
  one: block {{ filters: 8  act: act  norm: norm }}
  two: block {{ filters: 4  act: none  norm: none }}
  three: block {{ filters: 8  act: leaky_relu {{ slope: 0.1 }}  norm: groupnorm {{ groups: 4 }} }}
  global_avgpool -> act -> linear {{ units: 5 }}
}}
"""


def classes(source: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(source, namespace)
    return namespace


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({}, {}),
        ({"act": "hardswish"}, {"act": nn.Hardswish}),
        ({"act": None, "norm": None}, {"act": nn.Identity, "norm": nn.Identity}),
        (
            {"act": "elu { alpha: 2 }", "norm": "groupnorm { groups: 2 }"},
            {"act": partial(nn.ELU, alpha=2.0), "norm": partial(nn.GroupNorm, 2)},
        ),
    ],
)
def test_the_class_takes_them(settings: dict[str, Any], arguments: dict[str, Any]) -> None:
    """It is the model of the net that is compiled for these ops, and NumPy's."""
    source = emit(net_of(NET), get("torch"))
    assert "Written for certain" not in source
    net = net_of(NET, **settings)
    weights = fresh(net.tensors, 1, varied=True)
    model = classes(source)["NNet"](**arguments)
    other, numpy = (load_model(net, get(name)) for name in ("torch", "numpy"))
    for each, name in ((model, "torch"), (other, "torch"), (numpy, "numpy")):
        get(name).set_weights(each, weights)
    x = torch.randn(2, 3, 8, 8).numpy()
    results = [
        get(n).run(m, x)[0] for m, n in ((model, "torch"), (other, "torch"), (numpy, "numpy"))
    ]
    for result in results[1:]:
        torch.testing.assert_close(
            torch.as_tensor(results[0]), torch.as_tensor(result), rtol=1e-4, atol=1e-4
        )


CHOICES = f"""{BLOCK}
module mid(kind = "a", act = relu, n = 2) {{
  input x
  a: unit {{ filters: 4  act: (act if kind == "a" else none) }}
  b: unit {{ filters: 4  act: (hardswish if n > 2 else selu if n == 2 else act) }}
}}
net n(small = true, width = 3) {{
  input x: 3x8x8
  one: unit {{ filters: 4  act: (relu if small else silu)  norm: (batchnorm if small else none) }}
  two: mid {{ kind: "b"  n: width }}
  three: mid {{ act: (tanh if width > 2 else relu)  n: 1 }}
}}
"""


@pytest.mark.parametrize("arguments", [{}, {"small": False}, {"small": False, "width": 1}])
def test_arguments_choose_them(arguments: dict[str, Any]) -> None:
    source = emit(net_of(CHOICES), get("torch"))
    assert "Written for certain" not in source
    net = net_of(CHOICES, **arguments)
    weights = fresh(net.tensors, 1, varied=True)
    model, numpy = classes(source)["NNet"](**arguments), load_model(net, get("numpy"))
    x = torch.randn(2, 3, 8, 8).numpy()
    results = []
    for each, name in ((model, "torch"), (numpy, "numpy")):
        get(name).set_weights(each, weights)
        results.append(torch.as_tensor(get(name).run(each, x)[0]))
    torch.testing.assert_close(*results, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        ("c: conv { filters: 4  kernel: 1 } -> norm { momentum: 0.2 }", "norm is batchnorm"),
        ("if norm == batchnorm { relu } else { tanh }", "norm is batchnorm"),
        ("expect norm != none\nc: norm", "norm is batchnorm"),
        ("flatten -> norm", "norm is batchnorm"),
        ("norm -> pool", "pool is maxpool { kernel: 2 }"),
        ("norm -> last", "last is softmax"),
        ("let n = norm\nn", "norm is batchnorm"),
        ("o: other { f: norm }", "norm is batchnorm"),
    ],
)
def test_what_is_more_than_called_has_a_class_for_each_op(statements: str, why: str) -> None:
    text = f"""
    module other(f) {{ input x  if f != none {{ f }} }}
    net n(norm = batchnorm, pool = maxpool {{ kernel: 2 }}, last = softmax) {{
      input x: 4x8x8
      {statements}
    }}
    """
    net = net_of(text)
    source = emit(net, get("torch"))
    assert why in source.partition("class NNet")[0]
    models = [load_model(net, get(name)) for name in ("torch", "numpy")]
    weights = fresh(net.tensors, 1, varied=True)
    x = torch.randn(2, 4, 8, 8).numpy()
    results = []
    for model, name in zip(models, ("torch", "numpy"), strict=True):
        get(name).set_weights(model, weights)
        results.append(torch.as_tensor(get(name).run(model, x)[0]))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-4)


def test_strings_of_a_spec_are_no_code() -> None:
    """What a value holds reaches a comment at most, on one line."""
    text = """
    module m(text, f = relu) { input x  if text == "a" { f } else { tanh } }
    module user(of) { input x  of { f: selu } }
    net n { input x: 3x4x4  user { of: m { text: "x\\nimport os\\n# " } } }
    """
    source = emit(net_of(text), get("torch"))
    assert "import os" in source
    assert not [line for line in source.splitlines() if line.lstrip().startswith("import os")]
    compile(source, "emitted", "exec")
