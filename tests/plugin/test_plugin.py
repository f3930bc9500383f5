"""A package brings ops of its own, with emitters for both backends, and netspec does not know it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .installed import ROOT, Installed

pytestmark = pytest.mark.slow

SPEC = """net smooth(width = 6) {
  input data: 3x8x8
  conv { filters: width  kernel: 3 } -> squareplus -> maxpool { kernel: 2 }
  conv { filters: 4  kernel: 1 } -> snake -> squareplus { b: 0.5 }
  flatten -> linear { units: 5 } -> snake -> softmax
}
"""
RELU = "net plain {\n  input data: 3x8x8\n  relu\n}\n"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """netspec and the package, with two specs."""
    found = Installed(tmp_path_factory.mktemp("installed"))
    found.add_squareplus()
    (found.folder / "smooth.net").write_text(SPEC)
    (found.folder / "plain.net").write_text(RELU)
    return found


@pytest.fixture
def other(tmp_path: Path) -> Installed:
    """netspec without the package, with the same specs."""
    found = Installed(tmp_path)
    (found.folder / "smooth.net").write_text(SPEC)
    (found.folder / "plain.net").write_text(RELU)
    return found


def test_netspec_names_neither_op() -> None:
    for folder in ("netspec", "backends", "grammars"):
        for path in (ROOT / folder).rglob("*.*"):
            if path.suffix in (".py", ".lark", ".j2"):
                assert "snake" not in path.read_text(encoding="utf-8"), path


def test_it_shows_among_the_ops(installed: Installed) -> None:
    done = installed.netspec("ops")
    assert done.returncode == 0
    assert "  squareplus        (x + sqrt(x * x + b)) / 2." in done.stdout
    one = installed.netspec("ops", "snake")
    assert one.returncode == 0
    assert "Family: activation." in one.stdout
    assert "weight  channels" in one.stdout
    ops = json.loads(installed.netspec("ops", "--format", "json").stdout)
    assert {"squareplus", "snake", "conv"} <= {op["keyword"] for op in ops}


def test_it_is_checked(installed: Installed) -> None:
    done = installed.netspec("check", "smooth.net")
    assert (done.returncode, done.stdout) == (0, "")
    wrong = SPEC.replace("b: 0.5", "b: -1").replace("snake -> softmax", "snak -> softmax")
    (installed.folder / "wrong.net").write_text(wrong)
    done = installed.netspec("check", "wrong.net")
    assert done.returncode == 1
    assert "did you mean `snake`?" in done.stdout
    (installed.folder / "wrong.net").write_text(SPEC.replace("b: 0.5", "b: -1"))
    assert "b of squareplus takes a number from 0" in installed.netspec("check", "wrong.net").stdout


def test_its_weights_and_shapes_are_counted(installed: Installed) -> None:
    table = installed.netspec("table", "smooth.net")
    assert table.returncode == 0
    assert "squareplus" in table.stdout
    assert "4x3x3" in table.stdout
    # A number for each channel, beside the convolutions and the linear layer.
    params = (27 * 6 + 6) + (6 * 4 + 4) + 4 + (36 * 5 + 5) + 5
    assert f"{params:,}" in table.stdout


@pytest.mark.parametrize("backend", ["torch", "numpy"])
def test_it_compiles(installed: Installed, backend: str) -> None:
    done = installed.netspec("compile", "smooth.net", "--backend", backend, "-o", f"{backend}_.py")
    assert done.returncode == 0, done.stdout
    text = (installed.folder / f"{backend}_.py").read_text()
    assert "import netspec" not in text
    assert "snake" in text.lower()
    shape = "tuple(m(x).shape) == (2, 5)"
    make = "torch.zeros(2, 3, 8, 8)" if backend == "torch" else "np.zeros((2, 3, 8, 8), 'f4')"
    run = f"import torch, numpy as np, {backend}_ as f\nm = f.Smooth()\nx = {make}\nassert {shape}"
    done = installed.python("-c", run)
    assert done.returncode == 0, done.stdout


def test_both_backends_agree(installed: Installed) -> None:
    done = installed.netspec("verify", "smooth.net")
    assert done.returncode == 0, done.stdout
    assert "torch and numpy agree in all" in done.stdout
    assert "torch and onnx agree in all" in done.stdout


def test_its_arguments_stay_arguments(installed: Installed) -> None:
    run = """
import torch, netspec
model = type(netspec.build(netspec.load("smooth.net"), "torch"))(width=9)
assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 5)
"""
    done = installed.python("-c", run)
    assert done.returncode == 0, done.stdout


def test_a_module_of_the_same_name_goes_first(installed: Installed) -> None:
    module = "module snake(x1 = 1) {\n  input x\n  sigmoid\n}\n"
    (installed.folder / "own.net").write_text(module + SPEC.replace("squareplus", "relu", 1))
    done = installed.netspec("table", "own.net", "--format", "json")
    assert done.returncode == 0, done.stdout
    assert "sigmoid" in done.stdout


# --- what can go wrong ---------------------------------------------------------------------------


def test_entry_points_are_not_looked_up_for_ops_of_netspec(other: Installed) -> None:
    point = {"netspec.ops": {"squareplus": "broken:Op", "relu": "broken:Op"}}
    other.add("broken", point, {"broken": "open('loaded', 'w')"})
    run = """
import sys, netspec
net = netspec.load("plain.net")
assert [layer.op.keyword for layer in net.layers] == ["relu"]
assert "importlib.metadata" not in sys.modules
"""
    done = other.python("-c", run)
    assert done.returncode == 0, done.stdout
    assert not (other.folder / "loaded").exists()


def test_an_op_that_can_not_be_loaded(other: Installed) -> None:
    point = {"netspec.ops": {"squareplus": "broken:SquarePlus"}}
    other.add("broken", point, {"broken": "import no_such_module"})
    done = other.netspec("check", "smooth.net")
    assert done.returncode == 1
    assert "there is no op or module squareplus" in done.stdout
    why = "broken offers squareplus, but broken:SquarePlus can't be loaded: ModuleNotFoundError"
    assert why in " ".join(done.stdout.split())
    listed = other.netspec("ops")
    assert listed.returncode == 0
    assert "relu" in listed.stdout
    assert f"warning: {why}" in listed.stdout
    assert why in other.netspec("ops", "squareplus").stdout


def test_an_op_that_netspec_has(other: Installed) -> None:
    other.add("impolite", {"netspec.ops": {"relu": "impolite:Relu"}}, {"impolite": "Relu = 3"})
    why = "impolite offers an op relu, but netspec has one of that name: netspec's own is used"
    done = other.netspec("ops")
    assert done.returncode == 0
    assert f"warning: {why}" in done.stdout
    assert other.netspec("check", "plain.net").returncode == 0


def test_an_op_that_two_packages_have(other: Installed) -> None:
    other.add_squareplus()
    other.add("second", {"netspec.ops": {"snake": "second:Snake"}}, {"second": "Snake = 3"})
    done = other.netspec("check", "smooth.net")
    assert done.returncode == 1
    text = " ".join(done.stdout.split())
    assert "both offer snake: uninstall one of them" in text
    assert "squareplus" not in text.split("snake", 1)[0]


def test_what_is_no_op(other: Installed) -> None:
    other.add("odd", {"netspec.ops": {"snake": "odd:Snake"}}, {"odd": "class Snake: pass"})
    assert 'is not declared with `@op("snake", ...)`' in other.netspec("ops", "snake").stdout


def test_a_backend_without_an_emitter(other: Installed) -> None:
    other.add_squareplus()
    # Only the op is offered: the same package, without its emitters.
    information = other.packages / "netspec_squareplus-1.dist-info/entry_points.txt"
    information.write_text(information.read_text().split("[netspec.emitters.numpy]")[0])
    assert other.netspec("compile", "smooth.net", "-o", "-").returncode == 0
    done = other.netspec("compile", "smooth.net", "--backend", "numpy", "-o", "-")
    assert done.returncode == 1
    assert "the numpy backend has no squareplus" in done.stdout


def test_an_emitter_that_can_not_be_loaded(other: Installed) -> None:
    other.add_squareplus()
    information = other.packages / "netspec_squareplus-1.dist-info/entry_points.txt"
    information.write_text(information.read_text().replace(".in_numpy", ".in_nowhere"))
    done = other.netspec("compile", "smooth.net", "--backend", "numpy", "-o", "-")
    assert done.returncode == 1
    text = " ".join(done.stdout.split())
    assert "the numpy backend has no squareplus: netspec-squareplus offers squareplus, but" in text
    assert "No module named 'netspec_squareplus.in_nowhere'" in text


def test_backends_that_cannot_be_used_are_reported(other: Installed) -> None:
    other.add("netspec-lame", {"netspec.backends": {"lame": "no_such_module:Lame"}})
    other.add("netspec-twin", {"netspec.backends": {"twin": "json:loads"}})
    other.add("netspec-second", {"netspec.backends": {"twin": "json:dumps"}})
    reasons = {"lame": "netspec-lame offers lame, but", "twin": "both offer twin: uninstall one"}
    for backend, reason in reasons.items():
        done = other.netspec("compile", "plain.net", "--backend", backend)
        assert done.returncode == 1
        assert f"error[unknown-backend]: the backend {backend} can't be used" in done.stdout
        assert reason in done.stdout
    assert other.netspec("compile", "plain.net", "--backend", "numpy", "-o", "-").returncode == 0
