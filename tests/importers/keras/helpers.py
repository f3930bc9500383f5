"""Models that Keras saves, and the specs that are made of their files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.codegen.backend import get, load_model
from netspec.importers.model_files import net_of
from netspec.ir import Net
from netspec.weights.stored import read_stored

os.environ.setdefault("KERAS_BACKEND", "torch")
OF_KERAS = pytest.mark.filterwarnings(
    "ignore:__array__ implementation:DeprecationWarning",  # Keras on PyTorch with NumPy 2
    "ignore:.*might experience inconsistencies:UserWarning",
    "ignore:Torch backend requires:UserWarning",
    "ignore:You are saving your model as an HDF5 file:UserWarning",
)


def varied(model: Any, seed: int = 0) -> Any:
    """The model with weights that differ from each other, variances above 0."""
    random = np.random.default_rng(seed)
    for weight in model.weights:
        name = weight.path.rpartition("/")[2]
        if name in ("kernel", "depthwise_kernel", "pointwise_kernel"):
            weight.assign(random.normal(0, 0.4, weight.shape))
        elif name in ("gamma", "moving_variance", "variance"):
            weight.assign(random.uniform(0.5, 1.5, weight.shape))
        elif "seed" not in weight.path and name != "count":
            weight.assign(random.normal(0, 0.3, weight.shape))
    return model


def first(array: Any) -> Any:
    """An array of Keras with its channels in front."""
    if array.ndim == 3:  # which a spec has as a map of one column
        return array[..., None]
    return np.ascontiguousarray(np.moveaxis(array, -1, 1)) if array.ndim > 3 else array


def outputs(net: Net, weights: dict[str, Any], inputs: list[Any]) -> list[Any]:
    """What the NumPy model of a net gives."""
    backend = get("numpy")
    model = load_model(net, backend)
    backend.set_weights(model, weights)
    return list(backend.run(model, *inputs))


def assert_same(model: Any, path: Path, *, turned: bool = True, params: int | None = None) -> Net:
    """The net of a saved model: its parameters are counted and its outputs are as Keras's."""
    net = net_of(path)
    trainable = sum(int(np.prod(w.shape)) for w in model.trainable_weights)
    assert net.params == (trainable if params is None else params)
    random = np.random.default_rng(1)
    given = [random.normal(0, 1, (2, *t.shape[1:])).astype("float32") for t in model.inputs]
    expected = model.predict(given if given[1:] else given[0], verbose=0)
    expected = expected if isinstance(expected, list) else [expected]
    ours = [first(g) for g in given] if turned else given
    found = outputs(net, read_stored(path, net), ours)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        b = first(b) if turned else b
        assert a.shape == b.shape
        assert np.abs(a - b).max() <= 1e-5 * max(1.0, np.abs(b).max())
    return net
