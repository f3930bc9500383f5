"""Networks of keras.applications with random weights: figures, outputs, length of the text."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from netspec.codegen.backend import get, load_model
from netspec.driver import convert
from netspec.importers.model_files import net_of
from netspec.weights.stored import read_stored

from .helpers import OF_KERAS, first

pytestmark = [pytest.mark.exhaustive, OF_KERAS]


@pytest.mark.parametrize(
    ("name", "size", "lines"),
    [
        ("MobileNetV3Small", 64, 70),
        ("EfficientNetB0", 64, 75),
        ("ResNet50", 64, 50),
        ("DenseNet121", 64, 45),
    ],
)
def test_a_network(name: str, size: int, lines: int, tmp_path: Path) -> None:
    """Outputs of the emitted PyTorch model beside Keras's."""
    keras = pytest.importorskip("keras", reason="keras is not installed")
    keras.utils.clear_session()
    shape = (size, size, 3)
    model = getattr(keras.applications, name)(weights=None, input_shape=shape, classes=20)
    random = np.random.default_rng(0)
    for weight in model.weights:
        kind = weight.path.rpartition("/")[2]
        if kind in ("moving_mean", "beta", "bias"):
            weight.assign(random.normal(0, 0.1, weight.shape))
        elif kind in ("moving_variance", "gamma"):
            weight.assign(random.uniform(0.7, 1.4, weight.shape))
    path = tmp_path / f"{name}.keras"
    model.save(path)
    net = net_of(path)
    assert net.params == sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    x = random.normal(0, 1, (2, *shape)).astype("float32")
    expected = model.predict(x, verbose=0)
    backend = get("torch")
    emitted = load_model(net, backend)
    backend.set_weights(emitted, read_stored(path, net))
    (found,) = backend.run(emitted, first(x))
    assert np.abs(found - expected).max() <= 1e-4 * np.abs(expected).max()
    assert len(convert(str(path), {})[0].text.splitlines()) <= lines
