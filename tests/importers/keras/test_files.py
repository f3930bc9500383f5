"""Files that Keras 2 wrote, and files that are damaged or meant to do harm."""

from __future__ import annotations

import copy
import json
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from netspec.diagnostics import SpecError
from netspec.importers.model_files import net_of
from netspec.weights.stored import read_stored

from .helpers import outputs

h5py = pytest.importorskip("h5py", reason="h5py is not installed")
RANDOM = np.random.default_rng(3)


def numbers(*shape: int) -> np.ndarray[Any, Any]:
    return RANDOM.uniform(0.2, 1, shape).astype("float32")


# --- Keras 2 -------------------------------------------------------------------------------------


def layer(kind: str, name: str, *sources: str, **config: Any) -> dict[str, Any]:
    """A layer as Keras 2 writes it; a source is a layer's name, and `@1` for its second call."""
    nodes = [[[s.partition("@")[0], int(s.partition("@")[2] or 0), 0, {}] for s in sources]]
    return {
        "class_name": kind,
        "name": name,
        "config": {"name": name, **config},
        "inbound_nodes": nodes if sources else [],
    }


def function(name: str, what: str, source: str, **kwargs: Any) -> dict[str, Any]:
    node = [[source, 0, 0, {**kwargs, "name": None}]]
    config = {"name": name, "function": what}
    return {"class_name": "TFOpLambda", "name": name, "config": config, "inbound_nodes": node}


KERAS2: dict[str, Any] = {
    "class_name": "Functional",
    "keras_version": "2.9.0",
    "backend": "tensorflow",
    "config": {
        "name": "old",
        "layers": [
            layer("InputLayer", "input_1", batch_input_shape=[None, 8, 6, 3], dtype="float32"),
            layer(
                "Conv2D",
                "conv1",
                "input_1",
                filters=4,
                kernel_size=[3, 3],
                strides=[2, 2],
                padding="same",
                use_bias=False,
                activation="linear",
                dilation_rate=[1, 1],
            ),
            layer(
                "BatchNormalization",
                "conv1_bn",
                "conv1",
                axis=[3],
                momentum=0.999,
                epsilon=0.002,
                scale=True,
                center=True,
            ),
            layer("Activation", "conv1_act", "conv1_bn", activation="hard_sigmoid"),
            function("tf.math.multiply", "math.multiply", "conv1_act", y=0.5),
            function("tf.__operators__.add", "__operators__.add", "tf.math.multiply", y=1.0),
            {
                "class_name": "Sequential",
                "name": "head",
                "config": {
                    "name": "head",
                    "layers": [
                        {
                            "class_name": "DepthwiseConv2D",
                            "config": {
                                "name": "dw",
                                "batch_input_shape": [None, 4, 3, 4],
                                "kernel_size": [3, 3],
                                "strides": [1, 1],
                                "padding": "same",
                                "depth_multiplier": 1,
                                "use_bias": True,
                                "activation": "relu",
                            },
                        },
                        {"class_name": "Flatten", "config": {"name": "flatten"}},
                        {
                            "class_name": "Dense",
                            "config": {"name": "fc", "units": 5, "activation": "softmax"},
                        },
                    ],
                },
                "inbound_nodes": [[["tf.__operators__.add", 0, 0, {}]]],
            },
        ],
        "input_layers": [["input_1", 0, 0]],
        "output_layers": [["head", 0, 0]],
    },
}
WEIGHTS = {
    "conv1": {"conv1/kernel:0": numbers(3, 3, 3, 4)},
    "conv1_bn": {
        f"conv1_bn/{n}:0": numbers(4) for n in ("gamma", "beta", "moving_mean", "moving_variance")
    },
    "head": {
        "dw/depthwise_kernel:0": numbers(3, 3, 4, 1),
        "dw/bias:0": numbers(4),
        "fc/kernel:0": numbers(48, 5),
        "fc/bias:0": numbers(5),
    },
}


def h5(path: Path, config: Any = KERAS2, weights: Any = WEIGHTS) -> Path:
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        file.attrs["keras_version"] = b"2.9.0"
        root = file.create_group("model_weights")
        for name, tensors in weights.items():
            group = root.create_group(name)
            group.attrs["weight_names"] = [n.encode() for n in tensors]
            for tensor, array in tensors.items():
                group[tensor] = array
    return path


def test_a_file_of_keras_2(tmp_path: Path) -> None:
    """Against PyTorch: pads of TensorFlow, the old hard sigmoid, a flatten of channels last."""
    path = h5(tmp_path / "old.h5")
    net = net_of(path)
    assert net.params == 108 + 8 + 36 + 4 + 240 + 5
    x = numbers(2, 3, 8, 6)
    (found,) = outputs(net, read_stored(path, net), [x])
    w = {n: torch.from_numpy(a) for group in WEIGHTS.values() for n, a in group.items()}
    y = F.conv2d(
        F.pad(torch.from_numpy(x), (0, 1, 0, 1)), w["conv1/kernel:0"].permute(3, 2, 0, 1), stride=2
    )
    norm = [w[f"conv1_bn/{n}:0"] for n in ("moving_mean", "moving_variance", "gamma", "beta")]
    mean, variance, gamma, beta = norm
    y = F.batch_norm(y, mean, variance, gamma, beta, eps=0.002)
    y = torch.clamp(0.2 * y + 0.5, 0, 1) * 0.5 + 1
    y = F.conv2d(
        y, w["dw/depthwise_kernel:0"].permute(2, 3, 0, 1), w["dw/bias:0"], padding=1, groups=4
    )
    y = F.relu(y).permute(0, 2, 3, 1).flatten(1)
    y = torch.softmax(y @ w["fc/kernel:0"] + w["fc/bias:0"], 1)
    np.testing.assert_allclose(found, y.numpy(), rtol=1e-4, atol=1e-6)
    momentum = [getattr(one.op, "momentum", None) for one in net.layers]
    assert [m for m in momentum if m is not None] == [pytest.approx(0.001)]


def test_what_keras_2_says_of_weights_that_are_not_there(tmp_path: Path) -> None:
    weights = {**WEIGHTS, "conv1": {"conv1/kernel:0": numbers(5, 3, 3, 4)}}
    path = h5(tmp_path / "old.h5", weights=weights)
    with pytest.raises(SpecError, match="5x3x3x4, and the config makes it 3x3x3x4"):
        read_stored(path, net_of(path))
    weights = {n: w for n, w in WEIGHTS.items() if n != "head"}
    path = h5(tmp_path / "less.h5", weights=weights)
    with pytest.raises(SpecError, match="there is no head"):
        read_stored(path, net_of(path))


# --- damaged files -------------------------------------------------------------------------------


SIMPLE: dict[str, Any] = {
    "class_name": "Functional",
    "config": {
        "name": "m",
        "layers": [
            layer("InputLayer", "in", batch_shape=[None, 8, 8, 3]),
            layer("Conv2D", "conv", "in", filters=4, kernel_size=[3, 3], padding="same"),
            layer("ReLU", "relu", "conv"),
        ],
        "input_layers": [["in", 0, 0]],
        "output_layers": [["relu", 0, 0]],
    },
}


def keras_file(path: Path, config: Any = SIMPLE, weights: bytes | None = None) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        text = config if isinstance(config, str | bytes) else json.dumps(config)
        archive.writestr("config.json", text)
        archive.writestr("metadata.json", '{"keras_version": "3.9.0"}')
        if weights is not None:
            archive.writestr("model.weights.h5", weights)
    return path


def error(path: Path) -> str:
    """The diagnostic of a file, which has one."""
    with pytest.raises(SpecError) as caught:
        net_of(path)
    return str(caught.value)


def changed(**fields: Any) -> dict[str, Any]:
    """The simple model with other fields in its convolution."""
    config = copy.deepcopy(SIMPLE)
    config["config"]["layers"][1]["config"].update(fields)
    return config


def layers_of(*layers: dict[str, Any]) -> dict[str, Any]:
    config = copy.deepcopy(SIMPLE)
    config["config"]["layers"] = list(layers)
    config["config"]["output_layers"] = [[layers[-1]["name"], 0, 0]]
    return config


IN = SIMPLE["config"]["layers"][0]


def nested(depth: int) -> dict[str, Any]:
    config: dict[str, Any] = layer("ReLU", "relu", "in")
    for i in range(depth):
        inner: dict[str, Any] = {"layers": [IN, config], "input_layers": [["in", 0, 0]]}
        inner |= {"output_layers": [[config["name"], 0, 0]], "name": f"m{i}"}
        config = {**layer("Functional", f"m{i}", "in"), "config": inner}
    return config


def ours(module: str, kind: str, **config: Any) -> dict[str, Any]:
    return layers_of(IN, {**layer(kind, "mine", "in", **config), "module": module})


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ("{", "its config is no JSON"),
        ('{"a": ' + "9" * 5000 + "}", "its config is no JSON"),
        ("[" * 100_000, "nested too deeply"),
        ("[]", "has no class_name"),
        ({"class_name": "MyNet", "config": {}}, "the class MyNet, and its layers are in its code"),
        ({"class_name": "Functional", "config": {"layers": 3}}, "its layers are in its code"),
        ({"class_name": "Functional", "config": {"layers": [3]}}, "a layer has no class_name"),
        (nested(30), "nested too deeply"),
        (layers_of(IN, layer("Lambda", "l", "in", function=["4wEAAAAB"])), "a Lambda is code"),
        (ours("my_package", "Block"), "of the class my_package.Block, which is code"),
        (ours("builtins", "eval"), "of the class builtins.eval, which is code"),
        (ours("keras.layers", "LSTM", units=3), "a LSTM can't be expressed"),
        (ours("keras.src.ops.numpy", "Einsum"), "the function Einsum can't be expressed"),
        (layers_of(IN, layer("ReLU", "a", "b"), layer("ReLU", "b", "a")), "depend on its result"),
        (layers_of(IN, layer("ReLU", "a", "nowhere")), "no call 0 of a layer nowhere"),
        (layers_of(IN, layer("ReLU", "a", "in@7")), "no call 7 of a layer in"),
        (
            layers_of(IN, layer("ReLU", "a", "in"), layer("ReLU", "a", "in")),
            "two layers have this name",
        ),
        (changed(filters=-3), "filters has to be a whole number from 1, and is -3"),
        (changed(filters=1 << 60), "filters has to be"),
        (changed(filters=1 << 39, kernel_size=1 << 39), "more than netspec handles"),
        (changed(kernel_size=[3, "x"]), "kernel_size has to be one or two whole numbers"),
        (changed(kernel_size=99, padding="valid"), "nothing is left of its input"),
        (changed(padding="causal"), "padding has to be valid or same"),
        (changed(groups=2), "2 groups do not divide 3 and 4 channels"),
        (changed(activation="squareplus"), "the activation squareplus can't be expressed"),
        (changed(activation={"class_name": "Mine", "config": {}}), "the activation Mine"),
        (layers_of(IN, layer("Add", "add", "in")), "it takes two inputs, not 1"),
        (
            layers_of(IN, layer("Reshape", "r", "in", target_shape=[7, -1])),
            "192 numbers do not fit",
        ),
        (layers_of(IN, layer("Normalization", "n", "in", axis=9)), "there is no axis 9"),
        (layers_of(IN, layer("Dense", "d", "in", units="three")), "units has to be"),
    ],
)
def test_a_config_that_is_refused(config: Any, said: str, tmp_path: Path) -> None:
    """Each with the place where there is one: a line of the listing."""
    message = error(keras_file(tmp_path / "m.keras", config))
    assert said in message
    assert len(message) < 1500


def test_places_are_lines_of_a_listing(tmp_path: Path) -> None:
    message = error(keras_file(tmp_path / "m.keras", changed(groups=2)))
    assert "m.keras:2:1" in message
    assert "conv: Conv2D(in) { filters: 4, kernel_size: [3, 3], padding: same" in message


def test_names_are_never_code(tmp_path: Path) -> None:
    name = 'a"); import os #\n\x1b[31m'
    config = layers_of(
        IN, layer("ReLU", name, "in"), layer("Conv2D", "c", name, filters=1, kernel_size=1)
    )
    net = net_of(keras_file(tmp_path / "m.keras", config))
    assert all(part.isidentifier() for one in net.layers for part in one.path.split("."))
    wrong = layers_of(IN, layer("ReLU", name, "in"), layer("LSTM", name + "2", name))
    assert "\x1b" not in error(keras_file(tmp_path / "w.keras", wrong)).replace("\x1b[0m", "")


def weights_of(change: Callable[[Any], None] = lambda file: None) -> bytes:
    import io

    data = io.BytesIO()
    with h5py.File(data, "w") as file:
        group = file.create_group("layers/conv2d/vars")
        group["0"], group["1"] = numbers(3, 3, 3, 4), numbers(4)
        change(file)
    return data.getvalue()


def replaced(make: Callable[[Any], Any]) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        group = file["layers/conv2d/vars"]
        del group["0"]
        made = make(group)
        if made is not None:
            group["0"] = made

    return change


def virtual(group: Any) -> None:
    layout = h5py.VirtualLayout(shape=(3, 3, 3, 4), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", shape=(3, 3, 3, 4))
    group.create_virtual_dataset("0", layout)


def external(group: Any) -> None:
    group.create_dataset("0", (3, 3, 3, 4), "f4", external=[("/etc/passwd", 0, 432)])


def huge(group: Any) -> None:
    group.create_dataset("0", (1 << 20, 1 << 20), "f4", chunks=(1024, 1024), compression="gzip")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (replaced(lambda g: h5py.SoftLink("/layers/conv2d/vars/1")), "is a link"),
        (replaced(lambda g: h5py.ExternalLink("/etc/passwd", "/x")), "is a link"),
        (replaced(virtual), "lies in other files"),
        (replaced(external), "lies in other files"),
        (replaced(huge), "and the config makes it 3x3x3x4"),
        (replaced(lambda g: np.array(["x"] * 4, "S1").reshape(4)), "the config makes it"),
        (replaced(lambda g: g.create_group("0") and None), "is no dataset"),
        (replaced(lambda g: None), "there is no 0 in /layers/conv2d/vars"),
    ],
)
def test_weights_that_are_refused(change: Callable[[Any], None], said: str, tmp_path: Path) -> None:
    path = keras_file(tmp_path / "m.keras", weights=weights_of(change))
    net = net_of(path)
    with pytest.raises(SpecError, match="m.keras") as caught:
        read_stored(path, net)
    assert said in str(caught.value)


def test_damaged_files(tmp_path: Path) -> None:
    """Cut off or changed anywhere, a file has a diagnostic or is read."""
    whole = keras_file(tmp_path / "m.keras", weights=weights_of()).read_bytes()
    old = h5(tmp_path / "m.h5").read_bytes()
    random = np.random.default_rng(0)
    for suffix, content in ((".keras", whole), (".h5", old)):
        path = tmp_path / f"damaged{suffix}"
        for i in range(40):
            data = bytearray(content)
            if i % 2:
                data = data[: random.integers(len(data))]
            else:
                for _ in range(4):
                    data[random.integers(len(data))] = random.integers(256)
            path.write_bytes(data)
            try:
                read_stored(path, net_of(path))
            except SpecError:
                pass


def test_what_is_no_model(tmp_path: Path) -> None:
    path = tmp_path / "m.keras"
    assert "can't be read" in error(path)
    path.write_bytes(b"")
    assert "neither a zip archive nor an HDF5 file" in error(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x", "")
    assert "it has no config.json" in error(path)
    path = tmp_path / "m.weights.h5"
    path.write_bytes(weights_of())
    assert "holds weights, and no model" in error(path)


def test_without_h5py(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The net of a `.keras` needs none, its weights do."""
    path = keras_file(tmp_path / "m.keras", weights=weights_of())
    old = h5(tmp_path / "m.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    net = net_of(path)
    assert net.params == 112
    with pytest.raises(SpecError, match=r"netspec-compiler\[hdf5\]"):
        read_stored(path, net)
    assert "netspec-compiler[hdf5]" in error(old)
