"""How weights begin: in the emitted `reset_parameters` as in `netspec.weights.fresh`."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.codegen.backend import emit, get, load_model
from netspec.ops import UNIFORM, Init
from netspec.weights import fresh

from ..helpers import codes
from .nets import net_of

pytestmark = pytest.mark.slow

LAYERS = """
module part(filters) {
  input x
  a: conv { filters: filters  kernel: 3  pad: 1 } -> relu
  b: conv { filters: filters  kernel: 1  init: normal(0.02) }
}
net begins() {
  input data: 16x9x9
  train { learning_rate: 1  batch_size: 1  epochs: 1  INIT }
  p: part { filters: 48 }
  q: part { filters: 32 }
  grouped: conv { filters: 64  kernel: 5  groups: 2  pad: 2  bias: false }
  up: conv_transpose { filters: 24  kernel: 4  stride: 2  init: xavier }
  out: conv { filters: 40  kernel: 3  init: kaiming(fan_out) }
  global_avgpool -> linear { units: 500 }
}
"""
OWN = {
    "p.b": Init("normal", std=0.02),
    "q.b": Init("normal", std=0.02),
    "up": Init("xavier"),
    "out": Init("kaiming", "fan_out"),
}


def deviation(init: Init, shape: tuple[int, ...]) -> float:
    """By the papers; fans as PyTorch counts them."""
    fan_in, fan_out = prod(shape[1:]), shape[0] * prod(shape[2:])
    if init == UNIFORM:  # within 1 / sqrt(fan_in)
        return float((3 * fan_in) ** -0.5)
    if init.std is not None:
        return init.std
    if init.law == "kaiming":
        return float((2 / (fan_out if init.fan == "fan_out" else fan_in)) ** 0.5)
    fan = {"fan_in": fan_in, "fan_out": fan_out, None: (fan_in + fan_out) / 2}[init.fan]
    return float((1 / fan) ** 0.5)


@pytest.mark.parametrize(
    ("field", "usual"),
    [
        ("", Init()),
        ("init: kaiming", Init()),
        ("init: kaiming(fan_in)", Init()),
        ("init: kaiming(fan_out)", Init("kaiming", "fan_out")),
        ("init: xavier", Init("xavier")),
        ("init: xavier(fan_in)", Init("xavier", "fan_in")),
        ("init: xavier(fan_out)", Init("xavier", "fan_out")),
        ("init: normal(5%)", Init("normal", std=0.05)),
    ],
)
def test_weights_have_the_stated_distribution(field: str, usual: Init) -> None:
    import torch

    net = net_of(LAYERS.replace("INIT", field))
    torch.manual_seed(0)
    state = {n: t.numpy() for n, t in load_model(net, get("torch")).state_dict().items()}
    for weights in (state, fresh(net.tensors, 1), load_model(net, get("numpy")).weights):
        for name, array in weights.items():
            layer, _, kind = name.rpartition(".")
            unsaid = not field and layer == "linear_1"
            if kind == "bias" and not unsaid:
                assert not array.any()
                continue
            init = UNIFORM if unsaid else OWN.get(layer, usual)
            wanted = deviation(init, weights[f"{layer}.weight"].shape)
            assert array.std() == pytest.approx(wanted, rel=6 / array.size**0.5), name
            assert abs(array.mean()) < 5 * wanted / array.size**0.5
            # A uniform distribution ends at the root of 3 deviations.
            bound = np.abs(array).max() / wanted
            if init.law in ("xavier", "uniform"):
                assert 1.6 < bound <= 3**0.5 + 1e-5
            else:
                assert bound > 2


def test_squeezenet_begins_as_its_authors_train_val_says() -> None:
    tensors = netspec.load("squeezenet1_0_caffe").tensors
    found = {name: t.init for name, t in tensors.items() if name.endswith("weight")}
    assert found.pop("conv10.weight") == Init("normal", std=0.01)
    assert set(found.values()) == {Init("xavier", "fan_in")}


def test_a_loop_by_class_and_then_the_others() -> None:
    source = netspec.compile(net_of(LAYERS.replace("INIT", "")), "torch")
    assert "elif isinstance(m, nn.Linear):\n                m.reset_parameters()\n" in source
    stated = netspec.compile(net_of(LAYERS.replace("INIT", "init: kaiming")), "torch")
    assert "isinstance(m, nn.Conv2d | nn.Linear):" in stated
    assert "def reset_parameters(self) -> None:" in source
    assert "partial(nn.init.normal_, std=0.02)" in source
    assert 'nn.init.kaiming_normal_(self.out.weight, mode="fan_out")' in source
    bare = net_of("net n { input data: 3x4x4 conv { filters: 2 kernel: 1 bias: false } batchnorm }")
    assert "m.bias" not in netspec.compile(bare, "torch")
    assert "nn.init" not in netspec.compile(net_of("net n { input x: 3x4x4 relu }"), "torch")


@pytest.mark.parametrize("parameters", ["", "(deep = true)"])
def test_a_linear_layer_begins_as_pytorch_draws_it_unless_it_says_kaiming(parameters: str) -> None:
    import torch

    net = net_of(
        f"net n{parameters} {{ input data: 64\n"
        + ("if deep { d: linear { units: 64 } }" if parameters else "")
        + """
          linear { units: 90 } -> relu
          said: linear { units: 80  init: kaiming } -> relu
          linear { units: 70  bias: false } -> relu
          last: linear { units: 60 } }
        """
    )
    torch.manual_seed(0)
    state = {n: t.numpy() for n, t in load_model(net, get("torch")).state_dict().items()}
    for weights in (state, fresh(net.tensors, 1), load_model(net, get("numpy")).weights):
        for layer, wanted, most in (
            ("linear_1", UNIFORM, 64**-0.5),
            ("said", Init(), 1.0),
            ("linear_2", UNIFORM, 80**-0.5),
            ("last", UNIFORM, 70**-0.5),
        ):
            weight = weights[f"{layer}.weight"]
            assert weight.std() == pytest.approx(deviation(wanted, weight.shape), rel=0.05)
            assert np.abs(weight).max() <= most
        for layer, most in (("linear_1", 64**-0.5), ("last", 70**-0.5)):
            assert 0.9 * most < np.abs(weights[f"{layer}.bias"]).max() <= most
        assert not weights["said.bias"].any()


@pytest.mark.parametrize("seed", [0, 1])
def test_the_first_loss_of_a_resnet_is_near_ln_classes(seed: int) -> None:
    """ln 1000 = 6.9; with ReLU's gain in the last layer it would be 7.8 to 8.9."""
    import torch

    torch.manual_seed(seed)
    model = load_model(netspec.load("resnet18").ir, get("torch")).train()
    loss = torch.nn.functional.cross_entropy(
        model(torch.randn(16, 3, 64, 64)), torch.randint(1000, (16,))
    )
    assert 6.9 < loss.item() < 7.5


RESET = """
module part(filters) {
  input x
  if x.channels != filters { a: conv { filters: filters  kernel: 3  pad: 1 } -> batchnorm -> prelu }
  scale -> shift
}
net reset() {
  input data: 3x9x9
  for i in 1..2 { p[i]: part { filters: 4 } }
  batchnorm { affine: false } -> prelu { shared: true } -> layernorm -> scale { bias: false }
  u: conv_transpose { filters: 2  kernel: 2  init: normal(0.5) }
  flatten -> batchnorm -> linear { units: 3 }
}
"""


@pytest.mark.parametrize("text", [RESET, LAYERS.replace("INIT", "")], ids=["reset", "begins"])
def test_a_model_without_memory_begins_as_any_other(text: str) -> None:
    """Made on the device `meta`, given memory with anything in it, then `reset_parameters()`."""
    import torch

    net = net_of(text)
    usual = load_model(net, get("torch"))
    with torch.device("meta"):
        model = load_model(net, get("torch"))
    assert all(p.is_meta for p in model.parameters())
    model.to_empty(device="cpu")
    for tensor in model.state_dict().values():
        tensor.fill_(float("nan") if tensor.is_floating_point() else 7)
    for m in (usual, model):
        torch.manual_seed(3)
        m.reset_parameters()
    found = model.state_dict()
    assert not any(t.isnan().any() for t in found.values())
    for name, tensor in usual.state_dict().items():
        assert torch.equal(found[name], tensor), name
    # What is the same in every fresh model is so already when it is made.
    made = load_model(net, get("torch")).state_dict()
    for name, array in fresh(net.tensors, 1).items():
        if array.std() == 0:
            np.testing.assert_allclose(made[name], array, err_msg=name)
            np.testing.assert_allclose(found[name], array, err_msg=name)


def test_layers_that_other_arguments_make_begin_as_stated() -> None:
    import torch

    text = """
    net n(up = false) {
      input data: 12x8x8
      if up { conv_transpose { filters: 90  kernel: 3 } -> batchnorm }
      else { c: conv { filters: 90  kernel: 3 } }
    }
    """
    net = net_of(text, up=True)
    model_class = type(load_model(net_of(text), get("torch")))
    torch.manual_seed(0)
    state = model_class(up=True).state_dict()
    assert state["conv_transpose_1.weight"].std().item() == pytest.approx(
        deviation(Init(), net.tensors["conv_transpose_1.weight"].shape), rel=0.05
    )
    assert not state["conv_transpose_1.bias"].any()
    with torch.device("meta"):
        model = model_class(up=True)
    model.to_empty(device="cpu")
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data.fill_(7)
    model.reset_parameters()
    assert (model.state_dict()["batchnorm_1.running_var"] == 1).all()


def test_any_name_is_reached(tmp_path: Any) -> None:
    import torch

    net = net_of(
        """
        module part() { input x  train: conv { filters: 90 kernel: 3 init: normal(0.3) } }
        net n { input data: 30x9x9  class: part  conv { filters: 9 kernel: 1 }
                conv { filters: 9 kernel: 1 } }
        """
    )
    torch.manual_seed(0)
    state = load_model(net, get("torch")).state_dict()
    assert float(state["class.train.weight"].std()) == pytest.approx(0.3, rel=0.05)


@pytest.mark.parametrize(
    ("init", "code"),
    [
        ("he", "unknown-value"),
        ("normal", "wrong-type"),
        ("normal(0)", "out-of-range"),
        ("normal(fan_in)", "wrong-type"),
        ("normal(1, 2)", "wrong-type"),
        ("xavier(3)", "unknown-value"),
        ("xavier(fan)", "unknown-name"),
        ("0.01", "wrong-type"),
        ("none", "wrong-type"),
        ("fan_in", "unknown-value"),
        ("uniform(1)", "wrong-type"),
        ("uniform(2, 1)", "out-of-range"),
        ("constant", "wrong-type"),
        ("constant(a)", "unknown-name"),
        ("bilinear(2)", "unknown-value"),
    ],
)
def test_what_is_no_distribution(init: str, code: str) -> None:
    layer = f"conv {{ filters: 2 kernel: 1 init: {init} }}"
    assert code in codes(f"net n {{ input data: 3x4x4 {layer} }}")


STATED = """
net begins() {
  input data: 3x9x9
  train { learning_rate: 1  batch_size: 1  epochs: 1  init: xavier }
  a: conv { filters: 48  kernel: 3  init: uniform(-0.1, 0.3)  bias_init: constant(0.5) }
  b: conv { filters: 16  kernel: 3  init: constant(1/8)  bias_init: normal(2) }
  a_scale: scale { init: constant(20)  bias_init: constant(-1) }
  norm: batchnorm { init: uniform(1, 2) } -> prelu { init: constant(0.1) } -> shift { init: constant(7) }
  up: conv_transpose { filters: 16  kernel: 4x3  stride: 2  groups: depthwise  init: bilinear }
  flatten
  fc: linear { units: 50  bias_init: constant(3) }
}
"""


def test_numbers_and_bounds_that_layers_state() -> None:
    """In a fresh PyTorch model as in `fresh`, biases and other learned numbers included."""
    import torch

    net = net_of(STATED)
    torch.manual_seed(0)
    state = {n: t.numpy() for n, t in load_model(net, get("torch")).state_dict().items()}
    numpy_model = netspec.build(net, "numpy")
    constants = {"a.bias": 0.5, "b.weight": 0.125, "a_scale.weight": 20, "a_scale.bias": -1}
    constants |= {"norm_prelu.weight": 0.1, "norm_shift.bias": 7, "fc.bias": 3, "up.bias": 0}
    for weights in (state, fresh(net.tensors, 1)):
        for name, number in constants.items():
            np.testing.assert_allclose(weights[name], number, err_msg=name)
        assert -0.1 <= weights["a.weight"].min() < -0.09
        assert 0.29 < weights["a.weight"].max() <= 0.3
        assert 1 <= weights["norm.weight"].min() < 1.5 < weights["norm.weight"].max() <= 2
        assert weights["b.bias"].std() == pytest.approx(2, rel=0.5)
    for name, number in constants.items():
        np.testing.assert_allclose(numpy_model.weights[name], number, err_msg=name)
    # Caffe's BilinearFiller, element by element.
    wanted = np.zeros((4, 3))
    for y in range(4):
        for x in range(3):
            f, c = 2, (2 * 2 - 1 - 2 % 2) / (2.0 * 2)
            wanted[y, x] = (1 - abs(x / f - c)) * (1 - abs(y / f - c))
    for weights in (state, fresh(net.tensors, 1)):
        assert weights["up.weight"].shape == (16, 1, 4, 3)
        np.testing.assert_allclose(weights["up.weight"], np.broadcast_to(wanted, (16, 1, 4, 3)))


def test_bilinear_filters_interpolate() -> None:
    """A transposed convolution by two of a ramp is a ramp of half the slope, but for the border."""
    import torch

    net = net_of(
        "net n { input x: 1x6x6  up: conv_transpose { filters: 1  kernel: 4  stride: 2  pad: 1"
        "  bias: false  init: bilinear } }"
    )
    model = load_model(net, get("torch"))
    ramp = torch.arange(6.0).expand(1, 1, 6, 6)
    inner = model(ramp)[0, 0, 2:-2, 2:-2]
    assert torch.allclose(inner[:, 1:] - inner[:, :-1], torch.full((8, 7), 0.5))


def test_frozen_layers_are_not_to_be_trained() -> None:
    net = net_of(
        "module part() { input x  a: conv { filters: 3 kernel: 1 frozen: true } }\n"
        "net n { input x: 3x4x4  p: part  q: part\n"
        " k: conv { filters: 3 kernel: 1 frozen: true } -> batchnorm\n l: conv { filters: 2 kernel: 1 } }"
    )
    model = load_model(net, get("torch"))
    learned = {name for name, p in model.named_parameters() if p.requires_grad}
    assert learned == {"k_batchnorm.weight", "k_batchnorm.bias", "l.weight", "l.bias"}


@pytest.mark.parametrize("init", ["kaiming", "kaiming(fan_out)", "xavier", "xavier(fan_in)"])
def test_a_deep_net_trains_from_it(init: str) -> None:
    """Twelve layers without normalization, as the emitted constructor leaves them."""
    import torch
    import torch.nn.functional as F

    net = net_of(
        f"""
        net deep {{
          input data: 1x8x8
          for i in 1..12 {{ conv[i]: conv {{ filters: 12  kernel: 3  pad: 1 }} -> relu }}
          global_avgpool -> linear {{ units: 4 }}
          train {{ learning_rate: 1  batch_size: 1  epochs: 1  init: {init} }}
        }}
        """
    )
    torch.manual_seed(0)
    model: Any = load_model(net, get("torch")).train()
    y = torch.arange(64) % 4
    places = torch.stack([y // 2 * 4, y % 2 * 4])
    x = torch.zeros(64, 1, 8, 8)
    for i, (row, column) in enumerate(places.T.tolist()):
        x[i, 0, row : row + 2 + i % 3, column : column + 2] = 1 + i % 2
    optimizer = torch.optim.Adam(model.parameters(), 0.003)
    for _ in range(150):
        loss = F.cross_entropy(model(x), y)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert float(loss.detach()) < 0.4


OTHERS = """
module part(kept, first = 0.5) {
  input x
  a: conv { filters: 4  kernel: 1  bias_init: constant(first)  frozen: true }
  b: conv { filters: 4  kernel: 1  init: normal(0.02)  bias_init: constant(2)  frozen: kept } -> batchnorm
  s: scale { init: constant(first)  bias_init: constant(-1) } -> prelu { init: constant(0.1) }
}
net t(n = 1, q = true) {
  input data: 3x5x5
  for i in 1..n { p[i]: part { kept: i > 1  first: i } }
  if q { c: conv { filters: 2  kernel: 1 } }
  else { d: shift { init: constant(7)  frozen: true } }
}
"""


def test_layers_of_other_arguments_begin_and_are_frozen_as_the_spec_says() -> None:
    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(emit(net_of(OTHERS), get("torch")), namespace)
    for arguments in ({}, {"n": 2, "q": False}):
        model = namespace["TNet"](**arguments)
        reference = load_model(net_of(OTHERS, **arguments), get("torch"))
        found, wanted = (dict(m.named_parameters()) for m in (model, reference))
        assert list(found) == list(wanted)
        for name, tensor in found.items():
            assert tensor.requires_grad == wanted[name].requires_grad, name
    values = {n: float(t.detach().flatten()[0]) for n, t in found.items()}
    constants = {"a.bias": (1, 2), "b.bias": (2, 2), "s.weight": (1, 2), "s.bias": (-1, -1)}
    for name, (first, second) in (constants | {"s_prelu.weight": (0.1, 0.1)}).items():
        assert [values[f"p1.{name}"], values[f"p2.{name}"]] == pytest.approx([first, second])
    assert values["d.bias"] == 7
    learned = {name for name, t in found.items() if t.requires_grad}
    assert {"p1.b.weight", "p2.s.bias"} <= learned
    assert learned.isdisjoint(("p1.a.weight", "p2.a.bias", "p2.b.weight", "d.bias"))


DECIDED = """
module part(wide, std = 0.02) {
  input x
  a: conv { filters: 64  kernel: 3  init: normal(std) }
  if wide { b: conv { filters: 64  kernel: 3 } }
  else { b: conv { filters: 64  kernel: 3  init: uniform(-std, 3 * std) } }
}
net t(s = 0.1, n = 1, q = true) {
  input data: 8x16x16
  for i in 1..n { p[i]: part { wide: q  std: i * s } }
  if q { c: conv { filters: 64  kernel: 1 } }
  else { d: conv { filters: 64  kernel: 1  init: xavier } }
}
"""


def test_arguments_decide_how_weights_begin() -> None:
    """In branches and iterations that the net itself does not have too, also without memory."""
    import torch

    namespace: dict[str, Any] = {"__name__": "emitted"}
    exec(emit(net_of(DECIDED), get("torch")), namespace)
    models = [namespace["TNet"](s=0.3, n=2, q=False)]
    with torch.device("meta"):
        models.append(namespace["TNet"](s=0.3, n=2, q=False))
    models[1].to_empty(device="cpu")
    models[1].reset_parameters()
    for model in models:
        state = model.state_dict()
        for name, deviation in {
            "p1.a": 0.3,
            "p1.b": 0.3 * 4 / 12**0.5,
            "p2.a": 0.6,
            "p2.b": 0.6 * 4 / 12**0.5,
            "d": (2 / (64 + 64)) ** 0.5,
        }.items():
            assert float(state[f"{name}.weight"].std()) == pytest.approx(deviation, rel=0.1)
            assert not state[f"{name}.bias"].any()
        assert float(state["p2.b.weight"].mean()) == pytest.approx(0.6, rel=0.1)
