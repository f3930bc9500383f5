"""Drawn shapes, and that a bundled net learns to tell them apart."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from netspec.cli.main import main

SCRIPT = Path(__file__).parent.parent.parent / "examples" / "shapes" / "shapes.py"


@pytest.fixture
def shapes(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    return importlib.import_module("shapes")


def test_pictures(shapes: Any) -> None:
    x, y = shapes.draw(40, 32, seed=3)
    again, labels = shapes.draw(40, 32, seed=3)
    np.testing.assert_array_equal(x, again)
    np.testing.assert_array_equal(y, labels)
    assert (x.shape, x.dtype) == ((40, 32, 32, 3), np.uint8)
    assert np.bincount(y).tolist() == [4] * 10
    other, _ = shapes.draw(40, 32, seed=4)
    assert (x != other).any()


def test_areas_of_shapes(shapes: Any) -> None:
    """By counting points, against geometry."""
    axis = np.linspace(-1, 1, 801)
    u, v = np.meshgrid(axis, axis)
    areas = {shape: shapes.inside(shape, u, v).mean() * 4 for shape in shapes.SHAPES}
    wanted = {
        "disc": np.pi * 0.9**2,
        "ring": np.pi * (1 - 0.55**2),
        "square": 1.5**2,
        "triangle": 3**0.5 * 0.75,  # height 1.5, side 3 ** 0.5
        "cross": 2 * 1.9 * 0.56 - 0.56**2,
        "bar": 1.9 * 0.6,
        "pair": 2 * np.pi * 0.42**2,
    }
    assert {shape: areas[shape] for shape in wanted} == pytest.approx(wanted, rel=0.01)
    assert all(area < np.pi for area in areas.values())


def test_the_chart_shows_what_was_held_out(shapes: Any, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        rows = [
            {"kind": k, "iteration": i, "loss": 1 / i, "accuracy": i / 9}
            for i in (1, 2, 3)
            for k in ("train", "held-out")
        ]
        (tmp_path / name / "metrics.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    tree = ElementTree.fromstring(shapes.curves(tmp_path))
    lines = list(tree.iter("{http://www.w3.org/2000/svg}polyline"))
    assert [len(line.attrib["points"].split()) for line in lines] == [3] * 4


@pytest.mark.slow
@pytest.mark.exhaustive
def test_squeezenet_learns_them(shapes: Any, tmp_path: Path) -> None:
    x, y = shapes.draw(1000, 32, seed=0)
    held, labels = shapes.draw(200, 32, seed=1)
    np.savez(tmp_path / "shapes.npz", x_train=x, y_train=y, x_test=held, y_test=labels)
    fields = ("iterations=150", "batch_size=32", "warmup=40")
    options = [word for field in fields for word in ("--train", field)]
    data, out = str(tmp_path / "shapes.npz"), str(tmp_path / "run")
    command = ["train", "squeezenet_cifar", "--data", data, "-o", out, "--every", "150", "--quiet"]
    assert main([*command, *options]) == 0
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert last["kind"] == "held-out"
    assert last["accuracy"] > 0.5  # chance is 0.1
