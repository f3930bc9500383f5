"""The PyTorch class ends in logits, and its `predict` gives what the spec says."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import netspec
from netspec.codegen.backend import get as backend_of
from netspec.codegen.backend import load_model
from netspec.ir import Net
from netspec.ops.activation import Softmax
from netspec.runtime.verify import random_inputs
from netspec.weights import fresh

from ..helpers import loaded, one_of_each_text
from .nets import BUNDLED, net_of, smaller

CONV = "conv { filters: 4  kernel: 3 } -> global_avgpool"
HEAD = 'module head(kind = "softmax") { input x\n %s }\n'
CASES: dict[str, tuple[str, list[Any]]] = {
    "in a chain": (f"net n {{ input data: 3x8x8\n {CONV} -> softmax }}", [F.softmax]),
    "log_softmax": (f"net n {{ input data: 3x8x8\n {CONV} -> log_softmax }}", [F.log_softmax]),
    "sigmoid": (f"net n {{ input data: 3x8x8\n {CONV} -> sigmoid }}", [torch.sigmoid]),
    "by itself": (f"net n {{ input data: 3x8x8\n x: {CONV}\n p: softmax }}", [F.softmax]),
    "another end": (f"net n {{ input data: 3x8x8\n {CONV} -> tanh }}", [None]),
    "nothing else": ("net n { input data: 4x8x8\n softmax }", [F.softmax]),
    "read by another": (
        f"net n {{ input data: 3x8x8\n {CONV}\n p: softmax\n q: relu(p)\n output p, q }}",
        [None, None],
    ),
    "output twice": (
        f"net n {{ input data: 3x8x8\n {CONV}\n p: softmax\n q: identity(p)\n output p, q }}",
        [None, None],
    ),
    "with its input": (
        f"net n {{ input data: 3x8x8\n x: {CONV}\n p: softmax\n output x, p }}",
        [None, F.softmax],
    ),
    "several outputs": (
        f"net n {{ input data: 3x8x8\n x: {CONV}\n a: sigmoid(x)\n b: relu(x)\n"
        " c: log_softmax(x)\n output a, b, c }",
        [torch.sigmoid, None, F.log_softmax],
    ),
    "in a module": (
        HEAD % f"{CONV} -> softmax" + "net n { input data: 3x8x8\n head }",
        [F.softmax],
    ),
    "in a module in a module": (
        HEAD % f"{CONV} -> softmax"
        + "module outer { input x\n relu -> head }\nnet n { input data: 3x8x8\n outer }",
        [F.softmax],
    ),
    "in a module of other uses": (
        HEAD % "conv { filters: 4  kernel: 1 } -> softmax"
        + "net n { input data: 4x8x8\n head\n head }",
        [None],
    ),
    "in a module with two results": (
        "module two { input x\n a: softmax(x)\n b: relu(x)\n output a, b }\n"
        f"net n {{ input data: 3x8x8\n {CONV}\n t: two\n output t.b, t.a }}",
        [None, F.softmax],
    ),
    "in a loop": (
        "net n(n = 2) { input data: 4x8x8\n for i in 1..n { x[i]: conv { filters: 4  kernel: 1 } -> softmax } }",
        [None],
    ),
}


def given(net: Net) -> tuple[dict[str, Any], list[Any]]:
    rng = np.random.default_rng(1)
    x = [rng.standard_normal((2, *map(int, v.shape)), np.float32) for v in net.body.inputs]
    return fresh(net.tensors, 2, varied=True), x


def of_torch(net: Net, weights: Any, **options: Any) -> Any:
    model = load_model(net, backend_of("torch"), **options)
    backend_of("torch").set_weights(model, weights)
    return model.eval()


def spec_outputs(net: Net, weights: Any, x: list[Any]) -> tuple[Any, ...]:
    numpy = backend_of("numpy")
    model = load_model(net, numpy)
    numpy.set_weights(model, weights)
    return numpy.run(model, *x)


def several(result: Any) -> list[Any]:
    return list(result) if isinstance(result, tuple) else [result]


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_what_is_taken_off(name: str) -> None:
    text, taken = CASES[name]
    net = net_of(text)
    weights, x = given(net)
    model = of_torch(net, weights)
    with torch.no_grad():
        logits = several(model(*map(torch.from_numpy, x)))
        predicted = several(model.predict(*map(torch.from_numpy, x)))
        kept = several(of_torch(net, weights, probabilities=True)(*map(torch.from_numpy, x)))
    assert len(predicted) == len(kept) == len(taken)
    for i, (a, wanted) in enumerate(zip(logits, spec_outputs(net, weights, x), strict=True)):
        b, c, f = predicted[i], kept[i], taken[i]
        np.testing.assert_allclose(b, wanted, rtol=1e-4, atol=1e-6)
        assert torch.equal(b, c)
        made = a if f is None else f(a) if f is torch.sigmoid else f(a, dim=1)
        assert torch.equal(made, b)
        assert f is None or not torch.equal(a, b)


CHOSEN = """
net n(kind = "softmax") {
  input data: 3x8x8
  conv { filters: 4  kernel: 3 } -> global_avgpool
  if kind == "softmax" { softmax } else if kind == "sigmoid" { sigmoid } else { relu }
}
"""
IN_MODULE = """
module head(probabilities, act = "softmax") {
  input x
  conv { filters: 4  kernel: 3 } -> global_avgpool
  if probabilities {
    if act == "softmax" { softmax } else { sigmoid }
  }
}
net n(probabilities = true) { input data: 3x8x8
  head { probabilities: probabilities } }
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("text", "name", "values"),
    [
        (CHOSEN, "kind", ("softmax", "sigmoid", "relu")),
        (IN_MODULE, "probabilities", (True, False)),
    ],
)
def test_predict_asks_what_the_spec_asks(text: str, name: str, values: Any) -> None:
    made = type(load_model(net_of(text), backend_of("torch")))
    for value in values:
        net = net_of(text, **{name: value})
        weights, x = given(net)
        model = made(**{name: value}).eval()
        backend_of("torch").set_weights(model, weights)
        (wanted,) = spec_outputs(net, weights, x)
        with torch.no_grad():
            found, logits = model.predict(torch.from_numpy(x[0])), model(torch.from_numpy(x[0]))
        np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-6)
        if value in ("softmax", "sigmoid", True):
            assert logits.min() < 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (HEAD % "softmax" + "net n { input data: 3\n a: head\n b: head(data) -> relu\n output a, b }", "head"),
        (CASES["in a loop"][0], "loop"),
        ("net n { input data: 4x8x8\n x: conv { filters: 4  kernel: 1 }\n"
         "if x.height > 4 { softmax } else { relu } }", "if"),
        ("net n(k = 2, q = false) { input x: 4x8x8\n"
         "if k > 1 { v: conv { filters: k  kernel: 1 } } else { v: tanh }\n"
         "if q { sigmoid } else if v.channels == 4 { relu } else { tanh } }", "if"),
        (HEAD % "softmax" + "net n { input data: 3\n head }", ""),
        ("net n { input data: 3\n a: softmax\n b: relu(a)\n output a, b }", ""),
    ],
)  # fmt: skip
def test_a_note_says_why_an_op_stays(text: str, why: str) -> None:
    backend: Any = backend_of("torch")
    source = backend.emit(net_of(text))
    assert [n.code for n in backend.notes] == (["no-logits"] if why else [])
    assert all(why in n.notes[0] for n in backend.notes)
    assert ('"""Ends in logits."""' in source) == (not why and "head" in text)


@pytest.mark.parametrize("spec", one_of_each_text())
def test_bundled_nets(spec: str) -> None:
    net = loaded(spec)
    backend: Any = backend_of("torch")
    source = backend.emit(net)
    ends = [f.op.takes_logits for v in net.flat_outputs for f in net.layers if v in f.outputs]
    assert backend.ends_in_logits == ends
    assert bool(re.search(r"\) logits[,;] ", source)) == any(ends)
    assert "def predict(" in source


@pytest.mark.slow
@pytest.mark.parametrize("spec", BUNDLED)
def test_bundled_nets_predict_what_numpy_gives(spec: str) -> None:
    """And what `forward` gives, with the op that the spec ends in behind it."""
    net = smaller(spec)
    weights = fresh(net.tensors, 2, varied=True)
    x = random_inputs(net, 0, batch=1)
    model = of_torch(net, weights)
    with torch.no_grad():
        results = several(model(*map(torch.from_numpy, x)))
        predicted = several(model.predict(*map(torch.from_numpy, x)))
    wanted = spec_outputs(net, weights, x)
    assert len(results) == len(predicted) == len(wanted)
    for value, result, found, right in zip(
        net.flat_outputs, results, predicted, wanted, strict=True
    ):
        np.testing.assert_allclose(found, right, rtol=1e-3, atol=1e-5)
        end = next(f.op for f in net.layers if value in f.outputs)
        if not end.takes_logits:
            assert torch.equal(result, found)
            continue
        assert isinstance(end, Softmax)
        np.testing.assert_allclose(F.softmax(result, dim=1), found, rtol=1e-5, atol=1e-7)
        np.testing.assert_allclose(found.sum(1), 1, rtol=1e-5)
        assert not torch.allclose(result, found)


def test_cross_entropy_of_forward_trains() -> None:
    """The loss that everyone writes falls to nothing on a problem that is easy."""
    torch.manual_seed(0)
    net = net_of("net n { input data: 1x4x4\n flatten -> linear { units: 3 } -> softmax }")
    model: Any = netspec.build(net, backend="torch")
    labels = torch.arange(30) % 3
    x = torch.randn(30, 1, 4, 4) * 0.1
    x[torch.arange(30), 0, 0, labels] += 2
    descent = torch.optim.SGD(model.parameters(), 1.0)
    for _ in range(100):
        loss = F.cross_entropy(model(x), labels)
        descent.zero_grad()
        torch.autograd.backward([loss])
        descent.step()
    assert loss < 0.05  # that of probabilities can't be below ln(1 + 2/e) = 0.55
    assert (model.predict(x).argmax(1) == labels).all()
