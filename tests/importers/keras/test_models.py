"""Models that Keras saves: parameters and outputs of their nets are Keras's own."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.cli.main import main
from netspec.importers.model_files import net_of

from .helpers import OF_KERAS, assert_same, outputs, varied

pytest.importorskip("keras", reason="keras is not installed")
from . import models

pytestmark = [pytest.mark.slow, OF_KERAS]


def saved(model: Any, folder: Path, suffix: str = ".keras") -> Path:
    path = folder / f"{model.name}{suffix}"
    varied(model).save(path)
    return path


@pytest.mark.parametrize("name", sorted(models.MODELS))
def test_outputs(name: str, tmp_path: Path) -> None:
    model = models.MODELS[name]()
    assert_same(model, saved(model, tmp_path))


@pytest.mark.parametrize("name", ["convolutions", "normalizations", "nested"])
def test_outputs_of_h5(name: str, tmp_path: Path) -> None:
    model = models.MODELS[name]()
    assert_same(model, saved(model, tmp_path, ".h5"))


def test_pads_of_an_average_do_not_count(tmp_path: Path) -> None:
    """As in TensorFlow and JAX; Keras on PyTorch counts them where one side has more."""
    import keras

    given = keras.Input((4, 4, 1))
    x = keras.layers.AveragePooling2D(3, strides=2, padding="same")(given)
    net = net_of(saved(keras.Model(given, x, name="average"), tmp_path))
    x = np.arange(16, dtype="float32").reshape(1, 1, 4, 4)
    (found,) = outputs(net, {}, [x])
    windows = [[x[0, 0, i : i + 3, j : j + 3].mean() for j in (0, 2)] for i in (0, 2)]
    np.testing.assert_allclose(found[0, 0], windows, rtol=1e-6)


def test_a_sequential_and_several_inputs(tmp_path: Path) -> None:
    for model in (models.sequential(), models.two_inputs()):
        for suffix in (".keras", ".h5"):
            assert_same(model, saved(model, tmp_path, suffix))


def test_channels_in_front(tmp_path: Path) -> None:
    model = models.channels_first()
    net = assert_same(model, saved(model, tmp_path), turned=False)
    assert [v.shape for v in net.body.inputs] == [(3, 8, 8)]


def test_a_layer_that_is_called_twice_is_one_layer(tmp_path: Path) -> None:
    model = models.MODELS["nested"]()
    path = saved(model, tmp_path)
    assert main(["convert", str(path), "-o", str(tmp_path / "n.net")]) == 0
    net = netspec.load(tmp_path / "n.net")
    assert net.params == sum(w.numpy().size for w in model.trainable_weights)


def test_a_compressed_file(tmp_path: Path) -> None:
    model = models.sequential()
    path = saved(model, tmp_path)
    again = tmp_path / "packed.keras"
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(again, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    assert_same(model, again)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = models.MODELS["vectors"]()
    path, spec, weights = saved(model, tmp_path), tmp_path / "v.net", tmp_path / "v.safetensors"
    command = ["convert", str(path), "-o", str(spec), "--weights", str(weights), "--check"]
    assert main(command) == 0
    assert "numpy agree" in capsys.readouterr().err
    assert main(["fmt", "--check", str(spec)]) == 0
    assert main(["table", str(path)]) == 0
    assert f"{netspec.load(spec).params:,}" in capsys.readouterr().out


def test_an_input_of_any_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    import keras
    from keras import layers

    given = keras.Input((None, None, 3))
    model = keras.Model(given, layers.GlobalMaxPooling2D()(layers.Conv2D(4, 3)(given)), name="any")
    path = saved(model, tmp_path)
    assert main(["table", str(path)]) == 1
    said = capsys.readouterr().err
    assert "error[missing-shape]" in said
    assert "--input 3x224x224" in said
    assert main(["table", str(path), "--input", "3x10x12"]) == 0
    assert "4x8x10" in capsys.readouterr().out


def test_names_say_modules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Blocks by the words that their layers' names begin with, and the sums that Keras named."""
    import keras
    from keras import layers

    keras.utils.clear_session()
    given = keras.Input((16, 16, 4))
    x = layers.Conv2D(4, 3, strides=2, padding="same", name="stem_conv")(given)
    for i, kernel in enumerate((3, 5, 3, 3, 5), 1):
        y = layers.Conv2D(8, kernel, padding="same", name=f"unit{i}_wide_conv")(x)
        y = layers.BatchNormalization(name=f"unit{i}_wide_norm")(y)
        y = layers.Conv2D(4, 1, name=f"unit{i}_conv")(layers.ReLU()(y))
        x = layers.ReLU()(layers.Add()([x, y]))
    x = layers.Dense(3, name="head")(layers.GlobalAveragePooling2D()(x))
    path = saved(keras.Model(given, x, name="named"), tmp_path)
    assert main(["convert", str(path), "-o", "-"]) == 0
    text = capsys.readouterr().out
    assert "module unit(kernel = 3)" in text
    assert "enumerate([3, 5, 3, 3, 5], 1) { unit[i]: unit { kernel: kernel } }" in text
    assert "stem_conv: conv { filters: 4  kernel: 3x3  stride: 2  pad: same }" in re.sub(
        r": +conv", ": conv", text
    )
    assert len(text.splitlines()) < 30


def test_statistics_that_training_keeps_are_kept_by_the_text(tmp_path: Path) -> None:
    import keras

    layers = keras.layers
    given = layers.Normalization(mean=[1.0, 2.0, 3.0], variance=[1.0, 4.0, 9.0])
    model = keras.Sequential([keras.Input((8, 8, 3)), given, layers.Conv2D(4, 3)])
    path = tmp_path / "m.keras"
    model.save(path)
    text = tmp_path / "m.net"
    text.write_text(netspec.convert(path).text)
    first, second = netspec.load(text).layers
    assert [getattr(layer.op, "frozen", None) for layer in (first, second)] == [True, False]
