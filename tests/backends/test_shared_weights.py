"""Lines that are used again: one attribute in PyTorch, one array in NumPy, as written by hand."""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.testing import assert_close

from netspec.codegen.backend import emit, get, load_model
from netspec.diagnostics import SpecError
from netspec.ir import Net
from netspec.ir.names import NameMap
from netspec.passes.rename import rename
from netspec.runtime.verify import compare, random_inputs
from netspec.weights import fresh

from ..helpers import checked, net_of

TOWER = """
module tower(filters) {
  input x
  c1: conv { filters: filters  kernel: 3  pad: 1  bias: false } -> batchnorm -> relu
  c2: conv { filters: filters  kernel: 3  stride: 2  pad: same } -> relu
  output c2, c1
}
"""


class Tower(nn.Module):
    def __init__(self, channels: int, filters: int) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(channels, filters, 3, padding=1, bias=False)
        self.c1_batchnorm = nn.BatchNorm2d(filters)
        self.c2 = nn.Conv2d(filters, filters, 3, stride=2)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        c1 = F.relu(self.c1_batchnorm(self.c1(x)))
        pads = [max(2 - (s - 1) % 2, 0) for s in c1.shape[2:]]
        (rows, columns) = ((p // 2, p - p // 2) for p in pads)
        return F.relu(self.c2(F.pad(c1, (*columns, *rows)))), c1


class Siamese(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.left = Tower(2, 4)
        self.fc = nn.Linear(4, 3)

    def forward(self, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
        (x, _), (y, inner) = self.left(a), self.left(b)
        distance = torch.abs(x.mean((2, 3)) - y.mean((2, 3)))
        return self.fc(distance), inner


class Recursion(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.r0 = nn.Conv2d(3, 3, 3, padding=1)
        self.r0_batchnorm = nn.BatchNorm2d(3)

    def forward(self, x: Tensor) -> Tensor:
        for _ in range(4):
            x = F.relu(self.r0_batchnorm(self.r0(x)))
        return x


class Heads(nn.Module):
    """A head that each level of a pyramid has in common, and a convolution that is its own."""

    def __init__(self) -> None:
        super().__init__()
        for i in range(1, 4):
            setattr(self, f"own{i}", nn.Conv2d(2, 2, 3, padding=1))
        self.head = nn.Conv2d(2, 6, 1)

    def forward(self, x: Tensor) -> Tensor:
        found = []
        for i in range(1, 4):
            x = F.max_pool2d(F.relu(getattr(self, f"own{i}")(x)), 2)
            found.append(self.head(x).mean((2, 3)))
        return torch.cat(found, 1)


class Bracketed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(2, 2, 3, padding=1)
        self.res_prelu = nn.PReLU(2)

    def res(self, x: Tensor) -> Tensor:
        result: Tensor = self.res_prelu(x + self.conv_1(x))
        return result

    def forward(self, x: Tensor) -> Tensor:
        return torch.tanh(self.res(self.res(x))) + self.res(self.res(self.res(x)))


class Loops(nn.Module):
    """Convolutions that a loop makes, used again by another, by index and by name."""

    def __init__(self) -> None:
        super().__init__()
        for i in range(1, 4):
            setattr(self, f"c{i}", nn.Conv2d(2, i + 1, 1))

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        every = [getattr(self, f"c{i}")(x).mean((2, 3)) for i in range(1, 4)]
        every += [torch.sigmoid(getattr(self, f"c{i}")(y)).mean((2, 3)) for i in range(1, 4)]
        every.append(getattr(self, "c2")(y).mean((2, 3)))  # noqa: B009
        result: Tensor = torch.cat(every, 1)
        return result


@dataclass
class Case:
    text: str
    by_hand: Callable[[], nn.Module]
    inputs: tuple[tuple[int, ...], ...]
    others: tuple[tuple[int, ...], ...] = ()
    """Other sizes that the model takes."""


CASES = {
    "siamese": Case(
        TOWER
        + """
        net n(width = 4) {
          input a: 2x8x8
          input b: 2x11x9
          left: tower(a) { filters: width }
          right: left(b)
          distance: sub(global_avgpool(left), global_avgpool(right)) -> abs
          fc: linear { units: 3 }
          output fc, right.c1
        }
        """,
        Siamese,
        ((2, 8, 8), (2, 11, 9)),
        ((2, 9, 6), (2, 8, 10)),
    ),
    "recursion": Case(
        """
        net n(times = 3) {
          input x: 3x7x6
          r[0]: conv { filters: 3  kernel: 3  pad: 1 } -> batchnorm -> relu
          for i in 1..times { r[i]: r[0](r[i - 1]) }
        }
        """,
        Recursion,
        ((3, 7, 6),),
        ((3, 4, 9),),
    ),
    "a head of all levels": Case(
        """
        net n(levels = 3) {
          input x: 2x16x16
          p[0]: identity
          let names = "head"
          own[1]: conv(x) { filters: 2  kernel: 3  pad: 1 } -> relu
          p[1]: maxpool { kernel: 2 }
          head: conv { filters: 6  kernel: 1 }
          all[1]: global_avgpool(head)
          for i in 2..levels {
            own[i]: conv(p[i - 1]) { filters: 2  kernel: 3  pad: 1 } -> relu
            p[i]: maxpool { kernel: 2 }
            s[i]: head(p[i]) -> global_avgpool
            all[i]: concat(all[i - 1], s[i])
          }
          output all[levels]
        }
        """.replace('let names = "head"', "").replace("p[0]: identity", ""),
        Heads,
        ((2, 16, 16),),
        ((2, 24, 8),),
    ),
    "what stands in brackets": Case(
        """
        net n {
          input x: 2x5x5
          res: add(x, conv(x) { filters: 2  kernel: 3  pad: 1 }) -> prelu
          a: res(res)
          b: res(a)
          add(tanh(a), b)
        }
        """,
        Bracketed,
        ((2, 5, 5),),
        ((2, 3, 8),),
    ),
    "items of a loop": Case(
        """
        net n(n = 3) {
          input x: 2x5x5
          input y: 2x4x4
          for i in 1..n { c[i]: conv(x) { filters: i + 1  kernel: 1 } }
          for k in 1..n { d[k]: c[k](y) -> sigmoid }
          e: c[2](y)
          concat(global_avgpool(c1), global_avgpool(c2), global_avgpool(c3), global_avgpool(d1),
            global_avgpool(d2), global_avgpool(d3), global_avgpool(e))
        }
        """,
        Loops,
        ((2, 5, 5), (2, 4, 4)),
        ((2, 2, 3), (2, 6, 1)),
    ),
}


def model_of(net: Net, weights: Any) -> Any:
    model = load_model(net, get("torch"))
    get("torch").set_weights(model, weights)
    return model


def inputs_of(case: Case, sizes: tuple[tuple[int, ...], ...]) -> list[Tensor]:
    generator = torch.Generator().manual_seed(3)
    return [torch.randn(2, *size, generator=generator) for size in sizes]


@pytest.mark.slow
@pytest.mark.parametrize("kind", CASES)
def test_pytorch_is_as_written_by_hand(kind: str) -> None:
    """Keys, outputs and gradients; a weight's gradient is the sum of all its uses."""
    case = CASES[kind]
    net = net_of(case.text)
    assert "Written for certain" not in emit(net, get("torch"))
    model = model_of(net, fresh(net.tensors, 1, varied=True))
    by_hand = case.by_hand()
    assert set(model.state_dict()) == set(by_hand.state_dict())
    by_hand.load_state_dict(model.state_dict())
    for sizes in filter(None, (case.inputs, case.others)):
        inputs = inputs_of(case, sizes)
        for m in (model, by_hand):
            m.train()
            m.zero_grad()
            found = m(*inputs)
            sum(
                x.square().sum() for x in (found if isinstance(found, tuple) else (found,))
            ).backward()
        gradients = dict(by_hand.named_parameters())
        for name, parameter in model.named_parameters():
            assert_close(parameter.grad, gradients[name].grad, rtol=1e-4, atol=1e-4)
        with torch.no_grad():
            assert_close(model.eval()(*inputs), by_hand.eval()(*inputs))


@pytest.mark.slow
@pytest.mark.parametrize("kind", CASES)
def test_numpy_is_as_pytorch(kind: str) -> None:
    case = CASES[kind]
    net = net_of(case.text)
    weights = fresh(net.tensors, 1, varied=True)
    model = load_model(net, get("numpy"))
    get("numpy").set_weights(model, weights)
    assert list(model.weights) == list(net.tensors)
    wanted = model_of(net, weights)
    for sizes in filter(None, (case.inputs, case.others)):
        inputs = [x.numpy() for x in inputs_of(case, sizes)]
        for a, b in zip(
            get("numpy").run(model, *inputs), get("torch").run(wanted, *inputs), strict=True
        ):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    # Layer by layer, of a net that a pass made: classes are written of its blocks.
    result = compare(net, get("torch"), get("numpy"), weights, random_inputs(net, 0, batch=1))
    assert result.diverges(1e-4) is None
    assert [d.path for d in result.layers] == [f.path for f in net.layers]


ARGUMENTS = {
    "siamese": {"width": 3},
    "recursion": {"times": 2},
    "a head of all levels": {"levels": 4},
    "items of a loop": {"n": 5},
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ARGUMENTS)
def test_classes_take_other_arguments(kind: str) -> None:
    """The class with arguments is that of the net that is compiled for them."""
    text, arguments = CASES[kind].text, ARGUMENTS[kind]
    if kind == "items of a loop":
        text = text.replace("e: c[2](y)", "e: c[n - 1](y)")
    default = load_model(net_of(text), get("torch"))
    other = net_of(text, arguments)
    weights = fresh(other.tensors, 2, varied=True)
    wanted = model_of(other, weights)
    model = type(default)(**arguments)
    get("torch").set_weights(model, weights)
    inputs = [torch.randn(1, *map(int, v.shape)).numpy() for v in other.body.inputs]
    for a, b in zip(
        get("torch").run(model, *inputs), get("torch").run(wanted, *inputs), strict=True
    ):
        np.testing.assert_array_equal(a, b)
    numpy_model = load_model(other, get("numpy"))
    get("numpy").set_weights(numpy_model, weights)
    for a, b in zip(
        get("numpy").run(numpy_model, *inputs), get("torch").run(wanted, *inputs), strict=True
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


CONDITIONS = """
net n(norm = true, small = false) {
  input a: 2x8x8
  input b: 2x5x7
  t: conv(a) { filters: 4  kernel: 3  pad: 1  bias: not norm } -> (batchnorm if norm)
     -> (relu if small else tanh)
  u: t(b)
  output t, u
}
"""


@pytest.mark.slow
def test_lines_with_conditional_links() -> None:
    """The branches of a line come again, and ask what its own ask."""
    source = emit(net_of(CONDITIONS), get("torch"))
    assert source.count("if self.t_batchnorm is not None:") == 2
    model = load_model(net_of(CONDITIONS), get("torch"))
    for arguments in ({}, {"norm": False}, {"small": True}, {"norm": False, "small": True}):
        net = net_of(CONDITIONS, arguments)
        weights = fresh(net.tensors, 1, varied=True)
        assert compare(net, get("torch"), get("numpy"), weights).diverges(1e-5) is None
        given = type(model)(**arguments)
        get("torch").set_weights(given, weights)
        inputs = random_inputs(net, 2)
        for a, b in zip(
            get("torch").run(given, *inputs),
            get("torch").run(model_of(net, weights), *inputs),
            strict=True,
        ):
            np.testing.assert_array_equal(a, b)


SIZED = """
module sized {
  input x
  c: conv { filters: 2  kernel: 3  pad: 1 }
  if x.height > 8 { relu } else { tanh }
}
net n {
  input a: 2x8x8
  input b: 2x9x7
  t: sized(a)
  u: t(b)
  output t, u
}
"""


@pytest.mark.slow
def test_what_a_size_decides_is_asked_of_tensors() -> None:
    """A class of blocks, which has no conditions, can't be for both: an error that says so."""
    net = net_of(SIZED)
    weights = fresh(net.tensors, 1, varied=True)
    inputs = random_inputs(net, 2)
    for a, b in zip(
        get("torch").run(model_of(net, weights), *inputs),
        numpy_of(net, weights)(*inputs),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)
    with pytest.raises(SpecError, match="an instance of sized, which has other layers"):
        compare(net, get("torch"), get("numpy"), weights)


def test_a_link_behind_a_use_bears_its_name_whatever_the_line_has() -> None:
    """The batch norm of `b` is called the same with and without one in `a`."""
    text = """
    net tiny(k = 2) {
      input x: 4x9x9
      a: conv { filters: 4  kernel: 3  pad: 1 } -> (batchnorm if k == 2) -> relu
      b: a(a) -> batchnorm -> relu
    }
    """
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(get("torch").emit(net_of(text)), namespace)
    for k in (2, 3):
        net, problems = checked(text, {"k": k})
        assert net is not None, problems
        names = [*namespace["Tiny"](k).state_dict()]
        assert {n for n in names if "num_batches" not in n} == {*net.tensors}
        assert "b_batchnorm.weight" in names
        assert [f.path for f in net.layers][-2:] == ["b_batchnorm", "b_relu"]


def numpy_of(net: Net, weights: Any) -> Any:
    model = load_model(net, get("numpy"))
    get("numpy").set_weights(model, weights)
    return model


def test_the_source_is_what_one_writes() -> None:
    source = emit(net_of(CASES["siamese"].text), get("torch"))
    assert source.count("self.left = Tower(") == 1
    assert "self.left(a)" in source
    assert "self.left(b)" in source
    assert "right" not in inspect.cleandoc(source.split("def forward")[-1].split("def ")[0])
    source = emit(net_of(CASES["a head of all levels"].text), get("torch"))
    assert source.count("self.head = nn.Conv2d(") == 1
    assert source.count("self.head(") == 2  # one in the loop


@pytest.mark.slow
def test_other_names() -> None:
    """The owner's name is what counts; a file of names speaks of no other."""
    net = net_of(CASES["siamese"].text)
    names = {"left": "backbone", "left.c1": "backbone.0", "left.c1_batchnorm": "backbone.1"}
    renamed = rename(net, NameMap({**names, "left.c2": "backbone.3", "fc": "head"}))
    weights = fresh(net.tensors, 1, varied=True)
    model = model_of(renamed.net, {renamed.keys[n]: w for n, w in weights.items()})
    assert next(iter(model.state_dict())) == "backbone.0.weight"
    inputs = random_inputs(net, 3)
    wanted = get("torch").run(model_of(net, weights), *inputs)
    for found in (get("torch").run(model, *inputs), numpy_run(renamed, weights, inputs)):
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def numpy_run(renamed: Any, weights: Any, inputs: Any) -> Any:
    model = load_model(renamed.net, get("numpy"))
    get("numpy").set_weights(model, {renamed.keys[n]: w for n, w in weights.items()})
    return get("numpy").run(model, *inputs)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["siamese", "recursion", "what stands in brackets"])
def test_onnx_runtime_agrees(kind: str, tmp_path: Path) -> None:
    case = CASES[kind]
    net = net_of(case.text)
    model = model_of(net, fresh(net.tensors, 1, varied=True)).eval()
    inputs = tuple(inputs_of(case, case.inputs))
    file = tmp_path / "model.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(model, inputs, file, dynamo=False)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [i.name for i in session.get_inputs()]
    found = session.run(None, {n: x.numpy() for n, x in zip(names, inputs, strict=True)})
    with torch.no_grad():
        wanted = model(*inputs)
    for a, b in zip(found, wanted if isinstance(wanted, tuple) else (wanted,), strict=True):
        np.testing.assert_allclose(a, b.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_one_batch_norm_behind_several_uses() -> None:
    """A convolution with a batch norm behind one use and none behind the other; biases deferred."""
    net = net_of(
        """
        net n {
          input x: 4x9x9
          c: conv { filters: 4  kernel: 3  pad: 1 }
          a: c(c) -> batchnorm -> relu
          b: c(a) -> relu
          d: c(b) -> batchnorm
          dw: conv { filters: 4  kernel: 3  pad: 1  groups: depthwise } -> batchnorm -> relu
          e: dw(maxpool(dw) { kernel: 2  round: floor })
          f: dw(add(dw, x))
          output a, d, e, f
        }
        """
    )
    weights = fresh(net.tensors, 1, varied=True)
    result = compare(net, get("torch"), get("numpy"), weights)
    assert result.diverges(1e-4) is None, result.diverges(1e-4)


@pytest.mark.slow
def test_weights_of_a_tower_that_nothing_else_uses() -> None:
    """The line is used for its weights only; files hold these all the same."""
    text = """
    net n {
      input a: 1x6x6
      input b: 1x6x6
      t: conv(a) { filters: 2  kernel: 3 } -> relu
      u: t(b)
      output u
    }
    """
    net = net_of(text)
    weights = fresh(net.tensors, 1, varied=True)
    result = compare(net, get("torch"), get("numpy"), weights)
    assert result.diverges(1e-5) is None
    assert net.params == 20
