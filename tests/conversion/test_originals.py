"""Models' files run by their own tools: the same as the model that was saved."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import netspec
from netspec.conversion.exported_program import results
from netspec.conversion.originals import original
from netspec.importers.torch.exported import Exported, OperatorCall
from netspec.lazy_dataclasses import replace
from netspec.syntax.model_source import ModelSource

os.environ.setdefault("KERAS_BACKEND", "torch")


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Path, Any]:
    """A `.pt2` file with an operator in place, a dict of results and several dimensions joined."""
    torch = pytest.importorskip("torch")

    class Model(torch.nn.Module):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()
            self.conv = torch.nn.Conv2d(3, 4, 3, bias=False)
            self.norm = torch.nn.BatchNorm2d(4)
            self.act = torch.nn.ReLU(inplace=True)
            self.fc = torch.nn.Linear(16, 5)

        def forward(self, x: Any) -> Any:
            y = self.norm(self.conv(x))
            self.act(y)
            first, second = y.chunk(2, 1)
            return {"scores": self.fc((first * 2 + second).flatten(1)), "map": y}

    torch.manual_seed(0)
    model = Model().eval()
    path = tmp_path / "m.pt2"
    torch.export.save(torch.export.export(model, (torch.zeros(2, 3, 4, 6),)), path)
    return path, model


@pytest.mark.slow
def test_an_exported_program(saved: tuple[Path, Any]) -> None:
    import torch

    path, model = saved
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 6), dtype=np.float32)
    own = original(ModelSource(path))
    assert (own.tool, own.inputs) == ("torch", ((2, 3, 4, 6),))
    with torch.no_grad():
        expected = model(torch.from_numpy(x))
    found = own.run([x])
    np.testing.assert_array_equal(found[0], expected["scores"].numpy())
    np.testing.assert_array_equal(found[1], expected["map"].numpy())
    compared = netspec.convert(path, check=True).check
    assert compared is not None
    assert compared.agrees
    assert compared.original == "torch"


def test_only_known_operators_run(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    harmful = OperatorCall("aten.from_file", "default", {"filename": "secret"}, ["y"])
    program = Exported("m", tmp_path / "m.pt2", {}, calls=[harmful], outputs=[("", "y")])
    with pytest.raises(ValueError, match="from_file is none of the operators"):
        results(program, [])
    other = replace(harmful, operator="os.system", overload="")
    with pytest.raises(ValueError, match=r"os\.system is none"):
        results(replace(program, calls=[other]), [])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_a_model_of_keras(tmp_path: Path) -> None:
    keras = pytest.importorskip("keras")
    keras.utils.set_random_seed(0)
    layers = keras.layers
    x = given = keras.Input((6, 5, 3))
    x = layers.Conv2D(4, 3, padding="same", activation="relu")(x)
    x = layers.Dense(3)(layers.Flatten()(x))
    model = keras.Model(given, x)
    model.save(tmp_path / "m.keras")
    own = original(ModelSource(tmp_path / "m.keras"))
    data = np.random.default_rng(0).standard_normal((2, 6, 5, 3), dtype=np.float32)
    expected = keras.ops.convert_to_numpy(model(data))
    assert own.inputs == ((None, 6, 5, 3),)
    np.testing.assert_allclose(own.run([data])[0], expected, rtol=1e-5)
    compared = netspec.convert(tmp_path / "m.keras", check=True).check
    assert compared is not None
    assert compared.agrees
    assert compared.original == "keras"
    # What the importer has no use for, Keras would import.
    with zipfile.ZipFile(tmp_path / "m.keras") as file:
        parts = {name: file.read(name) for name in file.namelist()}
    config = parts["config.json"].replace(b'"keras.initializers"', b'"os.path"')
    with zipfile.ZipFile(tmp_path / "evil.keras", "w") as file:
        for name, content in (parts | {"config.json": config}).items():
            file.writestr(name, content)
    netspec.convert(tmp_path / "evil.keras")
    with pytest.raises(
        netspec.SpecError, match=r"it names os\.path\.\w+, which is not Keras's own"
    ):
        netspec.convert(tmp_path / "evil.keras", check=True)


def test_what_a_tool_says_against_a_file_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    (tmp_path / "m.onnx").write_bytes(b"no model")
    with pytest.raises(netspec.SpecError, match="onnxruntime does not run"):
        original(ModelSource(tmp_path / "m.onnx"))
