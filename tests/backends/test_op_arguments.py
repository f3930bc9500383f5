"""Ops and modules as arguments of emitted classes: what makes them."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from netspec.codegen.backend import emit, emit_family, get, load_model
from netspec.diagnostics.source import Source
from netspec.driver import check_nets
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


BLOCKS = """
module basic(filters, stride = 1, act = relu) {
  input x
  c1: conv { filters: filters  kernel: 3  pad: 1  stride: stride } -> batchnorm -> act
  c2: conv { filters: filters  kernel: 1 }
}
module deep(filters, stride = 1, act = relu, more = 2) {
  input x
  c1: conv { filters: filters  kernel: 1 } -> act
  c2: conv { filters: more * filters  kernel: 3  pad: 1  stride: stride }
  if x.channels == more * filters and stride == 1 { add(x, c2) }
}
module twice(filters, stride = 1, of = basic) {
  input x
  a: of { filters: filters  stride: stride } -> relu
  b: of { filters: filters } -> relu
}
module stage(block, filters, n, stride = 2) {
  input x
  first: block { filters: filters  stride: stride }
  for i in 2..n { block[i]: block { filters: filters } }
}
"""
MODULES = f"""{BLOCKS}
net n(block = deep, n = 2, small = true) {{
  input x: 3x8x8
  one: stage {{ block: block  filters: 4  n: n }}
  two: stage {{ block: basic {{ act: hardswish }}  filters: 4  n: 1 }}
  three: block {{ filters: 6 }}
  let narrow = deep {{ more: 1 }}
  four: stage {{ block: (twice if small else narrow)  filters: 2  n: 2 }}
  global_avgpool -> linear {{ units: 5 }}
}}
"""


@pytest.mark.parametrize(
    ("settings", "arguments"),
    [
        ({}, "{}"),
        ({"block": "basic", "n": 3, "small": False}, "{'block': Basic, 'n': 3, 'small': False}"),
        (
            {"block": "deep { more: 3  act: silu }"},
            "{'block': partial(Deep, more=3, act=nn.SiLU)}",
        ),
        (
            {"block": "twice { of: deep { more: 1 } }"},
            "{'block': partial(Twice, of=partial(Deep, more=1))}",
        ),
    ],
)
def test_the_class_takes_modules(settings: dict[str, Any], arguments: str) -> None:
    """It is the model of the net that is compiled for these modules."""
    backend = get("torch")
    emitted = classes(emit(net_of(MODULES), backend))
    assert not backend.notes  # type: ignore[attr-defined]
    net = net_of(MODULES, **settings)
    model = emitted["NNet"](**eval(arguments, emitted | {"partial": partial, "nn": nn}))
    reference = load_model(net, get("torch"))
    get("torch").set_weights(reference, fresh(net.tensors, 1, varied=True))
    assert list(model.state_dict()) == list(reference.state_dict())
    model.load_state_dict(reference.state_dict())
    x = torch.randn(2, 3, 8, 8)
    assert torch.equal(model.eval()(x), reference.eval()(x))


@pytest.mark.parametrize(
    ("statements", "why"),
    [
        ("a: block { filters: 4 }\nif block == basic { relu }", "block is deep"),
        ("a: s { block: basic }\nb: s { block: plain }", "block is basic"),
        ("a: s { block: basic }\nb: s { block: two }", "block is two"),
        ("a: s { block: basic }\nb: s { block: none }", "block is none"),
    ],
)
def test_modules_that_no_argument_can_be_have_a_class_each(statements: str, why: str) -> None:
    text = f"""{BLOCKS}
    module plain(filters) {{ input x  c: conv {{ filters: 4  kernel: 3 }} }}
    module two(filters) {{ input x  c: conv {{ filters: filters  kernel: 3 }}  output c, x }}
    module s(block) {{
      input x
      c: conv {{ filters: 4  kernel: 1 }}
      b: block {{ filters: 4 }}
    }}
    net n(block = deep) {{
      input x: 4x8x8
      a0: block {{ filters: 4 }}
      {statements}
    }}
    """
    net = net_of(text)
    assert why in emit(net, get("torch"))
    models = [load_model(net, get(name)) for name in ("torch", "numpy")]
    weights = fresh(net.tensors, 1, varied=True)
    x = torch.randn(2, 4, 8, 8).numpy()
    results = []
    for model, name in zip(models, ("torch", "numpy"), strict=True):
        get(name).set_weights(model, weights)
        results.append(torch.as_tensor(get(name).run(model, x)[0]))
    torch.testing.assert_close(results[0], results[1], rtol=1e-4, atol=1e-4)


def test_variants_with_other_modules_are_one_class() -> None:
    file = check_nets(Source("test.net", BLOCKS + FAMILY), Path(), {})
    nets = list(file.nets)
    source = emit_family(nets, get("torch"))
    emitted = classes(source)
    heads = re.findall(r"^class (\w+)\((\w+)\)", source, re.MULTILINE)
    names = ["NFirst", "NSecond", "NThird"]
    assert [name for name, base in heads if base == "NNet"] == names
    assert "block: Callable[..., Deep | Basic]) -> None:" in source
    for net, name in zip(nets, names, strict=True):
        tensors = {key: tuple(t.shape) for key, t in emitted[name]().state_dict().items()}
        wanted = {key: tuple(map(int, t.shape)) for key, t in net.tensors.items()}
        assert wanted == {k: v for k, v in tensors.items() if "num_batches" not in k}
    swapped = emitted["NFirst"](block=emitted["Basic"]).state_dict()
    assert swapped.keys() == emitted["NSecond"]().state_dict().keys()


FAMILY = """
net n(block) {
  variant first { block: deep }
  variant second { block: basic }
  variant third { block: deep { more: 3 } }
  input x: 3x8x8
  for i in 1..2 { b[i]: block { filters: 4 * i } }
  global_avgpool -> linear { units: 5 }
}
"""
