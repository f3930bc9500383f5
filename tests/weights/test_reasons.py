"""What is said of weights that do not fit, beside what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.diagnostics import Diagnostic, SpecError
from netspec.weights import fresh
from netspec.weights.loading import weights_for

from ..helpers import loaded

TEXT = """net mine(classes = 5) {
  input data: 3x4x4
  first: conv { filters: 4  kernel: 3 }
  fc: conv { filters: classes  kernel: 1 }
}
"""


def save(file: Path, arrays: Mapping[str, Any]) -> None:
    np.savez(file, **arrays)


def refused(spec: str | Path, file: Path, **parameters: int) -> Diagnostic:
    with pytest.raises(SpecError) as error:
        weights_for(loaded(spec, **parameters), str(spec), str(file))
    return error.value.diagnostics[0]


@pytest.mark.parametrize(
    ("name", "tensors", "title"),
    [  # some of torchvision's
        ("alexnet", ["features.0.weight", "features.3.weight", "classifier.1.weight"], "AlexNet"),
        ("googlenet", ["conv1.conv.weight", "inception3a.branch1.conv.weight"], "GoogLeNet"),
    ],
)
def test_a_net_of_torchvision_that_is_another(
    name: str, tensors: list[str], title: str, tmp_path: Path
) -> None:
    file = tmp_path / "weights.npz"
    save(file, {n: np.zeros((1,), np.float32) for n in tensors})
    found = refused(name, file)
    assert found.code == "weights-mismatch"
    assert found.help[0].startswith(f"torchvision's {title} is another net")


def test_another_number_of_classes(tmp_path: Path) -> None:
    spec, file = tmp_path / "mine.net", tmp_path / "w.npz"
    spec.write_text(TEXT)
    weights = fresh(loaded(spec).tensors, 1)
    save(file, weights)
    (help_,) = refused(spec, file, classes=7).help
    assert "`--partial fc`" in help_
    arrays = weights_for(loaded(spec, classes=7), str(spec), str(file), partial=["fc"])
    assert arrays.fresh == ("fc.weight", "fc.bias")
    # Another kernel is no other number of classes, and the first layer is no classifier.
    save(file, {**weights, "fc.weight": np.zeros((5, 4, 3, 3), np.float32)})
    assert refused(spec, file).help == ()


def test_a_file_of_names_that_was_not_used_is_named(tmp_path: Path) -> None:
    spec, file = tmp_path / "mine.net", tmp_path / "w.npz"
    spec.write_text(TEXT)
    weights = fresh(loaded(spec).tensors, 1)
    names = tmp_path / "mine.theirs.names"
    save(file, {n.replace("first", "stem.0"): a for n, a in weights.items()})
    names.write_text("first -> stem.0\n")
    assert {r.how for r in weights_for(loaded(spec), str(spec), str(file)).rows} == {"theirs"}
    names.write_text("frist -> stem.0\n")
    found = refused(spec, file)
    assert any("mine.theirs.names was not used" in note and "frist" in note for note in found.notes)
    names.write_text("first -> stem.0\nfc ->")
    assert refused(spec, file).code == "bad-names"
