"""The emitted Keras file: what it looks like, its weights, what Keras itself does with its models."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from netspec_keras.weights import RESERVED

import netspec
from netspec.cli.main import main
from netspec.codegen.backend import emit, get, load_model
from netspec.ir import Net
from netspec.runtime.verify import random_inputs
from netspec.weights import fresh
from tests.backends.nets import net_of
from tests.helpers import loaded

from .helpers import OF_KERAS, results

pytestmark = [pytest.mark.slow, OF_KERAS]


keras: Any = None


@pytest.fixture(autouse=True)
def imported_keras() -> None:
    """Keras takes a second to be imported, which other tests need not wait for."""
    global keras
    keras = pytest.importorskip("keras", reason="keras is not installed")


def names_of(net: Net, run: bool = False) -> dict[str, Any]:
    """What the net's file defines; with `run`, it checks itself."""
    names: dict[str, Any] = {"__name__": "__main__" if run else "emitted"}
    exec(emit(net, get("keras")), names)
    return names


def test_names_that_no_layer_can_have() -> None:
    model = keras.Model()
    found = {*dir(keras.Model), *vars(model)}
    assert {name for name in found if not name.startswith("_")} <= RESERVED


SMALL = """
module fire(s, e) {
  input x
  squeeze: conv { filters: s  kernel: 1 } -> relu
  left: conv(squeeze) { filters: e  kernel: 1 } -> relu
  right: conv(squeeze) { filters: e  kernel: 3  pad: 1 } -> relu
  output concat(left, right)
}
net small(classes = 4, e = 3) {
  input data: 3x14x10
  conv1: conv { filters: 4  kernel: 3  stride: 2  pad: 1 } -> batchnorm { momentum: 0.3 } -> relu
  for i in 1..2 { f[i]: fire { s: 2  e: e } }
  call: conv { filters: 5  kernel: 2  groups: 1 } -> prelu -> maxpool { kernel: 2  round: ceil }
  flatten
  class: linear { units: classes }
  prob: softmax
}
"""


def test_other_arguments() -> None:
    """The class with other arguments has the weights of the net with these, in the same layout."""
    names = names_of(net_of(SMALL), run=True)
    for arguments in ({}, {"classes": 7, "e": 5}):
        net = net_of(
            SMALL.replace("classes = 4", f"classes = {arguments.get('classes', 4)}").replace(
                "e = 3", f"e = {arguments.get('e', 3)}"
            )
        )
        model = names["Small"](**arguments)
        backend = get("keras")
        backend.emit(net)
        backend.set_weights(model, weights := fresh(net.tensors, 2, varied=True))
        (x,) = random_inputs(net)
        other = get("torch")
        wanted = load_model(net, other)
        other.set_weights(wanted, weights)
        for ours, theirs in zip(other.run(wanted, x), backend.run(model, x), strict=True):
            np.testing.assert_allclose(theirs, ours, atol=1e-5)
    assert {"call_.kernel", "class_.bias", "f1.left.kernel"} <= model.named_weights().keys()
    with pytest.raises(ValueError, match="classes is 0"):
        names["Small"](classes=0)


def test_converted_weights(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    net = net_of(SMALL)
    spec, weights = tmp_path / "small.net", fresh(net.tensors, 3, varied=True)
    spec.write_text(SMALL)
    netspec.write_weights(tmp_path / "w.npz", weights)
    source, out = str(tmp_path / "w.npz"), tmp_path / "keras.safetensors"
    command = ["weights", "convert", source, "--spec", str(spec), "--names", "keras"]
    assert main([*command, "-o", str(out)]) == 0
    assert main([*command, "--dry-run"]) == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    row = ["f1.squeeze.weight", "f1.squeeze.kernel", "2x4x1x1", "as", "1x1x4x2", "name"]
    assert row in shown
    model = names_of(net)["Small"]()
    assert model.load(out) == []
    (x,) = random_inputs(net)
    wanted = results_with(net, weights, x)
    last = x.transpose(0, 2, 3, 1)
    found = keras.ops.convert_to_numpy(model.probabilities(last))
    np.testing.assert_allclose(found, wanted, atol=1e-5)
    # Keras's own `predict` gives logits, as a call does.
    np.testing.assert_allclose(model.predict(last, verbose=0), model(last).detach(), atol=1e-5)
    np.testing.assert_allclose(keras.ops.softmax(model(last)).detach(), wanted, atol=1e-5)
    built = netspec.build(net, "keras", source)
    np.testing.assert_allclose(built(last).detach(), model(last).detach(), atol=1e-6)


def results_with(net: Net, weights: dict[str, Any], *inputs: Any) -> Any:
    model = netspec.build(net, "numpy", weights)
    return model(*inputs)


def test_weights_that_do_not_fit(tmp_path: Path) -> None:
    net = net_of(SMALL)
    model = names_of(net)["Small"]()
    own = {name: w.numpy().copy() for name, w in model.named_weights().items()}
    before = own["conv1.kernel"].copy()
    wrong = {**own, "conv1.kernel": before[1:] + 1, "more": before}
    del wrong["class_.bias"]
    netspec.write_weights(tmp_path / "wrong.npz", wrong)
    with pytest.raises(RuntimeError) as error:
        model.load(tmp_path / "wrong.npz")
    for part in ("class_.bias is only in the model", "more is only in the file", "(2, 3, 3, 4)"):
        assert part in str(error.value)
    wrong["conv1.kernel"] = before + 1
    netspec.write_weights(tmp_path / "wrong.npz", wrong)
    assert model.load(tmp_path / "wrong.npz", strict=False) == ["class_.bias", "more"]
    np.testing.assert_allclose(model.conv1.kernel.numpy(), before + 1)


def test_training_keeps_statistics_as_the_spec_says() -> None:
    net = net_of("net n { input data: 2x6x5\n batchnorm { momentum: 0.3 } -> dropout -> relu }")
    model = load_model(net, get("keras"))
    (x,) = random_inputs(net)
    given = torch.tensor(x.transpose(0, 2, 3, 1))
    model(given, training=True)
    mean, variance = (
        model.named_weights()[f"batchnorm_1.moving_{n}"] for n in ("mean", "variance")
    )
    np.testing.assert_allclose(mean.numpy(), 0.3 * x.mean((0, 2, 3)), atol=1e-6)
    np.testing.assert_allclose(variance.numpy(), 0.7 + 0.3 * x.var((0, 2, 3)), atol=1e-5)


def test_how_weights_begin() -> None:
    net = net_of(
        "net n { input data: 64x9x9\n a: conv { filters: 96  kernel: 3 }\n"
        "b: conv { filters: 96  kernel: 1  init: normal(0.5)  bias_init: constant(2)  frozen: true }\n"
        "c: conv { filters: 96  kernel: 3  init: xavier(fan_in)  groups: 4 } -> prelu\n"
        "u: conv_transpose { filters: 96  kernel: 4  stride: 2  groups: depthwise  init: bilinear }\n"
        "global_avgpool\n d: linear { units: 300 } }"
    )
    model = load_model(net, get("keras"))
    of = {name: w.numpy() for name, w in model.named_weights().items()}
    assert of["a.kernel"].std() == pytest.approx((2 / (64 * 9)) ** 0.5, rel=0.03)
    assert of["b.kernel"].std() == pytest.approx(0.5, rel=0.05)
    assert (of["b.bias"] == 2).all()
    assert not model.b.trainable
    assert np.abs(of["c.kernel"]).max() == pytest.approx((3 / (24 * 9)) ** 0.5, rel=0.01)
    assert (of["c_prelu.alpha"] == 0.25).all()
    assert np.abs(of["d.kernel"]).max() == pytest.approx(96**-0.5, rel=0.01)
    expected = torch.outer(*[torch.tensor([0.25, 0.75, 0.75, 0.25])] * 2)
    np.testing.assert_allclose(of["u.kernel"][:, :, 0, 5], expected)


def test_pictures(capsys: pytest.CaptureFixture[str]) -> None:
    """The bundled digits, by `run`; a picture of another size is prepared as PyTorch does it."""
    picture = str(Path(__file__).parents[2] / "examples" / "digits" / "3.png")
    assert main(["run", "squeezenet_digits", picture, "--top", "1", "--backend", "keras"]) == 0
    assert capsys.readouterr().out.rstrip().endswith(" 3")
    net = loaded("squeezenet1_0")
    image = np.random.default_rng(0).integers(0, 256, (300, 260, 3), np.uint8)
    prepare = names_of(net)["SqueezeNet1_0"].preprocess
    names: dict[str, Any] = {}
    exec(emit(net, get("torch")), names)
    wanted = names["SqueezeNet1_0"].preprocess(image)
    given = keras.ops.convert_to_numpy(prepare(image)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(given, np.asarray(wanted), atol=1e-3)


def test_verify_takes_keras(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    spec = tmp_path / "small.net"
    spec.write_text(SMALL)
    assert main(["verify", str(spec), "--backend", "torch", "--backend", "keras"]) == 0
    assert "torch and keras agree" in capsys.readouterr().out


def test_several_nets_in_a_file(tmp_path: Path) -> None:
    text = "net {} {{ input data: 2x4x4  input more: 2x4x4\n add(data, more) -> conv {{ filters: {}  kernel: 1 }} }}"
    spec = tmp_path / "both.net"
    spec.write_text("\n".join(text.format(name, n) for name, n in (("one", 2), ("two", 3))))
    assert main(["compile", str(spec), "--backend", "keras", "-o", str(tmp_path / "m.py")]) == 0
    names: dict[str, Any] = {"__name__": "__main__"}
    exec((tmp_path / "m.py").read_text(), names)
    zeros = np.zeros((1, 4, 4, 2), "float32")
    assert names["Two"]()([zeros, zeros]).shape == (1, 4, 4, 3)


def test_results() -> None:
    """A net in a net's place: several outputs, and those that are inputs."""
    net = net_of("net n { input data: 3x5x6\n a: relu\n output data, a }")
    (x,) = random_inputs(net)
    first, second = results(net, "keras", [x])
    np.testing.assert_array_equal(first, x)
    np.testing.assert_array_equal(second, np.maximum(x, 0))
